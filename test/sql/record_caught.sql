-- What on_error record does not keep goes up through whoever catches it, without a trace of the mapping's subtransaction.
CREATE EXTENSION domev;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a');
CREATE TABLE log (v text);
CREATE FUNCTION fails(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM set_config('domev_test.set', 'by the mapping', true);
	IF e.aggregate_id = '57014' THEN
		PERFORM pg_sleep(60);
	END IF;
	RAISE 'fails' USING ERRCODE = e.aggregate_id;
END $$;
SELECT domev.create_mapping('fails', 'e', 'public.fails', 't', on_error => 'record');

-- through emit, preview and remap: what the block has written goes with the error, what follows it stays
SELECT domev.emit('e', 'P0001', event_id => '00000000-0000-0000-0000-000000000001') IS NOT NULL AS recorded;
CREATE FUNCTION try(what text, code text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	role name := current_user;
BEGIN
	INSERT INTO log VALUES (what || ' ' || code || ': before');
	BEGIN
		INSERT INTO log VALUES (what || ' ' || code || ': must not stay');
		IF what = 'emit' THEN
			PERFORM domev.emit('e', code);
		ELSIF what = 'preview' THEN
			PERFORM domev.preview('e', code);
		ELSE
			UPDATE domev.failed_mapping SET event.aggregate_id = code;
			PERFORM domev.remap('fails');
		END IF;
	EXCEPTION WHEN query_canceled OR OTHERS THEN
		INSERT INTO log VALUES (what || ' ' || code || ': after');
		RETURN SQLSTATE || CASE WHEN current_user = role AND current_setting('transaction_read_only') = 'off'
			AND coalesce(current_setting('domev_test.set', true), '') = '' THEN ', all as before' ELSE ', something is left' END;
	END;
	RETURN 'nothing raised';
END $$;
SELECT code, try('emit', code), try('preview', code), try('remap', code) FROM unnest('{40001,40P01,53100,53200,57P01,58000,XX000,XX001}'::text[]) AS code;
SET statement_timeout = '100ms';
SELECT try('emit', '57014');
SELECT try('preview', '57014');
SELECT try('remap', '57014');
RESET statement_timeout;
SELECT count(*), count(*) FILTER (WHERE v ~ 'must not stay') AS must_be_0 FROM log;
-- the session is in no transaction
SELECT pg_current_xact_id_if_assigned();
-- and others' are recorded as they should
SELECT try('emit', 'P0001'), try('preview', '22012'), try('remap', '42501');
SELECT (event).aggregate_id, sqlstate, attempts FROM domev.failed_mapping ORDER BY 2;

-- a failure at the end of a transaction that has become read-only is recorded, and the transaction stays so
SELECT domev.alter_mapping('fails', timing => 'deferred');
BEGIN;
SELECT domev.emit('e', 'P0002') IS NOT NULL AS emitted;
SET TRANSACTION READ ONLY;
SET CONSTRAINTS ALL IMMEDIATE;
SHOW transaction_read_only;
COMMIT;
SELECT sqlstate, message FROM domev.failed_mapping WHERE (event).aggregate_id = 'P0002';

-- inside a mapping nothing of all that can be tried
CREATE FUNCTION nested(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	BEGIN
		PERFORM domev.remap('fails', dry_run => true);
	EXCEPTION WHEN OTHERS THEN
		RETURN NEXT domev.make_integration_event('remap', to_jsonb(SQLSTATE || ' ' || SQLERRM));
	END;
	BEGIN
		PERFORM domev.preview('e', 'x');
	EXCEPTION WHEN OTHERS THEN
		RETURN NEXT domev.make_integration_event('preview', to_jsonb(SQLSTATE || ' ' || SQLERRM));
	END;
	BEGIN
		PERFORM domev.emit('e', 'x');
	EXCEPTION WHEN OTHERS THEN
		RETURN NEXT domev.make_integration_event('emit', to_jsonb(SQLSTATE || ' ' || SQLERRM));
	END;
	BEGIN
		IF e.aggregate_id = 'second' THEN
			SET CONSTRAINTS ALL IMMEDIATE;
		END IF;
	EXCEPTION WHEN OTHERS THEN
		RETURN NEXT domev.make_integration_event('set constraints', to_jsonb(SQLSTATE || ' ' || SQLERRM));
	END;
END $$;
SELECT domev.drop_mapping('fails');
SELECT domev.create_mapping('deferred', 'e', 'public.nested', 't', timing => 'deferred'), domev.create_mapping('nested', 'e', 'public.nested', 't');
TRUNCATE domev.outbox;
BEGIN;
-- the second finds the first one's deferred mapping pending
SELECT domev.emit('e', 'first') IS NOT NULL AS first;
SELECT domev.emit('e', 'second') IS NOT NULL AS second;
SELECT aggregate_id, event_type, payload FROM domev.outbox WHERE mapping IS NOT NULL ORDER BY recorded_at;
COMMIT;
SELECT mapping, count(*) FROM domev.outbox GROUP BY 1 ORDER BY 1;

DROP EXTENSION domev CASCADE;
DROP TABLE log;
DROP FUNCTION try;
