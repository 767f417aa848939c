-- What is no value of an event is refused when it is emitted, with its SQLSTATE; what is one arrives whole, however odd: reading raises no error.
-- (payloads.sql and names.sql have more that arrives; registry_errors.sql, emit.sql, headers.sql, mapping.sql more that is refused;
-- output_unpublishable.sql rows that were changed by hand; t/004_encodings.pl other encodings.)
CREATE EXTENSION domev;
-- the SQLSTATE of the error that a statement raises
CREATE FUNCTION try(statement text, VARIADIC arguments text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(statement, VARIADIC arguments);
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
-- a mapping that returns what the payload says
CREATE FUNCTION public.echo(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN jsonb_populate_record(NULL::domev.integration_event, (e).payload);
END $$;
CREATE FUNCTION public.same(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('same', (e).payload)).*; END;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('wal', storage => 'wal'), domev.create_event_type('e', 'a', 'in'),
	domev.create_event_type('echo', 'a'), domev.create_mapping('same', 'e', 'public.same', topic => 'wal'), domev.create_mapping('echo', 'echo', 'public.echo', topic => 'out');
SELECT pg_create_logical_replication_slot('bad', 'domev') IS NOT NULL;

-- what jsonb does not take, in each form of emit and of preview
CREATE TABLE no_payloads (n int, payload text);
INSERT INTO no_payloads VALUES (1, ''), (2, 'nul'), (3, 'NaN'), (4, '-Infinity'), (5, '01'), (6, '1.'), (7, '{"a": 1,}'), (8, '{} {}'), (9, E'"a\tb"'), (10, '"\x"'), (11, '"\u12"'),
	(12, '"\u0000"'), (13, '{"\u0000": 1}'), (14, '"\ud83d"'), (15, '"\ude00\ud83d"'), (16, '"\ud83dx"'), (17, '1e131072'), (18, repeat('9', 131073)), (19, '1e-16384'),
	(20, repeat('[', 100000)), (21, repeat('[', 100000) || repeat(']', 100000)), (22, repeat('{"a":', 100000) || '1' || repeat('}', 100000));
SELECT n, left(payload, 20) AS payload, try('SELECT domev.emit(''e'', 1, %L::jsonb)', payload) AS jsonb, try('SELECT domev.emit(''e'', 1, %L::json)', payload) AS json,
	try('SELECT domev.emit(''e'', 1, %L::text)', payload) AS text, try('SELECT domev.emit(''e'', ''x'', %L)', payload) AS unknown,
	try('SELECT FROM domev.preview(''e'', 1, %L::text)', payload) AS preview, try('INSERT INTO domev_event.e (aggregate_id, payload) VALUES (1, %L)', payload) AS view,
	try('SELECT set_config(''domev.context'', %L, true)', payload) AS context
FROM no_payloads ORDER BY n;
SELECT count(*) FROM domev.outbox;

-- what it takes, of numbers: every digit
CREATE TABLE payloads (n int, payload text);
INSERT INTO payloads VALUES (1, '1e400'), (2, '-1e-400'), (3, '1e131071'), (4, repeat('9', 131072)), (5, '0.' || repeat('9', 16383)), (6, '-0'), (7, '-0.00'), (8, '0e100'), (9, '1E+2'),
	(10, '9223372036854775808'), (11, '0.1'), (12, '{"a": 1, "b": 2, "a": [1, {"c": 1, "c": 2}]}'), (13, '{"": 0, " ": 1}'), (14, '"\ud83d\ude00\u0085\u2028\ufeff\uffff"'),
	(15, '"\u007f\u001b\\u0000"');
SELECT count(domev.emit('e', n, payload)) FROM payloads;
SELECT n, count(*) FILTER (WHERE strpos(data, ',"data":' || payload::jsonb::text || ',"sequence":') > 0) AS sent, length(payload::jsonb::text)
FROM payloads JOIN pg_logical_slot_peek_changes('bad', NULL, NULL) ON (data::json)->>'subject' = n::text GROUP BY n, payload ORDER BY n;
SELECT count(DISTINCT n) AS sent FROM payloads JOIN pg_logical_slot_get_binary_changes('bad', NULL, NULL, 'format', 'protobuf') ON position(convert_to(payload::jsonb::text, 'UTF8') IN data) > 0;

-- NaN and infinity of columns are strings, as to_jsonb has it
CREATE TABLE captured (id int, n numeric, f float8, t timestamptz, d date, b bytea, j json);
SELECT domev.create_capture('captured', 'captured', 'insert', 'id', 'e');
INSERT INTO captured VALUES (1, 'NaN', 'NaN', 'infinity', '-infinity', '\x00ff', '{"a": 1, "a": 2}'), (2, 'infinity', '-infinity', '-infinity', 'infinity', '', ' [ ] '), (3, 1e40, 1.5e-7, 'epoch', 'epoch', NULL, '-0');
SELECT try('INSERT INTO captured (id, j) VALUES (4, %L)', j) AS refused FROM unnest('{"\"\\u0000\"", "\"\\ud83d\"", 1e131072}'::text[]) AS j;
SELECT data::json->'data' AS data FROM pg_logical_slot_get_changes('bad', NULL, NULL, 'topics', 'in');

-- bytes travel whole: zeros, and those that are no text
SELECT domev.emit('echo', n, jsonb_build_object('event_type', 'bytes', 'data', data, 'topic', topic)) IS NOT NULL AS emitted
FROM unnest(ARRAY['\x', '\x00', '\x00ff00fe80', '\x' || repeat('00c3ff', 50000)]) WITH ORDINALITY AS b (data, n), unnest('{out,wal}'::text[]) AS topic;
SELECT data::json->>'subject' AS n, data::json->>'topic' AS topic, length(decode(data::json->>'data_base64', 'base64')) AS size, left(decode(data::json->>'data_base64', 'base64')::text, 14) AS bytes
FROM pg_logical_slot_peek_changes('bad', NULL, NULL);
SELECT count(*) FROM pg_logical_slot_get_binary_changes('bad', NULL, NULL, 'format', 'protobuf') WHERE position('\x00c3ff00c3ff'::bytea IN data) > 0;

-- names and the like: how long they may be, and characters that could become lines of another protocol
CREATE TABLE lengths (what text, most int, statement text);
INSERT INTO lengths VALUES ('topic', 63, 'SELECT domev.create_topic(%L)'), ('event type', 63, 'SELECT domev.create_event_type(%L, ''a'')'),
	('aggregate type', 63, 'SELECT domev.create_event_type(''with '' || (SELECT count(*) FROM domev.event_types), %L)'),
	('mapping', 63, 'SELECT domev.create_mapping(%L, ''echo'', ''public.echo'', topic => ''out''); SELECT domev.drop_mapping(%1$L)'),
	('capture', 57, 'SELECT domev.create_capture(%L, ''captured'', ''delete'', ''id'', ''e'')'), ('aggregate id', 1024, 'SELECT domev.emit(''e'', %L::text)'),
	('integration event type', 255, 'SELECT domev.emit(''echo'', 1, jsonb_build_object(''event_type'', %L))'),
	('key', 1024, 'SELECT domev.emit(''echo'', 1, jsonb_build_object(''event_type'', ''k'', ''key'', %L))'),
	('header name', 63, 'SELECT domev.emit(''e'', 1, headers => jsonb_build_object(%L, 1))');
SELECT what, most, try(statement, repeat('x', 1)) AS one, try(statement, '') AS none, try(statement, repeat('x', most)) AS most, try(statement, repeat('y', most + 1)) AS more,
	try(statement, repeat('x', 1000000)) AS megabyte, try(statement, 'a€') AS euro FROM lengths ORDER BY what;
SELECT what, string_agg(DISTINCT try(statement, 'a' || c || 'b'), ' ') AS control_characters
FROM lengths, LATERAL (SELECT chr(i) FROM generate_series(1, 159) AS i WHERE i < 32 OR i > 126) AS c (c) GROUP BY what ORDER BY what;
SELECT try('SELECT domev.emit(''e'', 1, headers => jsonb_build_object(''h'', %L))', 'a' || c) AS header, count(*) FROM unnest(ARRAY[E'\r\n', E'\x01', E'\x7f', E'\u0085']) AS c GROUP BY 1;
-- characters that look alike are different names, those that turn the text round are characters
SELECT count(domev.create_event_type(name, 'a', 'in')) FROM unnest(ARRAY[E'\u00e9', E'e\u0301', E'\u202etxet', E'\u200b', E'\ufeff', E'\U0010ffff']) AS name;
SELECT count(domev.emit(event_type, event_type)) FROM domev.event_types WHERE topic = 'in' AND event_type <> 'e';
SELECT count(DISTINCT data::json->>'type') AS types, bool_and(data::json->>'type' = data::json->>'subject') AS equal FROM pg_logical_slot_get_changes('bad', NULL, NULL, 'topics', 'in') WHERE data::json->>'type' <> 'e';

-- the largest event is as large as domev.max_event_size, to the byte (these are of one transaction each); text that has to be escaped counts as it is sent
CREATE FUNCTION largest(letter text) RETURNS TABLE (size int, refused text) LANGUAGE plpgsql AS $$
DECLARE
	count int := 1;
BEGIN
	WHILE try('SELECT domev.emit(''size'', 1, to_jsonb(repeat(%L, %L)))', letter, count::text) = 'accepted' LOOP count := count * 2; END LOOP;
	count := count / 2;
	FOR i IN REVERSE 12 .. 0 LOOP
		IF try('SELECT domev.emit(''size'', 1, to_jsonb(repeat(%L, %L)))', letter, (count + (1 << i))::text) = 'accepted' THEN count := count + (1 << i); END IF;
	END LOOP;
	size := count;
	refused := try('SELECT domev.emit(''size'', 1, to_jsonb(repeat(%L, %L)))', letter, (count + 1)::text);
	RETURN NEXT;
END $$;
SELECT domev.create_event_type('size', 'a', 'in');
SELECT count(*) >= 0 FROM pg_logical_slot_get_changes('bad', NULL, NULL);
SET domev.max_event_size = '8kB';
SELECT refused, size BETWEEN 7600 AND 8192 AS size FROM largest('x');
SELECT max(octet_length(data)) BETWEEN 8190 AND 8192 AS largest, count(*) FILTER (WHERE data LIKE '%unpublishable%') AS unpublishable FROM pg_logical_slot_get_changes('bad', NULL, NULL);
SELECT domev.alter_topic('in', storage => 'wal');
SELECT refused, size BETWEEN 1250 AND 1365 AS size FROM largest(E'\x01');
SELECT max(octet_length(data)) BETWEEN 8187 AND 8192 AS largest, count(*) FILTER (WHERE data LIKE '%unpublishable%') AS unpublishable FROM pg_logical_slot_get_changes('bad', NULL, NULL);
RESET domev.max_event_size;

-- triggers' arguments that nobody wrote
SELECT name, domev.read_definition(arguments) AS definition, try('SELECT domev.read_definition(%L)', arguments::text) AS result
FROM (VALUES ('empty', ''::bytea), ('zero', '\x00'), ('no definition', '\x610000'), ('no JSON', '\x61007b00'), ('other JSON', '\x61005b5d00'), ('lists of what', '\x6100'::bytea || '{"columns": [1, null]}'::bytea || '\x00'),
	('no end', '\x6100'::bytea || '{"event_type": "e"}'::bytea), ('no UTF-8', '\x6100'::bytea || '{"event_type": "'::bytea || '\xff227d00'), ('no UTF-8 in the name', '\xff00'::bytea || '{}\000'::bytea)) AS a (name, arguments);

-- rows of the outbox that a superuser wrote, mapped again: without a payload
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, event_type, aggregate_type, aggregate_id, occurred_at)
	VALUES ('00000000-0000-0000-0000-000000000001', now(), '1', 'e', 'a', 'x', now());
SELECT try('SELECT domev.remap(%L::uuid, %L)', '00000000-0000-0000-0000-000000000001', 'same') AS remap, try('SELECT domev.remap(%L, since => now() - interval ''1 day'')', 'echo') AS remap_since;

-- messages under domev's prefix that domev did not write
SELECT count(*) >= 0 FROM pg_logical_slot_get_changes('bad', NULL, NULL);
SELECT setseed(0.5);
SELECT count(pg_logical_emit_message(i % 3 > 0, 'domev/' || (ARRAY['in', 'out', 'wal', 'none', '', repeat('x', 100)])[i % 6 + 1],
	(SELECT coalesce(string_agg(decode(lpad(to_hex((random() * 255)::int), 2, '0'), 'hex'), ''), '') FROM generate_series(1, i % 60 + 0 * j)))) FROM generate_series(1, 600) AS i, generate_series(1, 2) AS j;
SELECT domev.emit('e', 'behind them') IS NOT NULL;
SELECT data::json->>'subject' AS subject, data::json->>'type' AS type FROM pg_logical_slot_get_changes('bad', NULL, NULL);

SELECT pg_drop_replication_slot('bad');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE captured, payloads, no_payloads, lengths;
DROP FUNCTION try, largest;
