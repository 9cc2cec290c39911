-- Searches that were kept to be asked again under other settings: what was asked and which chunks came back, never text of
-- documents. They go with their collection.
CREATE TABLE queries (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_key INTEGER NOT NULL,
    principals     TEXT NOT NULL, -- of whoever asked, a JSON array; `true` for all
    request        TEXT NOT NULL, -- JSON, as `retrieve` writes it
    settings       TEXT NOT NULL, -- a fingerprint
    chunks         TEXT NOT NULL, -- a JSON array of ids, best first
    at             INTEGER NOT NULL
) STRICT;
CREATE INDEX queries_by_collection ON queries (collection_key, key);
CREATE INDEX queries_by_age ON queries (collection_key, at);
