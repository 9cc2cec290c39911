-- What people asked in turn, and what they were answered: ids and places of passages, never text of documents. They go with
-- their collection.
CREATE TABLE conversations (
    key            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             TEXT COLLATE "C" NOT NULL UNIQUE,
    tenant         tenant_name NOT NULL,
    owner          TEXT COLLATE "C" NOT NULL, -- the key or user that asks; '' where nobody is told apart
    collection_key BIGINT NOT NULL REFERENCES collections (key),
    title          TEXT,
    turns          BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);
CREATE INDEX conversations_by_owner ON conversations (tenant, owner, key);
CREATE INDEX conversations_by_collection ON conversations (collection_key);

CREATE TABLE turns (
    tenant           tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    conversation_key BIGINT NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    number           BIGINT NOT NULL, -- from 1
    question         TEXT NOT NULL,
    standalone       TEXT,            -- the question as it was understood, where that differs
    answer           TEXT NOT NULL,   -- JSON with a version of its own
    at               BIGINT NOT NULL,
    PRIMARY KEY (conversation_key, number)
);

-- Runs of an agent that wait for a person, or have ended: calls and ids of passages, never text of documents.
CREATE TABLE runs (
    id             TEXT COLLATE "C" PRIMARY KEY,
    tenant         tenant_name NOT NULL,
    owner          TEXT COLLATE "C" NOT NULL,
    collection_key BIGINT NOT NULL REFERENCES collections (key),
    conversation   TEXT COLLATE "C", -- the conversation's id
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'ended')),
    version        BIGINT NOT NULL, -- counts changes, from 1
    body           TEXT NOT NULL,   -- JSON with a version of its own
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX runs_by_collection ON runs (collection_key);
CREATE INDEX runs_by_conversation ON runs (conversation);
CREATE INDEX runs_by_age ON runs (expires_at);

-- What people did with what they were shown: ids and the question, never text of documents. It goes with its collection.
CREATE TABLE feedback (
    key            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL,
    id             TEXT COLLATE "C" NOT NULL, -- said twice, kept once
    event          TEXT NOT NULL, -- JSON
    at             BIGINT NOT NULL
);
CREATE UNIQUE INDEX feedback_by_id ON feedback (collection_key, id);
CREATE INDEX feedback_by_collection ON feedback (collection_key, key);

CALL wall_off('conversations');
CALL wall_off('turns');
CALL wall_off('runs');
CALL wall_off('feedback');
GRANT SELECT, INSERT, UPDATE, DELETE ON conversations, turns, runs, feedback TO wellspring_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO wellspring_app;
