-- on_error => 'record': a mapping that fails is kept in domev.failed_mapping and the transaction goes on; but not with errors that are not the mapping's.
CREATE EXTENSION domev;
CREATE TABLE t (v text);
CREATE FUNCTION public.fine(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('fine')).*; END;
CREATE FUNCTION public.ratio(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('ratio', to_jsonb(1 / ((e).payload->>'n')::int))).*; END;
-- does what the event says, then returns what it says
CREATE FUNCTION public.try(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (e).payload ? 'first' THEN
		RETURN NEXT domev.make_integration_event((e).payload->>'first');
	END IF;
	IF (e).payload ? 'do' THEN
		EXECUTE (e).payload->>'do';
	END IF;
	IF (e).payload ? 'raise' THEN
		RAISE EXCEPTION USING errcode = (e).payload->>'raise', message = 'of the mapping', detail = 'with a detail', hint = 'and a hint';
	END IF;
	IF (e).payload ? 'result' THEN
		RETURN NEXT jsonb_populate_record(NULL::domev.integration_event, (e).payload->'result');
	END IF;
END $$;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a');
SELECT domev.create_mapping('a', 'e', 'public.fine', 't'), domev.create_mapping('b', 'e', 'public.try', 't', on_error => 'record'),
	domev.create_mapping('c', 'e', 'public.fine', 't');
CREATE VIEW kept AS SELECT aggregate_id, mapping, event_type FROM domev.outbox ORDER BY recorded_at;
CREATE VIEW failed AS SELECT (event).aggregate_id AS id, mapping, sqlstate, message, detail, attempts FROM domev.failed_mapping ORDER BY failed_at;

-- what is kept of the event and the error; the other mappings' events are published
BEGIN;
SET LOCAL domev.context = '{"user": "ann"}';
INSERT INTO t VALUES ('before');
SELECT domev.emit('e', 'x', '{"raise": "XY123", "n": 63.10}', headers => '{"h": 1}', aggregate_version => 3, occurred_at => '2026-01-02 03:04:05+00') AS id \gset
INSERT INTO t VALUES ('after');
COMMIT;
SELECT * FROM kept;
SELECT * FROM t;
\x on
SELECT event_id = :'id' AS event_id, mapping, (event).event_id = :'id' AS same, (event).event_type, (event).aggregate_type, (event).aggregate_id, (event).aggregate_version,
	(event).payload, (event).headers, (event).occurred_at AT TIME ZONE 'UTC' AS occurred_at, sqlstate, message, detail, context, failed_at BETWEEN now() - interval '1 hour' AND clock_timestamp() AS now, attempts
FROM domev.failed_mapping;
\x off
TRUNCATE domev.outbox, domev.failed_mapping;

-- with headers that are NULL and no detail; the result of an SQL function that was inlined
SELECT domev.create_event_type('ratio', 'a'), domev.create_mapping('ratio', 'ratio', 'public.ratio', 't', on_error => 'record');
SELECT domev.emit('ratio', 'zero', '{"n": 0}') IS NOT NULL AS emitted;
SELECT domev.emit('ratio', 'one', '{"n": 1}') IS NOT NULL AS emitted;
SELECT domev.emit('ratio', 'no number', '{"n": "x"}') IS NOT NULL AS emitted;
SELECT * FROM kept;
SELECT * FROM failed;
TRUNCATE domev.outbox, domev.failed_mapping;

-- the failure is of the transaction: savepoints, errors that were caught, rollback
BEGIN;
SAVEPOINT a;
SELECT domev.emit('e', 'released', '{"raise": "XY123"}') IS NOT NULL AS emitted;
RELEASE a;
SAVEPOINT b;
SELECT domev.emit('e', 'rolled back', '{"raise": "XY123"}') IS NOT NULL AS emitted;
ROLLBACK TO b;
DO $$
BEGIN
	PERFORM domev.emit('e', 'caught', '{"raise": "XY123"}');
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	PERFORM domev.emit('e', 'in the handler', '{"raise": "XY123"}');
END $$;
SELECT domev.emit('e', 'behind all', '{"raise": "XY123"}') IS NOT NULL AS emitted;
COMMIT;
BEGIN;
SELECT domev.emit('e', 'gone', '{"raise": "XY123"}') IS NOT NULL AS emitted;
ROLLBACK;
SELECT * FROM failed;
SELECT * FROM kept;
TRUNCATE domev.outbox, domev.failed_mapping;

-- nothing of what it returned before it failed is published, nor when one of many results is bad
SELECT domev.emit('e', 'half', '{"first": "partial", "raise": "XY123"}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'bad', '{"first": "partial", "result": {"event_type": "e", "topic": "missing"}}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'good', '{"first": "first", "result": {"event_type": "second"}}') IS NOT NULL AS emitted;
SELECT * FROM kept WHERE mapping = 'b';
SELECT * FROM failed;
TRUNCATE domev.outbox, domev.failed_mapping;

-- whatever can be wrong with a result, and with the function
SELECT domev.emit('e', 'type', '{"result": {"topic": "t", "key": "k"}}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'topic', '{"result": {"event_type": "e", "topic": "no such"}}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'headers', '{"result": {"event_type": "e", "headers": {"id": 1}}}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'key', '{"result": {"event_type": "e", "key": ""}}') IS NOT NULL AS emitted;
SELECT domev.alter_mapping('b', produces => '{f}');
SELECT domev.emit('e', 'produces', '{"result": {"event_type": "e"}}') IS NOT NULL AS emitted;
SELECT domev.alter_mapping('b', reset => '{produces}');
SET domev.max_event_size = '1kB';
CREATE FUNCTION public.large(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('large', to_jsonb(repeat('x', 2000)))).*; END;
SELECT domev.create_event_type('large', 'a'), domev.create_mapping('large', 'large', 'public.large', 't', on_error => 'record');
SELECT domev.emit('large', 'large') IS NOT NULL AS emitted;
RESET domev.max_event_size;
SELECT domev.emit('e', 'writes', '{"do": "DELETE FROM public.t"}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'emits', '{"do": "SELECT domev.emit(''e'', 1)"}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'syntax', '{"do": "nonsense"}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'assert', '{"do": "DO $d$ BEGIN ASSERT false; END $d$"}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'in C', '{"do": "SELECT ''x''::uuid"}') IS NOT NULL AS emitted;
SELECT id, sqlstate, CASE WHEN id <> 'syntax' THEN message END AS message FROM failed;
SELECT aggregate_id, count(*) FROM kept GROUP BY 1 HAVING count(*) <> 3;
TRUNCATE domev.outbox, domev.failed_mapping;
-- one that does not exist any more, that is somebody else's, that cannot be a mapping any more
CREATE ROLE regress_other;
SELECT domev.create_event_type('gone', 'a');
CREATE FUNCTION public.gone(e domev.domain_event) RETURNS domev.integration_event STABLE RETURN domev.make_integration_event('gone');
SELECT domev.create_mapping('gone', 'gone', 'public.gone', 't', on_error => 'record');
ALTER FUNCTION public.gone OWNER TO regress_other;
SELECT domev.emit('gone', 'owner') IS NOT NULL AS emitted;
ALTER FUNCTION public.gone OWNER TO CURRENT_USER;
ALTER FUNCTION public.gone SECURITY DEFINER;
SELECT domev.emit('gone', 'definer') IS NOT NULL AS emitted;
DROP FUNCTION public.gone;
SELECT domev.emit('gone', 'dropped') IS NOT NULL AS emitted;
SELECT id, sqlstate, message FROM failed;
CREATE FUNCTION public.gone(e domev.domain_event) RETURNS domev.integration_event STABLE RETURN domev.make_integration_event('gone');
SELECT domev.emit('gone', 'back') IS NOT NULL AS emitted;
SELECT * FROM kept;
TRUNCATE domev.outbox, domev.failed_mapping;

-- errors that are not the mapping's own go up, each undoing its emit
\set VERBOSITY sqlstate
SELECT domev.emit('e', 'x', '{"raise": "serialization_failure"}');
SELECT domev.emit('e', 'x', '{"raise": "deadlock_detected"}');
SELECT domev.emit('e', 'x', '{"raise": "out_of_memory"}');
SELECT domev.emit('e', 'x', '{"raise": "disk_full"}');
SELECT domev.emit('e', 'x', '{"raise": "internal_error"}');
SELECT domev.emit('e', 'x', '{"raise": "data_corrupted"}');
SELECT domev.emit('e', 'x', '{"raise": "admin_shutdown"}');
SELECT domev.emit('e', 'x', '{"raise": "query_canceled"}');
SELECT domev.emit('e', 'x', '{"raise": "io_error"}');
SET statement_timeout = '200ms';
SELECT domev.emit('e', 'x', '{"do": "SELECT pg_sleep(60)"}');
RESET statement_timeout;
-- nothing is left open: who catches it goes on in the transaction that was
BEGIN;
DO $$
BEGIN
	PERFORM domev.emit('e', 'x', '{"raise": "serialization_failure"}');
EXCEPTION WHEN serialization_failure THEN
	INSERT INTO t VALUES ('in the handler of ' || SQLSTATE);
END $$;
INSERT INTO t VALUES ('behind it');
COMMIT;
SELECT * FROM t WHERE v ~ 'handler|behind';
-- as in the middle of a transaction, whose savepoint brings it back
BEGIN;
SELECT domev.emit('e', 'kept', '{"raise": "XY123"}') IS NOT NULL AS emitted;
SAVEPOINT s;
SET LOCAL statement_timeout = '200ms';
SELECT domev.emit('e', 'x', '{"do": "SELECT pg_sleep(60)"}');
ROLLBACK TO s;
SELECT domev.emit('e', 'kept', '{"result": {"event_type": "e"}}') IS NOT NULL AS emitted;
COMMIT;
\set VERBOSITY default
SELECT * FROM kept;
SELECT * FROM failed;
TRUNCATE domev.outbox, domev.failed_mapping;
-- a lock that is not to be had is the mapping's own
SELECT domev.emit('e', 'lock', '{"raise": "lock_not_available"}') IS NOT NULL AS emitted;
SELECT * FROM failed;
TRUNCATE domev.outbox, domev.failed_mapping;

-- role, settings, snapshots and locks are those of the caller after a failure
CREATE ROLE regress_app;
GRANT INSERT ON domev_event.e TO regress_app;
GRANT SELECT, INSERT ON t TO regress_app;
BEGIN;
SET LOCAL ROLE regress_app;
SET LOCAL search_path = pg_catalog, public;
SET LOCAL work_mem = '1MB';
SELECT domev.emit('e', 'settings', '{"do": "DO $d$ BEGIN SET work_mem = ''2MB''; SET search_path = pg_temp; SET application_name = ''mapping''; END $d$", "raise": "XY123"}') IS NOT NULL AS emitted;
SELECT current_user, current_setting('search_path') AS search_path, current_setting('work_mem') AS work_mem, current_setting('transaction_read_only') AS read_only, current_setting('application_name') <> 'mapping' AS not_its;
INSERT INTO t VALUES ('by the caller');
-- and of the mapping that ran behind it, and of one that wrote, in its own exception block too
SELECT domev.emit('e', 'blocks', '{"do": "DO $d$ BEGIN DELETE FROM public.t; EXCEPTION WHEN OTHERS THEN SET work_mem = ''3MB''; END $d$", "raise": "XY123"}') IS NOT NULL AS emitted;
SELECT current_user, current_setting('work_mem') AS work_mem, current_setting('transaction_read_only') AS read_only;
INSERT INTO t VALUES ('and again');
COMMIT;
SELECT current_user = session_user AS own, current_setting('work_mem') <> '1MB' AS own_work_mem;
SELECT * FROM t;
SELECT id, sqlstate FROM failed;
SELECT aggregate_id, mapping FROM kept;
-- who emits needs no right on the table, and has none
SET ROLE regress_app;
SELECT * FROM domev.failed_mapping;
DELETE FROM domev.failed_mapping;
SELECT domev.purge_failed('1 day');
RESET ROLE;
TRUNCATE domev.outbox, domev.failed_mapping;

-- behind subtransactions that wrote and that were rolled back, at SERIALIZABLE
BEGIN ISOLATION LEVEL SERIALIZABLE;
SAVEPOINT a;
INSERT INTO t VALUES ('lost');
ROLLBACK TO a;
INSERT INTO t VALUES ('kept');
SAVEPOINT b;
SELECT domev.emit('e', 'serializable', '{"raise": "XY123"}') IS NOT NULL AS emitted;
SELECT domev.emit('ratio', 'serializable', '{"n": 0}') IS NOT NULL AS emitted;
COMMIT;
SELECT id, mapping FROM failed;
SELECT * FROM kept;
TRUNCATE domev.outbox, domev.failed_mapping;

-- to a topic in the WAL
SELECT pg_create_logical_replication_slot('record_errors', 'domev') IS NOT NULL;
SELECT domev.create_topic('w', storage => 'wal'), domev.alter_mapping('b', topic => 'w'), domev.alter_mapping('c', topic => 'w');
BEGIN;
SELECT domev.emit('e', 'fails', '{"first": "partial", "raise": "XY123"}') IS NOT NULL AS emitted;
SELECT domev.emit('e', 'works', '{"first": "first", "result": {"event_type": "second"}}') IS NOT NULL AS emitted;
COMMIT;
SELECT data::jsonb->>'subject' AS subject, data::jsonb->>'type' AS type, data::jsonb->>'topic' AS topic FROM pg_logical_slot_get_changes('record_errors', NULL, NULL);
SELECT * FROM failed;
SELECT pg_drop_replication_slot('record_errors');
TRUNCATE domev.outbox, domev.failed_mapping;

-- a command that is repeated fails once; as abort again, it fails all
SELECT domev.emit('ratio', 'twice', '{"n": 0}', event_id => '00000000-0000-0000-0000-000000000001');
SELECT domev.emit('ratio', 'twice', '{"n": 0}', event_id => '00000000-0000-0000-0000-000000000001');
SELECT * FROM failed;
SELECT domev.alter_mapping('ratio', on_error => 'abort');
SELECT domev.emit('ratio', 'aborts', '{"n": 0}');
SELECT domev.alter_mapping('ratio', on_error => 'record');
TRUNCATE domev.outbox, domev.failed_mapping;

-- many in one statement, each with its own
SELECT count(domev.emit('ratio', i, jsonb_build_object('n', i % 2))) FROM generate_series(1, 2000) AS i;
SELECT count(*), count(DISTINCT event_id), min(attempts), max(attempts) FROM domev.failed_mapping;
SELECT mapping, count(*) FROM kept GROUP BY 1 ORDER BY 1;

-- purging
SELECT domev.purge_failed('1 day');
SELECT domev.purge_failed(NULL);
UPDATE domev.failed_mapping SET failed_at = now() - interval '2 days' WHERE (event).aggregate_id::int <= 100;
SELECT domev.purge_failed('1 day');
SELECT domev.purge_failed('0');
SELECT count(*) FROM domev.failed_mapping;

SET client_min_messages = warning;
DROP VIEW kept, failed;
DROP EXTENSION domev CASCADE;
DROP TABLE t;
DROP OWNED BY regress_app;
DROP ROLE regress_app, regress_other;
