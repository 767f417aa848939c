-- A capture turns one operation of one table into domain events: what counts, what the event holds, and how captures are changed.
CREATE EXTENSION domev;
SELECT domev.create_event_type(name, 'order') FROM unnest('{placed,paid,moved,gone,emptied}'::text[]) AS name;
-- the events since the last look, in their order
CREATE FUNCTION taken() RETURNS TABLE (event_type text, id text, payload jsonb) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT o.event_type, o.aggregate_id, o.payload::jsonb FROM domev.outbox AS o ORDER BY o.recorded_at;
	DELETE FROM domev.outbox;
END $$;
CREATE TABLE orders (tenant text, id int, status text DEFAULT 'placed', total numeric, doc jsonb, touched int);

-- one capture for each operation
SELECT domev.create_capture('placed', 'orders', 'insert', 'id', 'placed');
SELECT domev.create_capture('paid', 'orders', 'update', 'id', 'paid');
SELECT domev.create_capture('gone', 'orders', 'delete', 'id', 'gone');
SELECT domev.create_capture('emptied', 'orders', 'truncate', NULL, 'emptied');
INSERT INTO orders VALUES ('acme', 1, DEFAULT, 63.10, '{"gift": false}');
UPDATE orders SET status = 'paid';
DELETE FROM orders;
TRUNCATE orders;
SELECT * FROM taken();
-- several rows are as many events, in the order of the rows; no row is none
INSERT INTO orders (id) SELECT generate_series(1, 3);
UPDATE orders SET touched = 1 WHERE id <> 2;
UPDATE orders SET touched = 1 WHERE false;
DELETE FROM orders WHERE false;
DELETE FROM orders;
SELECT event_type, id, payload->'changed' AS changed FROM taken();
-- what else the event has
SELECT domev.alter_event_type('placed', topic => NULL);
INSERT INTO orders (id) VALUES (4);
SELECT aggregate_type, aggregate_version, key, headers, topic, mapping, abs(extract(epoch FROM clock_timestamp() - occurred_at)) < 60 AS now,
	substr(event_id::text, 15, 1) AS uuid_version FROM domev.outbox;
BEGIN;
SET LOCAL domev.context = '{"user": "ann"}';
UPDATE orders SET touched = 2;
SELECT headers FROM domev.outbox WHERE event_type = 'paid';
ROLLBACK;
-- rolled back with what it tells of
SELECT event_type FROM taken();
BEGIN;
SAVEPOINT s;
UPDATE orders SET touched = 3;
ROLLBACK TO s;
COMMIT;
SELECT * FROM taken();

-- domev.captures, and the triggers
SELECT * FROM domev.captures ORDER BY capture COLLATE "C" \gx
SELECT tgname, tgtype, tgenabled, tgisinternal, tgnargs FROM pg_trigger WHERE tgrelid = 'orders'::regclass ORDER BY tgname;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'orders'::regclass ORDER BY tgname;
\d orders
SELECT domev.drop_capture(capture) FROM domev.captures;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'orders'::regclass;
TRUNCATE orders;
SELECT * FROM taken();

