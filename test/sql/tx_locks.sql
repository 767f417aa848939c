-- What an emit keeps locked until the end of its transaction: what an INSERT would, and the functions of its mappings; nothing that any other
-- emit, a reader, VACUUM or a change of the registry would wait for.
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
SELECT pg_create_logical_replication_slot('tx_locks', 'domev') IS NOT NULL AS made;

-- locks on PostgreSQL's own tables are those of the query that looks
CREATE VIEW locks AS
SELECT l.locktype, CASE l.locktype WHEN 'relation' THEN c.oid::regclass::text WHEN 'object' THEN l.objid::regprocedure::text END AS what, l.mode
FROM pg_locks AS l LEFT JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.locktype <> 'virtualxid' AND l.mode <> 'SIReadLock'
	AND (c.oid IS NULL OR c.relnamespace <> 'pg_catalog'::regnamespace AND c.relname <> 'locks');
-- those that a reader or a writer of the same table would wait for, and all on the registry
CREATE VIEW wrong AS
SELECT * FROM locks WHERE locktype <> 'transactionid' AND mode NOT IN ('AccessShareLock', 'RowExclusiveLock')
	OR what IN ('domev.topics', 'domev.event_types', 'domev.mappings', 'domev.source', 'domev.message_key');
CREATE PROCEDURE show_locks(kind text, version bigint DEFAULT 1, id uuid DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
	l record;
BEGIN
	PERFORM domev.emit(kind, 'x', aggregate_version => version, event_id => id);
	FOR l IN SELECT * FROM locks WHERE what <> 'show_locks(text,bigint,uuid)' OR what IS NULL ORDER BY locktype, what COLLATE "C", mode LOOP
		RAISE INFO '%', concat_ws(' ', l.mode, 'on', l.what, '(' || l.locktype || ')');
	END LOOP;
	COMMIT;
END $$;

-- each twice: the first emit of a kind reads the registry, plans the mapping and finds the partition
CALL show_locks('row');
CALL show_locks('row');
CALL show_locks('none');
CALL show_locks('message');
CALL show_locks('message');
CALL show_locks('mapped');
CALL show_locks('mapped');
CALL show_locks('looked up');
CALL show_locks('looked up');
CALL show_locks('recorded');
CALL show_locks('recorded', 0);
CALL show_locks('deferred');
CALL show_locks('row', 1, '00000000-0000-0000-0000-000000000001');
-- a repetition
CALL show_locks('row', 1, '00000000-0000-0000-0000-000000000001');
-- a capture
BEGIN;
INSERT INTO captured VALUES (1);
SELECT * FROM locks WHERE locktype <> 'transactionid' ORDER BY locktype, what COLLATE "C", mode;
COMMIT;

-- a deferred mapping, when it has run
BEGIN;
SELECT domev.emit('deferred', 'x', aggregate_version => 1) IS NOT NULL AS emitted;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM locks WHERE locktype <> 'transactionid' ORDER BY locktype, what COLLATE "C", mode;
COMMIT;

-- at every isolation level, in one transaction, in a new session
\c
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(domev.emit(kind, 'x', aggregate_version => 1)) FROM unnest('{row, none, message, mapped, "looked up", recorded, deferred}'::text[]) AS kind;
INSERT INTO captured VALUES (2);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM wrong;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(domev.emit(kind, 'x', aggregate_version => 1)) FROM unnest('{row, none, message, mapped, "looked up", recorded, deferred}'::text[]) AS kind;
SELECT * FROM wrong;
COMMIT;
-- preview keeps none on what emit writes
BEGIN;
SELECT count(*) FROM domev.preview('mapped', 'x', aggregate_version => 1);
SELECT * FROM locks WHERE locktype <> 'object' ORDER BY locktype, what COLLATE "C", mode;
COMMIT;

SET client_min_messages = warning;
SELECT pg_drop_replication_slot('tx_locks');
DROP VIEW wrong, locks;
DROP PROCEDURE show_locks;
DROP EXTENSION domev CASCADE;
DROP TABLE captured, looked_up;
