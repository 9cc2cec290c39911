-- What calls of paid models may cost and did cost. Days are counted from 1970-01-01 in UTC; money is in millionths of the
-- configured currency; '' stands for no key, no request and, as a tenant, for everybody: reserving compares with the balances
-- of all, so it is done for '*'.

-- A row for each try under way, with the most it can cost. What a crash leaves here is settled at that an hour later.
CREATE TABLE ledger_open (
    key           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day           BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    tenant        tenant_name NOT NULL,
    api_key       TEXT COLLATE "C" NOT NULL,
    request       TEXT COLLATE "C" NOT NULL,
    purpose       TEXT COLLATE "C" NOT NULL,
    model         TEXT COLLATE "C" NOT NULL,
    input_tokens  BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    micros        BIGINT NOT NULL
);
CREATE INDEX ledger_open_by_age ON ledger_open (at);

-- Spent and reserved together, for each of those whom a limit may concern: the server ('', '', ''), a tenant (t, '', ''),
-- a key (t, k, '') and a request (t, '', r).
CREATE TABLE ledger_balances (
    tenant  tenant_name NOT NULL,
    api_key TEXT COLLATE "C" NOT NULL,
    request TEXT COLLATE "C" NOT NULL,
    day     BIGINT NOT NULL,
    tokens  BIGINT NOT NULL,
    micros  BIGINT NOT NULL,
    PRIMARY KEY (tenant, api_key, request, day)
);
ALTER TABLE ledger_balances SET (fillfactor = 70);
CREATE INDEX ledger_balances_of_requests ON ledger_balances (day) WHERE request <> '';

-- What was settled.
CREATE TABLE ledger_usage (
    tenant              tenant_name NOT NULL,
    day                 BIGINT NOT NULL,
    api_key             TEXT COLLATE "C" NOT NULL,
    purpose             TEXT COLLATE "C" NOT NULL,
    model               TEXT COLLATE "C" NOT NULL,
    calls               BIGINT NOT NULL,
    estimated           BIGINT NOT NULL, -- calls whose tokens the provider did not tell
    input_tokens        BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL, -- of input_tokens
    output_tokens       BIGINT NOT NULL,
    micros              BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, api_key, purpose, model)
);

-- Replies of chat models, kept to be given again to the same ask. They hold what documents say, so each goes in the very
-- transaction in which one of its documents changes or disappears.
CREATE TABLE replies (
    key        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     tenant_name NOT NULL,
    ask        BYTEA NOT NULL CHECK (length(ask) = 32),
    reply      TEXT NOT NULL, -- JSON with a version of its own
    expires_at BIGINT NOT NULL,
    UNIQUE (tenant, ask)
);
CREATE INDEX replies_by_expiry ON replies (expires_at, key);

CREATE TABLE reply_sources (
    tenant         tenant_name NOT NULL,
    document_key   BIGINT NOT NULL,
    reply_key      BIGINT NOT NULL REFERENCES replies (key) ON DELETE CASCADE,
    collection_key BIGINT NOT NULL,
    PRIMARY KEY (document_key, reply_key)
);
CREATE INDEX reply_sources_by_reply ON reply_sources (reply_key);
CREATE INDEX reply_sources_by_collection ON reply_sources (collection_key);

CREATE FUNCTION forget_replies_of_document() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM replies WHERE key IN (SELECT reply_key FROM reply_sources WHERE document_key = OLD.key);
    RETURN NULL;
END
$$;
CREATE TRIGGER replies_follow_documents AFTER UPDATE OF visible ON documents
    FOR EACH ROW WHEN (OLD.visible IS DISTINCT FROM NEW.visible) EXECUTE FUNCTION forget_replies_of_document();

CREATE FUNCTION forget_replies_of_collection() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM replies WHERE key IN (SELECT reply_key FROM reply_sources WHERE collection_key = NEW.key);
    RETURN NULL;
END
$$;
CREATE TRIGGER replies_follow_collections AFTER UPDATE OF deleted_at ON collections
    FOR EACH ROW WHEN (NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION forget_replies_of_collection();

CALL wall_off('ledger_open');
CALL wall_off('ledger_balances');
CALL wall_off('ledger_usage');
CALL wall_off('replies');
CALL wall_off('reply_sources');
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger_open, ledger_balances, ledger_usage, replies, reply_sources TO wellspring_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO wellspring_app;
