-- What documents can be mentioned by: hashes only, of stored and visible versions. They go with the version's removal.
CREATE TABLE names (
    version_key    INTEGER NOT NULL REFERENCES versions (key),
    hash           INTEGER NOT NULL, -- of kind of spelling and normal form
    collection_key INTEGER NOT NULL,
    kind           INTEGER NOT NULL, -- 0 title, 1 short title, 2 address, 3 heading, 4 term, 5 symbol
    ordinal        INTEGER, -- the chunk it stands for; null for the document
    PRIMARY KEY (version_key, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX names_by_hash ON names (collection_key, hash);

-- By which rules a version was named, and how many names it got. 0: not yet; opening the catalog does it.
ALTER TABLE versions ADD COLUMN named_by INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN names INTEGER NOT NULL DEFAULT 0;
CREATE INDEX versions_by_naming ON versions (named_by, key) WHERE state IN ('stored', 'visible');
