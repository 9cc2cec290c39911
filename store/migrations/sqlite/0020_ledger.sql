-- What calls of paid models may cost and did cost. Days are counted from 1970-01-01 in UTC; money is in millionths of the
-- configured currency; '' stands for no key and no request.

-- A row for each try under way, with the most it can cost. What a crash leaves here is settled at that at the next start.
CREATE TABLE ledger_open (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    day           INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    tenant        TEXT NOT NULL,
    api_key       TEXT NOT NULL,
    request       TEXT NOT NULL,
    purpose       TEXT NOT NULL,
    model         TEXT NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    micros        INTEGER NOT NULL
) STRICT;

-- Spent and reserved together, for each of those whom a limit may concern: the server ('', '', ''), a tenant (t, '', ''),
-- a key (t, k, '') and a request (t, '', r).
CREATE TABLE ledger_balances (
    tenant  TEXT NOT NULL,
    api_key TEXT NOT NULL,
    request TEXT NOT NULL,
    day     INTEGER NOT NULL,
    tokens  INTEGER NOT NULL,
    micros  INTEGER NOT NULL,
    PRIMARY KEY (tenant, api_key, request, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_balances_of_requests ON ledger_balances (day) WHERE request <> '';

-- What was settled.
CREATE TABLE ledger_usage (
    tenant              TEXT NOT NULL,
    day                 INTEGER NOT NULL,
    api_key             TEXT NOT NULL,
    purpose             TEXT NOT NULL,
    model               TEXT NOT NULL,
    calls               INTEGER NOT NULL,
    estimated           INTEGER NOT NULL, -- calls whose tokens the provider did not tell
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL, -- of input_tokens
    output_tokens       INTEGER NOT NULL,
    micros              INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, api_key, purpose, model)
) STRICT, WITHOUT ROWID;
