-- Tables whose rows are events already: columns that hold type, payload, headers, version, id and time of the event.
CREATE EXTENSION domev;
SELECT domev.create_event_type('placed', 'order'), domev.create_event_type('paid', 'order');
-- runs a statement and says which error it raised, or that there was none
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text;
BEGIN
	EXECUTE statement;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' | ', SQLSTATE, message, nullif(detail, ''));
END $$;
CREATE VIEW events AS SELECT event_type, aggregate_id, aggregate_version AS version, event_id, occurred_at, headers, payload FROM domev.outbox ORDER BY recorded_at;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE TABLE stream (id uuid PRIMARY KEY, aggregate text, version int, type text, body jsonb, meta jsonb, at timestamptz);
SELECT domev.create_capture('stream', 'stream', 'insert', 'aggregate', event_type_column => 'type', payload_column => 'body', headers_column => 'meta',
	version_column => 'version', event_id_column => 'id', occurred_at_column => 'at');

-- the event is what the row says; nothing is made up
INSERT INTO stream VALUES ('00000000-0000-4000-8000-000000000001', 'o-1', 1, 'placed', '{"total": 63.10}', '{"user": "ann", "n": 7, "flag": true}', '2026-01-02 03:04:05.678901+02'),
	('00000000-0000-4000-8000-000000000002', 'o-1', 2, 'paid', '[1, "a", null]', '{}', '0001-01-01 00:00+00'),
	('00000000-0000-4000-8000-000000000003', 'o-2', -1, 'paid', 'null', NULL, '9999-12-31 23:59:59.999999+00'),
	('ffffffff-ffff-ffff-ffff-ffffffffffff', 'o-2', NULL, 'paid', '"text"', NULL, '2026-01-01 00:00+00');
SELECT * FROM events;
TRUNCATE domev.outbox;
-- headers of the session are joined, those of the row win; causationid chains
BEGIN;
SET LOCAL domev.context = '{"user": "bob", "trace": "t"}';
INSERT INTO stream VALUES ('00000000-0000-4000-8000-000000000004', 'o-1', 3, 'paid', '{}', '{"user": "ann", "causationid": "00000000-0000-4000-8000-000000000001"}', '2026-01-01 00:00+00');
COMMIT;
SELECT headers, causation_id FROM domev.outbox;
TRUNCATE domev.outbox;

-- NULLs: errors in type, aggregate id, payload and time; none in headers and version
\set row 'INSERT INTO stream SELECT (jsonb_populate_record(NULL::stream, ''{"id": "00000000-0000-4000-8000-00000000000a", "aggregate": "o", "version": 1, "type": "paid", "body": {}, "meta": {}, "at": "2026-01-01 00:00Z"}''::jsonb || '
SELECT change, try(:'row' || quote_literal(change) || ')).*') FROM (VALUES ('{"type": null}'), ('{"aggregate": null}'), ('{"at": null}'), ('{"meta": null, "version": null, "id": "00000000-0000-4000-8000-00000000000b"}')) AS v(change);
SELECT try($$INSERT INTO stream VALUES ('00000000-0000-4000-8000-00000000000c', 'o', 1, 'paid', NULL, NULL, '2026-01-01')$$);
SELECT version, headers FROM events;
TRUNCATE domev.outbox;
-- unknown and bad event types, ids, headers and times
SELECT change, try(:'row' || quote_literal(change) || ')).*') FROM (VALUES ('{"type": "missing"}'), ('{"type": ""}'), ('{"type": "PAID"}'), ('{"type": "a\nb"}'), ('{"aggregate": ""}'), ('{"aggregate": "a\tb"}'),
	('{"meta": []}'), ('{"meta": 1}'), ('{"meta": {"Upper": 1}}'), ('{"meta": {"id": "x"}}'), ('{"meta": {"n": 1.5}}'), ('{"meta": {"n": {}}}'), ('{"meta": {"causationid": "x"}}'),
	('{"at": "infinity"}'), ('{"at": "10000-01-01"}'), ('{"at": "0001-01-01 00:00 BC"}')) AS v(change);
SELECT try(:'row' || quote_literal(jsonb_build_object('aggregate', repeat('x', 1025))) || ')).*');
-- nothing of them is left
SELECT count(*) FROM events;
SELECT count(*) FROM stream WHERE id::text LIKE '%a';

