-- An event id given to emit makes the call idempotent, in every storage.
CREATE EXTENSION domev;
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
SELECT domev.create_topic('t'), domev.create_topic('w', 'internal', 'wal'), domev.create_event_type('e', 'a'), domev.create_event_type('w', 'a', 'w');
SELECT domev.create_mapping('m', 'e', 'public.m', topic => 't');
SELECT pg_create_logical_replication_slot('idempotent', 'domev') IS NOT NULL;

-- a repeat returns the id and does nothing more, whatever else it says
SELECT domev.emit('e', 'first', '{"n": 1}', event_id => '00000000-0000-0000-0000-000000000001');
SELECT domev.emit('e', 'second', '{"n": 2}', event_id => '00000000-0000-0000-0000-000000000001');
SELECT domev.emit('w', 'first', event_id => '00000000-0000-0000-0000-000000000002');
SELECT domev.emit('w', 'second', event_id => '00000000-0000-0000-0000-000000000002');
SELECT domev.emit('w', 'across types', event_id => '00000000-0000-0000-0000-000000000001');
BEGIN;
SELECT domev.emit('e', 'twice', event_id => '00000000-0000-0000-0000-000000000003');
SELECT domev.emit('e', 'twice', event_id => '00000000-0000-0000-0000-000000000003');
COMMIT;
SELECT aggregate_id, mapping FROM domev.outbox ORDER BY recorded_at;
SELECT data::jsonb->>'type' AS type, data::jsonb->>'subject' AS subject FROM pg_logical_slot_get_changes('idempotent', NULL, NULL);

-- a claim is undone with its transaction: the retry emits
BEGIN;
SELECT domev.emit('e', 'rolled back', event_id => '00000000-0000-0000-0000-000000000004');
ROLLBACK;
SELECT domev.emit('e', 'retried', event_id => '00000000-0000-0000-0000-000000000004');
-- and a repeat is still checked: it is the same call
SELECT domev.emit('missing', 'x', event_id => '00000000-0000-0000-0000-000000000004');
SELECT domev.emit('e', '', event_id => '00000000-0000-0000-0000-000000000004');
SELECT aggregate_id, mapping FROM domev.outbox WHERE aggregate_id IN ('rolled back', 'retried') ORDER BY recorded_at;

-- ids made here are not claimed
SELECT domev.emit('e', 'new id') IS NOT NULL;
SELECT event_id FROM domev.idempotency ORDER BY 1;

-- the caller needs no right on the table
CREATE ROLE regress_app;
GRANT INSERT ON domev_event.e TO regress_app;
SET ROLE regress_app;
SELECT domev.emit('e', 'app', event_id => '00000000-0000-0000-0000-000000000005');
SELECT domev.emit('e', 'app', event_id => '00000000-0000-0000-0000-000000000005');
RESET ROLE;
SELECT count(*) FROM domev.outbox WHERE aggregate_id = 'app';

SELECT pg_drop_replication_slot('idempotent');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP OWNED BY regress_app;
DROP ROLE regress_app;
