-- What happened to documents, for those who want to be told. Written by the very transaction that made it happen, so that
-- nothing is told that was rolled back and nothing is forgotten in a crash. At most the newest ten thousand are kept, and no
-- longer, once documents are purged, than until every receiver was told: they name documents.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant      TEXT NOT NULL,
    collection  TEXT NOT NULL,
    kind        TEXT NOT NULL, -- job.indexed, job.failed, …, document.deleted, collection.deleted
    document_id TEXT,
    version     INTEGER,
    job         TEXT,
    reason      TEXT,
    at          INTEGER NOT NULL
) STRICT;

CREATE TRIGGER job_ended AFTER UPDATE OF state ON jobs
WHEN NEW.state <> OLD.state AND NEW.state NOT IN ('queued', 'running')
BEGIN
    INSERT INTO events (tenant, collection, kind, document_id, version, job, reason, at)
        SELECT tenant, name, 'job.' || NEW.state, NEW.document_id, NEW.version, NEW.id, NEW.reason, NEW.updated_at
        FROM collections WHERE key = NEW.collection_key;
    DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - 10000;
END;

CREATE TRIGGER document_deleted AFTER UPDATE OF deleted_at ON documents
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    INSERT INTO events (tenant, collection, kind, document_id, version, at)
        SELECT tenant, name, 'document.deleted', NEW.id, NEW.last_version, NEW.deleted_at
        FROM collections WHERE key = NEW.collection_key;
    DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - 10000;
END;

CREATE TRIGGER collection_deleted AFTER UPDATE OF deleted_at ON collections
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    INSERT INTO events (tenant, collection, kind, at) VALUES (NEW.tenant, NEW.name, 'collection.deleted', NEW.deleted_at);
    DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - 10000;
END;

-- How far each receiver has been told, and every telling.
CREATE TABLE webhook_cursors (
    endpoint TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL
) STRICT;

CREATE TABLE deliveries (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE, -- the same for every attempt and replay
    endpoint   TEXT NOT NULL,
    tenant     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    payload    TEXT NOT NULL, -- the JSON that is sent
    state      TEXT NOT NULL, -- pending, delivered, failed
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at     INTEGER NOT NULL,
    status     INTEGER, -- of the last answer
    error      TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at) WHERE state = 'pending';
CREATE INDEX deliveries_by_tenant ON deliveries (tenant, key);
CREATE INDEX deliveries_by_age ON deliveries (updated_at) WHERE state <> 'pending';
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, state, key);