-- the id is guarded by the table's key, not by domev
INSERT INTO stream VALUES ('00000000-0000-4000-8000-000000000001', 'o', 9, 'paid', '{}', NULL, '2026-01-01');
INSERT INTO stream VALUES ('00000000-0000-4000-8000-000000000001', 'o', 9, 'paid', '{}', NULL, '2026-01-01') ON CONFLICT DO NOTHING;
SELECT count(*) FROM events;
SELECT count(*) FROM domev.idempotency;
ALTER TABLE stream DROP CONSTRAINT stream_pkey;
ALTER TABLE stream ALTER id DROP NOT NULL;
INSERT INTO stream SELECT '00000000-0000-4000-8000-000000000001', 'twice', i, 'paid', '{}', NULL, '2026-01-01' FROM generate_series(1, 2) AS i;
SELECT event_id, version FROM events;
-- emit with this id is another matter
SELECT domev.emit('paid', 'emitted', event_id => '00000000-0000-4000-8000-000000000001');
SELECT count(*) FROM events;
TRUNCATE domev.outbox;
-- NULL: a new id
INSERT INTO stream VALUES (NULL, 'o', 9, 'paid', '{}', NULL, '2026-01-01');
SELECT substr(event_id::text, 15, 1) AS uuid_version FROM events;
TRUNCATE domev.outbox;
DROP TABLE stream;

-- types of columns: each that fits
CREATE TYPE kind AS ENUM ('placed', 'paid');
CREATE DOMAIN kind_domain AS varchar(20) NOT NULL;
CREATE DOMAIN document AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
CREATE DOMAIN document_text AS text;
CREATE DOMAIN id AS uuid;
CREATE DOMAIN version AS smallint;
CREATE DOMAIN instant AS timestamp;
CREATE TABLE forms (aggregate text, type_enum kind, type_domain kind_domain, type_char char(10), type_name name, body_json json, body_text text, body_varchar varchar, body_domain document, body_text_domain document_text,
	v2 int2, v4 int4, v8 int8, version version, id id, at timestamp, instant instant);
INSERT INTO forms VALUES ('a', 'paid', 'paid', 'paid', 'paid', '{"b": 1,  "b": 2.0}', ' {"text": [1]} ', '"varchar"', '{"domain": true}', 'null', -32768, -2147483648, -9223372036854775808, 5, '00000000-0000-4000-8000-00000000000d', '2026-01-02 03:04:05', '2026-01-02 03:04:06');
CREATE TABLE made (LIKE forms);
SELECT attribute, try(format($$SELECT domev.create_capture('made', 'made', 'insert', 'aggregate', event_type => 'placed', %s_column => %L)$$, split_part(attribute, ' ', 1), split_part(attribute, ' ', 2))) AS created,
	try('INSERT INTO made SELECT * FROM forms') AS inserted, try($$SELECT domev.drop_capture('made')$$) AS dropped
FROM (VALUES ('payload body_json'), ('payload body_text'), ('payload body_varchar'), ('payload body_domain'), ('payload body_text_domain'), ('headers body_json'),
	('version v2'), ('version v4'), ('version v8'), ('version version'), ('event_id id'), ('occurred_at at'), ('occurred_at instant')) AS v(attribute);
SELECT version, CASE WHEN event_id::text LIKE '00000000%' THEN event_id END AS event_id, CASE WHEN occurred_at < '2026-01-03' THEN occurred_at END AS occurred_at, headers, payload - 'after' AS payload
	FROM (SELECT version, event_id, occurred_at, headers, CASE WHEN json_typeof(payload) = 'object' THEN payload::jsonb ELSE jsonb_build_object('scalar', payload) END AS payload FROM events) AS e;
TRUNCATE domev.outbox;
SELECT attribute, try(format($$SELECT domev.create_capture('made', 'made', 'insert', 'aggregate', event_type_column => %L)$$, attribute)) AS created,
	try('INSERT INTO made SELECT * FROM forms') AS inserted, try($$SELECT domev.drop_capture('made')$$) AS dropped