-- several captures of one operation, each with its condition, in the order of their names
SELECT domev.create_capture('2 moved', 'orders', 'update', 'id', 'moved', 'OLD.tenant IS DISTINCT FROM NEW.tenant');
SELECT domev.create_capture('1 paid', 'orders', 'update', 'id', 'paid', $$OLD.status = 'placed' AND NEW.status = 'paid'$$);
SELECT domev.create_capture('3 gone', 'orders', 'update', 'id', 'gone', $$NEW.status = 'gone'$$, '{status}');
SELECT domev.create_capture('placed', 'orders', 'insert', 'id', 'placed', 'NEW.total > 10', columns => '{total, id}');
SELECT domev.create_capture('gone', 'orders', 'delete', 'id', 'gone', 'OLD.total > 10', columns => '{total}');
SELECT domev.create_capture('emptied', 'orders', 'truncate', NULL, 'emptied', $$current_setting('domev.context') <> ''$$);
INSERT INTO orders (id, total) VALUES (1, 10), (2, 11), (3, NULL);
UPDATE orders SET status = 'paid', tenant = 'b';
UPDATE orders SET status = 'gone' WHERE id = 1;
UPDATE orders SET status = 'gone', touched = 9 WHERE id = 1;
DELETE FROM orders;
TRUNCATE orders;
BEGIN;
SET LOCAL domev.context = '{"why": "test"}';
TRUNCATE orders;
COMMIT;
SELECT event_type, id, payload->'changed' AS changed, payload->'after'->'total' AS total, payload - 'changed' AS rest FROM taken();
SELECT domev.drop_capture(capture) FROM domev.captures;

-- columns: these count and go into the payload, whatever their order and however often they are named
SELECT domev.create_capture('u', 'orders', 'update', 'id', 'paid', columns => '{total, status, total}');
INSERT INTO orders VALUES ('acme', 1, 'placed', 1, '{}', 1);
UPDATE orders SET touched = 2, doc = '{"a": 1}', tenant = 'b', id = 2;
UPDATE orders SET total = 1.0, touched = 3;
UPDATE orders SET total = NULL, status = NULL;
UPDATE orders SET total = NULL, status = NULL;
SELECT * FROM taken();
-- ignore: these do not, all others do
SELECT domev.alter_capture('u', ignore => '{touched, doc}', reset => '{columns}');
UPDATE orders SET touched = 4, doc = '[]';
UPDATE orders SET touched = 5, tenant = 'c';
SELECT * FROM taken();
-- an UPDATE that changes nothing that counts raises nothing, nor does one that sets what was there
SELECT domev.alter_capture('u', reset => '{ignore}');
UPDATE orders SET tenant = tenant, id = id, status = status, total = total, doc = doc, touched = touched;
UPDATE orders SET doc = '[]', touched = 5;
SELECT * FROM taken();
-- unless a BEFORE trigger changes it
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched = OLD.touched + 1; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
UPDATE orders SET id = id;
SELECT event_type, payload->'changed' AS changed FROM taken();
DROP TRIGGER touch ON orders;
-- all columns ignored: an empty row, and no UPDATE counts
SELECT domev.alter_capture('u', ignore => '{tenant, id, status, total, doc, touched}');
SELECT domev.create_capture('i', 'orders', 'insert', 'id', 'placed', ignore => '{tenant, id, status, total, doc, touched}');
SELECT domev.create_capture('d', 'orders', 'delete', 'id', 'gone', ignore => '{tenant, id, status, total, doc, touched}');
INSERT INTO orders (id) VALUES (7);
UPDATE orders SET id = 8;
DELETE FROM orders;
SELECT * FROM taken();

