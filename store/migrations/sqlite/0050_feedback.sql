-- What people did with what they were shown: ids and the question, never text of documents. It goes with its collection.
CREATE TABLE feedback (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_key INTEGER NOT NULL,
    id             TEXT NOT NULL, -- said twice, kept once
    event          TEXT NOT NULL, -- JSON
    at             INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX feedback_by_id ON feedback (collection_key, id);
CREATE INDEX feedback_by_collection ON feedback (collection_key, key);
