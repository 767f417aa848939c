-- However a transaction ends, its events end with it: what was rolled back is never sent, what was committed is sent once, in its order, as
-- one transaction; and the next one starts with nothing of the last.  Rows, WAL messages and deferred mappings at a time.
\set SHOW_CONTEXT never
CREATE EXTENSION domev;
CREATE TABLE t (id int PRIMARY KEY);
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('deferred')).*; END;
SELECT domev.create_topic('rows', 'internal'), domev.create_topic('wal', 'internal', 'wal'), domev.create_topic('out');
SELECT domev.create_event_type('row', 'a', 'rows'), domev.create_event_type('message', 'a', 'wal'), domev.create_mapping('m', 'message', 'public.m', 'out', timing => 'deferred');
SELECT pg_create_logical_replication_slot('tx_ends', 'domev') IS NOT NULL AS made;
-- emits a row and a message, which becomes another row at the end
CREATE FUNCTION emit(id text) RETURNS void LANGUAGE plpgsql AS
	$$ BEGIN PERFORM domev.emit('row', id); PERFORM domev.emit('message', id); END $$;
-- what was sent, by transaction, * where one ends
CREATE PROCEDURE sent() LANGUAGE plpgsql AS $$
DECLARE
	s record;
BEGIN
	FOR s IN
		SELECT string_agg(concat(e->>'subject', ' ', e->>'topic', CASE WHEN e->>'endoftransaction' = 'true' THEN ' *' END), ', ' ORDER BY n) AS sent
		FROM (SELECT n, data::jsonb AS e FROM pg_logical_slot_get_changes('tx_ends', NULL, NULL) WITH ORDINALITY AS c (lsn, xid, data, n)) AS d
		GROUP BY left(e->>'sequence', 16) ORDER BY min(n)
	LOOP
		RAISE INFO '%', s.sent;
	END LOOP;
END $$;

-- commit and rollback, and at once the next one
BEGIN;
SELECT emit('committed');
COMMIT AND CHAIN;
SELECT emit('chained');
ROLLBACK AND CHAIN;
SELECT emit('chained again');
COMMIT;
CALL sent();
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT emit('serializable');
COMMIT AND CHAIN;
SELECT emit('chained'), current_setting('transaction_isolation');
COMMIT;
CALL sent();
-- what is chained keeps its characteristics: a READ ONLY one cannot emit
BEGIN;
SELECT emit('committed');
SET TRANSACTION READ ONLY;
COMMIT AND CHAIN;
SELECT emit('refused');
ROLLBACK;
CALL sent();

-- savepoints
BEGIN;
SELECT emit('A');
SAVEPOINT s;
SELECT emit('B');
ROLLBACK TO s;
SELECT emit('C');
RELEASE s;
SAVEPOINT s;
SELECT emit('D');
SAVEPOINT inner_one;
SELECT emit('E');
RELEASE inner_one;
ROLLBACK TO s;
SELECT emit('F');
COMMIT;
CALL sent();
-- exception blocks
DO $$
BEGIN
	PERFORM emit('A');
	BEGIN
		PERFORM emit('B');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		PERFORM emit('in the handler');
	END;
	BEGIN
		PERFORM emit('C');
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
END $$;
CALL sent();
-- an error, and the commit of what has failed
BEGIN;
SELECT emit('A');
SELECT 1 / 0;
SELECT emit('B');
COMMIT;
CALL sent();

-- procedures and DO blocks that commit: transactions of their own
CREATE PROCEDURE p(at_end text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM emit('p1');
	COMMIT;
	PERFORM emit('p2');
	ROLLBACK;
	PERFORM emit('p3');
	COMMIT AND CHAIN;
	FOR i IN 4 .. 5 LOOP
		PERFORM emit('p' || i);
		COMMIT;
	END LOOP;
	PERFORM emit('at the end');
	IF at_end = 'error' THEN
		RAISE division_by_zero;
	END IF;
END $$;
CALL p('fine');
CALL sent();
CALL p('error');
CALL sent();
-- not within a transaction
BEGIN;
CALL p('fine');
COMMIT;
CALL sent();
DO $$ BEGIN FOR i IN 1 .. 3 LOOP PERFORM emit('DO ' || i); IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END $$;
CALL sent();
-- a loop over emits, with commits in between: the cursor was run to its end at the first one
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT i, emit('loop ' || i) FROM generate_series(1, 3) AS i LOOP
		PERFORM emit('within ' || r.i);
		COMMIT;
	END LOOP;
END $$;
CALL sent();

-- cursors: what is not fetched is not emitted; WITH HOLD runs to its end at COMMIT, and PostgreSQL begins it anew there unless it is NO SCROLL
BEGIN;
DECLARE c CURSOR FOR SELECT i, emit('cursor ' || i) FROM generate_series(1, 3) AS i;
FETCH 2 FROM c;
COMMIT;
CALL sent();
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT i, emit('held ' || i) FROM generate_series(1, 3) AS i;
FETCH 1 FROM c;
SELECT emit('between');
COMMIT;
CALL sent();
FETCH ALL FROM c;
CLOSE c;
CALL sent();
BEGIN;
DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT i, emit('held ' || i) FROM generate_series(1, 3) AS i;
FETCH 1 FROM c;
SELECT emit('between');
COMMIT;
CALL sent();
CLOSE c;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT i, emit('held ' || i) FROM generate_series(1, 3) AS i;
FETCH 1 FROM c;
ROLLBACK;
CALL sent();
-- one whose rest fails at COMMIT
BEGIN;
SELECT emit('A');
DECLARE c CURSOR WITH HOLD FOR SELECT emit('held ' || 1 / (2 - i)) FROM generate_series(1, 3) AS i;
FETCH 1 FROM c;
COMMIT;
CALL sent();
BEGIN;
DECLARE c CURSOR FOR SELECT i, emit('fetched ' || i) FROM generate_series(1, 3) AS i;
FETCH 1 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH 1 FROM c;
COMMIT;
CALL sent();

-- deferred triggers of the application, at COMMIT and at PREPARE: behind what the transaction did, and with what they set off
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM emit('late ' || NEW.id); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
BEGIN;
INSERT INTO t VALUES (1);
SELECT emit('now');
INSERT INTO t VALUES (2);
COMMIT;
CALL sent();
BEGIN;
INSERT INTO t VALUES (3);
SELECT emit('now');
PREPARE TRANSACTION 'tx_ends';
CALL sent();
SELECT emit('between');
COMMIT PREPARED 'tx_ends';
CALL sent();
BEGIN;
INSERT INTO t VALUES (4);
PREPARE TRANSACTION 'tx_ends';
ROLLBACK PREPARED 'tx_ends';
CALL sent();
-- the trigger fails there
INSERT INTO t VALUES (5), (5);
CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM emit('late'); RAISE 'too late'; END $$;
BEGIN;
SELECT emit('now');
INSERT INTO t VALUES (6);
COMMIT;
BEGIN;
SELECT emit('now');
INSERT INTO t VALUES (7);
PREPARE TRANSACTION 'tx_ends';
CALL sent();

-- several statements at once are one transaction
SELECT emit('together 1')\; SELECT emit('together 2');
SELECT emit('together 1')\; SELECT 1 / 0\; SELECT emit('together 2');
SELECT emit('together 1')\; COMMIT\; SELECT emit('together 2');
CALL sent();

SELECT (SELECT count(*) FROM domev.deferred) AS deferred, (SELECT count(*) FROM pg_prepared_xacts) AS prepared;
SELECT pg_drop_replication_slot('tx_ends');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE t;
DROP FUNCTION late, emit;
DROP PROCEDURE p, sent;
