-- SE-13: names and texts that are code somewhere: in every column of the registry, in captures, in partitions.  None is ever executed,
-- and each comes back as it was given.  (names.sql has odd names, registry_errors.sql and capture_errors.sql what is refused.)
CREATE EXTENSION domev;
CREATE TABLE canary (who name);
CREATE TABLE names (n int GENERATED ALWAYS AS IDENTITY, name text);
INSERT INTO names (name) VALUES ('''); INSERT INTO canary VALUES (''x''); --'), ('"; INSERT INTO canary VALUES (''x''); --'), ('$$; INSERT INTO canary VALUES (''x''); $$'),
	(E'\\''; INSERT INTO canary VALUES (''x''); --'), ('"); INSERT INTO canary VALUES (''x''); --'), ('%I %L %s %n %1$s %%'), ('$1 ${1} :name :''name'''), (''' OR true --'), ('%'), ('_'), ('a", "event_type": "b'),
	('{"event_type": "b"}'), ('{a,b}'), ('domev.outbox'), ('pg_temp.canary'), ('/* x'), ('x */'), ('''||(SELECT 1)||'''), ('E''\\047'''), ('U&"\0041"'), ('NULL'), ('current_user'), ('domev_'), ('"'), ('''');
SELECT domev.create_topic('t'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('b', 'decoy');
SELECT pg_create_logical_replication_slot('names', 'domev') IS NOT NULL;
-- topics have plain names
CREATE FUNCTION state(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT string_agg(name, ' ') FROM names WHERE state(format('SELECT domev.create_topic(%L)', name)) <> '22023';
SELECT count(*) FROM names WHERE state(format('SELECT domev.alter_topic(%L)', name)) = '42704' AND state(format('SELECT domev.drop_topic(%L)', name)) = '42704';
SELECT domev.drop_topic('domev.outbox', true), domev.drop_topic('pg_temp.canary', true);

-- everything else has such names, and so have the functions, tables and columns
CREATE FUNCTION build(name text, n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	f text := format('%I.%I', 's ' || name, name);
BEGIN
	EXECUTE format('CREATE SCHEMA %I', 's ' || name);
	EXECUTE format('CREATE FUNCTION %s(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS %L', f,
		format('BEGIN RETURN domev.make_integration_event(%L, (e).payload, key => %L, headers => jsonb_build_object(''h'', %L)); END', name, name, name));
	EXECUTE format('CREATE TABLE %s (%I text, body jsonb)', f, name);
	PERFORM domev.create_event_type(name, name, description => name), domev.alter_event_type(name, name, description => name),
		domev.create_mapping(name, name, f, CASE n % 2 WHEN 0 THEN 't' ELSE 'w' END, produces => ARRAY[name], description => name, on_error => 'record'),
		domev.alter_mapping(name, f, produces => ARRAY[name], description => name),
		domev.create_capture(name, f::regclass, 'insert', format('%I', name), name, format('NEW.%I = %L', name, name), ARRAY[name, 'body'], description => name),
		domev.alter_capture(name, event_type => name, condition => format('NEW.%I = %L', name, name), columns => ARRAY[name], description => name);
END $$;
SELECT count(build(name, n)) FROM names;
SELECT count(*) FROM names JOIN domev.event_types AS e ON e.event_type = name AND e.aggregate_type = name AND e.description = name;
SELECT count(*) FROM names JOIN domev.mappings AS m ON m.mapping = name AND m.event_type = name AND m.function = format('%I.%I', 's ' || name, name) AND m.produces = ARRAY[name] AND m.description = name;
SELECT count(*) FROM names JOIN domev.captures AS c ON c.capture = name AND c.event_type = name AND c.relation = format('%I.%I', 's ' || name, name)::regclass AND c.columns = ARRAY[name]
	AND c.condition = format('NEW.%I = %L', name, name) AND c.description = name AND c.aggregate_id = format('%I', name);
-- their views, which bear the rights: each for its own name alone
SELECT count(*) FROM names JOIN pg_class AS c ON c.relname = name AND c.relnamespace = 'domev_event'::regnamespace AND c.relkind = 'v';
CREATE ROLE regress_app;
CREATE FUNCTION use_view(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('GRANT INSERT, SELECT ON domev_event.%I TO regress_app', name);
	SET LOCAL ROLE regress_app;
	EXECUTE format('INSERT INTO domev_event.%I (aggregate_id, payload) VALUES (%L, to_jsonb(%L::text))', name, 'by view', name);
	IF EXISTS (SELECT FROM domev.event_types AS e WHERE e.event_type <> name AND has_table_privilege(format('domev_event.%I', e.event_type), 'INSERT')) THEN
		RAISE EXCEPTION 'more was granted than %', name;
	END IF;
	RESET ROLE;
	EXECUTE format('REVOKE ALL ON domev_event.%I FROM regress_app', name);
END $$;
SELECT count(use_view(name)) FROM names;
SELECT count(*), bool_and(event_type = p.j #>> '{}') FROM domev.outbox AS o, LATERAL (SELECT o.payload::jsonb) AS p (j) WHERE o.aggregate_id = 'by view' AND o.mapping IS NULL;
DELETE FROM domev.outbox;
SELECT count(*) FROM pg_logical_slot_get_changes('names', NULL, NULL);
-- emitted, captured, tried, traced, mapped again
SELECT count(domev.emit(name, name, to_jsonb(name), jsonb_build_object('own', name))) FROM names;
SELECT count(*) FROM names WHERE state(format('INSERT INTO %I.%I VALUES (%L, %L)', 's ' || name, name, name, to_jsonb(name))) = 'accepted';
SELECT count(*), count(*) FILTER (WHERE p.error IS NOT NULL) AS errors, bool_and(p.event_type = name AND (p.mapping IS NULL OR p.mapping = name)) FROM names, domev.preview(name, name, to_jsonb(name)) AS p;
SELECT count(*), count(*) FILTER (WHERE o.mapping = name), bool_and(o.aggregate_type = name AND o.aggregate_id = name AND (o.mapping IS NULL OR o.key = name)) FROM names JOIN domev.outbox AS o ON o.event_type = name;
SELECT count(*) FROM names JOIN domev.outbox AS o ON o.event_type = name AND o.mapping IS NULL, domev.trace(o.event_id) AS t;
SELECT r.outcome, count(*) FROM names, domev.remap(name, since => '2026-01-01') AS r GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM names, domev.remap(name, since => '2026-01-01', event_type => 'b', dry_run => true);
SELECT e->>'type' = n.name AND e->>'partitionkey' = n.name AND e->>'h' = n.name AND e->>'own' IS NOT DISTINCT FROM CASE WHEN e->'data' = to_jsonb(n.name) THEN n.name END AS as_given, count(*)
FROM (SELECT data::jsonb AS e FROM pg_logical_slot_get_changes('names', NULL, NULL)) AS g JOIN names AS n ON e->>'subject' = n.name GROUP BY 1;

-- failures, whose message is such a text
CREATE FUNCTION fail(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = (e).aggregate_id, DETAIL = (e).aggregate_id, HINT = (e).aggregate_id; END $$;
SELECT domev.create_event_type('f', 'a'), domev.create_mapping('f', 'f', 'public.fail', 't', on_error => 'record');
SELECT count(domev.emit('f', name)) FROM names;
SELECT count(*) FROM names JOIN domev.failed_mapping AS f ON (f.event).aggregate_id = name AND f.message = name AND f.detail = name;
SELECT count(*), bool_and(error = 'P0001: ' || name) FROM names JOIN domev.failed_mapping AS f ON f.message = name, domev.remap(f.event_id, 'f', true);
-- attributes to reset, choices, functions that are such texts
SELECT count(*), min(s), max(s) FROM names, LATERAL (VALUES (state(format('SELECT domev.alter_mapping(%L, reset => ARRAY[%L])', 'f', name))), (state(format('SELECT domev.alter_topic(%L, scope => %L)', 't', name))),
	(state(format('SELECT domev.create_topic(%L, storage => %L)', 'x', name))), (state(format('SELECT domev.create_mapping(%L, %L, %L, timing => %L)', 'x', 'b', 'public.fail', name)))) AS v (s);
SELECT s, string_agg(name, '   ') FROM names, state(format('SELECT domev.create_mapping(%L, %L, %L)', 'x', 'b', name)) AS s GROUP BY 1 ORDER BY 1;
SELECT s, string_agg(name, '   ') FROM names, state(format('SELECT domev.create_capture(%L, %L, %L, %L, %L)', 'x', 'canary', 'insert', name, 'b')) AS s GROUP BY 1 ORDER BY 1;
SELECT s, string_agg(name, '   ') FROM names, state(format('SELECT domev.create_capture(%L, %L, %L, %L, %L, condition => %L), domev.drop_capture(%L)', 'x', 'canary', 'insert', 'who', 'b', name, 'x')) AS s GROUP BY 1 ORDER BY 1;
SELECT domev.set_source('/'';--'), domev.emit('b', 'of the source') IS NOT NULL;

-- partitions of such names, in such schemas
CREATE FUNCTION make_partition(name text, n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I.%I PARTITION OF domev.outbox FOR VALUES FROM (%L) TO (%L)', 's ' || name, 'p ' || left(name, 60), timestamptz '3000-01-01' + n * interval '1 day', timestamptz '3000-01-02' + n * interval '1 day');
END $$;
SELECT count(make_partition(name, n)) FROM names;
TRUNCATE domev.outbox;
SELECT count(domev.emit(name, name, '1')) FROM names;
SELECT tableoid::regclass, count(*) FROM domev.outbox GROUP BY 1;
ALTER TABLE domev.outbox DETACH PARTITION domev.outbox_default;
CREATE TABLE """now"";--" PARTITION OF domev.outbox FOR VALUES FROM ('2020-01-01') TO ('2999-01-01');
SELECT count(domev.emit(name, name, '2')) FROM names;
SELECT tableoid::regclass, count(*) FROM domev.outbox GROUP BY 1;
SELECT count(*) FROM pg_logical_slot_get_changes('names', NULL, NULL, 'event_types', '*INSERT*');
SELECT r.outcome, count(*) FROM names, domev.remap(name, since => '2026-01-01') AS r GROUP BY 1;

-- dropped, each by its own name
SELECT count(domev.drop_capture(name)) FROM names WHERE name IN ('%', '_', '"');
SELECT count(*) FROM domev.captures;
SELECT count(domev.drop_capture(name)) FROM names WHERE name NOT IN ('%', '_', '"');
SELECT count(domev.drop_mapping(name)) FROM names WHERE name IN ('%', '_', '"');
SELECT count(*) FROM domev.mappings;
SELECT count(domev.drop_mapping(name)) FROM names WHERE name NOT IN ('%', '_', '"');
SELECT count(domev.drop_event_type(name)) FROM names;
SELECT relname FROM pg_class WHERE relnamespace = 'domev_event'::regnamespace ORDER BY 1;
SELECT event_type FROM domev.event_types ORDER BY 1;
SELECT count(*) FROM canary; -- 0

SELECT pg_drop_replication_slot('names');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DO $$ DECLARE n text; BEGIN
	FOR n IN SELECT name FROM names LOOP EXECUTE format('DROP SCHEMA %I CASCADE', 's ' || n); END LOOP;
END $$;
DROP TABLE names, canary;
DROP FUNCTION state, build, make_partition, use_view;
DROP ROLE regress_app;
