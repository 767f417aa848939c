-- What the generator's calls find: a registry of all kinds, tables with captures, mappings that do what they are told.
-- Made anew for each episode, so that an episode can be replayed by itself.
SET client_min_messages = error;
DROP EXTENSION IF EXISTS domev CASCADE;
DROP SCHEMA IF EXISTS fuzz CASCADE;
CREATE EXTENSION domev;
CREATE SCHEMA fuzz;
GRANT USAGE, CREATE ON SCHEMA fuzz TO PUBLIC;

CREATE TABLE fuzz.rows (id int, name text, doc jsonb, j json, n numeric, f float8, at timestamptz, list text[], bytes bytea, uid uuid);
CREATE INDEX rows_id ON fuzz.rows (id);
CREATE TABLE fuzz.events (id text, type text, payload json, headers jsonb, version bigint, event_id uuid, at timestamptz);
CREATE TABLE fuzz.parts (id int, name text) PARTITION BY LIST (id);
CREATE TABLE fuzz.parts_1 PARTITION OF fuzz.parts FOR VALUES IN (1);
CREATE VIEW fuzz.view AS SELECT 1 AS id;
CREATE SEQUENCE fuzz.sequence;

-- The event that the payload says.
CREATE FUNCTION fuzz.echo(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF jsonb_typeof((e).payload) = 'object' THEN
		RETURN NEXT jsonb_populate_record(NULL::domev.integration_event, (e).payload);
	END IF;
END $$;
CREATE FUNCTION fuzz.echo_sql(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event((e).aggregate_id, (e).payload, headers => (e).headers)).*; END;
CREATE FUNCTION fuzz.fails(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'FZ001', MESSAGE = left((e).payload::text, 100000), DETAIL = (e).aggregate_id;
END $$;
CREATE FUNCTION fuzz.emits(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM domev.emit('none', (e).aggregate_id);
	RETURN NULL;
END $$;
CREATE FUNCTION fuzz.unfit(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';

SELECT domev.create_topic('in', 'internal'), domev.create_topic('in.wal', 'internal', 'wal'), domev.create_topic('out'), domev.create_topic('out.wal', storage => 'wal');
SELECT domev.create_event_type('echo', 'order', 'in'), domev.create_event_type('fails', 'order'), domev.create_event_type('wal', 'order', 'in.wal'),
	domev.create_event_type('journal', 'row', 'in.wal', true), domev.create_event_type('none', 'row', journal => false), domev.create_event_type('it''s "odd" %I', 'ro''w', 'in');
SELECT domev.create_mapping('echo', 'echo', 'fuzz.echo', 'out'), domev.create_mapping('echo-deferred', 'journal', 'fuzz.echo', 'out.wal', 'deferred'),
	domev.create_mapping('echo-record', 'wal', 'fuzz.echo', 'out', on_error => 'record'), domev.create_mapping('fails', 'fails', 'fuzz.fails', 'out'),
	domev.create_mapping('fails-record', 'none', 'fuzz.fails', 'out', 'deferred', 'record'), domev.create_mapping('late', 'it''s "odd" %I', 'fuzz.echo_sql', 'out.wal', 'deferred'),
	domev.create_mapping('emits', 'wal', 'fuzz.emits', on_error => 'record');
SELECT domev.create_capture('rows-insert', 'fuzz.rows', 'insert', 'id, name', 'echo'),
	domev.create_capture('rows-update', 'fuzz.rows', 'update', 'id', 'wal', condition => 'OLD.id >= 0', ignore => '{f}'),
	domev.create_capture('rows-delete', 'fuzz.rows', 'delete', 'name', 'none', columns => '{name, doc, j, bytes}'),
	domev.create_capture('rows-truncate', 'fuzz.rows', 'truncate', NULL, 'journal'),
	domev.create_capture('events', 'fuzz.events', 'insert', 'id', event_type_column => 'type', payload_column => 'payload', headers_column => 'headers',
		version_column => 'version', event_id_column => 'event_id', occurred_at_column => 'at');
SELECT domev.create_consumer('c1', '-infinity'), domev.create_consumer('c2', '-infinity', 'fuzz_app');
-- WAL messages to be damaged and written again: none of them may ever be sent.
SELECT domev.create_event_type('sealed', 'order', 'in.wal');
SELECT domev.emit('sealed', 'sealed ' || i, jsonb_build_object('n', repeat('x', i * 10)), '{"user": "ann"}') FROM generate_series(1, 5) AS i;
INSERT INTO fuzz.rows SELECT i, 'name ' || i FROM generate_series(0, 9) AS i;
SELECT domev.emit('none', i, event_id => ('01234567-89ab-7000-8000-00000000000' || i)::uuid) FROM generate_series(1, 5) AS i;

-- fuzz_app may do all that can be granted, fuzz_plain what everybody may.
GRANT ALL ON ALL TABLES IN SCHEMA fuzz TO fuzz_app;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA domev, fuzz TO fuzz_app;
GRANT SELECT ON domev.outbox, domev.failed_mapping, domev.remapped TO fuzz_app;
DO $$
DECLARE
	schema text;
BEGIN
	FOR schema IN SELECT nspname FROM pg_namespace WHERE nspname IN ('domev_topic', 'domev_event') LOOP
		EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO fuzz_app', schema);
	END LOOP;
END $$;
