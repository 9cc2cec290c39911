-- What retrieval learned about a collection from its own documents; written and read as a whole.
CREATE TABLE tuning (
    collection_key INTEGER PRIMARY KEY REFERENCES collections (key),
    report         TEXT NOT NULL, -- JSON with a version of its own
    updated_at     INTEGER NOT NULL
) STRICT;
