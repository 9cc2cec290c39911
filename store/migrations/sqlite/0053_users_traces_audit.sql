-- People who sign in with a name and a password. The password itself is nowhere: only its Argon2id hash with salt and costs.
CREATE TABLE users (
    name        TEXT PRIMARY KEY, -- in lower case
    tenant      TEXT NOT NULL,
    password    TEXT NOT NULL, -- PHC string
    rights      TEXT NOT NULL, -- a JSON array
    groups      TEXT NOT NULL, -- a JSON array
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_tenant ON users (tenant, name);

-- Who is signed in: one row per sign-in, whose two tokens are replaced together each time it is gone on with.
CREATE TABLE sign_ins (
    id              TEXT PRIMARY KEY,
    user_name       TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    access_hash     BLOB NOT NULL CHECK (length(access_hash) = 32), -- BLAKE3 of the secret
    access_expires  INTEGER NOT NULL,
    refresh_hash    BLOB NOT NULL CHECK (length(refresh_hash) = 32),
    refresh_expires INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_ins_by_user ON sign_ins (user_name, created_at, id);
CREATE INDEX sign_ins_by_expiry ON sign_ins (refresh_expires);

-- The place in a trace of the request that brought the document, as W3C's Trace Context writes it; null where none was recorded.
ALTER TABLE jobs ADD COLUMN trace TEXT;

-- Entries of the audit log from before this moment may be removed; it only moves forward. Younger ones can't be removed by anybody.
CREATE TABLE audit_horizon (before INTEGER NOT NULL) STRICT;
INSERT INTO audit_horizon VALUES (0);
CREATE TRIGGER audit_horizon_moves_forward BEFORE UPDATE ON audit_horizon WHEN NEW.before < OLD.before
BEGIN
    SELECT raise(ABORT, 'the horizon of the audit log only moves forward');
END;
DROP TRIGGER audit_is_not_removed;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit WHEN OLD.at >= (SELECT before FROM audit_horizon)
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
