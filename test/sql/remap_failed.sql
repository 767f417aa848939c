-- A remap that ends with an error leaves no cursor behind.
CREATE EXTENSION domev;
CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('i')).*;
END;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_event_type('other', 'a'), domev.create_mapping('m', 'e', 'public.m', 't');
SELECT domev.emit('other', '1') AS id \gset
\set VERBOSITY terse
SELECT domev.remap(:'id'::uuid, 'm');
SELECT domev.remap(:'id'::uuid, 'm');
DO $$ BEGIN PERFORM domev.remap((SELECT event_id FROM domev.outbox), 'm'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', SQLERRM; END $$;
\set VERBOSITY default
SELECT name FROM pg_cursors;
DROP EXTENSION domev CASCADE;
