-- Where the rows of this catalog came from, if they came out of a backup. It is nobody's; only the owner of the schema restores.
CREATE TABLE restores (
    key         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cut_at      BIGINT NOT NULL, -- the moment that the backup shows
    software    TEXT NOT NULL,   -- that wrote the backup
    begun_at    BIGINT NOT NULL,
    finished_at BIGINT           -- null while it is under way, or was interrupted
);
ALTER TABLE restores ENABLE ROW LEVEL SECURITY;
ALTER TABLE restores FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON restores USING ((SELECT current_setting('wellspring.tenant', true)) = '*');
GRANT SELECT ON restores TO wellspring_app;
