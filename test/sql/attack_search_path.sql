-- SE-1: whatever is in the search_path, no function of domev runs it: an attacker's operators, functions, casts, types and tables,
-- in a schema and in pg_temp, before pg_catalog.  Each call of an attacker's function leaves its user in the canary, and warns.
CREATE EXTENSION domev;
CREATE ROLE regress_attacker;
CREATE ROLE regress_app LOGIN;
CREATE TABLE canary (who name);
GRANT INSERT, SELECT ON canary TO PUBLIC;
CREATE SCHEMA attacker AUTHORIZATION regress_attacker;
GRANT USAGE ON SCHEMA attacker TO PUBLIC;
SET ROLE regress_attacker;
CREATE FUNCTION attacker.bite() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE WARNING 'the attacker''s code runs, as superuser: %', current_setting('is_superuser');
	INSERT INTO public.canary VALUES (current_user);
	RETURN true;
END $$;

-- an operator for each one between the types that domev uses, and those that PostgreSQL has not, but would prefer as they fit exactly
DO $$
DECLARE
	o record;
	types regtype[] := '{text,name,uuid,jsonb,json,bytea,boolean,smallint,integer,bigint,oid,xid8,regclass,regrole,timestamptz,interval,pg_lsn,"\"char\""}';
BEGIN
	FOR o IN
		SELECT oprname, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS result FROM pg_operator
			WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprleft = ANY (types) AND oprright = ANY (types) AND oprresult <> 0
		UNION ALL SELECT op, l, r, 'boolean' FROM unnest(types) AS l, unnest(types) AS r, unnest('{=,<>,<,>=}'::text[]) AS op
			WHERE l <> r AND NOT EXISTS (SELECT FROM pg_operator WHERE oprname = op AND oprleft = l AND oprright = r)
	LOOP
		EXECUTE format('CREATE OR REPLACE FUNCTION attacker.op_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L',
			o.result::oid, o.l, o.r, o.result, 'BEGIN PERFORM attacker.bite(); RETURN NULL; END');
		EXECUTE format('CREATE OPERATOR attacker.%s (FUNCTION = attacker.op_%s, LEFTARG = %s, RIGHTARG = %s)', o.oprname, o.result::oid, o.l, o.r);
	END LOOP;
END $$;
-- a function of the name and arguments of each of PostgreSQL's between such types
DO $$
DECLARE
	f record;
	types regtype[] := '{text,name,uuid,jsonb,json,bytea,boolean,smallint,integer,bigint,oid,xid8,regclass,regrole,timestamptz,interval,pg_lsn,"\"char\"",text[],trigger}';
