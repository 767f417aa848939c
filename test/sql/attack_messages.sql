-- SE-8: anybody may write WAL messages: none but domev's own is sent, and neighbours are not harmed.  (output_both_storages.sql has
-- damaged ones, t/001_stream.pl what the log says, t/016_attacks.pl another database.)
CREATE EXTENSION domev;
CREATE ROLE regress_evil;
CREATE ROLE regress_app;
SELECT domev.create_topic('t', 'internal', 'wal'), domev.create_topic('r', 'internal'), domev.create_topic('other', 'internal', 'wal'), domev.create_event_type('e', 'a', 't'),
	domev.create_event_type('row', 'a', 'r');
GRANT INSERT ON domev_event.e TO regress_app;
SELECT pg_create_logical_replication_slot('domev', 'domev') IS NOT NULL, pg_create_logical_replication_slot('raw', 'test_decoding') IS NOT NULL;
SET ROLE regress_app;
SELECT domev.emit('e', 'genuine 1', '{"n": 1}') IS NOT NULL;
RESET ROLE;
-- what a reader of the WAL, another consumer say, has seen of it
CREATE TABLE seen AS SELECT substring(data FROM 'prefix: (\S+),') AS prefix, substring(data FROM 'content:(.*)$') AS content
	FROM pg_logical_slot_get_changes('raw', NULL, NULL) WHERE data LIKE 'message%';
GRANT SELECT ON seen TO regress_evil;
SELECT count(*), min(prefix) FROM seen;
SELECT count(*) FROM pg_logical_slot_get_changes('domev', NULL, NULL);

SET ROLE regress_evil;
SELECT domev.emit('e', 'x'); -- it may not emit
-- replayed: alone, with others, in a savepoint, not transactional, as another topic's, many times
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM seen;
BEGIN;
SAVEPOINT s;
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM seen;
RELEASE s;
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM seen, generate_series(1, 1000);
COMMIT;
SELECT count(pg_logical_emit_message(false, prefix, content)) FROM seen;
SELECT count(pg_logical_emit_message(t, 'domev/' || topic, content)) FROM seen, unnest('{t,r,other,none,"",/,"t/","t ",T,../t,%s,domev/t}'::text[]) AS topic, unnest('{true,false}'::boolean[]) AS t;
-- made by hand: other payload with the old MAC, without one, with one of all zeros, with two, with bytes that are no UTF-8
SELECT count(pg_logical_emit_message(true, prefix, replace(content, '"n": 1', '"n": 2'))) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, replace(content, 'genuine 1', 'forged 1'))) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, regexp_replace(content, ',"mac":"[0-9a-f]{32}"', ''))) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, regexp_replace(content, '"mac":"[0-9a-f]{32}"', '"mac":"' || repeat('0', 32) || '"'))) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, regexp_replace(content, '"mac":"[0-9a-f]{32}"', upper('\&')))) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, regexp_replace(content, ',"mac":"[0-9a-f]{32}"', '\&\&'))) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, content || content)) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, convert_to(content, 'UTF8') || '\x00ff')) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, '\xff00'::bytea || convert_to(content, 'UTF8'))) FROM seen;
SELECT count(pg_logical_emit_message(true, prefix, repeat(content, 10000))) FROM seen;
-- a heartbeat of one's own is no harm
SELECT count(pg_logical_emit_message(false, 'domev.heartbeat', 'x'));
-- the key is not to be read
SELECT key FROM domev.message_key;
RESET ROLE;
SELECT data FROM pg_logical_slot_peek_changes('domev', NULL, NULL);
SELECT data FROM pg_logical_slot_peek_changes('domev', NULL, NULL, 'topics', 't,other', 'event_types', '*', 'scope', 'internal', 'shard', '0/1', 'origin', 'any');
SELECT data FROM pg_logical_slot_get_binary_changes('domev', NULL, NULL, 'format', 'protobuf');

-- the neighbours: events of the transaction that forged ones are in, rows and messages, before, between and after them, in savepoints
GRANT INSERT ON domev_event.e, domev_event.row TO regress_evil;
SET ROLE regress_evil;
BEGIN;
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM seen;
SELECT domev.emit('e', 'neighbour 1') IS NOT NULL;
SAVEPOINT a;
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM seen;
SELECT domev.emit('row', 'neighbour 2') IS NOT NULL;
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM seen;
SAVEPOINT b;
SELECT domev.emit('e', 'rolled back') IS NOT NULL;
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM seen;
ROLLBACK TO b;
SELECT domev.emit('e', 'neighbour 3') IS NOT NULL;
SELECT count(pg_logical_emit_message(true, prefix, content)) FROM seen;
COMMIT;
RESET ROLE;
SELECT data::jsonb->>'subject' AS subject, right(data::jsonb->>'sequence', 1) AS index, data::jsonb->>'endoftransaction' AS last FROM pg_logical_slot_get_changes('domev', NULL, NULL);

-- with the function taken away from all, as a simple site may wish, domev writes its messages all the same
SELECT bool_and(proacl IS NULL) AS of_all FROM pg_proc WHERE proname = 'pg_logical_emit_message';
DO $$ DECLARE f regprocedure; BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = 'pg_logical_emit_message' LOOP
		EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
	END LOOP;
END $$;
SET ROLE regress_evil;
SELECT pg_logical_emit_message(true, 'domev/t', 'forged');
SELECT pg_logical_emit_message(true, 'domev/t', 'forged'::bytea);
SELECT domev.emit('e', 'genuine 2') IS NOT NULL;
RESET ROLE;
DO $$ DECLARE f regprocedure; BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = 'pg_logical_emit_message' LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f);
	END LOOP;
END $$;
SELECT data::jsonb->>'subject' AS subject FROM pg_logical_slot_get_changes('domev', NULL, NULL);

-- what one saw of a database before its extension was made anew has no key any more
SELECT FROM pg_replication_slot_advance('raw', pg_current_wal_lsn());
BEGIN;
SELECT domev.emit('e', 'of the old key') IS NOT NULL;
COMMIT;
CREATE TABLE seen_before AS SELECT substring(data FROM 'content:(.*)$') AS content FROM pg_logical_slot_get_changes('raw', NULL, NULL) WHERE data LIKE 'message%';
SELECT count(*) FROM pg_logical_slot_get_changes('domev', NULL, NULL);
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
CREATE EXTENSION domev;
SELECT domev.create_topic('t', 'internal', 'wal'), domev.create_event_type('e', 'a', 't');
SELECT count(pg_logical_emit_message(true, 'domev/t', content)) FROM seen_before;
SELECT domev.emit('e', 'of the new key') IS NOT NULL;
SELECT data::jsonb->>'subject' AS subject FROM pg_logical_slot_get_changes('domev', NULL, NULL);

SELECT pg_drop_replication_slot('domev'), pg_drop_replication_slot('raw');
DROP EXTENSION domev CASCADE;
DROP TABLE seen, seen_before;
DROP ROLE regress_evil, regress_app;
