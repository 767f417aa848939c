-- SE-14: denial.  An endless mapping ends by statement_timeout or cancel, immediate, deferred, tried and mapped again; it is never
-- recorded as a failure; recursion is refused; a flood of failures is bounded by the events, and others' events pass.
CREATE EXTENSION domev;
CREATE ROLE regress_evil;
CREATE ROLE regress_app;
CREATE SCHEMA evil AUTHORIZATION regress_evil;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA domev TO regress_evil, regress_app;
SELECT domev.create_topic('t'), domev.create_topic('w', 'internal', 'wal'), domev.create_event_type('e', 'a'), domev.create_event_type('d', 'a'), domev.create_event_type('r', 'a'),
	domev.create_event_type('fine', 'a', 'w');
GRANT INSERT ON ALL TABLES IN SCHEMA domev_event, domev_topic TO regress_evil, regress_app;
SELECT pg_create_logical_replication_slot('endless', 'domev') IS NOT NULL;
SET ROLE regress_evil;
-- what it does is the aggregate's id
CREATE FUNCTION evil.run(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	CASE (e).aggregate_id
		WHEN 'loop' THEN
			LOOP END LOOP;
		WHEN 'catching loop' THEN -- a cancel is not caught by OTHERS
			LOOP
				BEGIN
					PERFORM pg_sleep(1);
				EXCEPTION WHEN OTHERS THEN
					NULL;
				END;
			END LOOP;
		WHEN 'sleep' THEN
			PERFORM pg_sleep(3600);
		WHEN 'query' THEN
			PERFORM count(*) FROM generate_series(1, 1000000000000);
		WHEN 'no timeout' THEN -- of its own making: the one that runs was set before
			SET statement_timeout = 0;
			LOOP END LOOP;
		WHEN 'lock' THEN
			PERFORM pg_advisory_xact_lock(14);
			LOOP END LOOP;
		WHEN 'fail' THEN
			RAISE EXCEPTION '%', repeat('x', 1000);
		ELSE
			RETURN NEXT domev.make_integration_event('i');
	END CASE;
END $$;
SELECT domev.create_mapping('now', 'e', 'evil.run', 't'), domev.create_mapping('then', 'd', 'evil.run', 't', timing => 'deferred'),
	domev.create_mapping('recorded', 'r', 'evil.run', 't', on_error => 'record');
SET ROLE regress_app;

\set SHOW_CONTEXT never
SET statement_timeout = '100ms';
SELECT domev.emit('e', 'loop');
SELECT domev.emit('e', 'catching loop');
SELECT domev.emit('e', 'sleep');
SELECT domev.emit('e', 'query');
SELECT domev.emit('e', 'no timeout');
SELECT domev.emit('e', 'lock');
RESET statement_timeout;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SET statement_timeout = '100ms';
-- not recorded
SELECT domev.emit('r', 'loop');
SELECT domev.emit('r', 'catching loop');
SELECT domev.emit('r', 'sleep');
-- deferred (PostgreSQL switches the timeout off for COMMIT; t/016_attacks.pl cancels one there)
RESET statement_timeout;
BEGIN;
SELECT domev.emit('d', 'sleep') IS NOT NULL;
SET LOCAL statement_timeout = '100ms';
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;
SET statement_timeout = '100ms';
-- tried
SELECT count(*) FROM domev.preview('e', 'loop');
SELECT count(*) FROM domev.preview('d', 'sleep');
RESET statement_timeout;
RESET ROLE;
-- mapped again, from the journal
SELECT domev.alter_mapping('recorded', enabled => false);
SELECT domev.emit('r', 'loop') IS NOT NULL;
SELECT domev.alter_mapping('recorded', enabled => true);
SET statement_timeout = '100ms';
SELECT * FROM domev.remap('recorded', since => '2026-01-01');
SELECT * FROM domev.remap('recorded', since => '2026-01-01', dry_run => true);
RESET statement_timeout;
-- nothing was recorded, nothing is left, and the session goes on
SELECT count(*) FROM domev.failed_mapping;
SELECT aggregate_id FROM domev.outbox;
SELECT current_user = session_user AS back, current_setting('transaction_read_only') AS read_only;
TRUNCATE domev.outbox;
SELECT domev.emit('e', 'fine') IS NOT NULL;
SELECT count(*) FROM domev.outbox;

-- a mapping that emits, tries or maps again what it maps: refused at the first step; one that calls itself: by the limit of the stack
CREATE FUNCTION evil.recurse(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	said text := '';
	statement text;
BEGIN
	FOREACH statement IN ARRAY ARRAY['SELECT domev.emit(''recursive'', 1)', 'SELECT domev.preview(''recursive'', 1)', 'SELECT domev.remap(''recursive'')'] LOOP
		BEGIN
			EXECUTE statement;
		EXCEPTION WHEN OTHERS THEN
			said := said || ' ' || SQLSTATE;
		END;
	END LOOP;
	RETURN NEXT domev.make_integration_event('said' || said);
END $$;
ALTER FUNCTION evil.recurse OWNER TO regress_evil;
CREATE FUNCTION evil.deep(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN RETURN QUERY SELECT * FROM evil.deep(e); END $$;
ALTER FUNCTION evil.deep OWNER TO regress_evil;
SELECT domev.create_event_type('recursive', 'a', journal => false);
GRANT INSERT ON domev_event.recursive TO regress_evil;
SELECT domev.create_mapping('recursive', 'recursive', 'evil.recurse', 't');
SELECT domev.emit('recursive', 1) IS NOT NULL;
SELECT event_type FROM domev.outbox WHERE mapping = 'recursive';
SELECT domev.alter_mapping('recursive', function => 'evil.deep', on_error => 'record');
SET max_stack_depth = '200kB';
SELECT domev.emit('recursive', 1) IS NOT NULL;
RESET max_stack_depth;
SELECT sqlstate, attempts FROM domev.failed_mapping;
SELECT domev.purge_failed('0 s');

-- a flood of failures: a row for each event and mapping, whatever is tried again; while it goes on, and after it, others' events leave
SELECT domev.emit('fine', 'before') IS NOT NULL;
SELECT count(domev.emit('r', 'fail')) FROM generate_series(1, 2000);
SELECT domev.emit('fine', 'after') IS NOT NULL;
SELECT count(*), min(length(message)), max(attempts) FROM domev.failed_mapping;
SELECT outcome, count(*) FROM domev.remap('recorded') GROUP BY 1;
SELECT outcome, count(*) FROM domev.remap('recorded') GROUP BY 1;
SELECT count(*), max(attempts) FROM domev.failed_mapping;
SELECT data::jsonb->>'subject' AS subject FROM pg_logical_slot_get_changes('endless', NULL, NULL, 'topics', 'w');
-- rolled back, they are not there
BEGIN;
SELECT count(domev.emit('r', 'fail')) FROM generate_series(1, 100);
ROLLBACK;
SELECT count(*) FROM domev.failed_mapping;
SELECT domev.purge_failed('0 s');
SELECT count(*) FROM domev.failed_mapping;

SELECT pg_drop_replication_slot('endless');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP SCHEMA evil CASCADE;
DROP ROLE regress_evil, regress_app;
