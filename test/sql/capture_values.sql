-- A payload has each value as to_jsonb has it, at the edges too of the types that domev turns into JSON itself (capture_types has all types).
CREATE EXTENSION domev;
SELECT domev.create_event_type('e', 'a');
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE DOMAIN word AS varchar(20);
CREATE TABLE thing (id int PRIMARY KEY, s smallint, b bigint, n numeric, n2 numeric(9, 3), p positive, t text, v varchar, w word, c char(5), ok bool,
	f float8, u uuid, d timestamptz, j json, jb jsonb, a int[], r int4range, by bytea);
SELECT domev.create_capture('insert', 'thing', 'insert', 'id', 'e'), domev.create_capture('update', 'thing', 'update', 'id', 'e'), domev.create_capture('delete', 'thing', 'delete', 'id', 'e');
INSERT INTO thing (id) VALUES (1);
INSERT INTO thing VALUES (2, -32768, 9223372036854775807, 'NaN', 1, 0.0001, '', '', '', '', true, 'NaN', '00000000-0000-0000-0000-000000000000', '2026-01-02 03:04:05.678901+02',
		'{"b": [1, {"a": null}], "a": 1e2}', '{"b": [1, {"a": null}], "a": 1e2}', '{}', 'empty', ''),
	(3, 32767, -9223372036854775808, 'Infinity', -0.5, 12345678901234567890.123456789, E'line\n"quoted" \\ \u00e4\u20ac', 'null', 'true', 'ab', false, '-Infinity',
		'ffffffff-ffff-ffff-ffff-ffffffffffff', 'infinity', '"text"', '7.50', '{{1,2},{NULL,4}}', '[1,5)', '\x00ff'),
	(4, 0, 0, '-Infinity', 0.000, 1.50, repeat('x', 100000), repeat('long ', 100), 'w', 'abcde', NULL, 1e-30, NULL, '4000-01-01 BC', 'null', 'null', '{1}', '(,)', NULL),
	(5, -1, 1, 1e100, -1.5, 1e-50, 'true', '1', 'x', ' a ', true, 0.1, gen_random_uuid(), '-infinity', '[]', '[[]]', NULL, NULL, '\x5c');
SELECT aggregate_id, (payload->'after')::jsonb = to_jsonb(thing) AS same, (payload->'after')::text = to_jsonb(thing)::text AS same_text
FROM domev.outbox JOIN thing ON thing.id = aggregate_id::int ORDER BY recorded_at;
TRUNCATE domev.outbox;

-- before and after, with what has changed
CREATE TABLE old AS SELECT * FROM thing;
UPDATE thing SET b = 5, n = 2.50, t = 'new', jb = '{"a": 100, "c": 1}', ok = NOT ok WHERE id > 1;
SELECT aggregate_id, payload::jsonb - 'changed' = jsonb_build_object('before', to_jsonb(old), 'after', to_jsonb(thing)) AS same, payload->'changed' AS changed
FROM domev.outbox JOIN thing ON thing.id = aggregate_id::int JOIN old USING (id) ORDER BY recorded_at;
TRUNCATE domev.outbox;
DELETE FROM thing;
SELECT count(*), count(*) FILTER (WHERE payload::jsonb #>> '{before,t}' IN ('new', '')) AS with_text FROM domev.outbox;

-- some columns only
TRUNCATE domev.outbox;
CREATE TABLE one (id int PRIMARY KEY, ignored int);
SELECT domev.create_capture('one', 'one', 'delete', 'id', 'e', columns => '{id}');
INSERT INTO one VALUES (1, 1);
DELETE FROM one;
SELECT payload FROM domev.outbox;

SET client_min_messages = warning;
DROP TABLE thing, old, one;
DROP DOMAIN positive, word;
DROP EXTENSION domev CASCADE;