-- keys of jsonb: changed, removed, added, at the top only; their values are compared as jsonb keeps them
SELECT domev.alter_capture('u', reset => '{ignore}'), domev.drop_capture('i'), domev.drop_capture('d');
INSERT INTO orders (id, doc) VALUES (1, '{"same": [1, {"x": 2}], "deep": {"a": {"b": 1}}, "gone": 1, "number": 1.0, "null": null, "a.b": 1, "kind": "1"}');
UPDATE orders SET doc = '{"kind": 1, "a.b": 2, "null": false, "number": 1.00, "deep": {"a": {"b": 2}}, "same": [1, {"x": 2}], "new": null, "": 0}';
SELECT payload->'changed' AS changed FROM taken();
-- the order of keys does not count
UPDATE orders SET doc = (SELECT jsonb_object_agg(key, value ORDER BY key DESC) FROM jsonb_each(doc));
SELECT payload->'changed' AS changed FROM taken();
-- what is no object on both sides has no keys
UPDATE orders SET doc = '[1, 2]';
UPDATE orders SET doc = '[1, 3]';
UPDATE orders SET doc = '{"a": 1}';
UPDATE orders SET doc = '"a"';
UPDATE orders SET doc = 'null';
UPDATE orders SET doc = NULL;
UPDATE orders SET doc = '{}';
UPDATE orders SET doc = '{"ä": "ö"}';
SELECT payload->'changed' AS changed, payload->'after'->'doc' AS doc FROM taken();
-- in a domain; not of json
CREATE DOMAIN document AS jsonb CHECK (VALUE IS NULL OR jsonb_typeof(VALUE) = 'object');
CREATE TABLE documents (id int, doc document, plain json);
SELECT domev.create_capture('documents', 'documents', 'update', 'id', 'paid');
INSERT INTO documents VALUES (1, '{"a": 1, "b": 2}', '{"a": 1}');
UPDATE documents SET doc = '{"a": 1, "b": 3}', plain = '{"a": 2}';
UPDATE documents SET plain = '{"a":  2}';
SELECT payload->'changed' AS changed FROM taken();
DROP TABLE documents;
DROP DOMAIN document;
DROP TABLE orders;
SELECT capture FROM domev.captures;

