-- A row or two for every table that documents alone leave empty, with values that are easily lost on the way.
INSERT INTO api_keys VALUES
    ('k1', zeroblob(32), 'default', 'Schlüssel "1"', '["read"]', '["docs"]', NULL, '["user:ada","group:ü"]', 'k0', 1, 9007199254740993, NULL),
    ('k2', randomblob(32), 'other', '', '["admin"]', NULL, '[]', NULL, NULL, 2, NULL, 3);
INSERT INTO users VALUES ('ada@example.org', 'default', '$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$aGFzaA', '["read"]', '["ü"]', 1, NULL);
INSERT INTO audit (at, tenant, actor, action, collection, object, outcome, request) VALUES
    (1, 'default', 'key:k1', 'addDocument', 'docs', 'doc-1', 202, NULL),
    (2, 'default', 'local', 'deleteDocument', 'docs', char(39) || char(10) || '\', 204, 'r1');
INSERT INTO conversations (id, tenant, owner, collection_key, title, turns, created_at, updated_at) VALUES
    ('c1', 'default', '', 1, NULL, 2, 1, 2), ('c2', 'default', 'user:ada', 1, 'Pumps', 0, 3, 4);
INSERT INTO turns VALUES (1, 1, 'why?', NULL, '{"v":1}', 5), (1, 2, 'and then?', 'why and then?', '{}', 6);
INSERT INTO runs VALUES ('r1', 'default', '', 1, 'c1', 'waiting', 3, '{"calls":[]}', 7, 8);
INSERT INTO feedback (collection_key, id, event, at) VALUES (1, 'f1', '{"good":true}', 9);
INSERT INTO queries (collection_key, principals, request, settings, chunks, at) VALUES (1, 'true', '{}', 's', '["x"]', 10);
INSERT INTO tuning VALUES (1, '{"alpha":0.5}', 11);
INSERT INTO idempotency VALUES (1, 'once', zeroblob(32), 1, 'job', 12);
INSERT INTO ledger_open (day, at, tenant, api_key, request, purpose, model, input_tokens, output_tokens, micros) VALUES
    (20000, 13, 'default', 'k1', '', 'answer', 'm', 1, 2, 3);
INSERT INTO ledger_balances VALUES ('', '', '', 20000, 4, 5), ('default', 'k1', '', 20000, 6, 7);
INSERT INTO ledger_usage VALUES ('default', 20000, 'k1', 'answer', 'm', 1, 0, 8, 2, 9, 10);
INSERT INTO webhook_cursors VALUES ('https://example.org/hook', 3);
INSERT INTO deliveries (id, endpoint, tenant, kind, payload, state, due_at, status, created_at, updated_at) VALUES
    ('d1', 'https://example.org/hook', 'other', 'job.indexed', '{}', 'pending', 14, NULL, 15, 16);
-- Texts and numbers of fields of a visible version.
INSERT INTO fields VALUES
    (4, 1, 'long', 1, replace(hex(zeroblob(300)), '0', 'ü')), (4, 1, 'nul', 1, 'a' || char(0) || 'b'),
    (4, 1, 'number', 2, 0.1), (4, 1, 'number', 2, -1.7976931348623157e308), (4, 1, 'number', 2, 5e-324),
    (4, 1, 'flag', 3, 1), (4, 1, 'instant', 4, -62135596800000000), (4, 1, 'there', 0, NULL);
-- A purge forgets events that nobody has to be told of.
INSERT INTO events (tenant, collection, kind, document_id, version, job, reason, at) VALUES
    ('default', 'docs', 'job.indexed', 'doc-1', 2, 'j', NULL, 17), ('other', 'gone', 'collection.deleted', NULL, NULL, NULL, NULL, 18);
