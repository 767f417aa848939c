-- An emit that is ended in its middle, by an error, a timeout or a cancel, leaves nothing: no event, and no state in the session; be it the
-- transaction that ends or a savepoint.  (Locks: isolation/emit_waits.  Who is terminated, or vanishes:
-- t/019_ended_sessions.pl.)
\set SHOW_CONTEXT never
CREATE EXTENSION domev;
CREATE TABLE t (v text);
CREATE FUNCTION public.fine(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('fine')).*; END;
CREATE FUNCTION public.tries(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
	SET work_mem = '3MB';
	RETURN NEXT domev.make_integration_event('before');
	EXECUTE (e).payload->>'do';
	RETURN NEXT domev.make_integration_event('after');
END $$;
SELECT domev.create_topic('rows', 'internal'), domev.create_topic('wal', 'internal', 'wal'), domev.create_topic('out'), domev.create_topic('out.wal', storage => 'wal');
SELECT domev.create_event_type('e', 'a', 'wal', journal => true), domev.create_event_type('recorded', 'a', 'rows'), domev.create_event_type('late', 'a', 'rows'), domev.create_event_type('plain', 'a', 'rows');
SELECT domev.create_mapping('1', 'e', 'public.fine', 'out.wal'), domev.create_mapping('2', 'e', 'public.tries', 'out'), domev.create_mapping('3', 'e', 'public.fine', 'out', timing => 'deferred'),
	domev.create_mapping('recorded', 'recorded', 'public.tries', 'out', on_error => 'record'), domev.create_mapping('late', 'late', 'public.tries', 'out.wal', timing => 'deferred');
SELECT pg_create_logical_replication_slot('tx_failed', 'domev') IS NOT NULL AS made;
CREATE ROLE regress_app;
GRANT INSERT ON domev_event.e, domev_event.recorded, domev_event.late, domev_event.plain TO regress_app;
GRANT INSERT ON t TO regress_app;

-- what a session has that an emit may have changed; the emit in it shows that another one works
CREATE VIEW state AS
SELECT current_user = session_user AS own_user, current_setting('search_path') AS search_path, current_setting('work_mem') AS work_mem, current_setting('transaction_read_only') AS read_only,
	coalesce(current_setting('domev.context', true), '') AS context, (SELECT count(*) FROM domev.deferred) AS deferred, (SELECT count(*) FROM domev.idempotency) AS claimed,
	(SELECT count(*) FROM domev.failed_mapping) AS failed, (SELECT count(*) FROM domev.emitted_in_transaction()) AS emitted;
CREATE VIEW sent AS SELECT string_agg(concat(data::jsonb->>'subject', ' ', data::jsonb->>'type', ' ', data::jsonb->>'user'), ', ' ORDER BY n)
	FROM pg_logical_slot_get_changes('tx_failed', NULL, NULL) WITH ORDINALITY AS c (lsn, xid, data, n);
SET domev.keep_emitted = on;
SET work_mem = '2MB';

-- in a transaction of its own: an error, a timeout, a cancel
SELECT domev.emit('e', 'error', '{"do": "SELECT 1 / 0"}', event_id => '00000000-0000-0000-0000-000000000001');
SELECT * FROM state;
SET statement_timeout = '200ms';
SELECT domev.emit('e', 'timeout', '{"do": "SELECT pg_sleep(60)"}', event_id => '00000000-0000-0000-0000-000000000001');
RESET statement_timeout;
SELECT * FROM state;
SELECT domev.emit('e', 'cancel', '{"do": "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)"}', event_id => '00000000-0000-0000-0000-000000000001');
SELECT * FROM state;
-- recorded mappings do not swallow timeouts and cancels
SET statement_timeout = '200ms';
SELECT domev.emit('recorded', 'timeout', '{"do": "SELECT pg_sleep(60)"}');
RESET statement_timeout;
SELECT domev.emit('recorded', 'cancel', '{"do": "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)"}');
SELECT * FROM state;
-- deferred ones fail at COMMIT
BEGIN;
SELECT domev.emit('late', 'error', '{"do": "SELECT 1 / 0"}') IS NOT NULL AS emitted;
COMMIT;
BEGIN;
SELECT domev.emit('late', 'cancel', '{"do": "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)"}') IS NOT NULL AS emitted;
COMMIT;
BEGIN;
SELECT domev.emit('late', 'prepare', '{"do": "SELECT 1 / 0"}') IS NOT NULL AS emitted;
PREPARE TRANSACTION 'tx_failed';
BEGIN;
SELECT domev.emit('late', 'timeout', '{"do": "SELECT pg_sleep(60)"}') IS NOT NULL AS emitted;
SET LOCAL statement_timeout = '200ms';
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;
SELECT * FROM state;
SELECT * FROM sent; -- nothing of all that
SELECT count(*) FROM domev.outbox;

-- with settings, a role and remembered events of the transaction, which end with it
BEGIN ISOLATION LEVEL SERIALIZABLE;
SET LOCAL domev.context = '{"user": "ann"}';
SET LOCAL domev.aggregate_guard = error;
SET LOCAL ROLE regress_app;
SET LOCAL search_path = pg_catalog;
SELECT domev.emit('plain', 'first') IS NOT NULL AS emitted;
SET LOCAL statement_timeout = '200ms';
SELECT domev.emit('e', 'first', '{"do": "SELECT pg_sleep(60)"}');
ROLLBACK;
SELECT * FROM state;
-- another aggregate, by another user, without a context
SELECT domev.emit('plain', 'second') IS NOT NULL AS emitted;
SELECT * FROM sent;

-- to a savepoint: the transaction goes on as it was
BEGIN;
SET LOCAL domev.context = '{"user": "ann"}';
SET LOCAL domev.aggregate_guard = error;
SET LOCAL ROLE regress_app;
SELECT domev.emit('plain', 'one') IS NOT NULL AS emitted;
SAVEPOINT s;
SET LOCAL statement_timeout = '200ms';
SELECT domev.emit('e', 'one', '{"do": "SELECT pg_sleep(60)"}', event_id => '00000000-0000-0000-0000-000000000001');
ROLLBACK TO s;
SELECT domev.emit('recorded', 'one', '{"do": "SELECT 1 / 0"}') IS NOT NULL AS emitted;
SAVEPOINT s;
SELECT domev.emit('e', 'one', '{"do": "SELECT 1 / 0"}');
ROLLBACK TO s;
SELECT domev.emit('e', 'one', '{"do": "SELECT 1"}', event_id => '00000000-0000-0000-0000-000000000001') IS NOT NULL AS emitted;
INSERT INTO t VALUES (current_user);
SELECT current_setting('work_mem') AS work_mem, current_setting('transaction_read_only') AS read_only;
RESET ROLE;
SELECT event_type, mapping FROM domev.emitted_in_transaction();
COMMIT;
SELECT * FROM sent;
SELECT * FROM state;
SELECT * FROM t;
-- in exception blocks, over and over
DO $$
BEGIN
	FOR i IN 1 .. 200 LOOP
		BEGIN
			PERFORM domev.emit('e', 'caught', '{"do": "SELECT 1 / 0"}', event_id => '00000000-0000-0000-0000-000000000002');
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
	PERFORM domev.emit('e', 'at last', '{"do": "SELECT 1"}', event_id => '00000000-0000-0000-0000-000000000002');
END $$;
SELECT * FROM sent;
SELECT * FROM state;
-- DISCARD ALL in between
DISCARD ALL;
SET domev.keep_emitted = on;
SELECT domev.emit('e', 'discarded', '{"do": "SELECT 1"}') IS NOT NULL AS emitted;
SELECT * FROM sent;

SET client_min_messages = warning;
SELECT pg_drop_replication_slot('tx_failed');
DROP VIEW state, sent;
DROP EXTENSION domev CASCADE;
DROP TABLE t;
DROP ROLE regress_app;
