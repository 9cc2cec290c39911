-- Who did what to which document, collection or key, without content. Rows are added, never changed, never removed.
CREATE TABLE audit (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    tenant     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    collection TEXT,
    object     TEXT,
    outcome    INTEGER NOT NULL, -- an HTTP status
    request    TEXT
) STRICT;
CREATE INDEX audit_by_tenant ON audit (tenant, key);
CREATE INDEX audit_by_object ON audit (tenant, object, key) WHERE object IS NOT NULL;
CREATE INDEX audit_by_actor ON audit (tenant, actor, key);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
