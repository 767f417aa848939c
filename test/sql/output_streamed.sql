-- Transactions that are larger than logical_decoding_work_mem are streamed to the plugin in pieces: the same events come of them.
CREATE EXTENSION domev;
SELECT domev.create_topic('t', 'internal'), domev.create_topic('w', 'internal', 'wal');
SELECT domev.create_event_type('row', 'a', 't'), domev.create_event_type('message', 'a', 'w', journal => false);
CREATE TABLE foreign_rows (n int, t text);
SELECT pg_create_logical_replication_slot('streamed', 'domev') IS NOT NULL;
CREATE FUNCTION sent(memory text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('logical_decoding_work_mem', memory, true);
	RETURN (SELECT string_agg(data::json->>'subject', ' ') FROM pg_logical_slot_peek_changes('streamed', NULL, NULL));
END $$;
CREATE PROCEDURE load_foreign_rows() LANGUAGE sql AS $$ INSERT INTO foreign_rows SELECT i, md5(i::text) FROM generate_series(1, 3000) AS i $$;

-- the relation of a row is looked up for a savepoint that was rolled back, and the lookup fails: the next ones do not
SELECT domev.emit('row', 'before') IS NOT NULL;
CREATE TABLE unrelated (); -- what is known of relations is forgotten
BEGIN;
CALL load_foreign_rows();
SAVEPOINT s;
SELECT domev.emit('row', 'gone') IS NOT NULL;
CALL load_foreign_rows();
ROLLBACK TO s;
SELECT domev.emit('row', 'kept') IS NOT NULL;
COMMIT;
SELECT domev.emit('row', 'later') IS NOT NULL;
SELECT sent('64kB'), sent('64MB');

-- rows and messages in savepoints within savepoints, released and rolled back
SELECT count(*) FROM pg_logical_slot_get_changes('streamed', NULL, NULL);
BEGIN;
SELECT domev.emit('message', '1') IS NOT NULL;
SAVEPOINT a;
CALL load_foreign_rows();
SELECT domev.emit('row', '2') IS NOT NULL;
SAVEPOINT b;
CALL load_foreign_rows();
SELECT domev.emit('message', 'gone') IS NOT NULL;
SAVEPOINT c;
SELECT domev.emit('row', 'gone') IS NOT NULL;
CALL load_foreign_rows();
RELEASE c;
SELECT domev.emit('message', 'gone') IS NOT NULL;
CALL load_foreign_rows();
ROLLBACK TO b;
SELECT domev.emit('row', '3') IS NOT NULL;
RELEASE a;
SELECT domev.emit('message', '4') IS NOT NULL;
CALL load_foreign_rows();
COMMIT;
SELECT sent('64kB'), sent('64MB');

-- a message, and right behind it in the WAL a savepoint that is rolled back: PostgreSQL takes them to be at one position, and drops
-- what is behind the first row of which it finds that it was rolled back
SELECT count(*) FROM pg_logical_slot_get_changes('streamed', NULL, NULL);
CREATE TABLE not_known_yet (n int);
CREATE TABLE not_known_either (n int);
BEGIN;
SAVEPOINT a;
INSERT INTO foreign_rows VALUES (0);
RELEASE a;
SELECT domev.emit('message', 'in the transaction') IS NOT NULL;
SAVEPOINT b;
INSERT INTO not_known_yet VALUES (1);
CALL load_foreign_rows();
ROLLBACK TO b;
SAVEPOINT c;
SELECT domev.emit('message', 'in a savepoint') IS NOT NULL;
SAVEPOINT d;
INSERT INTO not_known_either VALUES (1);
CALL load_foreign_rows();
ROLLBACK TO d;
SELECT domev.emit('row', 'last') IS NOT NULL;
COMMIT;
SELECT sent('64kB'), sent('64MB');

-- what the transaction itself makes: tables, topics, types, partitions of the outbox
SELECT count(*) FROM pg_logical_slot_get_changes('streamed', NULL, NULL);
BEGIN;
CALL load_foreign_rows();
CREATE TABLE own (n int);
INSERT INTO own SELECT generate_series(1, 3000);
SELECT domev.create_topic('own', 'internal'), domev.create_event_type('own', 'a', 'own');
SELECT domev.emit('own', 'own topic') IS NOT NULL;
CREATE TABLE own_partition (LIKE domev.outbox);
CREATE TABLE kept AS TABLE domev.outbox_default;
TRUNCATE domev.outbox_default;
DO $$ BEGIN EXECUTE format('ALTER TABLE domev.outbox ATTACH PARTITION own_partition FOR VALUES FROM (%L) TO (%L)', now() - interval '1 day', now() + interval '1 day'); END $$;
SELECT domev.emit('own', 'own partition') IS NOT NULL;
CALL load_foreign_rows();
SAVEPOINT s;
SELECT domev.set_source('urn:own');
SELECT domev.emit('own', 'own source') IS NOT NULL;
CALL load_foreign_rows();
COMMIT;
SELECT sent('64kB'), sent('64MB');
SET logical_decoding_work_mem = '64kB';
SELECT data::json->>'subject' AS subject, data::json->>'source' AS source FROM pg_logical_slot_get_changes('streamed', NULL, NULL, 'scope', 'internal');
RESET logical_decoding_work_mem;

SELECT pg_drop_replication_slot('streamed');
SET client_min_messages = warning;
DROP TABLE foreign_rows, unrelated, not_known_yet, not_known_either, own, kept;
DROP FUNCTION sent;
DROP PROCEDURE load_foreign_rows;
DROP EXTENSION domev CASCADE;