BEGIN
	FOR f IN
		SELECT proname, array_to_string(ARRAY(SELECT format_type(a, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS u(a, n) ORDER BY n), ', ') AS args,
			prorettype::regtype AS result, proretset FROM pg_proc
		WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND provariadic = 0 AND prorettype = ANY (types)
			AND proargtypes::oid[] <@ types::oid[] AND prorettype <> 'trigger'::regtype
	LOOP
		EXECUTE format('CREATE FUNCTION attacker.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', f.proname, f.args,
			CASE WHEN f.proretset THEN 'SETOF' ELSE '' END, f.result, 'BEGIN PERFORM attacker.bite(); RETURN ' || CASE WHEN f.proretset THEN '' ELSE 'NULL' END || '; END');
	END LOOP;
END $$;
SELECT count(*) > 300 AS operators FROM pg_operator WHERE oprnamespace = 'attacker'::regnamespace;
SELECT count(*) > 500 AS functions, count(*) FILTER (WHERE proname IN ('now', 'clock_timestamp', 'gen_random_uuid', 'convert_from', 'jsonb_array_elements_text')) AS of_note
FROM pg_proc WHERE pronamespace = 'attacker'::regnamespace;
-- types, with the casts that go with them; tables; and functions of domev's own names
CREATE TYPE attacker.mood AS ENUM ('angry');
CREATE FUNCTION attacker.mood_text(attacker.mood) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM attacker.bite(); RETURN 'x'; END $$;
CREATE FUNCTION attacker.mood_jsonb(attacker.mood) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM attacker.bite(); RETURN '1'; END $$;
CREATE CAST (attacker.mood AS text) WITH FUNCTION attacker.mood_text(attacker.mood);
CREATE CAST (attacker.mood AS jsonb) WITH FUNCTION attacker.mood_jsonb(attacker.mood);
CREATE DOMAIN attacker.text AS pg_catalog.text CHECK (attacker.bite());
CREATE DOMAIN attacker.uuid AS pg_catalog.uuid CHECK (attacker.bite());
CREATE DOMAIN attacker.jsonb AS pg_catalog.jsonb CHECK (attacker.bite());
CREATE DOMAIN attacker.json AS pg_catalog.json CHECK (attacker.bite());
CREATE DOMAIN attacker.interval AS pg_catalog.interval CHECK (attacker.bite());
CREATE DOMAIN attacker.timestamptz AS pg_catalog.timestamptz CHECK (attacker.bite());
CREATE DOMAIN attacker.regrole AS pg_catalog.regrole CHECK (attacker.bite());
CREATE DOMAIN attacker.domain_event AS domev.domain_event CHECK (attacker.bite());
CREATE DOMAIN attacker.integration_event AS domev.integration_event CHECK (attacker.bite());
CREATE FUNCTION attacker.make_integration_event(pg_catalog.text, pg_catalog.jsonb) RETURNS domev.integration_event LANGUAGE plpgsql AS $$ BEGIN PERFORM attacker.bite(); RETURN NULL; END $$;
CREATE FUNCTION attacker.emit(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.uuid LANGUAGE plpgsql AS $$ BEGIN PERFORM attacker.bite(); RETURN NULL; END $$;
CREATE FUNCTION attacker.time_of_id(pg_catalog.uuid) RETURNS pg_catalog.timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM attacker.bite(); RETURN NULL; END $$;
RESET ROLE;
-- a table of each name that domev has, in the attacker's schema and in pg_temp, which shows what domev's has, by the attacker's code
CREATE FUNCTION plant(schema text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'domev'::regnamespace AND relkind IN ('r', 'p', 'v') LOOP
		EXECUTE format('CREATE VIEW %s.%I AS SELECT * FROM domev.%I WHERE attacker.bite()', schema, t.relname, t.relname);
		EXECUTE format('GRANT ALL ON %s.%I TO PUBLIC', schema, t.relname);
	END LOOP;
	FOR t IN SELECT c FROM unnest('{pg_proc,pg_class,pg_type,pg_trigger,pg_namespace,pg_roles,pg_database}'::text[]) AS c LOOP
		EXECUTE format('CREATE VIEW %s.%I AS SELECT * FROM pg_catalog.%I WHERE attacker.bite()', schema, t.c, t.c);
		EXECUTE format('GRANT ALL ON %s.%I TO PUBLIC', schema, t.c);
	END LOOP;
END $$;
SELECT plant('attacker');

-- the trap works: what names no schema runs the attacker's code
SET search_path = attacker, pg_catalog;
SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text;
RESET search_path;
SELECT count(*) FROM canary;
TRUNCATE canary;

-- what is registered, what is emitted: each function of domev is called
CREATE SCHEMA shop;
GRANT USAGE, CREATE ON SCHEMA shop TO regress_app;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA domev TO regress_app;
GRANT SELECT ON ALL TABLES IN SCHEMA domev TO regress_app;
REVOKE SELECT ON domev.message_key FROM regress_app;
-- what the registrant makes is the extension owner's
CREATE FUNCTION grant_all() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	'GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA domev_event, domev_topic TO regress_app';
CREATE TABLE calls (name text, n int GENERATED ALWAYS AS IDENTITY, statement text);
GRANT SELECT ON calls TO regress_app;
INSERT INTO calls (name, statement) VALUES
	('create_topic', $$SELECT FROM domev.create_topic('t', 'internal', description => 'd')$$),
	('create_topic', $$SELECT FROM domev.create_topic('w', storage => 'wal', if_not_exists => true)$$),
	('alter_topic', $$SELECT FROM domev.alter_topic('t', scope => 'internal', reset => '{description}')$$),
	('create_event_type', $$SELECT FROM domev.create_event_type('e', 'a', 't', true, 'd')$$),
	('alter_event_type', $$SELECT FROM domev.alter_event_type('e', 'thing', reset => '{description}')$$),
	('', $$SELECT FROM public.grant_all()$$),
	('', $$CREATE FUNCTION shop.inlined(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
		SELECT (domev.make_integration_event('i', (e).payload)).*; END$$),
	('make_integration_event', $$CREATE FUNCTION shop.plpgsql(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $m$
		BEGIN RETURN domev.make_integration_event('i' || (e).aggregate_id, (e).payload, key => coalesce((e).payload->>'k', 'none'), headers => jsonb_build_object('a', now()::text)); END $m$ $$),
	('', $$CREATE FUNCTION shop.failing(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $m$
		BEGIN RAISE 'on purpose'; END $m$ $$),
	('create_mapping', $$SELECT FROM domev.create_mapping('m', 'e', 'shop.inlined', 't')$$),
	('create_mapping', $$SELECT FROM domev.create_mapping('p', 'e', 'shop.plpgsql', 'w', 'deferred', 'abort', '{i, i1, i2, ix}')$$),
	('create_mapping', $$SELECT FROM domev.create_mapping('f', 'e', 'shop.failing', 't', on_error => 'record')$$),
	('alter_mapping', $$SELECT FROM domev.alter_mapping('p', 'shop.plpgsql', reset => '{produces}')$$),
	('set_source', $$SELECT FROM domev.set_source('/hostile')$$),
	('', $$CREATE TABLE shop.things (id pg_catalog.int4 PRIMARY KEY, state pg_catalog.text, at pg_catalog.timestamptz)$$),
	('create_capture', $$SELECT FROM domev.create_capture('c', 'shop.things', 'insert', 'id', 'e', 'NEW.state IS NOT NULL')$$),
	('create_capture', $$SELECT FROM domev.create_capture('u', 'shop.things', 'update', 'id', 'e', columns => '{state}')$$),
	('alter_capture', $$SELECT FROM domev.alter_capture('c', aggregate_id => 'id', reset => '{condition}')$$),
	('read_definition', $$SELECT FROM domev.captures, domev.read_definition('\x00'::pg_catalog.bytea)$$),
	('capture_change', $$INSERT INTO shop.things VALUES (1, 'new', '2026-01-01')$$),
	('capture_change', $$UPDATE shop.things SET state = 'old'$$),
	('emit', $$SELECT FROM domev.emit('e', 1, '{"k": 1}', '{"h": "x"}', 3, '00000000-0000-0000-0000-000000000001', '2026-01-01')$$),
	('emit', $$SELECT FROM domev.emit('e', 1, '{"k": 1}', event_id => '00000000-0000-0000-0000-000000000001')$$),
	('emit', $$SELECT FROM domev.emit('e', 'x', '{}'::pg_catalog.json), domev.emit('e', '00000000-0000-0000-0000-000000000001'::pg_catalog.uuid, '{}'::pg_catalog.text) AS u$$),
	('emit_inserted', $$INSERT INTO domev_event.e (aggregate_id, payload) VALUES ('x', '{}'), ('y', NULL)$$),
	('emit_inserted', $$INSERT INTO domev_event.e (aggregate_id) VALUES ('x') RETURNING event_id, payload, occurred_at$$),
	('', $$SELECT FROM domev_event.e, domev_topic.t$$),
	('map_deferred', $$SELECT FROM domev.emit('e', 'x', '{}')$$),
	('preview', $$SELECT FROM domev.preview('e', 1, '{"k": 1}')$$),
	('preview', $$SELECT FROM domev.preview('e', 'x', '{}'::pg_catalog.json), domev.preview('e', '00000000-0000-0000-0000-000000000001'::pg_catalog.uuid, '{}'::pg_catalog.text) AS u$$),
	('emitted_in_transaction', $$SELECT FROM domev.emitted_in_transaction()$$),
	('trace', $$SELECT FROM domev.trace('00000000-0000-0000-0000-000000000001')$$),
	('find_trace', $$SELECT FROM domev.find_trace('00000000-0000-0000-0000-000000000001')$$),
	('time_of_id', $$SELECT FROM domev.time_of_id('01890000-0000-7000-8000-000000000001')$$),
	('remap', $$SELECT FROM domev.remap('00000000-0000-0000-0000-000000000001', 'f')$$),
	('remap', $$SELECT FROM domev.remap('00000000-0000-0000-0000-000000000001'::pg_catalog.uuid, 'm', true)$$),
	('remap', $$SELECT FROM domev.remap('f') LIMIT 1$$),
	('remap', $$SELECT FROM domev.remap('m', since => '2026-01-01', dry_run => true) LIMIT 1$$),
	('purge_failed', $$SELECT FROM domev.purge_failed('0 s')$$),
	('heartbeat', $$SELECT FROM domev.heartbeat()$$),
	('set_retention', $$SELECT FROM domev.set_retention('1 day', '1 microsecond', '1 day', reset => '{ahead}')$$),
	('maintain', $$SELECT FROM domev.maintain() LIMIT 1$$),
	('doctor', $$SELECT FROM domev.doctor()$$),
	('partition_bound', $$SELECT FROM domev.outbox_partitions$$),
	('read_mapping_stats', $$SELECT FROM domev.mapping_stats, domev.publishers, domev.outbox_partitions$$),
	('reset_mapping_stats', $$SELECT FROM domev.reset_mapping_stats()$$),
	('preview_replay', $$SELECT FROM domev.preview_replay('{*}', '{*}', 'a', '1', '2026-01-01', '2126-01-01', 't')$$),
	('replay', $$CALL domev.replay('p', '{*}', '{*}', 'a', '1', '2026-01-01', '2126-01-01', 't')$$),
	('replay', $$CALL domev.replay('p', dry_run => true)$$),
	('catch_up', $$CALL domev.catch_up('p', since => '2026-01-01', topics => '{t}')$$),
	('catch_up', $$CALL domev.catch_up('p', lost_slot => 'attacked', slot => 'attacked_2', topics => '{t}')$$),
	('resume_replay', $$DO $d$ DECLARE id pg_catalog.uuid; BEGIN CALL domev.replay('p', replay_id => id); CALL domev.resume_replay(id); END $d$ $$),
	('create_consumer', $$SELECT FROM domev.create_consumer('a', '2026-01-01', description => 'x')$$),
	('receive', $$SELECT FROM domev.receive('a', 'x'), domev.receive('a', '00000000-0000-0000-0000-000000000001'::pg_catalog.uuid, '/shop') AS u$$),
	('purge_inbox', $$SELECT FROM domev.purge_inbox('-1 day', 1)$$),
	('poll', $$SELECT FROM domev.poll('a', 1), domev.poll('a', topics => '{t}') AS t LIMIT 1$$),
	('ack', $$SELECT FROM domev.ack('a', (SELECT position FROM domev.poll('a', 1)))$$),
	('poll', $$SELECT FROM domev.poll('a') LIMIT 1$$),
	('alter_consumer', $$SELECT FROM domev.alter_consumer('a', '-infinity', CURRENT_USER::pg_catalog.text::pg_catalog.regrole, reset => '{description}')$$),
	('drop_consumer', $$SELECT FROM domev.drop_consumer('a'), domev.drop_consumer('none', true) AS n$$),
	('set_schema', $$SELECT FROM domev.set_schema('a', '{"$ref": "#"}'), domev.set_schema('a', 'true') AS again, domev.set_schema('b', NULL) AS b$$),
	('flow', $$SELECT FROM domev.flow()$$), ('quote_mermaid', $$SELECT FROM domev.quote_mermaid('a "b"')$$),
	('asyncapi', $$SELECT FROM domev.asyncapi(NULL)$$), ('make_asyncapi', $$SELECT FROM domev.make_asyncapi(NULL, NULL, '1')$$), ('component_name', $$SELECT FROM domev.component_name('a "b"')$$),
	('', $$SELECT FROM domev.topics, domev.event_types, domev.source LIMIT 1$$),
	('drop_capture', $$SELECT FROM domev.drop_capture('c'), domev.drop_capture('u') AS u, domev.drop_capture('none', true) AS n$$),
	('drop_mapping', $$SELECT FROM domev.drop_mapping('m'), domev.drop_mapping('p') AS p, domev.drop_mapping('f') AS f$$),
	('drop_event_type', $$SELECT FROM domev.drop_event_type('e')$$),
	('drop_topic', $$SELECT FROM domev.drop_topic('t'), domev.drop_topic('w') AS w$$),
	('', $$DROP TABLE shop.things$$), ('', $$DROP FUNCTION shop.inlined, shop.plpgsql, shop.failing$$),
	('guard_registry', NULL), ('invalidate_registry', NULL); -- by all that writes the registry
-- none is forgotten
SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'domev'::regnamespace AND proname NOT IN (SELECT name FROM calls) ORDER BY 1;
SELECT pg_create_logical_replication_slot('attacked', 'domev') IS NOT NULL, pg_create_logical_replication_slot('attacked_2', 'domev') IS NOT NULL;
SET domev.keep_emitted = on;
SET client_min_messages = warning;

-- as superuser (what fails would be shown), the path set in the session; and with the same names in pg_temp, which comes first as well
SELECT plant('pg_temp');
SET search_path = pg_temp, attacker, pg_catalog, public;
\o /dev/null
\set ECHO none
SELECT statement FROM public.calls WHERE statement IS NOT NULL ORDER BY n \gexec
\set ECHO all
\o
SELECT FROM pg_catalog.pg_logical_slot_peek_changes('attacked', NULL, NULL, 'topics', '*', 'event_types', 'i*', 'scope', 'external', 'shard', '0/1');
SELECT count(*) FROM public.canary;

-- as the application, the path set for its role
\set superuser :USER
RESET search_path;
ALTER ROLE regress_app SET search_path = attacker, pg_catalog, public;
ALTER ROLE regress_app SET domev.keep_emitted = on;
\c - regress_app
SHOW search_path;
SET client_min_messages = warning;
\o /dev/null
\set ECHO none
SELECT statement FROM public.calls WHERE statement IS NOT NULL ORDER BY n \gexec
\set ECHO all
\o
SELECT count(*) FROM public.canary;

-- and set for the database, by its owner, say
\c - :superuser
ALTER ROLE regress_app RESET search_path;
ALTER DATABASE contrib_regression SET search_path = attacker, pg_catalog, public;
\c - :superuser
SHOW search_path;
SET client_min_messages = warning;
SET domev.keep_emitted = on;
\o /dev/null
\set ECHO none
SELECT statement FROM public.calls WHERE statement IS NOT NULL ORDER BY n \gexec
\set ECHO all
\o
SELECT count(*) FROM public.canary;
-- the extension is dropped and made again, with default privileges for others that its script has to take back
DROP EXTENSION domev CASCADE;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO regress_app;
CREATE EXTENSION domev;
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM regress_app;
SELECT count(*) FROM public.canary;

ALTER DATABASE contrib_regression RESET search_path;
\c - :superuser
SET client_min_messages = warning;
SELECT pg_drop_replication_slot('attacked'), pg_drop_replication_slot('attacked_2');
DROP EXTENSION domev CASCADE;
DROP SCHEMA shop, attacker CASCADE;
DROP TABLE canary, calls;
DROP FUNCTION plant, grant_all;
DROP OWNED BY regress_attacker, regress_app;
DROP ROLE regress_attacker, regress_app;
