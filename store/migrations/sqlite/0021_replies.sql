-- Replies of chat models, kept to be given again to the same ask. They hold what documents say, so each goes in the very
-- transaction in which one of its documents changes or disappears.
CREATE TABLE replies (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT NOT NULL,
    ask        BLOB NOT NULL CHECK (length(ask) = 32),
    reply      TEXT NOT NULL, -- JSON with a version of its own
    expires_at INTEGER NOT NULL,
    UNIQUE (tenant, ask)
) STRICT;
CREATE INDEX replies_by_expiry ON replies (expires_at);

CREATE TABLE reply_sources (
    document_key   INTEGER NOT NULL,
    reply_key      INTEGER NOT NULL REFERENCES replies (key) ON DELETE CASCADE,
    collection_key INTEGER NOT NULL,
    PRIMARY KEY (document_key, reply_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX reply_sources_by_reply ON reply_sources (reply_key);
CREATE INDEX reply_sources_by_collection ON reply_sources (collection_key);

CREATE TRIGGER replies_follow_documents AFTER UPDATE OF visible ON documents WHEN old.visible IS NOT new.visible
BEGIN
    DELETE FROM replies WHERE key IN (SELECT reply_key FROM reply_sources WHERE document_key = old.key);
END;

CREATE TRIGGER replies_follow_collections AFTER UPDATE OF deleted_at ON collections WHEN new.deleted_at IS NOT NULL
BEGIN
    DELETE FROM replies WHERE key IN (SELECT reply_key FROM reply_sources WHERE collection_key = new.key);
END;
