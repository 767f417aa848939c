-- A mapping runs as its function's owner, whoever emits; functions that change hands or shape are refused.
CREATE EXTENSION domev;
CREATE ROLE regress_mapper;
CREATE ROLE regress_other;
CREATE ROLE regress_app;
CREATE SCHEMA mapper AUTHORIZATION regress_mapper;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA domev TO regress_mapper, regress_other;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a');
GRANT INSERT ON domev_event.e, domev_topic.t TO regress_mapper, regress_other;
-- the application may emit and nothing else; it cannot even use the mapper's schema
GRANT INSERT ON domev_event.e TO regress_app;

SET ROLE regress_mapper;
CREATE TABLE mapper.secret (v text);
INSERT INTO mapper.secret VALUES ('of the mapper');
CREATE FUNCTION mapper.f(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = mapper, pg_temp AS $$
BEGIN
	RETURN domev.make_integration_event('i', jsonb_build_object('user', current_user, 'secret', (SELECT v FROM secret)));
END $$;
SELECT domev.create_mapping('m', 'e', 'mapper.f', topic => 't');
RESET ROLE;
SELECT owner FROM domev.mappings;

-- the superuser and the application emit; the mapping is the mapper, with its rights, and so it ends
SELECT domev.emit('e', 'by superuser') IS NOT NULL, current_user = session_user AS back;
SET ROLE regress_app;
SELECT domev.emit('e', 'by app') IS NOT NULL;
SELECT * FROM mapper.secret;
RESET ROLE;
SELECT aggregate_id, payload FROM domev.outbox WHERE mapping = 'm' ORDER BY recorded_at;

-- what a trojan would try: each is refused, and nothing is left
CREATE TABLE canary (who text);
GRANT INSERT ON canary TO PUBLIC;
SET ROLE regress_mapper;
CREATE FUNCTION mapper.trojan(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE (e).payload->>'do';
	RETURN NULL;
END $$;
SELECT domev.alter_mapping('m', function => 'mapper.trojan');
RESET ROLE;
SELECT domev.emit('e', 'x', '{"do": "SET ROLE NONE"}');
SELECT domev.emit('e', 'x', '{"do": "RESET ROLE"}');
SELECT domev.emit('e', 'x', '{"do": "SET SESSION AUTHORIZATION DEFAULT"}');
SELECT domev.emit('e', 'x', '{"do": "CREATE TEMP TABLE pg_temp.t (a int)"}');
SELECT domev.emit('e', 'x', '{"do": "INSERT INTO public.canary VALUES (current_user)"}');
SELECT domev.emit('e', 'x', '{"do": "LISTEN x"}');
SELECT domev.emit('e', 'x', '{"do": "DECLARE c CURSOR WITH HOLD FOR SELECT 1"}');
SELECT domev.emit('e', 'x', '{"do": "PREPARE p AS SELECT 1"}');
SELECT domev.emit('e', 'x', '{"do": "COMMIT"}');
SELECT domev.emit('e', 'x', '{"do": "SELECT * FROM domev.message_key"}');
SELECT domev.emit('e', 'x', '{"do": "SELECT * FROM domev.outbox"}');
-- a setting changed in there is back afterwards, however it was changed
SET work_mem = '5MB';
SELECT domev.emit('e', 'x', '{"do": "SET work_mem = ''6MB''"}') IS NOT NULL;
SELECT domev.emit('e', 'x', '{"do": "SET search_path = mapper"}') IS NOT NULL;
SELECT domev.emit('e', 'x', '{"do": "SELECT set_config(''domev.context'', ''{\"a\": 1}'', false)"}') IS NOT NULL;
SHOW work_mem;
SHOW search_path;
SHOW domev.context;
RESET work_mem;
SELECT count(*) FROM canary;

-- a search_path that leads to the attacker's functions: emit, registration and mappings do not follow it
CREATE SCHEMA attacker;
CREATE FUNCTION attacker.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES (current_user); RETURN '2000-01-01'; END $$;
CREATE FUNCTION attacker.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES (current_user); RETURN true; END $$;
CREATE OPERATOR attacker.= (FUNCTION = attacker.eq, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION attacker.coalesce(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES (current_user); RETURN $1; END $$;
SET search_path = attacker, pg_catalog;
SELECT domev.create_topic('t2'), domev.alter_topic('t2', description => 'x'), domev.create_event_type('e2', 'a'), domev.alter_event_type('e2', description => 'x');
GRANT INSERT ON domev_event.e2, domev_topic.t2 TO regress_mapper;
SELECT domev.create_mapping('m2', 'e2', 'mapper.f', topic => 't2'), domev.alter_mapping('m2', description => 'x');
SELECT domev.emit('e2', 'x', event_id => '00000000-0000-0000-0000-000000000001') IS NOT NULL;
SELECT domev.drop_mapping('m2'), domev.drop_event_type('e2'), domev.drop_topic('t2'), domev.set_source('/x');
RESET search_path;
SELECT count(*) FROM canary; -- 0
DROP SCHEMA attacker CASCADE;

-- nor does a mapping find the temporary objects of whoever emits
CREATE TEMP VIEW secret AS SELECT 'of the emitter'::text AS v;
GRANT SELECT ON secret TO PUBLIC;
SET ROLE regress_mapper;
SELECT domev.alter_mapping('m', function => 'mapper.f');
RESET ROLE;
SELECT domev.emit('e', 'with a temporary view') IS NOT NULL;
SELECT payload FROM domev.outbox WHERE aggregate_id = 'with a temporary view' AND mapping IS NOT NULL;
DROP VIEW secret;

-- dropped, recreated, renamed, given away, changed: an error that says so, in a session with a warm cache; never a missing event
SET ROLE regress_mapper;
SELECT domev.alter_mapping('m', function => 'mapper.f');
RESET ROLE;
SELECT domev.emit('e', 'x') IS NOT NULL;
ALTER FUNCTION mapper.f RENAME TO g;
SELECT domev.emit('e', 'x');
ALTER FUNCTION mapper.g RENAME TO f;
SELECT domev.emit('e', 'x') IS NOT NULL;
ALTER SCHEMA mapper RENAME TO mapper2;
SELECT domev.emit('e', 'x');
ALTER SCHEMA mapper2 RENAME TO mapper;
ALTER FUNCTION mapper.f OWNER TO regress_other;
SELECT domev.emit('e', 'x');
SET ROLE regress_other;
SELECT domev.alter_mapping('m', function => 'mapper.f'); -- not its mapping
RESET ROLE;
SELECT domev.alter_mapping('m', function => 'mapper.f'); -- a superuser may, and it belongs to the function's new owner
SELECT owner FROM domev.mappings;
SELECT domev.emit('e', 'x'); -- who may not read the table
ALTER FUNCTION mapper.f OWNER TO regress_mapper;
SELECT domev.alter_mapping('m', function => 'mapper.f');
ALTER FUNCTION mapper.f SECURITY DEFINER;
SELECT domev.emit('e', 'x');
ALTER FUNCTION mapper.f SECURITY INVOKER;
ALTER FUNCTION mapper.f RESET search_path;
SELECT domev.emit('e', 'x');
DROP FUNCTION mapper.f;
SELECT domev.emit('e', 'x');
CREATE FUNCTION mapper.f(e domev.domain_event) RETURNS jsonb LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ SELECT '1'::jsonb $$;
SELECT domev.emit('e', 'x');
DROP FUNCTION mapper.f;
CREATE FUNCTION mapper.f(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN INSERT INTO public.canary VALUES (current_user); RETURN NULL; END $$;
ALTER FUNCTION mapper.f OWNER TO regress_other;
SELECT domev.emit('e', 'x'); -- another owner's, of the same name
DROP FUNCTION mapper.f;
SET ROLE regress_mapper;
CREATE FUNCTION mapper.f(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('again', to_jsonb(v))).* FROM mapper.secret; END;
RESET ROLE;
SELECT domev.emit('e', 'again') IS NOT NULL; -- the same owner's
-- CREATE OR REPLACE counts at once
SET ROLE regress_mapper;
CREATE OR REPLACE FUNCTION mapper.f(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = mapper, pg_temp AS $$
BEGIN RETURN NEXT domev.make_integration_event('replaced', '1'); END $$;
RESET ROLE;
SELECT domev.emit('e', 'again') IS NOT NULL;
SELECT event_type, payload FROM domev.outbox WHERE aggregate_id = 'again' AND mapping IS NOT NULL ORDER BY recorded_at;
SELECT count(*) FROM canary; -- 0

-- a member of the owning role may register for it
GRANT regress_mapper TO regress_other;
SET ROLE regress_other;
SELECT domev.create_mapping('by member', 'e', 'mapper.f', topic => 't');
SELECT domev.alter_mapping('m', enabled => false);
RESET ROLE;
SELECT mapping, owner, enabled FROM domev.mappings ORDER BY 1;

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE canary;
DROP OWNED BY regress_mapper, regress_other, regress_app;
DROP ROLE regress_mapper, regress_other, regress_app;
