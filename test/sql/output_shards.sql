-- Shards divide the events by their keys: each event is in one, those of a key are in one and the same, from both storages.
CREATE EXTENSION domev;
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('shop.e', (e).payload, key => (e).payload->>'key')).*; END;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('wal', storage => 'wal'), domev.create_event_type('e', 'thing', 'in'), domev.create_mapping('m', 'e', 'public.m', topic => 'wal');
SELECT pg_create_logical_replication_slot('shards', 'domev') IS NOT NULL;

-- numbers, text that JSON escapes, text outside ASCII; some keys differ from the aggregate's id
SELECT count(domev.emit('e', i % 100, jsonb_build_object('key', 'key "' || i % 37 || '"'))) FROM generate_series(1, 300) AS i;
SELECT count(domev.emit('e', 'Größe \' || i % 10)) FROM generate_series(1, 30) AS i;

-- the hash that is documented, by its definition
CREATE FUNCTION zlib_crc32(bytes bytea) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	crc bigint := x'ffffffff'::bigint;
BEGIN
	FOR i IN 0 .. length(bytes) - 1 LOOP
		crc := crc # get_byte(bytes, i);
		FOR bit IN 1 .. 8 LOOP
			crc := CASE WHEN crc & 1 = 1 THEN (crc >> 1) # x'edb88320'::bigint ELSE crc >> 1 END;
		END LOOP;
	END LOOP;
	RETURN crc # x'ffffffff'::bigint;
END $$;
SELECT to_hex(zlib_crc32('123456789')); -- its published check value

CREATE TABLE whole AS SELECT e, row_number() OVER () AS n FROM (SELECT data::jsonb - 'endoftransaction' AS e FROM pg_logical_slot_peek_changes('shards', NULL, NULL)) AS p;
CREATE TABLE parts AS SELECT shards, shard, n, data::jsonb - 'endoftransaction' AS e
	FROM unnest('{1,2,3,4,7,16}'::int[]) AS shards, generate_series(0, shards - 1) AS shard,
		LATERAL pg_logical_slot_peek_changes('shards', NULL, NULL, 'shard', shard || '/' || shards) WITH ORDINALITY AS p (lsn, xid, data, n);
-- all events, each once, with the same content (but for the end of the transaction, which is that of what is sent), in the same order
SELECT shards, count(*) = (SELECT count(*) FROM whole) AS complete, count(DISTINCT p.e->>'id') = count(*) AS once, count(w.e) = count(*) AS same,
	count(DISTINCT shard) AS used
FROM parts AS p LEFT JOIN whole AS w ON w.e = p.e GROUP BY shards ORDER BY shards;
SELECT bool_and(in_order) FROM (SELECT w.n > lag(w.n) OVER (PARTITION BY shards, shard ORDER BY p.n) AS in_order FROM parts AS p JOIN whole AS w ON w.e = p.e) AS o;
-- those of a key in one shard, the one that is documented
SELECT count(*) AS keys, max(shards) FROM (SELECT count(DISTINCT shard) AS shards FROM parts GROUP BY shards, e->>'partitionkey') AS k;
SELECT bool_and(zlib_crc32(convert_to(e->>'partitionkey', 'UTF8')) % shards = shard) FROM parts;
-- the storages do not matter: rows and messages of one key are in one shard
SELECT bool_and(a.shard = b.shard), count(*) > 0 FROM parts AS a JOIN parts AS b ON a.shards = b.shards AND a.e->>'partitionkey' = b.e->>'partitionkey' AND a.e->>'topic' = 'in' AND b.e->>'topic' = 'wal';
-- the end of the transaction is that of what the shard is sent
SELECT bool_and(last = 1) FROM (SELECT count(*) FILTER (WHERE (data::jsonb->>'endoftransaction')::boolean) AS last
	FROM generate_series(0, 3) AS shard, pg_logical_slot_peek_changes('shards', NULL, NULL, 'shard', shard || '/4') GROUP BY shard, xid) AS t;
-- together with other options
SELECT count(*) = (SELECT count(*) FROM whole WHERE e->>'topic' = 'wal') AS complete FROM generate_series(0, 4) AS shard,
	pg_logical_slot_peek_changes('shards', NULL, NULL, 'shard', shard || '/5', 'scope', 'external', 'event_types', 'shop.*');

SELECT pg_drop_replication_slot('shards');
SET client_min_messages = warning;
DROP TABLE whole, parts;
DROP FUNCTION zlib_crc32;
DROP EXTENSION domev CASCADE;
