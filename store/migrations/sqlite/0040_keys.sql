-- API keys. The secret itself is nowhere: only its hash. A revoked or expired key stays, so that the audit log can be read.
CREATE TABLE api_keys (
    id          TEXT PRIMARY KEY,
    hash        BLOB NOT NULL CHECK (length(hash) = 32), -- BLAKE3 of the secret
    tenant      TEXT NOT NULL,
    name        TEXT NOT NULL, -- for people
    rights      TEXT NOT NULL, -- a JSON array
    collections TEXT, -- a JSON array; null for all
    tools       TEXT, -- a JSON array; null for all
    principals  TEXT, -- a JSON array; null for whoever sees every document
    created_by  TEXT,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, id);
