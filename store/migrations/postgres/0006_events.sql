-- What happened to documents, for those who want to be told. Written by the very transaction that made it happen, so that
-- nothing is told that was rolled back and nothing is forgotten in a crash; numbered by whoever looks for events, because
-- transactions do not end in the order in which they write. At most the newest ten thousand numbered ones are kept, and no
-- longer, once documents are purged, than until every receiver was told: they name documents.
CREATE TABLE events (
    key         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq         BIGINT UNIQUE, -- null until somebody looked
    tenant      tenant_name NOT NULL,
    collection  TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL, -- job.indexed, job.failed, …, document.deleted, collection.deleted
    document_id TEXT,
    version     BIGINT,
    job         TEXT,
    reason      TEXT,
    at          BIGINT NOT NULL
);
CREATE INDEX events_fresh ON events (key) WHERE seq IS NULL;

-- The number of the newest event that there ever was: one row.
CREATE TABLE event_numbers (
    last BIGINT NOT NULL
);
INSERT INTO event_numbers VALUES (0);
CREATE UNIQUE INDEX event_numbers_is_one_row ON event_numbers ((true));
-- It is nobody's: only maintenance counts.
ALTER TABLE event_numbers ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_numbers FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON event_numbers USING ((SELECT current_setting('wellspring.tenant', true)) = '*');

CREATE FUNCTION tell_of_job() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (tenant, collection, kind, document_id, version, job, reason, at)
        SELECT tenant, name, 'job.' || NEW.state, NEW.document_id, NEW.version, NEW.id, NEW.reason, NEW.updated_at
        FROM collections WHERE key = NEW.collection_key;
    RETURN NULL;
END
$$;
CREATE TRIGGER job_ended AFTER UPDATE OF state ON jobs
    FOR EACH ROW WHEN (NEW.state <> OLD.state AND NEW.state NOT IN ('queued', 'running'))
    EXECUTE FUNCTION tell_of_job();

CREATE FUNCTION tell_of_document() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (tenant, collection, kind, document_id, version, at)
        SELECT tenant, name, 'document.deleted', NEW.id, NEW.last_version, NEW.deleted_at
        FROM collections WHERE key = NEW.collection_key;
    RETURN NULL;
END
$$;
CREATE TRIGGER document_deleted AFTER UPDATE OF deleted_at ON documents
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION tell_of_document();

CREATE FUNCTION tell_of_collection() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (tenant, collection, kind, at) VALUES (NEW.tenant, NEW.name, 'collection.deleted', NEW.deleted_at);
    RETURN NULL;
END
$$;
CREATE TRIGGER collection_deleted AFTER UPDATE OF deleted_at ON collections
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION tell_of_collection();

-- How far each receiver has been told, and every telling.
CREATE TABLE webhook_cursors (
    endpoint TEXT COLLATE "C" PRIMARY KEY,
    tenant   tenant_name NOT NULL,
    seq      BIGINT NOT NULL
);

CREATE TABLE deliveries (
    key        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         TEXT COLLATE "C" NOT NULL UNIQUE, -- the same for every attempt and replay
    endpoint   TEXT COLLATE "C" NOT NULL,
    tenant     tenant_name NOT NULL,
    kind       TEXT NOT NULL,
    payload    TEXT NOT NULL, -- the JSON that is sent
    state      TEXT COLLATE "C" NOT NULL, -- pending, delivered, failed
    attempts   BIGINT NOT NULL DEFAULT 0,
    due_at     BIGINT NOT NULL,
    status     BIGINT, -- of the last answer
    error      TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at) WHERE state = 'pending';
CREATE INDEX deliveries_by_tenant ON deliveries (tenant, key);
CREATE INDEX deliveries_by_age ON deliveries (updated_at) WHERE state <> 'pending';
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, state, key);

CALL wall_off('events');
CALL wall_off('webhook_cursors');
CALL wall_off('deliveries');
GRANT SELECT, INSERT, UPDATE, DELETE ON events, webhook_cursors, deliveries TO wellspring_app;
GRANT SELECT, UPDATE ON event_numbers TO wellspring_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO wellspring_app;
