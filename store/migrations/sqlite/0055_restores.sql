-- Where the rows of this catalog came from, if they came out of a backup.
CREATE TABLE restores (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    cut_at      INTEGER NOT NULL, -- the moment that the backup shows
    software    TEXT NOT NULL,    -- that wrote the backup
    begun_at    INTEGER NOT NULL,
    finished_at INTEGER           -- null while it is under way, or was interrupted
) STRICT;
