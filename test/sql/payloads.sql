-- Payloads arrive as jsonb has them: empty, nested, escaped, large, with every digit; in both storages.
CREATE EXTENSION domev;
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
SELECT domev.create_topic('t'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('e', 'a');
SELECT domev.create_mapping('t', 'e', 'public.m', topic => 't'), domev.create_mapping('w', 'e', 'public.m', topic => 'w');
SELECT pg_create_logical_replication_slot('payloads', 'domev') IS NOT NULL;
CREATE TABLE payloads (n int, payload text);
INSERT INTO payloads VALUES (1, '{}'), (2, '[]'), (3, '""'), (4, 'null'), (5, 'true'), (6, '0'), (7, '-0'), (8, '63.10'), (9, '1e2'), (10, '1E-7'),
	(11, '12345678901234567890.12345678901234567890'), (12, '{"b": 1, "a": 2, "b": 3}'), (13, '{"a": {"b": [[[{"c": []}]]]}}'),
	(14, '"\u00e4\u20ac\ud83d\ude00"'), (15, '"\u0001\u001f\u007f\b\f\n\r\t\"\\\/"'), (16, '{"": {"": ""}}'), (17, '"' || repeat('ä', 100000) || '"'),
	(18, (SELECT jsonb_agg(md5(i::text))::text FROM generate_series(1, 30000) AS i)), -- about 1 MB that does not compress
	(19, repeat('[', 5000) || repeat(']', 5000)), (20, ' { "spaces" : [ 1 , 2 ] } '),
	(21, '[1, {"b": [], "c": [true, null, {}], "d": [[]]}, "x", [2, [3]], {}, {"e": {"f": false}, "g": -0.50}, [[], 4]]');
SELECT count(domev.emit('e', n, payload)) FROM (SELECT * FROM payloads ORDER BY n) AS p;
-- kept and sent as jsonb writes it
SELECT count(*), count(*) FILTER (WHERE o.payload::text = p.payload::jsonb::text) AS kept FROM payloads AS p JOIN domev.outbox AS o ON o.aggregate_id = n::text;
SELECT count(*), count(*) FILTER (WHERE strpos(c.data, ',"data":' || p.payload::jsonb::text || ',"sequence":') > 0) AS sent,
	count(*) FILTER (WHERE length(c.data) > 1000000) AS large
FROM payloads AS p JOIN pg_logical_slot_peek_changes('payloads', NULL, NULL) AS c ON c.data LIKE '%"subject":"' || n || '"%';
SELECT n, left(substring(data FROM ',"data":(.*),"sequence"'), 70) AS data
FROM payloads JOIN pg_logical_slot_get_changes('payloads', NULL, NULL, 'topics', 'w') AS c ON c.data LIKE '%"subject":"' || n || '"%' ORDER BY n;

-- what jsonb refuses is refused by emit
\set VERBOSITY sqlstate
SELECT domev.emit('e', 'x', '"\u0000"');
SELECT domev.emit('e', 'x', '"\ud83d"');
SELECT domev.emit('e', 'x', 'NaN');
SELECT domev.emit('e', 'x', '{"a": 1');
\set VERBOSITY default
SELECT domev.emit('e', 'x', to_jsonb('NaN'::float8)) IS NOT NULL; -- a string, as to_jsonb makes it

SELECT pg_drop_replication_slot('payloads');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE payloads;
