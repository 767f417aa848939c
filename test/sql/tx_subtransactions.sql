-- Ten thousand subtransactions in one transaction, nested up to nineteen deep, many of them rolled back: what is sent is what the ledger has, a
-- table that was written beside the events; decoded in memory, and in pieces.  (Random trees: t/003_savepoints.pl.)
CREATE EXTENSION domev;
SELECT domev.create_topic('rows', 'internal'), domev.create_topic('wal', 'internal', 'wal');
SELECT domev.create_event_type('row', 'a', 'rows'), domev.create_event_type('message', 'a', 'wal', journal => false);
CREATE TABLE ledger (n serial, id text);
SELECT pg_create_logical_replication_slot('memory', 'domev') IS NOT NULL AS made, pg_create_logical_replication_slot('pieces', 'domev') IS NOT NULL AS made_too;
CREATE FUNCTION happen(id text, i int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM domev.emit(CASE WHEN i % 3 = 0 THEN 'message' ELSE 'row' END, id);
	INSERT INTO ledger (id) VALUES (id);
END $$;
-- emits, nests one more, and emits again; some of the levels are rolled back with all that is in them
CREATE FUNCTION nest(name text, depth int, i int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM happen(name || ' in', i);
	IF depth > 1 THEN
		PERFORM nest(name || '.' || depth, depth - 1, i + 1);
	END IF;
	PERFORM happen(name || ' out', i + depth);
	IF (i * 13 + depth * depth) % 5 < 2 THEN
		RAISE 'undo' USING ERRCODE = 'ZZ001';
	END IF;
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
	PERFORM happen(name || ' undone', i);
END $$;

BEGIN;
DO $$
BEGIN
	FOR i IN 1 .. 1000 LOOP
		PERFORM nest(i::text, 1 + (i * 7) % 19, i);
	END LOOP;
END $$;
SELECT happen('last', 1);
COMMIT;
-- and one that is rolled back as a whole
BEGIN;
DO $$ BEGIN FOR i IN 1 .. 100 LOOP PERFORM nest('never', 5, i); END LOOP; END $$;
ROLLBACK;

SELECT count(*) AS kept, count(*) FILTER (WHERE id ~ 'undone') AS undone FROM ledger;
SET logical_decoding_work_mem = '1GB';
CREATE TABLE memory AS SELECT row_number() OVER () AS n, data FROM pg_logical_slot_get_changes('memory', NULL, NULL);
SET logical_decoding_work_mem = '64kB';
CREATE TABLE pieces AS SELECT row_number() OVER () AS n, data FROM pg_logical_slot_get_changes('pieces', NULL, NULL);
RESET logical_decoding_work_mem;
-- what is not the same, in the same place
SELECT m.n, m.id, l.id FROM (SELECT n, data::json->>'subject' AS id FROM memory) AS m
FULL JOIN (SELECT row_number() OVER (ORDER BY n) AS n, id FROM ledger) AS l ON l.n = m.n AND l.id = m.id WHERE l.id IS NULL OR m.id IS NULL ORDER BY m.n LIMIT 5;
SELECT m.n FROM memory AS m FULL JOIN pieces AS p ON p.n = m.n AND p.data = m.data WHERE m.n IS NULL OR p.n IS NULL LIMIT 5;
-- one transaction, with one end
SELECT count(DISTINCT left(data::json->>'sequence', 16)) AS transactions, count(*) FILTER (WHERE data::json->>'endoftransaction' = 'true') AS ends FROM memory;

SELECT pg_drop_replication_slot('memory'), pg_drop_replication_slot('pieces');
DROP TABLE ledger, memory, pieces;
DROP FUNCTION nest, happen;
DROP EXTENSION domev;
