-- A slot can be read in a transaction of any kind.  What the plugin reads of the registry is as of the event, so it is no read of a serializable
-- transaction: no predicate lock, no conflict.  (A server with assertions stopped here, at a version of a row that is dead by now.)
CREATE EXTENSION domev;
SELECT domev.create_topic('t', 'internal'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('e', 'a', 't');
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
SELECT domev.create_mapping('m', 'e', 'public.m', 'w');
SELECT pg_create_logical_replication_slot('isolation', 'domev') IS NOT NULL;
SELECT domev.emit('e', 'before') IS NOT NULL;
SELECT domev.alter_topic('t', description => 'changed'), domev.alter_topic('w', description => 'changed'), domev.set_source('/changed');
SELECT domev.emit('e', 'after') IS NOT NULL;

CREATE FUNCTION sent() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', data::json->>'subject', data::json->>'topic', data::json->>'source'), ', ')
	FROM pg_logical_slot_peek_changes('isolation', NULL, NULL, 'scope', 'internal') AS p $$;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT sent();
SELECT relation::regclass, locktype FROM pg_locks WHERE mode = 'SIReadLock' AND pid = pg_backend_pid() AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'domev'::regnamespace);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;
SELECT sent();
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SELECT sent();
SAVEPOINT s;
SELECT sent();
ROLLBACK TO s;
SELECT sent();
COMMIT;
-- in one that has written itself, and after an error
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT domev.alter_topic('t', scope => 'internal');
SELECT domev.emit('e', 'not committed') IS NOT NULL;
SELECT sent();
SAVEPOINT s;
SELECT data FROM pg_logical_slot_peek_changes('isolation', NULL, NULL, 'scope', 'none');
ROLLBACK TO s;
SELECT sent();
ROLLBACK;
SELECT sent();

SELECT pg_drop_replication_slot('isolation');
SET client_min_messages = warning;
DROP FUNCTION sent;
DROP EXTENSION domev CASCADE;
