-- The original bytes of documents, in parts of a megabyte: no row is larger than what a server likes to hold in memory.
CREATE TABLE blobs (
    tenant tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    hash   BYTEA NOT NULL CHECK (length(hash) = 32),
    bytes  BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash)
);

CREATE TABLE blob_parts (
    tenant tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    hash   BYTEA NOT NULL,
    number BIGINT NOT NULL,
    part   BYTEA NOT NULL,
    PRIMARY KEY (tenant, hash, number),
    FOREIGN KEY (tenant, hash) REFERENCES blobs (tenant, hash) ON DELETE CASCADE
);
-- Documents are mostly compressed already.
ALTER TABLE blob_parts ALTER COLUMN part SET STORAGE EXTERNAL;

-- How far each index of vectors has followed the changes of its collection.
CREATE TABLE vector_states (
    tenant         tenant_name NOT NULL DEFAULT current_setting('wellspring.tenant'),
    collection_key BIGINT NOT NULL,
    generation     BIGINT NOT NULL,
    seq            BIGINT NOT NULL,
    PRIMARY KEY (collection_key, generation)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON blobs, blob_parts, vector_states TO wellspring_app;

DO $$
DECLARE
    walled TEXT;
BEGIN
    FOREACH walled IN ARRAY ARRAY['blobs', 'blob_parts', 'vector_states'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', walled);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', walled);
        EXECUTE format(
            'CREATE POLICY tenant_wall ON %I USING (tenant = (SELECT current_setting(''wellspring.tenant'', true)) '
            'OR (SELECT current_setting(''wellspring.tenant'', true)) = ''*'')', walled);
    END LOOP;
END
$$;
