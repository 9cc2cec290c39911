-- Which process writes an index of vectors that several share. Whoever holds a row may write until `until`; the last holder
-- stays named, so that what it sent late is told from what the next one sends.
CREATE TABLE vector_writers (
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    generation     BIGINT NOT NULL,
    holder         TEXT NOT NULL,
    until          TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (collection_key, generation)
);

CALL wall_off('vector_writers');
GRANT SELECT, INSERT, UPDATE, DELETE ON vector_writers TO wellspring_app;
