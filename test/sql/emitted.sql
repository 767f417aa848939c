-- domev.emitted_in_transaction shows what this transaction has emitted, when domev.keep_emitted is on: for tests that roll back.
CREATE EXTENSION domev;
CREATE FUNCTION public.two(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('two', (e).payload, key => 'key ' || i)).* FROM generate_series(1, 2) AS i;
END;
CREATE FUNCTION public.bytes(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('bytes', data => '\x00ff', content_type => 'application/avro', data_schema => 'https://schemas.example/bytes', headers => '{"own": 1}')).*;
END;
CREATE FUNCTION public.fails(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('fails', to_jsonb(1 / ((e).payload->>'n')::int))).*; END;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('in.wal', 'internal', 'wal'), domev.create_topic('out'), domev.create_topic('out.wal', storage => 'wal');
SELECT domev.create_event_type('table', 'a', 'in'), domev.create_event_type('wal', 'a', 'in.wal', journal => true), domev.create_event_type('journal', 'a'), domev.create_event_type('nowhere', 'a', journal => false);
SELECT domev.create_mapping('a two', 'table', 'public.two', 'out'), domev.create_mapping('b bytes', 'wal', 'public.bytes', 'out.wal');
SELECT pg_create_logical_replication_slot('emitted', 'domev') IS NOT NULL;
CREATE VIEW emitted AS SELECT topic, event_type, mapping, aggregate_id, key, payload FROM domev.emitted_in_transaction();

-- off, as it is at first
SELECT * FROM domev.emitted_in_transaction();
BEGIN;
SELECT domev.emit('table', 'not kept') IS NOT NULL AS emitted;
SET LOCAL domev.keep_emitted = on;
SELECT * FROM emitted;
SELECT domev.emit('table', 'kept') IS NOT NULL AS emitted;
SELECT * FROM emitted;
SET LOCAL domev.keep_emitted = off;
SELECT domev.emit('table', 'not kept') IS NOT NULL AS emitted;
SAVEPOINT s;
SELECT * FROM emitted;
ROLLBACK TO s;
SET LOCAL domev.keep_emitted = on;
SELECT count(*) FROM emitted;
ROLLBACK;

-- both kinds, in every storage and in none, in their order, with all that they have
SET domev.keep_emitted = on;
BEGIN;
SET LOCAL domev.context = '{"user": "ann"}';
SELECT domev.emit('table', 'x', '{"n": 63.10}', headers => '{"h": 1}', aggregate_version => 3, event_id => '00000000-0000-4000-8000-000000000001', occurred_at => '2026-01-02 03:04:05+00');
SELECT domev.emit('wal', 'x', '{"n": 2}', headers => '{"causationid": "00000000-0000-4000-8000-000000000001"}', event_id => '00000000-0000-4000-8000-000000000002', occurred_at => '2026-01-02 03:04:06+00');
SELECT domev.emit('journal', 'x') IS NOT NULL AS emitted;
SELECT domev.emit('nowhere', 'x') IS NOT NULL AS emitted;
SELECT domev.emit('table', 'a repeat', event_id => '00000000-0000-4000-8000-000000000001');
SELECT * FROM emitted;
\x on
SELECT event_id, topic, event_type, mapping, causation_id, aggregate_type, aggregate_id, aggregate_version, key, payload, data, content_type, data_schema, headers, occurred_at AT TIME ZONE 'UTC' AS occurred_at
FROM domev.emitted_in_transaction() WHERE event_type IN ('table', 'wal', 'bytes');
\x off
-- as it is kept
SELECT count(*) FROM domev.outbox;
SELECT count(*) FROM domev.emitted_in_transaction() AS e JOIN domev.outbox AS o USING (event_id, occurred_at, aggregate_type, aggregate_id);
COMMIT;
-- the next transaction is empty
SELECT * FROM emitted;
BEGIN;
SELECT domev.emit('journal', 'next') IS NOT NULL AS emitted;
ROLLBACK;
SELECT * FROM emitted;
-- within one statement: what was emitted before the function was called
SELECT domev.emit('journal', 'x') IS NOT NULL AS emitted, (SELECT count(*) FROM domev.emitted_in_transaction()) AS before;

