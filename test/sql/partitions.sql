-- Rows go to the partition for their time, with its indexes, triggers and constraints as they are at the moment, however often that changes in a session.
CREATE EXTENSION domev;
SELECT domev.create_event_type('e', 'a');
CREATE FUNCTION add(name text, bounds text, kind text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('CREATE %s TABLE %I PARTITION OF domev.outbox FOR VALUES %s', kind, name, bounds); END $$;
CREATE FUNCTION put(id text) RETURNS text LANGUAGE sql AS $$ SELECT domev.emit('e', id); SELECT tableoid::regclass::text FROM domev.outbox WHERE aggregate_id = id; $$;

SELECT put('1'), put('2');
-- made and dropped between two events of a session, and in the transaction of one
TRUNCATE domev.outbox;
SELECT add('old', 'FROM (MINVALUE) TO (''2020-01-01'')'), add('present', 'FROM (''2020-01-02'') TO (''2200-01-01'')'), add('future', 'FROM (''2200-01-01'') TO (MAXVALUE)');
SELECT put('3'), put('4');
BEGIN;
SELECT put('5');
ALTER TABLE domev.outbox DETACH PARTITION present;
SELECT put('6');
ROLLBACK;
SELECT put('7');
BEGIN;
DROP TABLE present;
SELECT put('8');
SAVEPOINT s;
DELETE FROM domev.outbox;
SELECT add('present', 'FROM (''2020-01-02'') TO (''2200-01-01'')');
SELECT put('9');
ROLLBACK TO s;
SELECT put('10');
ROLLBACK;
SELECT put('11');

-- TRUNCATE and DDL find the tables unused
BEGIN;
SELECT put('12');
TRUNCATE domev.outbox;
ALTER TABLE domev.outbox ADD COLUMN more text;
SELECT put('13');
COMMIT;
SELECT put('14');

-- indexes that come and go are kept
CREATE UNIQUE INDEX only_once ON present (aggregate_id);
SELECT put('15');
SELECT put('15');
SELECT put('16');
SET enable_seqscan = off;
SELECT count(*) FROM present WHERE aggregate_id IN ('15', '16');
RESET enable_seqscan;
DROP INDEX only_once;
SELECT put('16');
REINDEX TABLE present;
SELECT put('17');
SET enable_seqscan = off; -- the BRIN index has to know each row
SELECT count(*) FROM domev.outbox WHERE recorded_at > now() - interval '1 day';
RESET enable_seqscan;

-- constraints and triggers, changed in between, and a trigger that emits
ALTER TABLE present ADD CONSTRAINT no_nineteen CHECK (aggregate_id <> '19');
SELECT put('18');
\set VERBOSITY terse
SELECT put('19');
\set VERBOSITY default
SELECT put('20');
ALTER TABLE present DROP CONSTRAINT no_nineteen;
SELECT put('19');
CREATE FUNCTION once_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.aggregate_id NOT LIKE '%again' THEN PERFORM domev.emit('e', NEW.aggregate_id || ' again'); END IF; RETURN NULL; END $$;
CREATE TRIGGER once_more AFTER INSERT ON domev.outbox FOR EACH ROW EXECUTE FUNCTION once_more();
SELECT put('21');
CREATE OR REPLACE FUNCTION once_more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'replaced'; RETURN NULL; END $$;
SELECT put('22');
DROP TRIGGER once_more ON domev.outbox;
CREATE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.aggregate_type := upper(NEW.aggregate_type); RETURN NEW; END $$;
CREATE TRIGGER louder BEFORE INSERT ON present FOR EACH ROW EXECUTE FUNCTION louder();
SELECT put('23');
DROP TRIGGER louder ON present;
SELECT put('24');
SELECT aggregate_id, aggregate_type FROM domev.outbox WHERE aggregate_id LIKE '2%' ORDER BY recorded_at;

-- an error in the middle leaves nothing that the next one trips over
ALTER TABLE present ADD CONSTRAINT error CHECK (aggregate_id <> 'x' OR 1 / (length(aggregate_id) - 1) = 1);
SELECT put('x');
SELECT put('25');
ALTER TABLE present DROP CONSTRAINT error;
SELECT put('x');

-- a partition that is partitioned again, by something else
BEGIN;
ALTER TABLE domev.outbox DETACH PARTITION present;
CREATE TABLE twice PARTITION OF domev.outbox FOR VALUES FROM ('2020-01-02') TO ('2200-01-01') PARTITION BY LIST (aggregate_id);
CREATE TABLE twice_a PARTITION OF twice FOR VALUES IN ('a');
CREATE TABLE twice_other PARTITION OF twice DEFAULT;
SELECT put('a'), put('b');
SELECT put('c');
ROLLBACK;
-- one that is not logged
BEGIN;
ALTER TABLE domev.outbox DETACH PARTITION present;
SELECT add('unlogged', 'FROM (''2020-01-02'') TO (''2200-01-01'')', 'UNLOGGED');
SELECT put('d');
ROLLBACK;

-- time comes to the next partition, within one statement
SET client_min_messages = warning;
DROP TABLE present;
TRUNCATE domev.outbox;
DO $$
DECLARE
	bound timestamptz;
BEGIN
	LOOP
		bound := clock_timestamp() + interval '100 ms';
		PERFORM add('before', format('FROM (%L) TO (%L)', '2020-01-02', bound)), add('after', format('FROM (%L) TO (%L)', bound, '2200-01-01'));
		COMMIT;
		LOOP
			PERFORM domev.emit('e', 'tick');
			EXIT WHEN EXISTS (SELECT FROM after);
		END LOOP;
		EXIT WHEN EXISTS (SELECT FROM before);
		DROP TABLE before, after; -- all that took more than 100 ms: once more
	END LOOP;
END $$;
SELECT tableoid::regclass AS partition, count(*) > 0 AS has_rows FROM domev.outbox WHERE aggregate_id = 'tick' GROUP BY tableoid ORDER BY tableoid::regclass::text;
SELECT (SELECT max(recorded_at) FROM before) < (SELECT min(recorded_at) FROM after) AS in_order;

-- a superuser who has put another table, or a view, in the outbox's place
BEGIN;
ALTER TABLE domev.outbox RENAME TO outbox_before;
CREATE TABLE domev.outbox (LIKE domev.outbox_before);
SAVEPOINT s;
SELECT domev.emit('e', '27');
ROLLBACK TO s;
DROP TABLE domev.outbox;
CREATE VIEW domev.outbox AS SELECT * FROM domev.outbox_before;
SELECT domev.emit('e', '27');
ROLLBACK;

-- made anew, it is found anew
DROP EXTENSION domev CASCADE;
CREATE EXTENSION domev;
SELECT domev.create_event_type('e', 'a');
SELECT put('26');

DROP EXTENSION domev CASCADE;
DROP FUNCTION add, put, once_more, louder;
