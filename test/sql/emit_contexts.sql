-- Where domev.emit refuses, and where it works.
\set SHOW_CONTEXT never
CREATE EXTENSION domev;
SELECT domev.create_event_type('e', 'a');
CREATE TABLE t (id int PRIMARY KEY, v text);

-- read-only transactions, whatever made them so
BEGIN READ ONLY;
SELECT domev.emit('e', 'x');
ROLLBACK;
SET default_transaction_read_only = on;
SELECT domev.emit('e', 'x');
RESET default_transaction_read_only;

-- security-restricted operations
CREATE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM domev.emit('e', $1); RETURN $1; END $$;
INSERT INTO t VALUES (1, 'index');
CREATE INDEX ON t (f(v));
CREATE MATERIALIZED VIEW mv AS SELECT domev.emit('e', 'matview') WITH NO DATA;
REFRESH MATERIALIZED VIEW mv;
CREATE STATISTICS s ON (f(v)) FROM t;
ANALYZE t;
DROP STATISTICS s;
SELECT count(*) FROM domev.outbox; -- 0

-- parallel workers: a function that is mislabelled
CREATE FUNCTION g(text) RETURNS uuid PARALLEL SAFE LANGUAGE plpgsql AS $$ BEGIN RETURN domev.emit('e', $1); END $$;
DO $$
BEGIN
	-- the setting has another name before 16
	PERFORM set_config(name, 'on', false) FROM pg_settings WHERE name IN ('debug_parallel_query', 'force_parallel_mode');
END $$;
SELECT g(v) FROM t;
SELECT domev.emit('e', v) IS NOT NULL FROM t; -- planned without workers
RESET ALL;

-- inside a mapping
CREATE FUNCTION nested(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM domev.emit('e', 'nested');
	RETURN NULL;
END $$;
SELECT domev.create_event_type('outer', 'a'), domev.create_mapping('nested', 'outer', 'public.nested');
SELECT domev.emit('outer', 'x');
SELECT domev.emit('e', 'after') IS NOT NULL; -- the error left nothing behind
-- nor does one that was caught
DO $$
BEGIN
	BEGIN
		PERFORM domev.emit('outer', 'x');
	EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE '% %', SQLSTATE, SQLERRM;
	END;
	PERFORM domev.emit('e', 'after caught');
END $$;

-- where it works: triggers of all kinds, procedures that commit, cursors, DO, functions of every volatility that PostgreSQL lets write
CREATE FUNCTION emit_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM domev.emit('e', TG_WHEN || ' ' || TG_OP || ' ' || TG_LEVEL); RETURN NEW; END $$;
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION emit_row();
CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION emit_row();
CREATE TRIGGER c AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION emit_row();
CREATE CONSTRAINT TRIGGER d AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION emit_row();
TRUNCATE domev.outbox;
INSERT INTO t VALUES (2, 'b');
UPDATE t SET v = 'c' WHERE id = 2;
TRUNCATE t;
SELECT aggregate_id, count(*) FROM domev.outbox GROUP BY 1 ORDER BY min(recorded_at);
DROP TABLE t;
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		PERFORM domev.emit('e', 'procedure ' || i);
		IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
CALL p();
BEGIN;
DECLARE c CURSOR FOR SELECT domev.emit('e', 'cursor ' || i) IS NOT NULL AS emitted FROM generate_series(1, 3) AS i;
FETCH 2 FROM c;
COMMIT;
SELECT aggregate_id FROM domev.outbox WHERE aggregate_id ~ 'procedure|cursor' ORDER BY recorded_at;

-- only who was granted it
CREATE ROLE regress_nobody;
SET ROLE regress_nobody;
SELECT domev.emit('e', 'x');
RESET ROLE;
DROP ROLE regress_nobody;

SET client_min_messages = warning;
DROP MATERIALIZED VIEW mv;
DROP FUNCTION f, g, emit_row;
DROP PROCEDURE p;
DROP EXTENSION domev CASCADE;
