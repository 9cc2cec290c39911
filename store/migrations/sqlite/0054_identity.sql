-- A name that no other catalog has, which goes with it into copies: engines outside the process keep indexes under it.
CREATE TABLE catalog_identity (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL
) STRICT;
INSERT INTO catalog_identity VALUES (1, lower(hex(randomblob(16))));
