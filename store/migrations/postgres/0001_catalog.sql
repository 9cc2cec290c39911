-- Times are microseconds since 1970 in UTC; offsets are UTF-8 bytes, ends exclusive; keys are never used twice. JSON is kept
-- as text, byte for byte. Strings that are compared or sorted are compared by their bytes (COLLATE "C", or BYTEA).
--
-- Every row says whose it is, and the policies at the end let a transaction touch the rows of the tenant it was opened for
-- only: `wellspring.tenant`, or '*' for maintenance that serves all of them (leases, purge, verify).

-- A name that no other catalog has, which goes with it into dumps: servers keep indexes of their own under it.
DO $$ BEGIN
    EXECUTE format(
        'CREATE FUNCTION catalog_identity() RETURNS TEXT LANGUAGE sql IMMUTABLE AS %L',
        format('SELECT %L::text', gen_random_uuid()));
END $$;

CREATE DOMAIN tenant_name AS TEXT COLLATE "C" CHECK (VALUE <> '*');

CREATE TABLE tenants (
    name       tenant_name PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE collections (
    key         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      tenant_name NOT NULL REFERENCES tenants (name),
    name        TEXT COLLATE "C" NOT NULL,
    model       TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    dimension   BIGINT NOT NULL CHECK (dimension > 0),
    settings    TEXT NOT NULL,
    last_seq    BIGINT NOT NULL DEFAULT 0, -- its newest change; changes themselves may be purged
    documents   BIGINT NOT NULL DEFAULT 0, -- visible ones
    chunks      BIGINT NOT NULL DEFAULT 0, -- of visible documents
    created_at  BIGINT NOT NULL,
    deleted_at  BIGINT
);
CREATE UNIQUE INDEX collections_by_name ON collections (tenant, name) WHERE deleted_at IS NULL;
CREATE INDEX collections_deleted ON collections (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE documents (
    key            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL REFERENCES collections (key),
    id             TEXT COLLATE "C" NOT NULL,
    last_version   BIGINT NOT NULL,
    visible        BIGINT UNIQUE,
    restricted     BOOLEAN NOT NULL DEFAULT false, -- whether the visible version has an access list
    created_at     BIGINT NOT NULL,
    deleted_at     BIGINT
);
CREATE UNIQUE INDEX documents_by_id ON documents (collection_key, id) WHERE deleted_at IS NULL;
CREATE INDEX documents_by_collection ON documents (collection_key);
CREATE INDEX documents_restricted ON documents (collection_key) WHERE restricted;
CREATE INDEX documents_deleted ON documents (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE versions (
    key               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant            tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    document_key      BIGINT NOT NULL REFERENCES documents (key),
    version           BIGINT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('pending', 'stored', 'visible', 'removed')),
    removed_seq       BIGINT, -- its `removed` change; null where no index ever held it
    blob              BYTEA NOT NULL CHECK (length(blob) = 32),
    bytes             BIGINT NOT NULL,
    source            TEXT NOT NULL,
    declared_type     TEXT,
    declared_title    TEXT,
    declared_metadata TEXT NOT NULL,
    acl               TEXT[] COLLATE "C", -- principals
    created_at        BIGINT NOT NULL,
    visible_at        BIGINT,
    -- From here on: null until stored.
    media_type        TEXT,
    title             TEXT,
    metadata          TEXT,
    pipeline          TEXT,
    warnings          TEXT,
    page_count        BIGINT,
    chunks            BIGINT, -- their keys are first_chunk, first_chunk + 1, …
    first_chunk       BIGINT,
    text_bytes        BIGINT,
    text_hash         BYTEA,
    pages             TEXT,
    offsets           TEXT,
    named_by          BIGINT NOT NULL DEFAULT 0, -- by which rules it was named
    names             BIGINT NOT NULL DEFAULT 0, -- how many it got
    UNIQUE (document_key, version)
);
ALTER TABLE documents ADD FOREIGN KEY (visible) REFERENCES versions (key);
CREATE INDEX versions_by_blob ON versions (blob);
CREATE INDEX versions_removed ON versions (removed_seq) WHERE state = 'removed';
CREATE INDEX versions_by_naming ON versions (named_by, key) WHERE state IN ('stored', 'visible');

-- The stored text in pieces of 8192 bytes (the last one shorter), so that a passage is read without its document.
CREATE TABLE segments (
    tenant      tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    version_key BIGINT NOT NULL REFERENCES versions (key),
    number      BIGINT NOT NULL,
    bytes       BYTEA NOT NULL,
    PRIMARY KEY (version_key, number)
);

CREATE SEQUENCE chunk_keys;

-- Consecutive keys; the first of them. A sequence gives them out one by one, and others may ask in between.
CREATE FUNCTION take_chunk_keys(wanted BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    first BIGINT;
BEGIN
    PERFORM pg_advisory_lock(hashtextextended('wellspring chunk keys', 0));
    BEGIN
        first := nextval('chunk_keys');
        PERFORM setval('chunk_keys', first + greatest(wanted, 1) - 1);
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        PERFORM pg_advisory_unlock(hashtextextended('wellspring chunk keys', 0));
        RAISE;
    END;
    PERFORM pg_advisory_unlock(hashtextextended('wellspring chunk keys', 0));
    RETURN first;
END
$$;

CREATE TABLE chunks (
    key            BIGINT PRIMARY KEY,
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    version_key    BIGINT NOT NULL REFERENCES versions (key),
    collection_key BIGINT NOT NULL,
    replaced       BOOLEAN NOT NULL DEFAULT false, -- by a later attempt at the same version; only the key is of use
    ordinal        BIGINT NOT NULL,
    start          BIGINT NOT NULL,
    stop           BIGINT NOT NULL,
    page           BIGINT,
    section_start  BIGINT,
    section_end    BIGINT,
    tokens         BIGINT NOT NULL,
    language       TEXT COLLATE "C",
    id             TEXT COLLATE "C" NOT NULL,
    content_hash   BYTEA NOT NULL CHECK (length(content_hash) = 32),
    headings       TEXT NOT NULL, -- a JSON array
    links          TEXT -- a JSON array of where links lead that the text does not show; null where there are none
);
CREATE INDEX chunks_by_version ON chunks (version_key, ordinal);
CREATE INDEX chunks_by_id ON chunks (id);
CREATE INDEX chunks_by_hash ON chunks (collection_key, content_hash);
CREATE INDEX chunks_by_collection ON chunks (collection_key, key);

CREATE TABLE vectors (
    chunk_key BIGINT PRIMARY KEY REFERENCES chunks (key),
    tenant    tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    vector    BYTEA NOT NULL -- 32-bit floats, little endian
);
-- Floats don't get smaller.
ALTER TABLE vectors ALTER COLUMN vector SET STORAGE EXTERNAL;

-- One row per scalar of a stored version's metadata and own fields: what filters look at. A text's first 512 bytes are
-- apart from what follows them, because an index entry has to fit on a page.
CREATE TABLE fields (
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    version_key    BIGINT NOT NULL REFERENCES versions (key),
    collection_key BIGINT NOT NULL,
    name           BYTEA NOT NULL, -- UTF-8
    kind           BIGINT NOT NULL, -- 0 present, 1 text, 2 number, 3 boolean, 4 instant
    head           BYTEA, -- of a text, UTF-8
    rest           BYTEA, -- of a text of over 512 bytes
    number         DOUBLE PRECISION,
    whole          BIGINT -- 0 or 1 for a boolean, microseconds for an instant
);
CREATE INDEX fields_by_version ON fields (version_key, name, kind);
CREATE INDEX fields_by_name ON fields (collection_key, name, kind, version_key);
CREATE INDEX fields_by_text ON fields (collection_key, name, head, version_key) WHERE kind = 1;
CREATE INDEX fields_by_number ON fields (collection_key, name, number, version_key) WHERE kind = 2;
CREATE INDEX fields_by_whole ON fields (collection_key, name, kind, whole, version_key) WHERE kind IN (3, 4);

-- What documents can be mentioned by: hashes only, of stored and visible versions. They go with the version's removal.
CREATE TABLE names (
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    version_key    BIGINT NOT NULL REFERENCES versions (key),
    hash           BIGINT NOT NULL, -- of kind of spelling and normal form
    collection_key BIGINT NOT NULL,
    kind           BIGINT NOT NULL, -- 0 title, 1 short title, 2 address, 3 heading, 4 term, 5 symbol
    ordinal        BIGINT, -- the chunk it stands for; null for the document
    PRIMARY KEY (version_key, hash)
);
CREATE INDEX names_by_hash ON names (collection_key, hash);

CREATE TABLE jobs (
    key              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant           tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    id               TEXT COLLATE "C" NOT NULL UNIQUE,
    collection_key   BIGINT NOT NULL,
    document_key     BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    document_id      TEXT NOT NULL,
    source           TEXT NOT NULL,
    acl              TEXT, -- of the version it makes: a JSON array
    state            TEXT NOT NULL,
    stage            TEXT NOT NULL,
    done             BIGINT,
    total            BIGINT,
    attempts         BIGINT NOT NULL DEFAULT 0,
    max_attempts     BIGINT NOT NULL,
    owner            TEXT,
    fence            BIGINT NOT NULL DEFAULT 0,
    due_at           BIGINT NOT NULL, -- queued: the earliest start; running: the end of the lease
    cancel_requested BOOLEAN NOT NULL DEFAULT false,
    reason           TEXT,
    message          TEXT,
    report           TEXT NOT NULL DEFAULT 'null',
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
-- Rows of this table change often and stay few while they do: dead ones should not pile up before it is cleaned.
ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 80);
CREATE INDEX jobs_fresh ON jobs (key) WHERE state IN ('queued', 'running') AND fence = 0;
CREATE INDEX jobs_open ON jobs (due_at, key) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_document ON jobs (document_key, state, version);
CREATE INDEX jobs_by_collection ON jobs (collection_key, key);
CREATE INDEX jobs_by_state ON jobs (collection_key, state, key);

CREATE SEQUENCE change_numbers;

-- A number is taken under a lock on the collection's row that lasts to the end of the transaction, so the changes of a
-- collection become visible in the order of their numbers.
CREATE TABLE changes (
    seq            BIGINT PRIMARY KEY,
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('stored', 'removed')),
    document_key   BIGINT NOT NULL,
    version        BIGINT NOT NULL
);
CREATE INDEX changes_by_collection ON changes (collection_key, seq);
CREATE INDEX changes_by_version ON changes (document_key, version);

CREATE TABLE index_states (
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL REFERENCES collections (key),
    kind           TEXT NOT NULL CHECK (kind IN ('vector', 'keyword')),
    generation     BIGINT NOT NULL,
    seq            BIGINT NOT NULL,
    PRIMARY KEY (collection_key, kind)
);

CREATE TABLE idempotency (
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL,
    key            TEXT COLLATE "C" NOT NULL,
    request        BYTEA NOT NULL,
    version        BIGINT NOT NULL,
    job            TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (collection_key, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Searches that were kept to be asked again under other settings: what was asked and which chunks came back, never text of
-- documents. They go with their collection.
CREATE TABLE queries (
    key            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL,
    principals     TEXT NOT NULL, -- of whoever asked, a JSON array; `true` for all
    request        TEXT NOT NULL, -- JSON, as `retrieve` writes it
    settings       TEXT NOT NULL, -- a fingerprint
    chunks         TEXT NOT NULL, -- a JSON array of ids, best first
    at             BIGINT NOT NULL
);
CREATE INDEX queries_by_collection ON queries (collection_key, key);
CREATE INDEX queries_by_age ON queries (collection_key, at);

-- What retrieval learned about a collection from its own documents; written and read as a whole.
CREATE TABLE tuning (
    collection_key BIGINT PRIMARY KEY REFERENCES collections (key),
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    report         TEXT NOT NULL, -- JSON with a version of its own
    updated_at     BIGINT NOT NULL
);

-- What was purged and when, without content: the id only as its BLAKE3 hash.
CREATE TABLE purges (
    key            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             BIGINT NOT NULL,
    tenant         tenant_name NOT NULL,
    collection_key BIGINT NOT NULL,
    document_key   BIGINT NOT NULL,
    document_hash  BYTEA NOT NULL,
    version        BIGINT NOT NULL,
    chunks         BIGINT NOT NULL,
    bytes          BIGINT NOT NULL
);

-- Blobs that purged versions referred to and that are still to be deleted.
CREATE TABLE doomed_blobs (
    tenant tenant_name NOT NULL,
    blob   BYTEA NOT NULL,
    PRIMARY KEY (tenant, blob)
);

-- The one place that says what "visible" means. Queries add tenant, collection and access list.
CREATE VIEW visible WITH (security_invoker = true) AS
SELECT
    collections.key AS collection_key,
    collections.tenant AS tenant,
    documents.key AS document_key,
    documents.id AS document_id,
    documents.created_at AS document_created_at,
    versions.key AS version_key,
    versions.version, versions.blob, versions.bytes, versions.source, versions.acl, versions.visible_at,
    versions.media_type, versions.title, versions.metadata, versions.pipeline, versions.warnings,
    versions.page_count, versions.chunks, versions.first_chunk, versions.text_bytes, versions.pages, versions.offsets
FROM collections
JOIN documents ON documents.collection_key = collections.key
JOIN versions ON versions.key = documents.visible
WHERE collections.deleted_at IS NULL AND documents.deleted_at IS NULL;

-- ---- who may touch what ----------------------------------------------------------------------------------------

-- The role was made before this file ran: roles belong to the whole server, and making one may be refused.
GRANT USAGE ON SCHEMA public TO wellspring_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO wellspring_app;
REVOKE ALL ON _sqlx_migrations FROM wellspring_app;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO wellspring_app;

DO $$
DECLARE
    walled TEXT;
    whose  TEXT;
BEGIN
    FOREACH walled IN ARRAY ARRAY[
        'tenants', 'collections', 'documents', 'versions', 'segments', 'chunks', 'vectors', 'fields', 'names', 'jobs',
        'changes', 'index_states', 'idempotency', 'queries', 'tuning', 'purges', 'doomed_blobs'
    ] LOOP
        whose := CASE walled WHEN 'tenants' THEN 'name' ELSE 'tenant' END;
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', walled);
        -- The owner as well.
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', walled);
        -- A subquery is evaluated once per statement, not once per row. Nothing set is nobody's.
        EXECUTE format(
            'CREATE POLICY tenant_wall ON %I USING (%I = (SELECT current_setting(''wellspring.tenant'', true)) '
            'OR (SELECT current_setting(''wellspring.tenant'', true)) = ''*'')', walled, whose);
    END LOOP;
END
$$;
