-- domev touches nothing but its own: no other objects, settings or transactions; other slots and messages; a database without it.
CREATE VIEW objects AS
	SELECT 'relation' AS kind, oid::regclass::text AS name FROM pg_class WHERE relnamespace NOT IN ('pg_toast'::regnamespace) AND relname <> 'objects' AND relname <> 'before'
	UNION ALL SELECT 'function', oid::regprocedure::text FROM pg_proc
	UNION ALL SELECT 'type', oid::regtype::text FROM pg_type WHERE typname NOT IN ('objects', '_objects', 'before', '_before') AND typnamespace <> 'pg_toast'::regnamespace
	UNION ALL SELECT 'operator', oid::regoperator::text FROM pg_operator
	UNION ALL SELECT 'schema', nspname FROM pg_namespace
	UNION ALL SELECT 'role', rolname FROM pg_roles
	UNION ALL SELECT 'event trigger', evtname FROM pg_event_trigger
	UNION ALL SELECT 'cast', castsource::regtype || ' as ' || casttarget::regtype FROM pg_cast
	UNION ALL SELECT 'operator class', opcname || ' ' || opcmethod FROM pg_opclass
	UNION ALL SELECT 'default acl', defaclobjtype::text FROM pg_default_acl
	UNION ALL SELECT 'setting of database or role', setconfig::text FROM pg_db_role_setting;
CREATE TABLE before AS TABLE objects;

-- all it makes is in its schema, and belongs to the extension
CREATE EXTENSION domev;
SELECT kind, name FROM (SELECT * FROM objects EXCEPT SELECT * FROM before) AS o
WHERE name !~ '^domev\.' AND NOT (kind = 'function' AND name ~ 'domev\.') ORDER BY 1, 2;
SELECT p.proname FROM pg_proc AS p LEFT JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE p.pronamespace = 'domev'::regnamespace AND d.objid IS NULL;
-- every object of it has a comment (indexes, constraints and what PostgreSQL makes by itself aside)
SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'domev') AND deptype = 'e'
	AND obj_description(objid, classid::regclass::name) IS NULL
	-- the row and array types that PostgreSQL makes are members of their own from 16 on
	AND NOT (classid = 'pg_type'::regclass AND objid NOT IN (SELECT reltype FROM pg_class WHERE relkind = 'c')) ORDER BY 1;
-- public may execute what maps and what the views of the registry call, read the registry, and nothing else
SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'domev'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE') ORDER BY oid::regprocedure::text COLLATE "C";
SELECT relname, string_agg(privilege, ' ' ORDER BY privilege) FROM pg_class, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
WHERE relnamespace = 'domev'::regnamespace AND relkind IN ('r', 'p', 'v') AND has_table_privilege('public', oid, privilege) GROUP BY 1 ORDER BY 1;
SELECT has_schema_privilege('public', 'domev', 'CREATE');
-- no column of a type that pg_upgrade refuses
SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'domev'::regnamespace)
	AND atttypid IN ('regproc'::regtype, 'regprocedure'::regtype, 'regoper'::regtype, 'regoperator'::regtype, 'regconfig'::regtype, 'regdictionary'::regtype, 'regnamespace'::regtype, 'regcollation'::regtype, 'aclitem'::regtype);

-- somebody's default privileges do not open it
DROP EXTENSION domev;
CREATE ROLE regress_reporting;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_reporting, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_reporting;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_reporting;
CREATE EXTENSION domev;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_reporting, PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM regress_reporting;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM regress_reporting;
SELECT relname FROM pg_class WHERE relnamespace = 'domev'::regnamespace AND relkind IN ('r', 'p')
	AND has_table_privilege('regress_reporting', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') ORDER BY 1;
SELECT relname FROM pg_class WHERE relnamespace = 'domev'::regnamespace AND relkind IN ('r', 'p')
	AND has_table_privilege('regress_reporting', oid, 'INSERT, UPDATE, DELETE, TRUNCATE');
SELECT proname FROM pg_proc WHERE pronamespace = 'domev'::regnamespace AND has_function_privilege('regress_reporting', oid, 'EXECUTE') ORDER BY proname;
SELECT has_schema_privilege('regress_reporting', 'domev', 'CREATE');
DROP ROLE regress_reporting;

-- somebody else's schema of that name is not adopted
DROP EXTENSION domev;
CREATE SCHEMA domev;
\set SHOW_CONTEXT never
CREATE EXTENSION domev;
\set SHOW_CONTEXT errors
DROP SCHEMA domev;
-- nor an object planted in the path
CREATE FUNCTION public.current_database() RETURNS name LANGUAGE sql AS $$ SELECT 'planted'::name $$;
CREATE FUNCTION public.concat_op(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'planted' $$;
CREATE OPERATOR public.|| (FUNCTION = public.concat_op, LEFTARG = text, RIGHTARG = text);
SET search_path = public, pg_catalog;
CREATE EXTENSION domev;
SELECT pg_catalog.replace(source, pg_catalog.current_database()::text, 'own') FROM domev.source;
RESET search_path;
DROP OPERATOR public.|| (text, text);
DROP FUNCTION public.concat_op(text, text), public.current_database();

-- an error in our functions leaves a transaction that catches it as it was
CREATE TABLE others (v int);
BEGIN;
INSERT INTO others VALUES (1);
DO $$ BEGIN PERFORM domev.emit('missing', 'x'); EXCEPTION WHEN undefined_object THEN NULL; END $$;
INSERT INTO others VALUES (2);
COMMIT;
SELECT count(*) FROM others;

-- the changes of others are not sent, whatever they are
SELECT pg_create_logical_replication_slot('others', 'domev') IS NOT NULL;
CREATE SCHEMA other;
CREATE TABLE other.outbox (LIKE domev.outbox) PARTITION BY RANGE (recorded_at);
CREATE TABLE other.outbox_default PARTITION OF other.outbox DEFAULT;
INSERT INTO other.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, occurred_at)
	VALUES (gen_random_uuid(), now(), pg_current_xact_id(), 't', 'e', 'a', 'x', now());
INSERT INTO others SELECT generate_series(1, 1000);
UPDATE others SET v = v + 1;
DELETE FROM others;
TRUNCATE others;
ALTER TABLE others ADD COLUMN w int DEFAULT 1;
SELECT count(pg_logical_emit_message(true, 'domevil/t', 'x'));
SELECT count(pg_logical_emit_message(true, 'domev', 'x'));
SELECT count(pg_logical_emit_message(true, '', 'x'));
SELECT count(*) FROM pg_logical_slot_get_changes('others', NULL, NULL);
-- and the slot moves on all the same
SELECT confirmed_flush_lsn > restart_lsn AS moves_on FROM pg_replication_slots WHERE slot_name = 'others';

-- after DROP EXTENSION everything is as before; in a database without domev its slot sends nothing and raises nothing
DROP SCHEMA other CASCADE;
DROP TABLE others;
DROP EXTENSION domev;
SELECT * FROM objects EXCEPT SELECT * FROM before;
SELECT * FROM before EXCEPT SELECT * FROM objects;
SELECT count(pg_logical_emit_message(true, 'domev/t', 'forged'));
SELECT count(*) FROM pg_logical_slot_get_changes('others', NULL, NULL);
SELECT pg_drop_replication_slot('others');
DROP VIEW objects;
DROP TABLE before;
