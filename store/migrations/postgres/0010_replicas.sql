-- Several processes on one catalog, each with indexes of its own: what each has flushed, and who is still there.

-- Who follows the changes. A purge waits for the living ones only; one that was given up compares its indexes anew.
CREATE TABLE replicas (
    id         TEXT COLLATE "C" PRIMARY KEY, -- kept in its data folder
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    living     BOOLEAN NOT NULL DEFAULT true
);

-- '' is an index that all processes share. What was recorded so far was nobody's in particular: every process compares its
-- indexes with the catalog when it opens them and records how far they are.
DROP TABLE index_states;
CREATE TABLE index_states (
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL REFERENCES collections (key),
    kind           TEXT NOT NULL CHECK (kind IN ('vector', 'keyword')),
    replica        TEXT COLLATE "C" NOT NULL,
    generation     BIGINT NOT NULL,
    seq            BIGINT NOT NULL,
    PRIMARY KEY (collection_key, kind, replica)
);
CREATE INDEX index_states_by_replica ON index_states (replica);

ALTER TABLE collections
    ADD COLUMN visible_seq BIGINT NOT NULL DEFAULT 0, -- an index this far knows every visible chunk
    ADD COLUMN purged_seq  BIGINT NOT NULL DEFAULT 0; -- an index not this far may hold chunks that no change names any more
SET LOCAL wellspring.tenant = '*';
UPDATE collections SET visible_seq = last_seq, purged_seq = last_seq;

-- An upload stores its bytes before its document refers to them: what was stored a moment ago is no left-over.
ALTER TABLE blobs ADD COLUMN put_at BIGINT NOT NULL DEFAULT 0;

GRANT SELECT, INSERT, UPDATE, DELETE ON replicas, index_states TO wellspring_app;

DO $$
BEGIN
    ALTER TABLE replicas ENABLE ROW LEVEL SECURITY;
    ALTER TABLE replicas FORCE ROW LEVEL SECURITY;
    -- No tenant's business.
    CREATE POLICY tenant_wall ON replicas
        USING ((SELECT current_setting('wellspring.tenant', true)) = '*');
    ALTER TABLE index_states ENABLE ROW LEVEL SECURITY;
    ALTER TABLE index_states FORCE ROW LEVEL SECURITY;
    CREATE POLICY tenant_wall ON index_states
        USING (tenant = (SELECT current_setting('wellspring.tenant', true))
            OR (SELECT current_setting('wellspring.tenant', true)) = '*');
END
$$;