-- savepoints: rolled back, released, nested; PL/pgSQL blocks; a mapping that failed
SELECT domev.create_event_type('fails', 'a'), domev.create_mapping('a fails', 'fails', 'public.fails', 'out', on_error => 'record'), domev.create_mapping('b two', 'fails', 'public.two', 'out');
BEGIN;
SELECT domev.emit('journal', 'kept 1') IS NOT NULL AS emitted;
SAVEPOINT a;
SELECT domev.emit('journal', 'kept 2') IS NOT NULL AS emitted;
SAVEPOINT b;
SELECT domev.emit('journal', 'lost 1') IS NOT NULL AS emitted;
SAVEPOINT c;
SELECT domev.emit('journal', 'lost 2') IS NOT NULL AS emitted;
RELEASE c;
SELECT domev.emit('journal', 'lost 3') IS NOT NULL AS emitted;
SELECT aggregate_id FROM emitted;
ROLLBACK TO b;
SELECT aggregate_id FROM emitted;
SELECT domev.emit('fails', 'kept 3', '{"n": 0}') IS NOT NULL AS emitted;
RELEASE b;
RELEASE a;
DO $$
BEGIN
	BEGIN
		PERFORM domev.emit('journal', 'lost 4');
		PERFORM domev.emit('fails', 'lost 5', '{"n": 1}');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		PERFORM domev.emit('fails', 'kept 4', '{"n": 1}');
	END;
	BEGIN
		PERFORM domev.emit('journal', 'kept 5');
	EXCEPTION WHEN OTHERS THEN
		NULL;
	END;
END $$;
SELECT aggregate_id, event_type, mapping FROM emitted;
SAVEPOINT d;
SELECT domev.emit('missing', 'x');
ROLLBACK TO d;
SELECT domev.emit('journal', 'kept 6') IS NOT NULL AS emitted;
SELECT count(*), max(aggregate_id) FROM emitted;
COMMIT;

-- deferred ones once they were mapped; remapped ones
SELECT domev.alter_mapping('a two', timing => 'deferred');
BEGIN;
SELECT domev.emit('table', 'x') IS NOT NULL AS emitted;
SELECT * FROM emitted;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM emitted;
ROLLBACK;
SELECT domev.alter_mapping('a fails', function => 'public.two');
BEGIN;
SELECT outcome, events FROM domev.remap('a fails');
SELECT * FROM emitted;
ROLLBACK;
BEGIN;
SELECT outcome, events FROM domev.remap('a fails', dry_run => true);
SELECT count(*) FROM domev.preview('table', 'x');
SELECT count(*) FROM emitted;
ROLLBACK;

-- an application's test: change, look, roll back
CREATE TABLE orders (id int PRIMARY KEY, state text);
INSERT INTO orders SELECT i, 'new' FROM generate_series(1, 3) AS i;
SELECT domev.create_event_type('order.changed', 'order', 'in'), domev.create_mapping('order', 'order.changed', 'public.two', 'out');
SELECT domev.create_capture('order-changed', 'orders', 'update', aggregate_id => 'id', event_type => 'order.changed');
BEGIN;
UPDATE orders SET state = 'paid' WHERE id < 3;
SELECT aggregate_id, event_type, mapping FROM emitted;
ROLLBACK;
SELECT * FROM emitted;

-- procedures that commit; many; who else may see it
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		PERFORM domev.emit('journal', i);
		RAISE NOTICE '% events', (SELECT count(*) FROM domev.emitted_in_transaction());
		IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
CALL p();
BEGIN;
SELECT count(domev.emit('journal', i)) FROM generate_series(1, 5000) AS i;
SELECT count(*), min(aggregate_id::int), max(aggregate_id::int) FROM emitted;
ROLLBACK;
CREATE ROLE regress_tester;
SET ROLE regress_tester;
SELECT * FROM domev.emitted_in_transaction();
RESET ROLE;

SELECT pg_drop_replication_slot('emitted');
SET client_min_messages = warning;
DROP VIEW emitted;
DROP PROCEDURE p;
DROP EXTENSION domev CASCADE;
DROP TABLE orders;
DROP ROLE regress_tester;
