-- People who sign in with a name and a password. The password itself is nowhere: only its Argon2id hash with salt and costs.
CREATE TABLE users (
    name        TEXT COLLATE "C" PRIMARY KEY, -- in lower case
    tenant      tenant_name NOT NULL,
    password    TEXT NOT NULL, -- PHC string
    rights      TEXT NOT NULL, -- a JSON array
    groups      TEXT NOT NULL, -- a JSON array
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);
CREATE INDEX users_by_tenant ON users (tenant, name);

-- Who is signed in: one row per sign-in, whose two tokens are replaced together each time it is gone on with.
CREATE TABLE sign_ins (
    id              TEXT COLLATE "C" PRIMARY KEY,
    tenant          tenant_name NOT NULL,
    user_name       TEXT COLLATE "C" NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    access_hash     BYTEA NOT NULL CHECK (length(access_hash) = 32), -- BLAKE3 of the secret
    access_expires  BIGINT NOT NULL,
    refresh_hash    BYTEA NOT NULL CHECK (length(refresh_hash) = 32),
    refresh_expires BIGINT NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE INDEX sign_ins_by_user ON sign_ins (user_name, created_at, id);
CREATE INDEX sign_ins_by_expiry ON sign_ins (refresh_expires);

CALL wall_off('users');
CALL wall_off('sign_ins');
GRANT SELECT, INSERT, UPDATE, DELETE ON users, sign_ins TO wellspring_app;

-- The place in a trace of the request that brought the document, as W3C's Trace Context writes it; null where none was recorded.
ALTER TABLE jobs ADD COLUMN trace TEXT;

-- Entries of the audit log are removed by age alone: in a transaction that says from before when. Those that are younger, and any
-- without such a word, stay.
DROP TRIGGER audit_is_append_only ON audit;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE FUNCTION refuse_removal() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.at < coalesce(nullif(current_setting('wellspring.audit_horizon', true), ''), '0')::bigint THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_removal();
GRANT DELETE ON audit TO wellspring_app;
