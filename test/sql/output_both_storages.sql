-- The same bytes leave from rows and from WAL messages; forged and damaged messages leave not at all.
CREATE EXTENSION domev;
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN NEXT domev.make_integration_event('shop.ä "1" \', (e).payload, 't', headers => '{"own": "ö\"\\", "n": -1, "b": false}');
	RETURN NEXT domev.make_integration_event('shop.bytes', NULL, 't', 'key', data => '\x00ff', content_type => 'application/avro', data_schema => 'urn:x');
	RETURN NEXT domev.make_integration_event('shop.bare', NULL, 't');
END $$;
SELECT domev.create_topic('t'), domev.create_topic('d', 'internal'), domev.create_event_type('e', 'thing', 'd'), domev.create_mapping('m', 'e', 'public.m');
SELECT pg_create_logical_replication_slot('both', 'domev') IS NOT NULL;
CREATE TABLE sent (storage text, n bigint, event text);
CREATE PROCEDURE emit_all() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM domev.emit('e', 'plain', occurred_at => '2026-01-02 03:04:05.6+00');
	PERFORM domev.emit('e', 'all "ü"', '{"a": [1, {"b": null}], "€": "\ud83d\ude00\n\t\"", "n": 1.50}', '{"trace": "x", "causationid": "11111111-1111-1111-1111-111111111111"}', 7, occurred_at => '0001-01-01 00:00:00+00');
	PERFORM domev.emit('e', 'large', to_jsonb(repeat('0123456789', 10000)), occurred_at => '2026-01-02 03:04:05.6+00');
END $$;
CALL emit_all();
INSERT INTO sent SELECT 'table', row_number() OVER (), data FROM pg_logical_slot_get_changes('both', NULL, NULL);
SELECT domev.alter_topic('t', storage => 'wal'), domev.alter_topic('d', storage => 'wal');
TRUNCATE domev.outbox;
CALL emit_all();
SELECT count(*) FROM domev.outbox;
INSERT INTO sent SELECT 'wal', row_number() OVER (), data FROM pg_logical_slot_get_changes('both', NULL, NULL);
-- byte-equal but for ids and positions
UPDATE sent SET event = regexp_replace(regexp_replace(event, '"(id|causationid)":"(?!1111)[0-9a-f-]{36}"', '"\1":"…"', 'g'), '"sequence":"[0-9A-F]{16}\.', '"sequence":"….');
SELECT count(*) AS events, count(*) FILTER (WHERE a.event = b.event) AS equal, sum(length(a.event)) > 200000 AS large
FROM sent AS a FULL JOIN sent AS b ON a.n = b.n AND a.storage = 'table' AND b.storage = 'wal' WHERE a.storage = 'table' OR b.storage = 'wal';
SELECT left(event, 600) FROM sent WHERE storage = 'wal' AND n IN (5, 6, 7) ORDER BY n;
-- each is valid JSON
SELECT count(event::jsonb) FROM sent;

-- the message by itself is a valid CloudEvent, which ends with the MAC
SELECT pg_create_logical_replication_slot('raw', 'test_decoding') IS NOT NULL;
SELECT domev.emit('e', 'raw') IS NOT NULL;
CREATE TABLE raw AS SELECT substring(data FROM 'prefix: (\S+),') AS prefix, substring(data FROM 'content:(.*)$') AS content
	FROM pg_logical_slot_get_changes('raw', NULL, NULL, 'skip-empty-xacts', '1') WHERE data LIKE 'message%';
SELECT prefix, content::jsonb->>'type' AS type, content::jsonb ? 'sequence' AS sequence, content ~ ',"mac":"[0-9a-f]{32}"}$' AS mac FROM raw;
SELECT count(*) FROM pg_logical_slot_get_changes('both', NULL, NULL);

-- forged: without a MAC, with another, replayed in another transaction, under another prefix, damaged, of every short length
SELECT count(pg_logical_emit_message(true, 'domev/t', '{"specversion":"1.0","id":"x","type":"forged"}'));
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM raw;
SELECT count(pg_logical_emit_message(true, 'domev/t', left(content, i))) FROM raw, generate_series(0, 60) AS i WHERE prefix = 'domev/d';
SELECT count(pg_logical_emit_message(true, 'domev/' || repeat('t', 1000), content)) FROM raw;
SELECT count(pg_logical_emit_message(true, 'domev/t', decode(repeat('00', i), 'hex'))) FROM generate_series(0, 100) AS i;
SELECT count(pg_logical_emit_message(false, prefix, content)) FROM raw;
BEGIN;
SELECT domev.emit('e', 'genuine') IS NOT NULL;
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM raw;
SELECT domev.emit('e', 'genuine') IS NOT NULL;
COMMIT;
SELECT count(pg_logical_emit_message(true, 'others', 'x'));
-- dropped, without effect on their neighbours (and said in the log: see t/001_stream.pl)
SELECT data::jsonb->>'subject' AS subject, right(data::jsonb->>'sequence', 1) AS index, data::jsonb->>'endoftransaction' AS last FROM pg_logical_slot_peek_changes('both', NULL, NULL);

-- in order where the storages and the subtransactions alternate (PostgreSQL gives a message and the row behind it one position)
SELECT domev.alter_topic('d', storage => 'table'), domev.alter_mapping('m', enabled => false);
SELECT domev.create_topic('w', 'internal', 'wal'), domev.create_event_type('w', 'thing', 'w');
SELECT count(*) FROM pg_logical_slot_get_changes('both', NULL, NULL);
BEGIN;
SELECT domev.emit('w', '1') IS NOT NULL;
SELECT domev.emit('e', '2') IS NOT NULL;
SAVEPOINT a;
SAVEPOINT b;
SELECT domev.emit('w', '3') IS NOT NULL;
RELEASE a;
SELECT domev.emit('e', '4') IS NOT NULL;
SAVEPOINT c;
SELECT domev.emit('e', '5') IS NOT NULL;
SELECT domev.emit('w', '6') IS NOT NULL;
SAVEPOINT d;
SELECT domev.emit('e', '7') IS NOT NULL;
COMMIT;
SELECT string_agg(data::jsonb->>'subject', ' ') FROM pg_logical_slot_get_changes('both', NULL, NULL);

SELECT pg_drop_replication_slot('both'), pg_drop_replication_slot('raw');
SET client_min_messages = warning;
DROP TABLE sent, raw;
DROP PROCEDURE emit_all;
DROP EXTENSION domev CASCADE;
