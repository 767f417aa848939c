-- SE-4: a member of pg_write_all_data writes rows of the registry, and reads them back as registered before the statement ends: no mapping
-- runs that nobody registered, in the statement, or after it.
CREATE EXTENSION domev;
CREATE ROLE regress_writer;
GRANT pg_write_all_data TO regress_writer;
SELECT domev.create_topic('t'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('e', 'a'), domev.create_event_type('off', 'a');
CREATE TABLE vault AS SELECT 'kept' AS content;
CREATE FUNCTION reads_vault(domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('leak', (SELECT jsonb_build_object('vault', content) FROM vault))).*; END;
SELECT domev.create_mapping('off', 'off', 'public.reads_vault', 't');
SELECT domev.alter_mapping('off', enabled => false);

-- emits when the statement comes to its second row, and so has the registry read
CREATE FUNCTION emit_at(n int, event_type text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF n = 2 THEN
		PERFORM domev.emit(event_type, 'within', '{}'::jsonb);
	END IF;
	RETURN true;
END $$;

SELECT pg_create_logical_replication_slot('s', 'domev') IS NOT NULL AS made;
\c -
SET ROLE regress_writer;
INSERT INTO domev.mappings (mapping, event_type, function, owner, topic, timing, on_error)
	SELECT 'm' || n, 'e', 'public.reads_vault', (SELECT proowner FROM pg_proc WHERE proname = 'reads_vault')::regrole, 't', 'immediate', 'abort'
	FROM generate_series(1, 2) AS n WHERE emit_at(n, 'e');
SELECT domev.emit('e', 'after', '{}'::jsonb) IS NOT NULL AS emitted;
\c -
SET ROLE regress_writer;
WITH w AS (UPDATE domev.mappings SET enabled = true RETURNING 1) SELECT emit_at(2, 'off') FROM w;
SELECT domev.emit('off', 'after', '{}'::jsonb) IS NOT NULL AS emitted;
\c -
SET ROLE regress_writer;
WITH w AS (DELETE FROM domev.mappings RETURNING 1) SELECT emit_at(2, 'off') FROM w;
WITH w AS (UPDATE domev.topics SET scope = 'internal' RETURNING 1) SELECT emit_at(2, 'off') FROM w;
TRUNCATE domev.source;
RESET ROLE;
SELECT event_type, aggregate_id, mapping, payload FROM domev.outbox ORDER BY recorded_at;
SELECT mapping, enabled FROM domev.mappings;
SELECT data::jsonb ->> 'type' AS type FROM pg_logical_slot_get_changes('s', NULL, NULL);

SELECT pg_drop_replication_slot('s');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP FUNCTION emit_at;
DROP TABLE vault;
DROP ROLE regress_writer;
