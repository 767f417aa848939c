-- A mapping reads and computes: writing is refused, the read-only state ends with it, and the transaction goes on.
CREATE EXTENSION domev;
CREATE TABLE t (v text);
CREATE SEQUENCE s;
CREATE FUNCTION public.try(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
	EXECUTE (e).payload->>'do';
	RETURN domev.make_integration_event('done', (e).payload);
END $$;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_mapping('m', 'e', 'public.try', topic => 't');

SELECT domev.emit('e', 'x', '{"do": "INSERT INTO t VALUES (1)"}');
SELECT domev.emit('e', 'x', '{"do": "UPDATE t SET v = 2"}');
SELECT domev.emit('e', 'x', '{"do": "DELETE FROM t"}');
SELECT domev.emit('e', 'x', '{"do": "TRUNCATE t"}');
SELECT domev.emit('e', 'x', '{"do": "CREATE TABLE u ()"}');
SELECT domev.emit('e', 'x', '{"do": "SELECT nextval(''s'')"}');
SELECT domev.emit('e', 'x', '{"do": "SELECT * FROM t FOR UPDATE"}');
SELECT domev.emit('e', 'x', '{"do": "COPY t FROM PROGRAM ''echo 1''"}');
SELECT domev.emit('e', 'x', '{"do": "SET TRANSACTION READ WRITE"}');
SELECT domev.emit('e', 'x', '{"do": "SET transaction_read_only = off"}');
SELECT domev.emit('e', 'x', '{"do": "DO $d$ BEGIN SET transaction_read_only = off; EXCEPTION WHEN OTHERS THEN INSERT INTO t VALUES (1); END $d$"}');

-- the transaction goes on writing after an error that was caught, and after a mapping that worked
BEGIN;
INSERT INTO t VALUES ('before');
DO $$
BEGIN
	PERFORM domev.emit('e', 'x', '{"do": "INSERT INTO t VALUES (1)"}');
EXCEPTION WHEN read_only_sql_transaction THEN
	INSERT INTO t VALUES ('in the handler');
END $$;
INSERT INTO t VALUES ('after the error');
SELECT domev.emit('e', 'kept', '{"do": "SELECT 1"}') IS NOT NULL;
INSERT INTO t VALUES ('after the mapping');
-- not even a mapping that says so itself makes the rest of the transaction read-only
SELECT domev.emit('e', 'kept', '{"do": "SET transaction_read_only = on"}') IS NOT NULL;
SELECT domev.emit('e', 'kept', '{"do": "SET TRANSACTION READ ONLY"}') IS NOT NULL;
INSERT INTO t VALUES ('after that');
SAVEPOINT a;
SELECT domev.emit('e', 'x', '{"do": "DELETE FROM t"}');
ROLLBACK TO a;
INSERT INTO t VALUES ('after the savepoint');
SHOW transaction_read_only;
COMMIT;
SELECT * FROM t;
SELECT aggregate_id, mapping FROM domev.outbox ORDER BY recorded_at;

-- a mapping's own subtransactions are read-only too, and harmless
CREATE OR REPLACE FUNCTION public.try(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
	BEGIN
		INSERT INTO t VALUES ('never');
	EXCEPTION WHEN read_only_sql_transaction THEN
		NULL;
	END;
	RETURN domev.make_integration_event('caught', '1');
END $$;
SELECT domev.emit('e', 'caught') IS NOT NULL;
INSERT INTO t VALUES ('last');
SELECT count(*) FILTER (WHERE v = 'never'), count(*) FILTER (WHERE v = 'last') FROM t;

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE t;
DROP SEQUENCE s;