FROM (VALUES ('type_enum'), ('type_domain'), ('type_name'), ('body_text')) AS v(attribute);
SELECT event_type FROM events;
TRUNCATE domev.outbox;
-- what is text but no JSON, or JSON that jsonb cannot hold
\set VERBOSITY sqlstate
SELECT domev.create_capture('made', 'made', 'insert', 'aggregate', 'placed', payload_column => 'body_text');
INSERT INTO made (aggregate, type_domain, body_text) VALUES ('a', 'x', 'no json');
INSERT INTO made (aggregate, type_domain, body_text) VALUES ('a', 'x', '');
INSERT INTO made (aggregate, type_domain, body_text) VALUES ('a', 'x', '{"a": "\u0000"}');
SELECT domev.alter_capture('made', payload_column => 'body_json');
INSERT INTO made (aggregate, type_domain, body_json) VALUES ('a', 'x', '{"a": "\u0000"}');
INSERT INTO made (aggregate, type_domain, body_json) VALUES ('a', 'x', '{"a": "\ud800"}');
SELECT domev.alter_capture('made', headers_column => 'body_text', reset => '{payload_column}');
INSERT INTO made (aggregate, type_domain, body_text) VALUES ('a', 'x', 'no json');
INSERT INTO made (aggregate, type_domain, body_text) VALUES ('a', 'x', '{"h": "yes"}');
\set VERBOSITY default
SELECT headers FROM events;
TRUNCATE domev.outbox;
SELECT domev.drop_capture('made');
-- a time without zone is one of the session's
SELECT domev.create_capture('made', 'made', 'insert', 'aggregate', 'placed', columns => '{v2}', occurred_at_column => 'at');
SET timezone = 'Asia/Kolkata';
INSERT INTO made (aggregate, type_domain, at) VALUES ('a', 'x', '2026-01-02 05:30');
SET timezone = 'UTC';
SELECT occurred_at, payload FROM events;
TRUNCATE domev.outbox;
DROP TABLE made, forms;
DROP DOMAIN kind_domain, document, document_text, id, version, instant;
DROP TYPE kind;

-- UPDATE and DELETE: columns are of the new row, or of the old one; columns and ignore say which changes count
CREATE TABLE orders (id int, type text, body jsonb, version int, note text);
SELECT domev.create_capture('u', 'orders', 'update', 'id', event_type_column => 'type', payload_column => 'body', version_column => 'version', ignore => '{note}');
SELECT domev.create_capture('d', 'orders', 'delete', 'id', event_type_column => 'type', payload_column => 'body', version_column => 'version');
INSERT INTO orders VALUES (1, 'placed', '{"n": 1}', 1);
UPDATE orders SET note = 'x';
UPDATE orders SET type = 'paid', body = '{"n": 2}', version = 2;
DELETE FROM orders;
SELECT event_type, version, payload FROM events;
TRUNCATE domev.outbox;
DROP TABLE orders;

-- a partitioned table of events, with partitions whose columns have other numbers
CREATE TABLE parts (id uuid, aggregate text, type text, body json, part int) PARTITION BY LIST (part);
SELECT domev.create_capture('parts', 'parts', 'insert', 'aggregate, part', event_type_column => 'type', payload_column => 'body', event_id_column => 'id');
CREATE TABLE parts1 (part int, gone int, body json, type text, aggregate text, id uuid);
ALTER TABLE parts1 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts1 FOR VALUES IN (1);
CREATE TABLE parts2 PARTITION OF parts DEFAULT;
INSERT INTO parts VALUES ('00000000-0000-4000-8000-000000000001', 'a', 'placed', '1', 1), ('00000000-0000-4000-8000-000000000002', 'b', 'paid', '2', 2);
SELECT event_type, aggregate_id, event_id, payload FROM events;
TRUNCATE domev.outbox;
DROP TABLE parts;

-- WAL storage without a journal: no row, one message
SELECT domev.create_topic('fast', 'internal', 'wal'), domev.create_event_type('fast', 'order', 'fast', journal => false);
CREATE TABLE outgoing (id uuid, aggregate text, body jsonb, meta jsonb, at timestamptz);
SELECT domev.create_capture('outgoing', 'outgoing', 'insert', 'aggregate', 'fast', payload_column => 'body', headers_column => 'meta', event_id_column => 'id', occurred_at_column => 'at');
SELECT 'slot' FROM pg_create_logical_replication_slot('capture', 'domev');
INSERT INTO outgoing SELECT ('00000000-0000-4000-8000-00000000000' || i)::uuid, 'o-' || i, jsonb_build_object('n', i), '{"h": 1}', '2026-01-02 03:04:05+00' FROM generate_series(1, 2) AS i;
BEGIN;
INSERT INTO outgoing VALUES ('00000000-0000-4000-8000-000000000009', 'o-9', '{}', NULL, '2026-01-02 03:04:05+00');
ROLLBACK;
SELECT count(*) FROM domev.outbox;
SELECT regexp_replace(data, '"sequence":"[0-9A-F]{16}\.', '"sequence":"….') FROM pg_logical_slot_get_changes('capture', NULL, NULL);
SELECT 'slot' FROM pg_drop_replication_slot('capture');
DROP TABLE outgoing;
DROP FUNCTION try;
DROP VIEW events;
DROP EXTENSION domev;
