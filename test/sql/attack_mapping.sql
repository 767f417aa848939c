-- SE-4: a trojan mapping.  Its owner registers it, the superuser emits: what it tries is refused, or gone when it ends.
-- What it can do all the same is in attack_mapping_can.sql.
CREATE EXTENSION domev;
CREATE ROLE regress_evil;
CREATE SCHEMA evil AUTHORIZATION regress_evil;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA domev TO regress_evil;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_event_type('d', 'a');
GRANT INSERT ON ALL TABLES IN SCHEMA domev_event, domev_topic TO regress_evil;
CREATE TABLE canary (who name);
GRANT INSERT ON canary TO PUBLIC;
SET ROLE regress_evil;
CREATE TABLE evil.own (v int PRIMARY KEY);
CREATE SEQUENCE evil.seq;
CREATE MATERIALIZED VIEW evil.mv AS SELECT 1 AS a;
CREATE PROCEDURE evil.write() LANGUAGE sql AS 'INSERT INTO public.canary VALUES (current_user)';
CREATE FUNCTION evil.do(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE (e).payload->>'do';
	RETURN NULL;
END $$;
SELECT domev.create_mapping('now', 'e', 'evil.do', 't'), domev.create_mapping('then', 'd', 'evil.do', 't', timing => 'deferred');
RESET ROLE;
-- emits an event whose mapping does what is said; returns the error's code
CREATE FUNCTION attempt(statement text, event_type text DEFAULT 'e') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM domev.emit(event_type, 'x', jsonb_build_object('do', statement));
	SET CONSTRAINTS ALL IMMEDIATE;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE TABLE attempts (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO attempts (statement) VALUES
	-- to be somebody else
	('SET ROLE NONE'), ('SET LOCAL ROLE NONE'), ('RESET ROLE'), ('SET SESSION AUTHORIZATION DEFAULT'), ($$SELECT set_config('role', 'none', false)$$),
	($$SELECT set_config('session_authorization', 'none', true)$$), ('ALTER ROLE regress_evil SUPERUSER'), ('GRANT pg_read_all_data TO regress_evil'),
	-- to write
	('INSERT INTO evil.own VALUES (1)'), ('UPDATE evil.own SET v = 1'), ('DELETE FROM evil.own'), ('TRUNCATE evil.own'), ('COPY evil.own FROM STDIN'),
	('MERGE INTO evil.own USING (VALUES (1)) AS s (v) ON true WHEN NOT MATCHED THEN INSERT VALUES (1)'), ('WITH w AS (INSERT INTO evil.own VALUES (1) RETURNING v) SELECT v FROM w'),
	('EXPLAIN ANALYZE INSERT INTO evil.own VALUES (1)'), ('DO $d$ BEGIN INSERT INTO evil.own VALUES (1); END $d$'), ('CALL evil.write()'), ('SELECT * FROM evil.own FOR UPDATE'),
	('SELECT * FROM evil.own FOR KEY SHARE'), ('SELECT * INTO evil.made FROM evil.own'), ($$SELECT nextval('evil.seq')$$), ($$SELECT setval('evil.seq', 7)$$),
	('REFRESH MATERIALIZED VIEW evil.mv'), ($$COPY evil.own TO '/nowhere'$$), ($$COPY evil.own TO PROGRAM 'cat'$$),
	-- to create and to change
	('CREATE TABLE evil.made ()'), ('CREATE TEMP TABLE made ()'), ('CREATE TEMP VIEW made AS SELECT 1'), ('CREATE TEMP SEQUENCE made'),
	($$CREATE FUNCTION pg_temp.made() RETURNS int LANGUAGE sql AS 'SELECT 1'$$), ('CREATE SCHEMA made'), ('ALTER TABLE evil.own ADD COLUMN w int'), ('DROP TABLE evil.own'),
	('CREATE TRIGGER made AFTER INSERT ON evil.own EXECUTE FUNCTION evil.do()'), ('GRANT SELECT ON evil.own TO PUBLIC'), ($$COMMENT ON TABLE evil.own IS 'x'$$),
	('ALTER FUNCTION evil.do OWNER TO regress_evil'), ('DROP OWNED BY regress_evil'), ('REASSIGN OWNED BY regress_evil TO CURRENT_USER'), ('ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC'),
	('ALTER ROLE regress_evil SET work_mem = 100'), ('ALTER DATABASE contrib_regression SET work_mem = 100'), ('ALTER SYSTEM SET work_mem = 100'),
	-- to stay in the session
	('DECLARE h CURSOR WITH HOLD FOR SELECT 1'), ('CLOSE ALL'), ('PREPARE p AS SELECT 1'), ('DEALLOCATE ALL'), ('LISTEN c'), ('UNLISTEN *'), ('DISCARD PLANS'), ('DISCARD SEQUENCES'), ('DISCARD TEMP'), ('DISCARD ALL'),
	('LOAD ''domev'''),
	-- to end the transaction, or make it another
	('COMMIT'), ('ROLLBACK'), ('SAVEPOINT s'), ('RELEASE s'), ('PREPARE TRANSACTION ''x'''), ('DO $d$ BEGIN COMMIT; END $d$'), ('SET TRANSACTION READ WRITE'), ('SET transaction_read_only = off'),
	('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'), ($$SET TRANSACTION SNAPSHOT '1'$$), ('VACUUM evil.own'), ('CHECKPOINT'),
	-- to use domev
	($$SELECT domev.emit('e', 'x')$$), ($$SELECT domev.preview('e', 'x')$$), ($$SELECT domev.remap('now')$$), ($$SELECT domev.remap('now', dry_run => true)$$), ($$SELECT domev.create_topic('made')$$),
	($$SELECT domev.set_source('/made')$$), ($$SELECT domev.alter_mapping('now', enabled => false)$$), ($$SELECT domev.drop_mapping('now')$$), ($$SELECT domev.purge_failed('0')$$),
	($$SELECT domev.create_capture('made', 'evil.own', 'insert', 'v', 'e')$$), ('SELECT * FROM domev.outbox'), ('SELECT * FROM domev.message_key'), ('SELECT * FROM domev.deferred'),
	($$INSERT INTO domev.outbox_default SELECT * FROM domev.outbox$$), ('SELECT domev.emitted_in_transaction()'),
	-- to use the server
	('SELECT pg_terminate_backend(pg_backend_pid())'), ('SELECT pg_cancel_backend(pg_backend_pid())'), ('SELECT pg_reload_conf()'), ('SELECT pg_switch_wal()'), ($$SELECT pg_create_restore_point('x')$$),
	($$SELECT pg_create_logical_replication_slot('made', 'domev')$$), ($$SELECT pg_logical_slot_get_changes('made', NULL, NULL)$$), ($$SELECT pg_replication_origin_session_setup('x')$$),
	('SELECT pg_stat_reset()'), ($$SELECT lo_import('/etc/hostname')$$), ($$SELECT pg_read_file('PG_VERSION')$$), ('SELECT pg_log_backend_memory_contexts(pg_backend_pid())');
SELECT attempt(statement) AS state, attempt(statement, 'd') AS deferred, statement FROM attempts ORDER BY n;
-- nothing is left of any
SELECT current_user = session_user AS same, (SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_evil') AS super, (SELECT count(*) FROM evil.own) AS rows,
	(SELECT last_value FROM evil.seq) AS seq, (SELECT count(*) FROM canary) AS canary, (SELECT count(*) FROM domev.topics) AS topics, (SELECT count(*) FROM domev.captures) AS captures,
	(SELECT count(*) FROM pg_class WHERE relname = 'made') AS relations, (SELECT count(*) FROM pg_prepared_statements) AS prepared, (SELECT count(*) FROM pg_listening_channels()) AS listening;

-- settings, each way, are back when the mapping ends, and so they are for deferred ones; those of domev as well
SET domev.context = '{"own": true}';
SET domev.aggregate_guard = warning;
BEGIN;
SET LOCAL domev.keep_emitted = on;
SELECT attempt(statement) AS now, attempt(statement, 'd') AS then, statement FROM (VALUES ('SET work_mem = 100'), ('SET LOCAL work_mem = 101'), ($$SELECT set_config('work_mem', '102', false)$$),
	('SET search_path = evil'), ('RESET ALL'), ('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'), ('SET transaction_read_only = on'), ('SET default_transaction_deferrable = on'),
	('SET row_security = off'), ('SET statement_timeout = 1'), ('SET client_encoding = sql_ascii'), ('SET DateStyle = German'), ('SET timezone = UTC'), ('SET made.up = 1'),
	('SET domev.aggregate_guard = off'), ($$SET domev.context = '{"evil": true}'$$), ('SET domev.keep_emitted = off')) AS v (statement);
SELECT name, setting FROM pg_settings WHERE name IN ('work_mem', 'search_path', 'default_transaction_read_only', 'transaction_read_only', 'default_transaction_deferrable', 'row_security',
	'statement_timeout', 'client_encoding', 'DateStyle', 'domev.context', 'domev.aggregate_guard', 'domev.keep_emitted') ORDER BY name COLLATE "C";
SELECT current_setting('made.up', true);
SELECT count(*) FROM domev.emitted_in_transaction() WHERE headers = '{"own": true}';
ROLLBACK;
RESET domev.context;
RESET domev.aggregate_guard;

-- what is deferred meanwhile is not run by the mapping: it cannot write; and its owner cannot make the emitter's session run anything later
CREATE TABLE checked (v int);
CREATE FUNCTION check_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES (current_user); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON checked DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_later();
BEGIN;
INSERT INTO checked VALUES (1);
SAVEPOINT s;
SELECT domev.emit('e', 'x', '{"do": "SET CONSTRAINTS ALL IMMEDIATE"}');
ROLLBACK TO s;
SELECT count(*) FROM canary;
COMMIT;
SELECT who = session_user AS own FROM canary;
TRUNCATE canary;
-- nor do deferred mappings run inside of another
BEGIN;
SELECT domev.emit('d', 'x', '{"do": "SELECT 1"}') IS NOT NULL;
SAVEPOINT s;
SELECT domev.emit('e', 'x', '{"do": "SET CONSTRAINTS ALL IMMEDIATE"}');
ROLLBACK TO s;
COMMIT;

-- a cursor of the emitter's is not put in another's place: its next FETCH would run the attacker's code as the emitter
SET ROLE regress_evil;
CREATE FUNCTION evil.bite() RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES (current_user); RETURN 'of the attacker'; END $$;
CREATE OR REPLACE FUNCTION evil.do(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c refcursor := (e).payload->>'cursor';
BEGIN
	BEGIN
		CLOSE c; -- PL/pgSQL's own, which is not refused as SQL's is
	EXCEPTION WHEN OTHERS THEN
		NULL;
	END;
	EXECUTE format('DECLARE %I CURSOR FOR SELECT evil.bite()', (e).payload->>'cursor');
	RETURN NULL;
END $$;
RESET ROLE;
BEGIN;
DECLARE mine CURSOR FOR SELECT 'of the emitter'::text AS row FROM generate_series(1, 2);
FETCH 1 FROM mine;
SELECT domev.emit('e', 'x', '{"cursor": "mine"}') IS NOT NULL;
FETCH 1 FROM mine;
ROLLBACK;
BEGIN;
SELECT domev.emit('e', 'x', '{"cursor": "not open"}') IS NOT NULL;
FETCH 1 FROM "not open";
ROLLBACK;
DO $$
DECLARE
	c CURSOR FOR SELECT 'of the emitter'::text FROM generate_series(1, 2);
	r text;
BEGIN
	OPEN c;
	FETCH c INTO r;
	PERFORM domev.emit('e', 'x', jsonb_build_object('cursor', c::text));
	FETCH c INTO r;
	RAISE NOTICE 'fetched a row %', r;
EXCEPTION WHEN invalid_cursor_name THEN
	RAISE NOTICE 'the cursor is not there any more';
END $$;
SELECT count(*) FROM canary; -- 0

-- nor while the function is registered, which plans it (before 18), and so runs what is immutable in it
SET ROLE regress_evil;
CREATE FUNCTION evil.immutable() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	c refcursor := 'mine';
BEGIN
	BEGIN
		CLOSE c;
	EXCEPTION WHEN OTHERS THEN
		NULL;
	END;
	OPEN c FOR SELECT evil.bite();
	RETURN 'x';
END $$;
CREATE FUNCTION evil.planned(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC SELECT (domev.make_integration_event(evil.immutable())).*; END;
RESET ROLE;
BEGIN;
DECLARE mine CURSOR FOR SELECT 'of the emitter'::text;
SELECT domev.create_mapping('planned', 'e', 'evil.planned', 't'), domev.alter_mapping('planned', function => 'evil.planned'), domev.drop_mapping('planned');
DO $$
DECLARE
	c refcursor := 'mine';
	r text;
BEGIN
	FETCH c INTO r;
EXCEPTION WHEN invalid_cursor_name THEN
	NULL;
END $$;
COMMIT;
SELECT count(*) FROM canary; -- 0

-- nor are those of remap: an event would be skipped, or the server crash
SELECT domev.alter_mapping('now', enabled => false);
TRUNCATE domev.outbox;
SELECT count(domev.emit('e', i, '{"do": "SELECT 1"}')) FROM generate_series(1, 250) AS i;
SET ROLE regress_evil;
CREATE OR REPLACE FUNCTION evil.do(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c refcursor;
BEGIN
	FOR c IN SELECT name FROM pg_cursors LOOP
		BEGIN
			MOVE FORWARD 10 IN c;
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
		BEGIN
			CLOSE c;
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END LOOP;
	RETURN domev.make_integration_event('mapped');
END $$;
RESET ROLE;
SELECT domev.alter_mapping('now', enabled => true);
SELECT count(*), min(outcome), max(outcome) FROM domev.remap('now', since => '2026-01-01', dry_run => true);
SELECT count(*), min(outcome), max(outcome) FROM domev.remap('now', since => '2026-01-01');

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE checked, canary, attempts;
DROP FUNCTION attempt, check_later;
DROP SCHEMA evil CASCADE;
DROP ROLE regress_evil;
