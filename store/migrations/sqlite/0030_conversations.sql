-- What people asked in turn, and what they were answered: ids and places of passages, never text of documents. They go with
-- their collection.
CREATE TABLE conversations (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    tenant         TEXT NOT NULL,
    owner          TEXT NOT NULL, -- the key or user that asks; '' where nobody is told apart
    collection_key INTEGER NOT NULL REFERENCES collections (key),
    title          TEXT,
    turns          INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX conversations_by_owner ON conversations (tenant, owner, key);
CREATE INDEX conversations_by_collection ON conversations (collection_key);

CREATE TABLE turns (
    conversation_key INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    number           INTEGER NOT NULL, -- from 1
    question         TEXT NOT NULL,
    standalone       TEXT,             -- the question as it was understood, where that differs
    answer           TEXT NOT NULL,    -- JSON with a version of its own
    at               INTEGER NOT NULL,
    PRIMARY KEY (conversation_key, number)
) STRICT, WITHOUT ROWID;

-- Runs of an agent that wait for a person, or have ended: calls and ids of passages, never text of documents.
CREATE TABLE runs (
    id             TEXT PRIMARY KEY,
    tenant         TEXT NOT NULL,
    owner          TEXT NOT NULL,
    collection_key INTEGER NOT NULL REFERENCES collections (key),
    conversation   TEXT, -- the conversation's id
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'ended')),
    version        INTEGER NOT NULL, -- counts changes, from 1
    body           TEXT NOT NULL,    -- JSON with a version of its own
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_collection ON runs (collection_key);
CREATE INDEX runs_by_conversation ON runs (conversation);
CREATE INDEX runs_by_age ON runs (expires_at);
