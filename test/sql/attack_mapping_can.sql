-- SE-4: what a mapping can do to whoever emits, in spite of all: each entry of SECURITY.md's list is shown, and that what else
-- PostgreSQL's read-only transactions let pass is undone when the mapping ends.  What is refused is in attack_mapping.sql.
CREATE EXTENSION domev;
CREATE ROLE regress_evil;
CREATE SCHEMA evil AUTHORIZATION regress_evil;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA domev TO regress_evil;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a', journal => false);
GRANT INSERT ON domev_event.e, domev_topic.t TO regress_evil;
SET ROLE regress_evil;
CREATE TABLE evil.own (v int PRIMARY KEY);
-- what it reads becomes the event's payload
CREATE FUNCTION evil.do(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r text;
BEGIN
	IF (e).payload->>'do' ~ '^(SELECT|FETCH|EXECUTE)' THEN
		EXECUTE (e).payload->>'do' INTO r;
	ELSE
		EXECUTE (e).payload->>'do';
	END IF;
	RETURN domev.make_integration_event('read', to_jsonb(r));
END $$;
SELECT domev.create_mapping('m', 'e', 'evil.do', 't');
RESET ROLE;
CREATE FUNCTION let(statement text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM domev.emit('e', 'x', jsonb_build_object('do', statement)); END $$;
CREATE VIEW read AS SELECT payload FROM domev.outbox WHERE mapping IS NOT NULL;

-- ---- What stays.

-- It reads what the session knows: the statement that emits, settings, prepared statements, which it can execute as itself.
PREPARE p AS SELECT 'prepared literal';
SET app.token = 'secret setting';
SELECT let('SELECT current_query()') AS "secret literal";
SELECT let('SELECT statement FROM pg_prepared_statements'), let('SELECT current_setting(''app.token'')'), let('SELECT session_user');
SELECT let('EXECUTE p');
SELECT CASE WHEN payload::text = to_json(session_user::text)::text THEN '(the session''s user)' ELSE payload::text END AS payload FROM read;
TRUNCATE domev.outbox;
DEALLOCATE p;
-- Not the events of the transaction, when the session keeps them: it sees that they are there.
BEGIN;
SET LOCAL domev.keep_emitted = on;
SELECT domev.create_event_type('other', 'a');
SELECT domev.emit('other', 'x', '{"of": "another type"}') IS NOT NULL;
SELECT let('SELECT event_type || coalesce(payload::text, '' without its payload'') FROM domev.emitted_in_transaction()');
SELECT * FROM read;
ROLLBACK;

-- It reads and moves a cursor of the emitter's, and closes it with PL/pgSQL's CLOSE (attack_mapping.sql does).
CREATE TABLE secret (v text);
INSERT INTO secret VALUES ('secret 1'), ('secret 2'), ('secret 3'), ('secret 4');
BEGIN;
DECLARE c CURSOR FOR SELECT v FROM secret ORDER BY 1;
FETCH c;
SELECT let('FETCH c');
FETCH c;
SELECT let('MOVE c');
FETCH c;
COMMIT;
SELECT * FROM read;
TRUNCATE domev.outbox;
-- That of a loop in the emitter's function, too: rows are passed over.
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT v FROM public.secret ORDER BY 1 LOOP
		RAISE NOTICE 'the loop has %', r.v;
		PERFORM public.let(format('MOVE %I', (SELECT name FROM pg_cursors)));
	END LOOP;
END $$;
TRUNCATE domev.outbox;

-- It reads a large object that the emitter has opened.
BEGIN;
SELECT lo_from_bytea(4712, 'only the emitter may read this') AS made \gset
SELECT lo_open(4712, 262144);
SELECT let($$SELECT convert_from(loread(0, 100), 'UTF8')$$);
SELECT * FROM read;
ROLLBACK;
-- It takes advisory locks of the session, and gives back those that the session has.
SELECT pg_advisory_lock(1);
BEGIN;
SELECT let('SELECT pg_advisory_lock(3)');
COMMIT;
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1;
SELECT let('SELECT pg_advisory_unlock_all()');
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1;

-- It makes the session's random numbers foreseeable.
SELECT setseed(0.5);
CREATE TABLE expected AS SELECT random() AS r;
SELECT let('SELECT setseed(0.5)');
SELECT r = random() AS foreseen FROM expected;

-- It writes WAL messages that are not transactional (the plugin drops what looks like domev's own).
SELECT pg_create_logical_replication_slot('messages', 'pgoutput') IS NOT NULL;
CREATE PUBLICATION nothing;
BEGIN;
SELECT let('SELECT pg_logical_emit_message(true, ''undone'', ''x'')');
SELECT let('SELECT pg_logical_emit_message(false, ''kept'', ''x'')');
COMMIT;
SELECT name, count(*) FROM pg_logical_slot_get_binary_changes('messages', NULL, NULL, 'proto_version', '1', 'publication_names', 'nothing', 'messages', 'true'),
	unnest('{undone,kept}'::text[]) AS name WHERE position(convert_to(name, 'UTF8') IN data) > 0 GROUP BY 1;
SELECT pg_drop_replication_slot('messages');
DROP PUBLICATION nothing;

-- It moves on a sequence of the session that its owner has been granted rights on.
CREATE TEMP SEQUENCE counted;
GRANT ALL ON counted TO regress_evil;
SELECT let('SELECT setval(''pg_temp.counted'', 7)');
SELECT last_value FROM counted;

-- It writes messages to the emitter's client (and the server's log), and raises an error of any code.
SELECT let('DO $d$ BEGIN RAISE NOTICE ''from the mapping''; END $d$');
DO $$
BEGIN
	PERFORM let('DO $d$ BEGIN RAISE unique_violation; END $d$');
EXCEPTION WHEN unique_violation THEN
	RAISE NOTICE 'the emitter was told of a unique violation';
END $$;

-- It fires the emitter's deferred triggers before their time (before 18 as the mapping's owner), which then fire again.
CREATE TABLE child (v int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'fired, by whom is known: %', (current_user = 'regress_evil') = (current_setting('server_version_num')::int < 180000 AND current_setting('transaction_read_only')::boolean);
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER note AFTER INSERT ON child DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
BEGIN;
INSERT INTO child VALUES (1);
SELECT let('SET CONSTRAINTS public.note IMMEDIATE');
COMMIT;

-- It leaves the database, if its owner may: here by a program.
CREATE FUNCTION superusers(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	COPY (SELECT 'from the mapping') TO PROGRAM 'cat >/dev/null';
	RETURN domev.make_integration_event('a program has run');
END $$;
SELECT domev.create_event_type('p', 'a'), domev.create_mapping('p', 'p', 'public.superusers', 't');
SELECT domev.emit('p', 'x') IS NOT NULL;
SELECT event_type FROM domev.outbox WHERE mapping = 'p';

-- It takes transaction ids.
BEGIN;
SELECT let('SELECT pg_current_xact_id()');
SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS assigned;
COMMIT;

-- ---- What is undone.

-- What it wrote to a temporary table that its owner has been granted rights on.
CREATE TEMP TABLE granted (v text);
GRANT ALL ON granted TO regress_evil;
BEGIN;
SELECT let('INSERT INTO pg_temp.granted VALUES (current_user)');
COMMIT;
SELECT * FROM granted;
-- Constraints that it set.
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE orphan (parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
BEGIN;
SELECT let('SET CONSTRAINTS ALL IMMEDIATE');
INSERT INTO orphan VALUES (1);
INSERT INTO parent VALUES (1);
COMMIT;
-- Locks that statements take; those that functions take stay until the transaction ends. And what it did to its owner's tables: ANALYZE, REINDEX, CLUSTER.
BEGIN;
SELECT let('LOCK TABLE evil.own IN ACCESS EXCLUSIVE MODE'), let('SELECT pg_advisory_xact_lock(2)');
SELECT locktype, mode FROM pg_locks WHERE pid = pg_backend_pid() AND (relation = 'evil.own'::regclass OR locktype = 'advisory');
COMMIT;
SELECT relfilenode AS before FROM pg_class WHERE oid = 'evil.own_pkey'::regclass \gset
SELECT let('ANALYZE evil.own'), let('REINDEX TABLE evil.own'), let('CLUSTER evil.own USING own_pkey');
SELECT relfilenode <> :before AS rewritten FROM pg_class WHERE oid = 'evil.own_pkey'::regclass;
-- Notifications by the statement; one by pg_notify() stays, and keeps the transaction from being prepared.
BEGIN;
SELECT let('NOTIFY channel');
PREPARE TRANSACTION 'x';
ROLLBACK PREPARED 'x';
BEGIN;
SELECT let('SELECT pg_notify(''channel'', ''text'')');
PREPARE TRANSACTION 'x';
-- A snapshot cannot be exported.
SELECT domev.emit('e', 'x', '{"do": "SELECT pg_export_snapshot()"}');
-- Cursors that it opened.
BEGIN;
SELECT let('DECLARE of_the_mapping CURSOR FOR SELECT 1');
SELECT name FROM pg_cursors;
COMMIT;
-- Large objects that it opened: a descriptor would let the emitter read what only the mapping's owner may.
SELECT lo_from_bytea(4711, 'only its owner may read this') AS made \gset
ALTER LARGE OBJECT 4711 OWNER TO regress_evil;
BEGIN;
SELECT let('SELECT lo_open(4711, 262144)');
SELECT loread(0, 100);
ROLLBACK;
BEGIN;
SELECT count(*) AS previewed FROM domev.preview('e', 'x', '{"do": "SELECT lo_open(4711, 262144)"}');
SELECT loread(0, 100);
ROLLBACK;
SELECT lo_unlink(4711);
-- Large objects of its owner's, before 16; from then on it cannot write any.
DO $$
BEGIN
	PERFORM let('SELECT lo_from_bytea(0, ''x'')');
EXCEPTION WHEN read_only_sql_transaction THEN
	NULL;
END $$;
SELECT count(*) FROM pg_largeobject_metadata WHERE lomowner = 'regress_evil'::regrole;

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE granted, secret, parent, orphan, child, expected;
DROP SEQUENCE counted;
DROP FUNCTION let, note;
DROP SCHEMA evil CASCADE;
DROP ROLE regress_evil;
