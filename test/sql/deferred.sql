-- Deferred mappings run when the transaction commits, on its final state, in the order of the events; what was rolled back does not.
CREATE EXTENSION domev;
CREATE TABLE orders (id int PRIMARY KEY, total numeric);
CREATE FUNCTION public.total(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('total', jsonb_build_object('total', o.total, 'given', (e).payload))).* FROM orders AS o WHERE o.id = (e).aggregate_id::int;
END;
SELECT domev.create_topic('t'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('order', 'order');
SELECT domev.create_mapping('a deferred', 'order', 'public.total', 't', timing => 'deferred');
SELECT domev.create_mapping('b immediate', 'order', 'public.total', 't');
SELECT pg_create_logical_replication_slot('deferred', 'domev') IS NOT NULL;
CREATE VIEW kept AS SELECT aggregate_id, mapping, event_type, payload FROM domev.outbox ORDER BY recorded_at;

-- the state at commit, and the state at the event, side by side; exact numbers; the domain event's place is not changed
BEGIN;
INSERT INTO orders VALUES (1, 10.50);
SELECT domev.emit('order', 1, '{"n": 63.10}') IS NOT NULL AS emitted;
UPDATE orders SET total = 20.50;
SELECT * FROM kept;
SELECT event_type, aggregate_type, aggregate_id, payload, mappings FROM domev.deferred;
COMMIT;
SELECT * FROM kept;
SELECT count(*) FROM domev.deferred;
SELECT data::jsonb->>'type' AS type, data::jsonb->>'subject' AS subject, data::jsonb->'data' AS data, data::jsonb->'endoftransaction' AS last
FROM pg_logical_slot_get_changes('deferred', NULL, NULL);
TRUNCATE domev.outbox;

-- without a transaction block, at the end of the statement
SELECT domev.emit('order', id) IS NOT NULL AS emitted FROM orders;
SELECT * FROM kept;
TRUNCATE domev.outbox;

-- several events, in their order, whatever the order of their mappings
INSERT INTO orders SELECT i, i FROM generate_series(2, 5) AS i;
SELECT domev.create_mapping('c deferred', 'order', 'public.total', 't', timing => 'deferred');
BEGIN;
SELECT domev.emit('order', 3) IS NOT NULL AS emitted;
SELECT domev.emit('order', 2) IS NOT NULL AS emitted;
SELECT domev.emit('order', 3) IS NOT NULL AS emitted;
UPDATE orders SET total = total * 10;
COMMIT;
SELECT * FROM kept;
SELECT domev.drop_mapping('c deferred');
TRUNCATE domev.outbox;

-- ids are a function of cause, mapping and position, as those of immediate mappings (see mapping.sql): equal, but for the mapping
CREATE FUNCTION public.two(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('two')).* FROM generate_series(1, 2);
END;
SELECT domev.create_event_type('ids', 'a'), domev.create_mapping('split', 'ids', 'public.two', 't', timing => 'deferred');
SELECT domev.emit('ids', 'x', event_id => '00000000-0000-4000-8000-000000000001');
SELECT event_id, causation_id FROM domev.outbox WHERE mapping IS NOT NULL ORDER BY recorded_at;
-- a repeat of the command maps nothing
BEGIN;
SELECT domev.emit('ids', 'x', event_id => '00000000-0000-4000-8000-000000000001');
SELECT count(*) FROM domev.deferred;
COMMIT;
SELECT count(*) FROM domev.outbox;
TRUNCATE domev.outbox;

-- savepoints: rolled back, released, nested; an exception that was caught
BEGIN;
SELECT domev.emit('order', 1, '"kept 1"') IS NOT NULL AS emitted;
SAVEPOINT a;
SELECT domev.emit('order', 2, '"lost 1"') IS NOT NULL AS emitted;
SAVEPOINT b;
SELECT domev.emit('order', 3, '"lost 2"') IS NOT NULL AS emitted;
RELEASE b;
ROLLBACK TO a;
SELECT domev.emit('order', 4, '"kept 2"') IS NOT NULL AS emitted;
RELEASE a;
DO $$
BEGIN
	PERFORM domev.emit('order', 5, '"lost 3"');
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	PERFORM domev.emit('order', 1, '"kept 3"');
END $$;
COMMIT;
SELECT payload->>'given' AS given, payload->>'total' AS total FROM kept WHERE mapping = 'a deferred';
TRUNCATE domev.outbox;
-- and the whole transaction
BEGIN;
SELECT domev.emit('order', 1) IS NOT NULL AS emitted;
ROLLBACK;
SELECT * FROM kept;
SELECT count(*) FROM domev.deferred;

-- SET CONSTRAINTS maps at once, and later events at the end of their emit; DEFERRED puts off again
BEGIN;
SELECT domev.emit('order', 1) IS NOT NULL AS emitted;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT count(*), count(*) FILTER (WHERE mapping = 'a deferred') FROM kept;
SELECT count(*) FROM domev.deferred;
UPDATE orders SET total = 0;
SELECT domev.emit('order', 2) IS NOT NULL AS emitted;
SELECT count(*), count(*) FILTER (WHERE mapping = 'a deferred') FROM kept;
SET CONSTRAINTS domev.map_deferred DEFERRED;
SELECT domev.emit('order', 3) IS NOT NULL AS emitted;
SELECT count(*), count(*) FILTER (WHERE mapping = 'a deferred') FROM kept;
COMMIT;
SELECT aggregate_id, mapping, payload->>'total' AS total FROM kept;
TRUNCATE domev.outbox;
-- several events of one statement, and in a savepoint
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT count(domev.emit('order', id)) FROM (SELECT id FROM orders ORDER BY id LIMIT 3) AS o;
SELECT aggregate_id, mapping FROM kept;
SAVEPOINT s;
SELECT domev.emit('order', 4) IS NOT NULL AS emitted;
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM kept;
TRUNCATE domev.outbox;

-- procedures that commit
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		UPDATE orders SET total = i WHERE id = 1;
		PERFORM domev.emit('order', 1);
		UPDATE orders SET total = i * 10 WHERE id = 1;
		IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
CALL p();
SELECT mapping, payload->>'total' AS total FROM kept;
TRUNCATE domev.outbox;

-- emitted by triggers: before, after, deferred
CREATE FUNCTION emit_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM domev.emit('order', NEW.id, to_jsonb(TG_NAME::text));
	RETURN NEW;
END $$;
CREATE TRIGGER a BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION emit_row();
CREATE TRIGGER b AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION emit_row();
CREATE CONSTRAINT TRIGGER c AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION emit_row();
UPDATE orders SET total = 7.70 WHERE id = 1;
SELECT payload->>'given' AS given, mapping, payload->>'total' AS total FROM kept WHERE mapping IS NOT NULL;
DROP FUNCTION emit_row CASCADE;
TRUNCATE domev.outbox;

-- where triggers do not fire otherwise
BEGIN;
SET LOCAL session_replication_role = replica;
SELECT domev.emit('order', 1) IS NOT NULL AS emitted;
COMMIT;
SELECT aggregate_id, mapping FROM kept;
TRUNCATE domev.outbox;

-- emitted while the transaction commits, by a cursor that is kept; in a transaction that became read-only behind the event
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT domev.emit('order', 2) IS NOT NULL AS emitted;
COMMIT;
FETCH ALL FROM c;
CLOSE c;
BEGIN;
SELECT domev.emit('order', 3) IS NOT NULL AS emitted;
SET TRANSACTION READ ONLY;
COMMIT;
SELECT aggregate_id, mapping FROM kept;
TRUNCATE domev.outbox;

-- headers, cause and version are those of the event, whatever the settings are at commit
SELECT domev.create_event_type('headers', 'a'), domev.create_mapping('headers', 'headers', 'public.two', 't', timing => 'deferred');
BEGIN;
SET LOCAL domev.context = '{"user": "ann", "causationid": "00000000-0000-0000-0000-00000000000c"}';
SELECT domev.emit('headers', 'x', aggregate_version => 7, headers => '{"own": 1}', occurred_at => '2026-01-02 03:04:05+00', event_id => '00000000-0000-0000-0000-00000000000d');
SET LOCAL domev.context = '{"user": "bob", "other": true}';
COMMIT;
SELECT mapping, causation_id, aggregate_version, headers, occurred_at AT TIME ZONE 'UTC' AS occurred_at FROM domev.outbox ORDER BY recorded_at;
TRUNCATE domev.outbox;

-- to a topic in the WAL: behind all that was emitted, and in front of the commit
SELECT domev.create_event_type('wal', 'a'), domev.create_mapping('wal', 'wal', 'public.two', 'w', timing => 'deferred');
SELECT count(*) >= 0 AS got FROM pg_logical_slot_get_changes('deferred', NULL, NULL);
BEGIN;
SELECT domev.emit('wal', 'first') IS NOT NULL AS emitted;
SELECT domev.emit('order', 2) IS NOT NULL AS emitted;
SAVEPOINT s;
SELECT domev.emit('wal', 'lost') IS NOT NULL AS emitted;
ROLLBACK TO s;
COMMIT;
SELECT data::jsonb->>'type' AS type, data::jsonb->>'subject' AS subject, data::jsonb->>'topic' AS topic, data::jsonb->'endoftransaction' AS last
FROM pg_logical_slot_get_changes('deferred', NULL, NULL);
TRUNCATE domev.outbox;

-- an error at commit aborts all
CREATE FUNCTION public.fail(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION USING errcode = 'XY123', message = 'at commit';
END $$;
SELECT domev.create_event_type('fail', 'a'), domev.create_mapping('fail', 'fail', 'public.fail', 't', timing => 'deferred');
BEGIN;
INSERT INTO orders VALUES (100, 100);
SELECT domev.emit('order', 100) IS NOT NULL AS emitted;
SELECT domev.emit('fail', 'x') IS NOT NULL AS emitted;
COMMIT;
SELECT count(*) FROM orders WHERE id = 100;
SELECT * FROM kept;
SELECT count(*) FROM domev.deferred;
-- unless it is to be recorded
SELECT domev.alter_mapping('fail', on_error => 'record');
BEGIN;
INSERT INTO orders VALUES (100, 100);
SELECT domev.emit('fail', 'x', '{"n": 63.10}', aggregate_version => 3) IS NOT NULL AS emitted;
SELECT domev.emit('order', 100) IS NOT NULL AS emitted;
SELECT count(*) FROM domev.failed_mapping;
COMMIT;
SELECT * FROM kept;
SELECT mapping, (event).aggregate_id, (event).payload, (event).aggregate_version, sqlstate, message, attempts FROM domev.failed_mapping;
TRUNCATE domev.outbox, domev.failed_mapping;
DELETE FROM orders WHERE id = 100;

-- a mapping that emits or writes is refused at commit
CREATE FUNCTION public.emits(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE (e).payload->>'do';
END $$;
SELECT domev.create_event_type('emits', 'a'), domev.create_mapping('emits', 'emits', 'public.emits', timing => 'deferred');
\set VERBOSITY sqlstate
SELECT domev.emit('emits', 'x', '{"do": "SELECT domev.emit(''order'', 1)"}');
SELECT domev.emit('emits', 'x', '{"do": "DELETE FROM public.orders"}');
-- one that sets constraints at commit changes nothing for the events behind it; an immediate one cannot map events within itself
BEGIN;
SELECT domev.emit('emits', 'x', '{"do": "SET CONSTRAINTS ALL IMMEDIATE"}') IS NOT NULL AS emitted;
SELECT domev.emit('order', 1) IS NOT NULL AS emitted;
COMMIT;
SELECT domev.alter_mapping('emits', timing => 'immediate');
BEGIN;
SELECT domev.emit('order', 1) IS NOT NULL AS emitted;
SELECT domev.emit('emits', 'x', '{"do": "SET CONSTRAINTS ALL IMMEDIATE"}') IS NOT NULL AS emitted;
COMMIT;
\set VERBOSITY default
SELECT * FROM kept;
TRUNCATE domev.outbox;

-- emitted by who is somebody else at commit: by a SECURITY DEFINER function, under SET ROLE
CREATE ROLE regress_app;
CREATE ROLE regress_caller;
GRANT INSERT ON domev_event."order" TO regress_app;
CREATE FUNCTION public.place(id bigint) RETURNS boolean LANGUAGE sql SECURITY DEFINER RETURN domev.emit('order', id) IS NOT NULL;
ALTER FUNCTION public.place OWNER TO regress_app;
BEGIN;
SET LOCAL ROLE regress_caller;
SELECT public.place(1) AS emitted;
COMMIT;
BEGIN;
SET LOCAL ROLE regress_app;
SELECT domev.emit('order', 2) IS NOT NULL AS emitted;
RESET ROLE;
COMMIT;
SELECT aggregate_id, mapping FROM kept;
TRUNCATE domev.outbox;

-- nobody else reads or writes the table, nor calls the function
SET ROLE regress_app;
SELECT * FROM domev.deferred;
INSERT INTO domev.deferred (event_id) VALUES (gen_random_uuid());
TRUNCATE domev.deferred;
DELETE FROM domev.deferred;
CREATE TEMP TABLE mine (id int);
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION domev.map_deferred();
RESET ROLE;
SELECT domev.map_deferred();
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION domev.map_deferred();
INSERT INTO mine VALUES (1);
DROP TABLE mine;
-- what waits cannot be taken away from its transaction
BEGIN;
SELECT domev.emit('order', 1) IS NOT NULL AS emitted;
\set VERBOSITY sqlstate
TRUNCATE domev.deferred;
ROLLBACK;
BEGIN;
SELECT domev.emit('order', 1) IS NOT NULL AS emitted;
DELETE FROM domev.deferred;
COMMIT;
\set VERBOSITY default
SELECT * FROM kept;

-- registered otherwise before the transaction ends: what is dropped or disabled does not run, what is altered runs as it is then
BEGIN;
SELECT domev.emit('order', 1) IS NOT NULL AS emitted;
SELECT domev.alter_mapping('a deferred', timing => 'immediate'), domev.alter_mapping('b immediate', timing => 'deferred', enabled => false);
COMMIT;
SELECT aggregate_id, mapping FROM kept;
TRUNCATE domev.outbox;
BEGIN;
SELECT domev.alter_mapping('a deferred', timing => 'deferred', topic => 't');
SELECT domev.emit('order', 2) IS NOT NULL AS emitted;
SELECT domev.alter_mapping('a deferred', function => 'public.two', topic => 'w', produces => '{two}');
COMMIT;
SELECT aggregate_id, mapping FROM kept;
SELECT data::jsonb->>'type' AS type, data::jsonb->>'subject' AS subject, data::jsonb->>'topic' AS topic FROM pg_logical_slot_get_changes('deferred', NULL, NULL) WHERE data ~ '"w"';
TRUNCATE domev.outbox;
BEGIN;
SELECT domev.emit('order', 3) IS NOT NULL AS emitted;
SELECT domev.alter_mapping('a deferred', enabled => false);
COMMIT;
SELECT aggregate_id, mapping FROM kept;
TRUNCATE domev.outbox;
SELECT domev.alter_mapping('a deferred', enabled => true, topic => 't', reset => '{produces}');
BEGIN;
SELECT domev.emit('order', 4) IS NOT NULL AS emitted;
SELECT domev.drop_mapping('a deferred');
COMMIT;
SELECT aggregate_id, mapping FROM kept;
TRUNCATE domev.outbox;
-- not even another one of that name for another event type; nor when there is no such event type any more
SELECT domev.drop_mapping('b immediate'), domev.create_mapping('d', 'order', 'public.total', 't', timing => 'deferred');
BEGIN;
SELECT domev.emit('order', 5) IS NOT NULL AS emitted;
SELECT domev.drop_mapping('d');
SELECT domev.create_mapping('d', 'ids', 'public.two', 't', timing => 'deferred');
SELECT domev.drop_event_type('order');
COMMIT;
SELECT aggregate_id, mapping FROM kept;
SELECT count(*) FROM domev.deferred;
TRUNCATE domev.outbox;

-- a large event, and many
CREATE FUNCTION public.size(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('size', to_jsonb(length((e).payload->>'pad')))).*;
END;
SELECT domev.create_event_type('size', 'a'), domev.create_mapping('size', 'size', 'public.size', 't', timing => 'deferred');
SELECT domev.emit('size', 'large', jsonb_build_object('pad', repeat('x', 10000000))) IS NOT NULL AS emitted;
SELECT count(domev.emit('size', i)) FROM generate_series(1, 2000) AS i;
SELECT payload::text, count(*), array_agg(aggregate_id ORDER BY recorded_at) = array_agg(aggregate_id ORDER BY aggregate_id::int) AS in_order
FROM domev.outbox WHERE event_type = 'size' AND mapping IS NOT NULL AND aggregate_id <> 'large' GROUP BY payload::text;
SELECT payload FROM kept WHERE mapping IS NOT NULL AND aggregate_id = 'large';

SELECT pg_drop_replication_slot('deferred');
SET client_min_messages = warning;
DROP VIEW kept;
DROP PROCEDURE p;
DROP EXTENSION domev CASCADE;
DROP TABLE orders CASCADE;
DROP OWNED BY regress_app;
DROP ROLE regress_app, regress_caller;
