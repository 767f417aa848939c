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
-- nor is what somebody wrote by hand, and emit would have refused, made an event of
SELECT pg_create_logical_replication_slot('remap_failed', 'domev') IS NOT NULL AS made;
INSERT INTO domev.failed_mapping SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'm', ROW(('00000000-0000-0000-0000-00000000000' || n)::uuid, 'e', 'a', id, NULL, '{}', headers::jsonb, at)::domev.domain_event,
	'XX000', 'by hand', NULL, NULL, now(), 1 FROM (VALUES (1, 'x', '[1]', now()), (2, 'x', '"x"', now()), (3, 'x', '{"Id": 1}', now()), (4, '', NULL, now()), (5, 'x', NULL, '-infinity')) AS v(n, id, headers, at);
\set VERBOSITY terse
SELECT domev.remap('00000000-0000-0000-0000-000000000001'::uuid, 'm');
SELECT domev.remap('00000000-0000-0000-0000-000000000002'::uuid, 'm', dry_run => true);
SELECT domev.remap('00000000-0000-0000-0000-000000000003'::uuid, 'm');
SELECT domev.remap('00000000-0000-0000-0000-000000000004'::uuid, 'm');
SELECT domev.remap('00000000-0000-0000-0000-000000000005'::uuid, 'm');
\set VERBOSITY default
SELECT count(data::jsonb) FROM pg_logical_slot_get_changes('remap_failed', NULL, NULL);
SELECT pg_drop_replication_slot('remap_failed');
DROP EXTENSION domev CASCADE;
