-- domev.aggregate_guard warns or refuses when a transaction emits for a second aggregate.
CREATE EXTENSION domev;
SELECT domev.create_event_type('order.placed', 'order'), domev.create_event_type('order.paid', 'order'), domev.create_event_type('customer.moved', 'customer');
-- emits, tells nothing but warnings and errors
CREATE FUNCTION e(event_type text, aggregate_id text) RETURNS boolean LANGUAGE sql RETURN domev.emit(event_type, aggregate_id) IS NOT NULL;
\pset tuples_only on

-- off, as it is at first
SHOW domev.aggregate_guard;
SELECT e('order.placed', '1'), e('order.placed', '2'), e('customer.moved', '3');

-- warning: once in a transaction; many events of one aggregate are fine
SET domev.aggregate_guard = warning;
BEGIN;
SELECT e('order.placed', '1'), e('order.paid', '1'), e('order.placed', '1');
SELECT e('order.placed', '2');
SELECT e('order.placed', '2'), e('order.placed', '3'), e('order.placed', '1');
COMMIT;
-- the next starts afresh; a second one by its type
BEGIN;
SELECT e('order.placed', '2');
SELECT e('customer.moved', '2');
ROLLBACK;
-- each statement that is a transaction of its own
SELECT e('order.placed', '1');
SELECT e('order.placed', '2');
SELECT e('order.placed', i::text) FROM generate_series(1, 3) AS i;

-- error
SET domev.aggregate_guard = error;
SELECT e('order.placed', '1'), e('order.paid', '1');
BEGIN;
SELECT e('order.placed', '1');
SELECT e('order.placed', '2');
COMMIT;
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
-- the one that was refused is not the transaction's
BEGIN;
SELECT e('order.placed', '1');
SAVEPOINT s;
SELECT e('order.placed', '2');
ROLLBACK TO s;
SELECT e('order.placed', '1');
SELECT e('order.placed', '3');
ROLLBACK;

-- exact under savepoints: the first was rolled back
BEGIN;
SAVEPOINT s;
SELECT e('order.placed', '1');
ROLLBACK TO s;
SELECT e('order.placed', '2');
SELECT e('order.placed', '2');
SELECT e('order.placed', '1');
ROLLBACK;
-- it was released, then rolled back with what it was released into
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
SELECT e('order.placed', '1');
RELEASE b;
ROLLBACK TO a;
SELECT e('order.placed', '2');
RELEASE a;
SELECT e('order.placed', '3');
ROLLBACK;
-- it was released
BEGIN;
SAVEPOINT a;
SELECT e('order.placed', '1');
RELEASE a;
SELECT e('order.placed', '1');
SELECT e('order.placed', '2');
ROLLBACK;
-- PL/pgSQL blocks
DO $$
BEGIN
	BEGIN
		PERFORM e('order.placed', '1');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		PERFORM e('order.placed', '2');
	END;
	BEGIN
		PERFORM e('order.placed', '3');
	EXCEPTION WHEN integrity_constraint_violation THEN
		RAISE NOTICE 'refused';
	END;
	PERFORM e('order.placed', '2');
END $$;

-- warnings: the second was rolled back, then a third; again after the one that was warned of was
SET domev.aggregate_guard = warning;
\set VERBOSITY default
BEGIN;
SELECT e('order.placed', '1');
SAVEPOINT a;
SELECT e('order.placed', '2'); -- warned
SELECT e('order.placed', '3');
ROLLBACK TO a;
SELECT e('order.placed', '1');
SELECT e('order.placed', '3'); -- warned
RELEASE a;
SELECT e('order.placed', '4');
SAVEPOINT b;
SELECT e('order.placed', '5');
ROLLBACK TO b;
SELECT e('order.placed', '6');
COMMIT;
-- nested, each with aggregates of its own
BEGIN;
SAVEPOINT a;
SELECT e('order.placed', '1');
SELECT e('order.placed', '2'); -- warned
SAVEPOINT b;
SELECT e('order.placed', '3');
SELECT e('order.placed', '4');
RELEASE b;
ROLLBACK TO a;
SELECT e('order.placed', '5');
SELECT e('order.placed', '6'); -- warned
COMMIT;
-- more in one savepoint than are remembered: what is left of it counts
BEGIN;
SAVEPOINT a;
SELECT e('order.placed', i::text) FROM generate_series(1, 10) AS i; -- warned
RELEASE a;
SAVEPOINT b;
SELECT e('order.placed', '5');
ROLLBACK TO b;
SELECT e('order.placed', '11');
COMMIT;

-- opt out in a transaction, which is on again in the next; on in the middle
BEGIN;
SET LOCAL domev.aggregate_guard = off;
SELECT e('order.placed', '1');
SELECT e('order.placed', '2');
SET LOCAL domev.aggregate_guard = warning;
SELECT e('order.placed', '3');
SELECT e('order.placed', '4'); -- warned
COMMIT;
BEGIN;
SELECT e('order.placed', '1');
SELECT e('order.placed', '2'); -- warned
COMMIT;
-- stricter in the middle: refused, warned of or not
\set VERBOSITY sqlstate
BEGIN;
SELECT e('order.placed', '1');
SELECT e('order.placed', '2'); -- warned
SET LOCAL domev.aggregate_guard = error;
SELECT e('order.placed', '1');
SELECT e('order.placed', '3'); -- refused
ROLLBACK;
SET domev.aggregate_guard = 'none';
\set VERBOSITY default

-- a repeat of a command emits for nobody
SELECT domev.emit('order.placed', 1, event_id => '00000000-0000-0000-0000-000000000001');
BEGIN;
SELECT e('order.placed', '2');
SELECT domev.emit('order.placed', 1, event_id => '00000000-0000-0000-0000-000000000001');
SELECT e('order.placed', '2');
COMMIT;

-- numbers and texts are one aggregate; names that only look alike are not
BEGIN;
SELECT domev.emit('order.placed', 1::bigint) IS NOT NULL, domev.emit('order.placed', '1'::text) IS NOT NULL;
SELECT domev.emit('order.placed', ' 1'::text) IS NOT NULL;
COMMIT;

-- mappings, deferred ones and remapping emit for no aggregate of their own
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('m', key => 'other')).*; END;
SELECT domev.create_topic('t'), domev.create_mapping('m', 'order.placed', 'public.m', 't'), domev.create_mapping('d', 'order.placed', 'public.m', 't', timing => 'deferred');
BEGIN;
SELECT e('order.placed', '1');
SELECT outcome FROM domev.remap('m', since => '2000-01-01', dry_run => true) LIMIT 1;
COMMIT;

-- a capture of many rows, and of one
CREATE TABLE orders (id int PRIMARY KEY, state text);
INSERT INTO orders SELECT i, 'new' FROM generate_series(1, 3) AS i;
SELECT domev.create_capture('order-paid', 'orders', 'update', aggregate_id => 'id', event_type => 'order.paid');
UPDATE orders SET state = 'paid' WHERE id = 1;
UPDATE orders SET state = 'sent';
SET domev.aggregate_guard = error;
UPDATE orders SET state = 'paid' WHERE id = 1;
\set VERBOSITY sqlstate
UPDATE orders SET state = 'lost';
BEGIN;
SET LOCAL domev.aggregate_guard = off;
UPDATE orders SET state = 'kept';
COMMIT;
SELECT state, count(*) FROM orders GROUP BY 1;

-- procedures that commit
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		PERFORM e('order.placed', i::text);
		IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
CALL p();

SET client_min_messages = warning;
DROP PROCEDURE p;
DROP EXTENSION domev CASCADE;
DROP TABLE orders;