-- ids of several columns: in the order given, commas and backslashes in them with a backslash before
CREATE TABLE lines (tenant text, n int, "Line No" int, "a,b" text, "say ""hi""" text);
SELECT domev.create_capture('lines', 'lines', 'insert', 'tenant, n', 'placed', columns => '{n}');
INSERT INTO lines VALUES ('acme', 1), ('a,b', 2), ('a\b', 3), (',', 4), ('\', 5), ('a\,b', 6), (' ', 7), ('"', 8);
SELECT id, payload FROM taken();
SELECT domev.alter_capture('lines', aggregate_id => 'n , TENANT,"Line No" ');
INSERT INTO lines VALUES ('A,', 1, 2);
SELECT id FROM taken();
-- one column: as it is
SELECT domev.alter_capture('lines', aggregate_id => 'tenant');
INSERT INTO lines VALUES ('a,b'), ('a\b');
SELECT id FROM taken();
-- quoted names, also in columns, where they are as they are
SELECT domev.alter_capture('lines', aggregate_id => '"Line No", "a,b","say ""hi"""', columns => '{Line No,"a,b","say \"hi\""}');
INSERT INTO lines VALUES ('acme', 1, 2, 'x', 'y');
SELECT id, payload FROM taken();
-- the id of an UPDATE is the new one, that of a DELETE the old one
SELECT domev.create_capture('line u', 'lines', 'update', 'tenant,n', 'moved', columns => '{n}'), domev.create_capture('line d', 'lines', 'delete', 'n,tenant', 'gone', columns => '{n}');
UPDATE lines SET n = 7, tenant = 'b,c' WHERE tenant = 'acme' AND "Line No" = 2;
DELETE FROM lines WHERE n = 7 AND tenant = 'b,c';
SELECT event_type, id, payload FROM taken();
DROP TABLE lines;

-- alter_capture: each attribute, and back
CREATE TABLE t (id int, other int, status text, body jsonb, meta jsonb, version int, uid uuid, at timestamptz, kind text);
SELECT domev.create_capture('c', 't', 'insert', 'id', 'placed', description => 'first');
SELECT domev.alter_capture('c');
SELECT domev.alter_capture('c', aggregate_id => 'other');
SELECT domev.alter_capture('c', event_type => 'paid');
SELECT domev.alter_capture('c', condition => 'NEW.id > 0');
SELECT domev.alter_capture('c', columns => '{id,other}');
SELECT domev.alter_capture('c', description => 'it''s "second" \ line'), domev.alter_capture('c', enabled => true);
SELECT domev.alter_capture('c', headers_column => 'meta', version_column => 'version', event_id_column => 'uid', occurred_at_column => 'at');
SELECT * FROM domev.captures \gx
INSERT INTO t VALUES (0, 1, 's', '{}', '{}', 1, gen_random_uuid(), now()),
	(1, 2, 's', '{}', '{"h": 1}', 3, '00000000-0000-4000-8000-000000000001', '2026-01-02 03:04:05.678901+00');
SELECT event_type, aggregate_id, aggregate_version, event_id, occurred_at AT TIME ZONE 'UTC' AS occurred_at, headers, payload FROM domev.outbox;
TRUNCATE domev.outbox;
SELECT domev.alter_capture('c', event_type_column => 'kind', payload_column => 'body', reset => '{event_type,columns}');
INSERT INTO t VALUES (1, 2, 's', '{"own": true}', NULL, NULL, '00000000-0000-4000-8000-000000000002', '2026-01-02', 'moved');
SELECT event_type, aggregate_id, aggregate_version, event_id, occurred_at AT TIME ZONE 'UTC' AS occurred_at, headers, payload FROM domev.outbox;
TRUNCATE domev.outbox;
-- reset wins over what is given; what is reset and not set stays so
SELECT domev.alter_capture('c', event_type => 'gone', condition => 'false', reset => '{condition,event_type_column,payload_column,headers_column,version_column,event_id_column,occurred_at_column,description}');
SELECT domev.alter_capture('c', reset => '{condition,columns,ignore,description}');
SELECT * FROM domev.captures \gx
INSERT INTO t (id, other) VALUES (-1, -2);
SELECT * FROM taken();
-- disabled and enabled; an alteration leaves it disabled, or enabled always
SELECT domev.alter_capture('c', enabled => false);
INSERT INTO t (id, other) VALUES (1, 2);
SELECT domev.alter_capture('c', aggregate_id => 'id');
INSERT INTO t (id, other) VALUES (1, 2);
SELECT enabled FROM domev.captures;
SELECT domev.alter_capture('c', enabled => true);
INSERT INTO t (id, other) VALUES (1, 2);
SELECT event_type, id FROM taken();
ALTER TABLE t ENABLE ALWAYS TRIGGER domev_c;
SELECT domev.alter_capture('c', enabled => true, event_type => 'placed'), domev.alter_capture('c', aggregate_id => 'other');
SELECT tgenabled FROM pg_trigger WHERE tgname = 'domev_c';
ALTER TABLE t DISABLE TRIGGER ALL;
SELECT enabled FROM domev.captures;
SELECT domev.alter_capture('c', enabled => true);
SELECT tgenabled FROM pg_trigger WHERE tgname = 'domev_c';
ALTER TABLE t ENABLE REPLICA TRIGGER domev_c;
SELECT enabled FROM domev.captures;
SELECT domev.alter_capture('c', enabled => false);
SELECT domev.alter_capture('c', enabled => true);

-- in the statement after it, in the same transaction, and gone with it
SELECT domev.alter_capture('c', columns => '{id,other}');
BEGIN;
INSERT INTO t (id, other) VALUES (1, 2);
SELECT domev.alter_capture('c', columns => '{id}');
INSERT INTO t (id, other) VALUES (1, 2);
SAVEPOINT s;
SELECT domev.alter_capture('c', columns => '{other}');
INSERT INTO t (id, other) VALUES (1, 2);
ROLLBACK TO s;
INSERT INTO t (id, other) VALUES (1, 2);
SAVEPOINT s;
SELECT domev.drop_capture('c');
INSERT INTO t (id, other) VALUES (1, 2);
ROLLBACK TO s;
ALTER TABLE t DROP COLUMN status, ADD COLUMN status2 text DEFAULT 'new';
SELECT domev.alter_capture('c', columns => '{status2}');
INSERT INTO t (id, other) VALUES (1, 2);
COMMIT;
SELECT payload FROM taken();
-- altered inside the statement that fires it: at the latest the next statement has the new definition
CREATE FUNCTION alter_inside(columns text[]) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM domev.alter_capture('c', columns => columns);
	RETURN 5;
END $$;
BEGIN;
INSERT INTO t (id, other) VALUES (1, 2);
INSERT INTO t (id, other) SELECT alter_inside('{other}'), 2;
TRUNCATE domev.outbox;
INSERT INTO t (id, other) VALUES (1, 2);
SELECT payload FROM taken();
COMMIT;

-- a long definition: out of line in pg_trigger
SELECT domev.alter_capture('c', description => (SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 2000) AS i));
SELECT length(description), columns FROM domev.captures;
INSERT INTO t (id, other) VALUES (1, 2);
SELECT payload FROM taken();

