-- Every option of the output plugin with every kind of value: what is not understood is refused with 22023 by the option's name, and the slot
-- is as usable afterwards.  (output_options.sql has what they do; test/fuzz gives options without a value, which takes the replication protocol.)
CREATE EXTENSION domev;
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
SELECT pg_create_logical_replication_slot('options', 'domev') IS NOT NULL;
SELECT domev.emit('e', 'x') IS NOT NULL;
-- what the reading functions make of options: the number of events, or the error and whether it names the option
CREATE FUNCTION read(VARIADIC options text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT count(*) FROM pg_logical_slot_peek_binary_changes('options', NULL, NULL, VARIADIC options));
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || CASE WHEN strpos(SQLERRM, '"' || options[1] || '"') = 0 THEN ' ' || left(SQLERRM, 80) ELSE '' END;
END $$;

CREATE TABLE options (name text);
INSERT INTO options VALUES ('format'), ('topics'), ('event_types'), ('scope'), ('shard'), ('origin');
-- values that none of them takes, or that are globs, which match nothing here
SELECT what, read('format', value) AS format, read('topics', value) AS topics, read('event_types', value) AS event_types, read('scope', value) AS scope,
	read('shard', value) AS shard, read('origin', value) AS origin
FROM (VALUES (1, 'empty', ''), (2, 'space', ' '), (3, 'comma', ','), (4, 'ends with a comma', 'x,'), (5, 'quotes', '''"'), (6, 'semicolon', '; DROP TABLE options; --'), (7, 'backslash at the end', '\'),
	(8, 'percent', '%s%n%I'), (9, 'dollars', '$$'), (10, 'control characters', E'\x01\n\x7f'), (11, 'number', '-9223372036854775809'), (12, 'large shard', '4294967296/4294967297'),
	(13, 'shard with signs', '+0/+4'), (14, 'shard with spaces', ' 0/4'), (15, 'three shards', '0/4/4'), (16, 'zeros', '00000/00004'), (17, 'boolean', 'on'), (18, 'capitals', 'NONE'),
	(19, 'with a space', 'none '), (20, 'JSON', '{"a": [1]}'), (21, '255 bytes', repeat('x', 255)), (22, '256 bytes', repeat('x', 256)), (23, 'a megabyte', repeat('x', 1000000)),
	(24, 'many', repeat('x,', 10000) || 'x'), (25, 'other characters', 'é日🙂'), (26, 'NULL as text', 'NULL')) AS v (n, what, value) ORDER BY n;
-- names that are none, and options that are repeated, with the same value as well
SELECT left(name, 20) AS name, read(name, 'x') FROM (VALUES (''), ('Format'), ('format '), ('topic'), ('include-xids'), ('proto_version'), ('"'), (E'\n'), (repeat('x', 1000)), ('é')) AS n (name);
SELECT name, read(name, value, name, value) FROM options, LATERAL (SELECT CASE name WHEN 'format' THEN 'protobuf' WHEN 'scope' THEN 'internal' WHEN 'shard' THEN '0/1' WHEN 'origin' THEN 'any' ELSE '*' END) AS v (value) ORDER BY name;
-- what PostgreSQL says of the list itself
SELECT read('format'), read(VARIADIC '{{format,protobuf}}'), read(VARIADIC '{NULL,x}'), read(VARIADIC '{scope,NULL}');
SELECT read(VARIADIC '{}') AS none, read(VARIADIC '[7:8]={format,protobuf}') AS bounds;

-- nothing of that has moved the slot or is left in the session
SELECT read('format', 'cloudevents') AS cloudevents, read('format', 'protobuf', 'topics', 't', 'event_types', 'e', 'scope', 'internal', 'shard', '0/1', 'origin', 'any') AS all;
SELECT data::json->>'subject' AS subject FROM pg_logical_slot_get_changes('options', NULL, NULL);

SELECT pg_drop_replication_slot('options');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP FUNCTION read;
DROP TABLE options;
