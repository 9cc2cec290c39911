-- What quotas count: documents with a version that is not removed, waiting ones included, and the original bytes of those
-- versions. Kept by triggers, so that no write path can forget it.
ALTER TABLE collections ADD COLUMN held_documents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN held_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE collections SET
    held_documents = (
        SELECT count(DISTINCT versions.document_key) FROM versions JOIN documents ON documents.key = versions.document_key
        WHERE documents.collection_key = collections.key AND versions.state <> 'removed'),
    held_bytes = (
        SELECT coalesce(sum(versions.bytes), 0) FROM versions JOIN documents ON documents.key = versions.document_key
        WHERE documents.collection_key = collections.key AND versions.state <> 'removed');

CREATE TRIGGER versions_held AFTER INSERT ON versions WHEN NEW.state <> 'removed'
BEGIN
    UPDATE collections SET
        held_bytes = held_bytes + NEW.bytes,
        held_documents = held_documents + NOT EXISTS (
            SELECT 1 FROM versions WHERE document_key = NEW.document_key AND key <> NEW.key AND state <> 'removed')
    WHERE key = (SELECT collection_key FROM documents WHERE documents.key = NEW.document_key);
END;
CREATE TRIGGER versions_let_go AFTER UPDATE OF state ON versions WHEN NEW.state = 'removed' AND OLD.state <> 'removed'
BEGIN
    UPDATE collections SET
        held_bytes = held_bytes - NEW.bytes,
        held_documents = held_documents - NOT EXISTS (
            SELECT 1 FROM versions WHERE document_key = NEW.document_key AND key <> NEW.key AND state <> 'removed')
    WHERE key = (SELECT collection_key FROM documents WHERE documents.key = NEW.document_key);
END;