-- if_not_exists leaves it as it is; if_exists
SELECT domev.create_capture('c', 't', 'update', 'id', 'moved', if_not_exists => true);
SELECT capture, operation FROM domev.captures;
SELECT domev.drop_capture('c');
SELECT domev.drop_capture('c', if_exists => true);
SELECT domev.create_capture('c', 't', 'insert', 'id', 'moved', if_not_exists => true);
SELECT domev.drop_capture('c', if_exists => true);
-- names of all kinds: the trigger's is what PostgreSQL takes as it is
SELECT domev.create_capture(name, 't', 'insert', 'id', 'placed', columns => '{id}')
	FROM (VALUES ('It''s "quoted" \ back'), (repeat('n', 57)), (repeat('ä', 28)), ('a.b, c'), ('\x41')) AS v(name);
SELECT capture, tgname FROM domev.captures JOIN pg_trigger ON tgname = 'domev_' || capture ORDER BY capture COLLATE "C";
INSERT INTO t (id) VALUES (1);
SELECT count(*) FROM taken();
SELECT domev.drop_capture(capture) FROM domev.captures;
-- tables whose names must be quoted, in schemas out of the path, and temporary ones
CREATE SCHEMA "Other one";
CREATE TABLE "Other one"."Ta""ble" ("Id" int);
SELECT domev.create_capture('quoted', '"Other one"."Ta""ble"', 'insert', '"Id"', 'placed', 'NEW."Id" > 0');
INSERT INTO "Other one"."Ta""ble" VALUES (0), (1);
CREATE TEMP TABLE passing (id int);
SELECT domev.create_capture('temp', 'passing', 'insert', 'id', 'placed');
INSERT INTO passing VALUES (2);
SELECT * FROM taken();
SELECT capture, relation, condition FROM domev.captures ORDER BY capture COLLATE "C";
DROP TABLE passing;
DROP TABLE "Other one"."Ta""ble";
DROP SCHEMA "Other one";

-- mappings are given what the capture raised, and see the table as it is after the statement
CREATE TABLE sums (id int, n int);
CREATE FUNCTION public.total(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('shop.total', jsonb_build_object('changed', (e).payload->'changed', 'total', sum(s.n)))).* FROM sums AS s; END;
SELECT domev.create_topic('out'), domev.create_mapping('total', 'paid', 'public.total', topic => 'out');
SELECT domev.create_capture('sums', 'sums', 'update', 'id', 'paid');
INSERT INTO sums VALUES (1, 1), (2, 2);
UPDATE sums SET n = n + 10;
SELECT event_type, id, payload->>'total' AS total FROM taken();
-- what a mapping raises fails the statement
CREATE FUNCTION public.fails(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RAISE 'no'; END $$;
SELECT domev.create_mapping('fails', 'paid', 'public.fails');
\set VERBOSITY terse
UPDATE sums SET n = 0;
SELECT * FROM sums ORDER BY id;
SELECT * FROM taken();

-- gone with the extension, but not without being asked
DROP EXTENSION domev;
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('t'::regclass, 'sums'::regclass);
UPDATE sums SET n = 0;
DROP TABLE t, sums;
DROP FUNCTION taken, touch, alter_inside;
