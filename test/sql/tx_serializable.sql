-- In a serializable transaction an emit adds no dependency: it takes no predicate locks (SIReadLock), neither on the registry, which it reads as
-- PostgreSQL reads its catalogs, nor on what it writes.  Only a mapping that reads tables does.
CREATE EXTENSION domev;
CREATE TABLE captured (id int);
CREATE TABLE looked_up (id int PRIMARY KEY, name text);
INSERT INTO looked_up VALUES (1, 'one');
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('mapped', to_jsonb(1 / (e).aggregate_version))).*; END;
CREATE FUNCTION public.looking(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('mapped', to_jsonb(l.name))).* FROM public.looked_up AS l WHERE l.id = 1; END;
SELECT domev.create_topic('i', 'internal'), domev.create_topic('t'), domev.create_topic('w', storage => 'wal');
SELECT domev.create_event_type('row', 'a', 'i'), domev.create_event_type('none', 'a', journal => false), domev.create_event_type('message', 'a', journal => false),
	domev.create_event_type('mapped', 'a', journal => false), domev.create_event_type('looked up', 'a'), domev.create_event_type('recorded', 'a', journal => false),
	domev.create_event_type('deferred', 'a', journal => false);
SELECT domev.create_mapping('message', 'message', 'public.m', 'w'), domev.create_mapping('mapped', 'mapped', 'public.m', 't'), domev.create_mapping('looked up', 'looked up', 'public.looking', 't'),
	domev.create_mapping('recorded', 'recorded', 'public.m', 't', on_error => 'record'), domev.create_mapping('deferred', 'deferred', 'public.m', 't', timing => 'deferred'),
	domev.create_capture('c', 'captured', 'insert', 'id', 'row');
SELECT pg_create_logical_replication_slot('tx_serializable', 'domev') IS NOT NULL AS made;
CREATE VIEW predicate_locks AS
SELECT locktype, relation::regclass AS relation FROM pg_locks WHERE mode = 'SIReadLock' AND pid = pg_backend_pid() ORDER BY relation::regclass::text;

-- in a session that has not emitted before
\c
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT domev.emit('row', 'x') IS NOT NULL AS emitted;
SELECT domev.emit('none', 'x') IS NOT NULL AS emitted;
SELECT domev.emit('message', 'x', aggregate_version => 1) IS NOT NULL AS emitted;
SELECT domev.emit('mapped', 'x', aggregate_version => 1) IS NOT NULL AS emitted;
SELECT domev.emit('recorded', 'x', aggregate_version => 1) IS NOT NULL AS emitted;
SELECT domev.emit('recorded', 'x', aggregate_version => 0) IS NOT NULL AS emitted;
SELECT domev.emit('deferred', 'x', aggregate_version => 1) IS NOT NULL AS emitted;
SELECT domev.emit('row', 'x', event_id => '00000000-0000-0000-0000-000000000001') IS NOT NULL AS emitted;
INSERT INTO captured VALUES (1);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM predicate_locks;
COMMIT;
-- after a change of the registry, and when nothing has changed
SELECT domev.alter_topic('t', description => 'changed'), domev.alter_event_type('row', description => 'changed');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(domev.emit(t, 'x', aggregate_version => 1)) FROM unnest('{row, none, message, mapped, recorded, deferred}'::text[]) AS t;
SELECT * FROM predicate_locks;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(domev.emit(t, 'x', aggregate_version => 1)) FROM unnest('{row, none, message, mapped, recorded, deferred}'::text[]) AS t;
SELECT count(*) FROM domev.preview('mapped', 'x', aggregate_version => 1);
SELECT * FROM predicate_locks;
COMMIT;
-- what is an error takes none either
BEGIN ISOLATION LEVEL SERIALIZABLE;
DO $$ BEGIN PERFORM domev.emit('no such', 'x'); EXCEPTION WHEN undefined_object THEN NULL; END $$;
SELECT * FROM predicate_locks;
COMMIT;
-- a mapping that reads
BEGIN ISOLATION LEVEL SERIALIZABLE;
SET LOCAL enable_seqscan = off;
SELECT domev.emit('looked up', 'x') IS NOT NULL AS emitted;
SELECT * FROM predicate_locks WHERE relation::text !~ 'looked_up';
SELECT count(*) > 0 AS reads FROM predicate_locks WHERE relation::text ~ 'looked_up';
COMMIT;
-- who repeats an id reads the row that claimed it, at most, but not its neighbours, where others claim theirs
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT domev.emit('row', 'x', event_id => '00000000-0000-0000-0000-000000000001');
SELECT * FROM predicate_locks WHERE locktype <> 'tuple';
COMMIT;

SET client_min_messages = warning;
SELECT pg_drop_replication_slot('tx_serializable');
DROP VIEW predicate_locks;
DROP EXTENSION domev CASCADE;
DROP TABLE captured, looked_up;
