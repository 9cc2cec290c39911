-- API keys. The secret itself is nowhere: only its hash. A revoked or expired key stays, so that the audit log can be read.
CREATE TABLE api_keys (
    id          TEXT COLLATE "C" PRIMARY KEY,
    hash        BYTEA NOT NULL CHECK (length(hash) = 32), -- BLAKE3 of the secret
    tenant      tenant_name NOT NULL,
    name        TEXT NOT NULL, -- for people
    rights      TEXT NOT NULL, -- a JSON array
    collections TEXT, -- a JSON array; null for all
    tools       TEXT, -- a JSON array; null for all
    principals  TEXT, -- a JSON array; null for whoever sees every document
    created_by  TEXT,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT,
    revoked_at  BIGINT
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, id);

-- Who did what to which document, collection or key, without content. Rows are added, never changed, never removed.
CREATE TABLE audit (
    key        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    tenant     tenant_name NOT NULL,
    actor      TEXT COLLATE "C" NOT NULL,
    action     TEXT NOT NULL,
    collection TEXT,
    object     TEXT COLLATE "C",
    outcome    BIGINT NOT NULL, -- an HTTP status
    request    TEXT
);
CREATE INDEX audit_by_tenant ON audit (tenant, key);
CREATE INDEX audit_by_object ON audit (tenant, object, key) WHERE object IS NOT NULL;
CREATE INDEX audit_by_actor ON audit (tenant, actor, key);

CREATE FUNCTION refuse_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What quotas count: documents with a version that is not removed, waiting ones included, and the original bytes of those
-- versions. Kept by triggers, so that no write path can forget it. Whoever fires one has locked the document, and the lock
-- on the collection's row comes after that, as everywhere.
ALTER TABLE collections
    ADD COLUMN held_documents BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN held_bytes BIGINT NOT NULL DEFAULT 0;
SET LOCAL wellspring.tenant = '*';
UPDATE collections SET held_documents = h.documents, held_bytes = h.bytes FROM (
    SELECT documents.collection_key, count(DISTINCT documents.key) AS documents, sum(versions.bytes) AS bytes
    FROM versions JOIN documents ON documents.key = versions.document_key
    WHERE versions.state <> 'removed' GROUP BY documents.collection_key) h
WHERE collections.key = h.collection_key;

CREATE FUNCTION count_held() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    sign BIGINT := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    UPDATE collections SET
        held_bytes = held_bytes + sign * NEW.bytes,
        held_documents = held_documents + sign * (NOT EXISTS (
            SELECT 1 FROM versions
            WHERE document_key = NEW.document_key AND key <> NEW.key AND state <> 'removed'))::int
    WHERE key = (SELECT collection_key FROM documents WHERE documents.key = NEW.document_key);
    RETURN NULL;
END
$$;
CREATE TRIGGER versions_held AFTER INSERT ON versions
    FOR EACH ROW WHEN (NEW.state <> 'removed') EXECUTE FUNCTION count_held();
CREATE TRIGGER versions_let_go AFTER UPDATE OF state ON versions
    FOR EACH ROW WHEN (NEW.state = 'removed' AND OLD.state <> 'removed') EXECUTE FUNCTION count_held();

-- Walls a table off: a transaction touches the rows of its own tenant only, '*' those of all.
CREATE PROCEDURE wall_off(walled TEXT) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', walled);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', walled);
    EXECUTE format(
        'CREATE POLICY tenant_wall ON %I USING (tenant = (SELECT current_setting(''wellspring.tenant'', true)) '
        'OR (SELECT current_setting(''wellspring.tenant'', true)) = ''*'')', walled);
END
$$;
REVOKE ALL ON PROCEDURE wall_off FROM PUBLIC;

CALL wall_off('api_keys');
CALL wall_off('audit');
GRANT SELECT, INSERT, UPDATE ON api_keys TO wellspring_app;
GRANT SELECT, INSERT ON audit TO wellspring_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO wellspring_app;
