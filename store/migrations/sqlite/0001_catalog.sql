-- Times are microseconds since 1970 in UTC; offsets are UTF-8 bytes, ends exclusive; keys are never used twice.

CREATE TABLE tenants (
    name       TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE collections (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant      TEXT NOT NULL REFERENCES tenants (name),
    name        TEXT NOT NULL,
    model       TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    dimension   INTEGER NOT NULL CHECK (dimension > 0),
    settings    TEXT NOT NULL,
    last_seq    INTEGER NOT NULL DEFAULT 0, -- its newest change; changes themselves may be purged
    documents   INTEGER NOT NULL DEFAULT 0, -- visible ones
    chunks      INTEGER NOT NULL DEFAULT 0, -- of visible documents
    created_at  INTEGER NOT NULL,
    deleted_at  INTEGER
) STRICT;
CREATE UNIQUE INDEX collections_by_name ON collections (tenant, name) WHERE deleted_at IS NULL;
CREATE INDEX collections_deleted ON collections (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE documents (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_key INTEGER NOT NULL REFERENCES collections (key),
    id             TEXT NOT NULL,
    last_version   INTEGER NOT NULL,
    visible        INTEGER UNIQUE REFERENCES versions (key),
    restricted     INTEGER NOT NULL DEFAULT 0, -- whether the visible version has an access list
    created_at     INTEGER NOT NULL,
    deleted_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX documents_by_id ON documents (collection_key, id) WHERE deleted_at IS NULL;
CREATE INDEX documents_by_collection ON documents (collection_key);
CREATE INDEX documents_restricted ON documents (collection_key) WHERE restricted = 1;
CREATE INDEX documents_deleted ON documents (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE versions (
    key               INTEGER PRIMARY KEY AUTOINCREMENT,
    document_key      INTEGER NOT NULL REFERENCES documents (key),
    version           INTEGER NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('pending', 'stored', 'visible', 'removed')),
    removed_seq       INTEGER, -- its `removed` change; null where no index ever held it
    blob              BLOB NOT NULL CHECK (length(blob) = 32),
    bytes             INTEGER NOT NULL,
    source            TEXT NOT NULL,
    declared_type     TEXT,
    declared_title    TEXT,
    declared_metadata TEXT NOT NULL,
    acl               TEXT, -- a JSON array of principals
    created_at        INTEGER NOT NULL,
    visible_at        INTEGER,
    -- From here on: null until stored.
    media_type        TEXT,
    title             TEXT,
    metadata          TEXT,
    pipeline          TEXT,
    warnings          TEXT,
    page_count        INTEGER,
    chunks            INTEGER, -- their keys are first_chunk, first_chunk + 1, …
    first_chunk       INTEGER,
    text_bytes        INTEGER,
    text_hash         BLOB,
    -- Long values last, so that reading the others doesn't fetch them.
    pages             TEXT,
    offsets           TEXT,
    UNIQUE (document_key, version)
) STRICT;
CREATE INDEX versions_by_blob ON versions (blob);
CREATE INDEX versions_removed ON versions (removed_seq) WHERE state = 'removed';

-- The stored text in pieces of 8192 bytes (the last one shorter), so that a passage is read without its document.
CREATE TABLE segments (
    version_key INTEGER NOT NULL REFERENCES versions (key),
    number      INTEGER NOT NULL,
    bytes       BLOB NOT NULL,
    UNIQUE (version_key, number)
) STRICT;

CREATE TABLE chunks (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    version_key    INTEGER NOT NULL REFERENCES versions (key),
    collection_key INTEGER NOT NULL,
    replaced       INTEGER NOT NULL DEFAULT 0, -- by a later attempt at the same version; only the key is of use
    ordinal        INTEGER NOT NULL,
    start          INTEGER NOT NULL,
    end            INTEGER NOT NULL,
    page           INTEGER,
    section_start  INTEGER,
    section_end    INTEGER,
    tokens         INTEGER NOT NULL,
    language       TEXT,
    id             TEXT NOT NULL,
    content_hash   BLOB NOT NULL CHECK (length(content_hash) = 32),
    headings       TEXT NOT NULL -- a JSON array
) STRICT;
CREATE INDEX chunks_by_version ON chunks (version_key, ordinal);
CREATE INDEX chunks_by_id ON chunks (id);
CREATE INDEX chunks_by_hash ON chunks (collection_key, content_hash);
CREATE INDEX chunks_by_collection ON chunks (collection_key);

CREATE TABLE vectors (
    chunk_key INTEGER PRIMARY KEY REFERENCES chunks (key),
    vector    BLOB NOT NULL -- 32-bit floats, little endian
) STRICT;

-- One row per scalar of a stored version's metadata and own fields: what filters look at.
CREATE TABLE fields (
    version_key    INTEGER NOT NULL REFERENCES versions (key),
    collection_key INTEGER NOT NULL,
    name           TEXT NOT NULL,
    kind           INTEGER NOT NULL, -- 0 present, 1 text, 2 number, 3 boolean, 4 instant
    value          ANY
) STRICT;
CREATE INDEX fields_by_version ON fields (version_key, name, kind, value);
CREATE INDEX fields_by_value ON fields (collection_key, name, kind, value, version_key);

CREATE TABLE jobs (
    key              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    collection_key   INTEGER NOT NULL,
    document_key     INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    document_id      TEXT NOT NULL,
    source           TEXT NOT NULL,
    acl              TEXT, -- of the version it makes
    state            TEXT NOT NULL,
    stage            TEXT NOT NULL,
    done             INTEGER,
    total            INTEGER,
    attempts         INTEGER NOT NULL DEFAULT 0,
    max_attempts     INTEGER NOT NULL,
    owner            TEXT,
    fence            INTEGER NOT NULL DEFAULT 0,
    due_at           INTEGER NOT NULL, -- queued: the earliest start; running: the end of the lease
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    reason           TEXT,
    message          TEXT,
    report           TEXT NOT NULL DEFAULT 'null',
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_open ON jobs (key, due_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_document ON jobs (document_key, state, version);
CREATE INDEX jobs_by_collection ON jobs (collection_key, key);
CREATE INDEX jobs_by_state ON jobs (collection_key, state, key);

CREATE TABLE changes (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_key INTEGER NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('stored', 'removed')),
    document_key   INTEGER NOT NULL,
    version        INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_by_collection ON changes (collection_key, seq);
CREATE INDEX changes_by_version ON changes (document_key, version);

CREATE TABLE index_states (
    collection_key INTEGER NOT NULL REFERENCES collections (key),
    kind           TEXT NOT NULL CHECK (kind IN ('vector', 'keyword')),
    generation     INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    PRIMARY KEY (collection_key, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    collection_key INTEGER NOT NULL,
    key            TEXT NOT NULL,
    request        BLOB NOT NULL,
    version        INTEGER NOT NULL,
    job            TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (collection_key, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- What was purged and when, without content: the id only as its BLAKE3 hash.
CREATE TABLE purges (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    at             INTEGER NOT NULL,
    tenant         TEXT NOT NULL,
    collection_key INTEGER NOT NULL,
    document_key   INTEGER NOT NULL,
    document_hash  BLOB NOT NULL,
    version        INTEGER NOT NULL,
    chunks         INTEGER NOT NULL,
    bytes          INTEGER NOT NULL
) STRICT;

-- Blobs that purged versions referred to and that are still to be deleted.
CREATE TABLE doomed_blobs (
    tenant TEXT NOT NULL,
    blob   BLOB NOT NULL,
    PRIMARY KEY (tenant, blob)
) STRICT, WITHOUT ROWID;

-- The one place that says what "visible" means. Queries add tenant, collection and access list.
CREATE VIEW visible AS
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
