-- SE-5, SE-6: a mapping's function is put in another's place, or is none to begin with: what was registered runs, as its owner, or nothing.
-- (mapping_rights.sql has renaming, ALTER OWNER, DROP and CREATE; isolation/mapping_function_swapped what happens in between.)
CREATE EXTENSION domev;
CREATE ROLE regress_mapper;
CREATE ROLE regress_evil;
CREATE SCHEMA mapper AUTHORIZATION regress_mapper;
GRANT USAGE, CREATE ON SCHEMA mapper TO regress_evil;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA domev TO regress_mapper, regress_evil;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_event_type('d', 'a');
GRANT INSERT ON ALL TABLES IN SCHEMA domev_event, domev_topic TO regress_mapper, regress_evil;
-- who ran what
CREATE FUNCTION mapper_says(what text) RETURNS domev.integration_event LANGUAGE sql AS $$ SELECT domev.make_integration_event(what || ' as ' || current_user) $$;
SET ROLE regress_mapper;
CREATE FUNCTION mapper.f(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN public.mapper_says('genuine'); END $$;
SELECT domev.create_mapping('now', 'e', 'mapper.f', 't'), domev.create_mapping('then', 'd', 'mapper.f', 't', timing => 'deferred');
RESET ROLE;
-- emits, commits; returns what the mapping said, or the error
CREATE FUNCTION said(event_type text DEFAULT 'e') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id uuid;
BEGIN
	id := domev.emit(event_type, 'x');
	SET CONSTRAINTS ALL IMMEDIATE;
	RETURN (SELECT o.event_type FROM domev.outbox AS o WHERE o.causation_id = id);
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
SELECT said(), said('d');

-- functions of other arguments beside it, which a call by name might prefer
SET ROLE regress_evil;
CREATE FUNCTION mapper.f(record) RETURNS domev.integration_event LANGUAGE plpgsql AS $$ BEGIN RETURN public.mapper_says('of a record'); END $$;
CREATE FUNCTION mapper.f(anyelement) RETURNS domev.integration_event LANGUAGE plpgsql AS $$ BEGIN RETURN public.mapper_says('of anything'); END $$;
CREATE FUNCTION mapper.f(VARIADIC domev.domain_event[]) RETURNS domev.integration_event LANGUAGE plpgsql AS $$ BEGIN RETURN public.mapper_says('variadic'); END $$;
CREATE FUNCTION mapper.f(domev.domain_event, int DEFAULT 1) RETURNS domev.integration_event LANGUAGE plpgsql AS $$ BEGIN RETURN public.mapper_says('with a default'); END $$;
CREATE DOMAIN mapper.event AS domev.domain_event;
CREATE FUNCTION mapper.f(mapper.event) RETURNS domev.integration_event LANGUAGE plpgsql AS $$ BEGIN RETURN public.mapper_says('of a domain'); END $$;
RESET ROLE;
SELECT said(), said('d');
-- and when it is gone
ALTER FUNCTION mapper.f(domev.domain_event) SET SCHEMA public;
SELECT said(), said('d');
SET ROLE regress_evil;
CREATE FUNCTION mapper.f(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN public.mapper_says('planted'); END $$;
RESET ROLE;
SELECT said(), said('d');
SELECT outcome, error FROM domev.remap((SELECT event_id FROM domev.outbox WHERE mapping IS NULL LIMIT 1), 'now', dry_run => true);
SELECT mapping, error FROM domev.preview('e', 'x') WHERE mapping IS NOT NULL;
-- to give it to the mapper as well does not make it the mapper's
SET ROLE regress_evil;
\set VERBOSITY sqlstate
ALTER FUNCTION mapper.f(domev.domain_event) OWNER TO regress_mapper;
\set VERBOSITY default
RESET ROLE;
SELECT said();
DROP FUNCTION mapper.f(domev.domain_event), mapper.f(record), mapper.f(anyelement), mapper.f(domev.domain_event[]), mapper.f(domev.domain_event, int), mapper.f(mapper.event);
ALTER FUNCTION public.f(domev.domain_event) SET SCHEMA mapper;
SELECT said(), said('d');

-- who owned it has no say any more, and who owns it now has not registered it; in particular a superuser has not
ALTER FUNCTION mapper.f OWNER TO regress_evil;
SET ROLE regress_mapper;
CREATE OR REPLACE FUNCTION mapper.f(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN public.mapper_says('old owner'); END $$;
RESET ROLE;
SELECT said(), said('d');
REASSIGN OWNED BY regress_evil TO SESSION_USER;
SELECT regexp_replace(said(), 'belongs to.*', '');
SELECT domev.alter_mapping('now', description => 'says nothing of the function');
SELECT said();
-- the owner changes between emit and commit
ALTER FUNCTION mapper.f OWNER TO regress_mapper;
BEGIN;
SELECT domev.emit('d', 'x') IS NOT NULL;
ALTER FUNCTION mapper.f OWNER TO regress_evil;
COMMIT;
-- the body does: the body of then counts, as the same owner
ALTER FUNCTION mapper.f OWNER TO regress_mapper;
BEGIN;
SELECT domev.emit('d', 'late') IS NOT NULL;
SET LOCAL ROLE regress_mapper;
CREATE OR REPLACE FUNCTION mapper.f(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN public.mapper_says('replaced'); END $$;
COMMIT;
SELECT event_type FROM domev.outbox WHERE aggregate_id = 'late' AND mapping IS NOT NULL;
-- what it calls may be changed by whoever owns that: as the mapping's owner still, never as who emits
GRANT CREATE, USAGE ON SCHEMA public TO regress_evil;
SET ROLE regress_evil;
CREATE FUNCTION public.helper() RETURNS domev.integration_event LANGUAGE sql IMMUTABLE AS $$ SELECT public.mapper_says('helper') $$;
SET ROLE regress_mapper;
CREATE OR REPLACE FUNCTION mapper.inlined(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC SELECT (public.helper()).*; END;
SELECT domev.alter_mapping('now', function => 'mapper.inlined');
RESET ROLE;
SELECT said();
SET ROLE regress_evil;
CREATE OR REPLACE FUNCTION public.helper() RETURNS domev.integration_event LANGUAGE sql IMMUTABLE AS $$ SELECT public.mapper_says('swapped helper') $$;
RESET ROLE;
SELECT said();
-- settings of the function itself do not free it
SET ROLE regress_mapper;
SELECT domev.alter_mapping('now', function => 'mapper.f');
RESET ROLE;
-- (from 16 on, no function may have that setting)
DO $$
BEGIN
	CREATE FUNCTION mapper.writes(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET transaction_read_only = off SET search_path = pg_catalog, pg_temp AS
		'BEGIN RETURN public.mapper_says(''writable''); END';
	ALTER FUNCTION mapper.writes OWNER TO regress_mapper;
	PERFORM domev.alter_mapping('now', function => 'mapper.writes');
	RAISE NOTICE 'refused: %', said() ~ '^25001';
	PERFORM domev.alter_mapping('now', function => 'mapper.f');
EXCEPTION WHEN feature_not_supported THEN
	RAISE NOTICE 'refused: t';
END $$;
SET ROLE regress_mapper;
ALTER FUNCTION mapper.f SET role = regress_mapper;
RESET ROLE;
SELECT said();
SET ROLE regress_mapper;
ALTER FUNCTION mapper.f RESET role;
RESET ROLE;
SELECT said();

-- the owner is dropped: nobody's code runs, and an administrator can tidy up
DROP DOMAIN mapper.event;
DROP OWNED BY regress_mapper;
SELECT said();
DROP ROLE regress_mapper;
CREATE SCHEMA mapper;
CREATE FUNCTION mapper.f(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN public.mapper_says('of a superuser'); END $$;
SELECT said() ~ '^42501: function mapper.f has another owner';
SELECT count(*) FROM domev.mappings WHERE owner::text ~ '^[0-9]+$';
SELECT domev.drop_mapping('now'), domev.drop_mapping('then');

-- SE-6: what else there is that is no mapping function (registry_errors.sql has more)
CREATE FUNCTION mapper.agg_step(domev.integration_event, domev.domain_event) RETURNS domev.integration_event LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE mapper.agg(domev.domain_event) (SFUNC = mapper.agg_step, STYPE = domev.integration_event);
CREATE DOMAIN mapper.result AS domev.integration_event;
CREATE FUNCTION mapper.domain(e domev.domain_event) RETURNS mapper.result LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION mapper.as_record(e domev.domain_event) RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION mapper.as_table(e domev.domain_event) RETURNS TABLE (i domev.integration_event) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN; END';
CREATE FUNCTION mapper.out(e domev.domain_event, OUT a text, OUT b text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN END';
CREATE FUNCTION mapper.as_array(e domev.domain_event) RETURNS domev.integration_event[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION mapper.as_trigger() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION mapper.strict(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN public.mapper_says('strict'); END $$;
CREATE FUNCTION refused(function text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM domev.create_mapping(function, 'e', function, 't');
	PERFORM domev.drop_mapping(function);
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
SELECT f, refused(f) FROM unnest('{mapper.agg,mapper.domain,mapper.as_record,mapper.as_table,mapper.out,mapper.as_array,mapper.as_trigger,mapper.strict,
	domev.emit,domev.capture_change,domev.map_deferred,domev.invalidate_registry,domev.guard_registry,pg_catalog.now,pg_catalog.record_out,pg_catalog.pg_cancel_backend,pg_temp.f,"pg_catalog.now"}'::text[]) AS f;
-- what one may only execute, whatever else one may
GRANT EXECUTE ON FUNCTION mapper.f TO regress_evil;
GRANT USAGE ON SCHEMA mapper TO regress_evil;
GRANT EXECUTE ON FUNCTION refused TO regress_evil;
SET ROLE regress_evil;
SELECT refused('mapper.f');
RESET ROLE;

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP SCHEMA mapper CASCADE;
DROP FUNCTION said, refused;
DROP OWNED BY regress_evil;
DROP ROLE regress_evil;
