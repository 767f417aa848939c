-- Who may do what: GRANTs on the views of event types and topics, for whoever emits, for owners of captured tables and of mapping functions.
CREATE EXTENSION domev;
CREATE ROLE regress_app;
CREATE ROLE regress_group;
CREATE ROLE regress_mapper;
CREATE ROLE regress_reader;
CREATE ROLE regress_owner;
GRANT CREATE ON SCHEMA public TO regress_mapper, regress_owner, regress_reader;
-- runs a statement and says which error it raised, or that there was none
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE VIEW kept AS SELECT event_type, aggregate_id, topic, mapping FROM domev.outbox ORDER BY recorded_at;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('wal', storage => 'wal'), domev.create_event_type('e', 'a', 'in'), domev.create_event_type('Other "1"', 'a');

-- the views: columns, options, comments, an owner, nobody else's rights
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'domev_event.e'::regclass AND attnum > 0 ORDER BY attnum;
SELECT (SELECT array_agg((attname, atttypid, attcollation) ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'domev_topic.out'::regclass AND attnum > 0)
	= (SELECT array_agg((attname, atttypid, attcollation) ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'domev.outbox'::regclass AND attnum > 0) AS columns_of_outbox;
SELECT tgname, tgfoid::regproc, tgtype, tgenabled, obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgrelid = 'domev_event.e'::regclass;
SELECT obj_description('domev_topic.out'::regclass), obj_description('domev_event.e'::regclass);
SELECT c.relname, c.reloptions, c.relowner = o.relowner AS same_owner, c.relacl FROM pg_class AS c, pg_class AS o
WHERE c.relnamespace IN ('domev_event'::regnamespace, 'domev_topic'::regnamespace) AND o.oid = 'domev.outbox'::regclass ORDER BY c.relname COLLATE "C";
-- all may look into the schemas, none but the owner make something there
SELECT n, has_schema_privilege('regress_app', n, 'USAGE') AS usage, has_schema_privilege('regress_app', n, 'CREATE') AS create FROM unnest('{domev, domev_event, domev_topic}'::text[]) AS n;

-- to emit takes INSERT on the event type's view, at each call, in a session that has emitted before
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', '1')$$), try($$SELECT domev.emit('nothing', '1')$$), try($$SELECT domev.preview('e', '1')$$);
SELECT domev.emit('e', '1');
RESET ROLE;
GRANT INSERT ON domev_event.e TO regress_app;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', '2')$$), try($$SELECT domev.emit('Other "1"', '2')$$);
RESET ROLE;
REVOKE INSERT ON domev_event.e FROM regress_app;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', '3')$$);
RESET ROLE;
-- by membership, as long as it lasts
GRANT INSERT ON domev_event.e, domev_event."Other ""1""" TO regress_group;
GRANT regress_group TO regress_app;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', '4')$$), try($$SELECT domev.emit('Other "1"', '4')$$);
RESET ROLE;
REVOKE regress_group FROM regress_app;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', '5')$$);
SET ROLE regress_group;
SELECT try($$SELECT domev.emit('e', '6')$$);
RESET ROLE;
-- in a transaction that grants it itself, and rolls that back; a prepared statement, and DISCARD ALL
PREPARE emitting AS SELECT try($$SELECT domev.emit('e', '7')$$);
BEGIN;
GRANT INSERT ON domev_event.e TO regress_app;
SET LOCAL ROLE regress_app;
EXECUTE emitting;
ROLLBACK;
SET ROLE regress_app;
EXECUTE emitting;
RESET ROLE;
DISCARD ALL;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', '8')$$);
RESET ROLE;
-- a superuser that is one no more
CREATE ROLE regress_super SUPERUSER;
SET ROLE regress_super;
SELECT try($$SELECT domev.emit('e', '9')$$);
RESET ROLE;
ALTER ROLE regress_super NOSUPERUSER;
SET ROLE regress_super;
SELECT try($$SELECT domev.emit('e', '10')$$);
RESET ROLE;
DROP ROLE regress_super;
-- in a function of somebody who has the right
CREATE FUNCTION emits(id text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp RETURN domev.emit('e', id)::text;
ALTER FUNCTION emits OWNER TO regress_group;
SET ROLE regress_app;
SELECT emits('11') IS NOT NULL AS emitted;
RESET ROLE;
SELECT * FROM kept;
TRUNCATE domev.outbox;

-- a row that is inserted into the view is emitted
GRANT INSERT ON domev_event.e TO regress_app;
SET ROLE regress_app;
INSERT INTO domev_event.e (aggregate_id) VALUES ('least');
INSERT INTO domev_event.e (event_id, aggregate_id, aggregate_version, payload, headers, occurred_at) VALUES ('00000000-0000-0000-0000-000000000001', 'all', 7, '{"a": 1}', '{"h": "x"}', '2026-11-26 01:00+00');
-- once only
INSERT INTO domev_event.e (event_id, aggregate_id) VALUES ('00000000-0000-0000-0000-000000000001', 'all');
-- several, from a query; with NULLs, as mappers write them
INSERT INTO domev_event.e SELECT NULL, 'many ' || i, NULL, NULL, NULL, NULL, NULL FROM generate_series(1, 2) AS i;
SELECT try('INSERT INTO domev_event.e (payload) VALUES (NULL)'), try($$INSERT INTO domev_event.e (aggregate_id, recorded_at) VALUES ('x', now())$$), try($$INSERT INTO domev_event.e (aggregate_id, headers) VALUES ('x', '[]')$$);
SELECT try($$INSERT INTO domev_event."Other ""1""" (aggregate_id) VALUES ('x')$$), try($$UPDATE domev_event.e SET aggregate_id = 'x'$$), try('DELETE FROM domev_event.e'), try('TRUNCATE domev_event.e'), try('SELECT * FROM domev_event.e');
SELECT try($$INSERT INTO domev_event.e (aggregate_id) VALUES ('y') RETURNING event_id$$);
RESET ROLE;
INSERT INTO domev_event.e (aggregate_id, headers) VALUES ('returned', '{"h": 1}') RETURNING event_id IS NOT NULL AS id, aggregate_id, payload, headers, occurred_at IS NOT NULL AS time, recorded_at;
COPY domev_event.e (aggregate_id, payload) FROM stdin;
copied	{"b": 2}
\.
SELECT try($$UPDATE domev_event.e SET aggregate_id = 'x'$$), try('DELETE FROM domev_event.e'), try($$INSERT INTO domev_event.e (aggregate_id) VALUES ('z') ON CONFLICT DO NOTHING$$);
SELECT aggregate_id, aggregate_version, payload, headers FROM domev_event.e ORDER BY recorded_at;
-- through a view of somebody who has the right
CREATE VIEW on_top AS SELECT aggregate_id, payload FROM domev_event.e;
ALTER VIEW on_top OWNER TO regress_group;
GRANT INSERT ON on_top TO regress_reader;
SET ROLE regress_reader;
SELECT try($$INSERT INTO on_top VALUES ('on top')$$), try($$INSERT INTO domev_event.e (aggregate_id) VALUES ('direct')$$);
RESET ROLE;
SELECT aggregate_id FROM domev_event.e WHERE aggregate_id IN ('on top', 'direct');
DROP VIEW on_top;
-- the trigger is no one else's
SELECT try('SELECT domev.emit_inserted()'), try('CREATE VIEW v AS SELECT * FROM domev_event.e');
CREATE TRIGGER t INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION domev.emit_inserted();
SELECT try($$INSERT INTO v (aggregate_id) VALUES ('x')$$);
DROP VIEW v;
TRUNCATE domev.outbox;

-- a topic's view cannot be written, whatever was granted
GRANT ALL ON domev_topic.out, domev_topic.in TO regress_app;
SET ROLE regress_app;
SELECT try($$INSERT INTO domev_topic.out SELECT gen_random_uuid(), now(), pg_current_xact_id(), 'out', 'forged', NULL, NULL, 'a', '1', NULL, NULL, '{}', NULL, NULL, NULL, NULL, now()$$), try($$UPDATE domev_topic.out SET topic = 'in'$$), try('DELETE FROM domev_topic.out'), try('TRUNCATE domev_topic.out');
SELECT try('SELECT * FROM domev.outbox'), try('INSERT INTO domev.outbox DEFAULT VALUES'), try('INSERT INTO domev.outbox_default DEFAULT VALUES'), try('SELECT * FROM domev.outbox_default');
SELECT try('CREATE VIEW domev_topic.mine AS SELECT 1'), try('CREATE RULE r AS ON INSERT TO domev_topic.out DO INSTEAD NOTHING');
RESET ROLE;
REVOKE ALL ON domev_topic.out, domev_topic.in FROM regress_app;

-- a mapping needs its owner's rights on event type and topic, when it is registered and when it runs
GRANT EXECUTE ON FUNCTION domev.create_mapping, domev.alter_mapping TO regress_mapper;
SET ROLE regress_mapper;
CREATE FUNCTION map(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('i', (e).payload, topic => (e).payload->>'topic')).*;
END;
SELECT try($$SELECT domev.create_mapping('m', 'e', 'public.map', 'out')$$);
RESET ROLE;
GRANT INSERT ON domev_event.e TO regress_mapper;
SET ROLE regress_mapper;
SELECT try($$SELECT domev.create_mapping('m', 'e', 'public.map', 'out')$$);
RESET ROLE;
-- a superuser's word does not make up for the owner's rights
SELECT domev.create_mapping('m', 'e', 'public.map', 'out');
GRANT INSERT ON domev_topic.out TO regress_mapper;
SET ROLE regress_mapper;
SELECT domev.create_mapping('m', 'e', 'public.map', 'out');
SELECT try($$SELECT domev.alter_mapping('m', topic => 'wal')$$);
RESET ROLE;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', 'm1')$$), try($$SELECT domev.emit('e', 'm2', '{"topic": "wal"}')$$);
SELECT domev.emit('e', 'm2', '{"topic": "wal"}');
RESET ROLE;
GRANT INSERT ON domev_topic.wal TO regress_mapper;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', 'm3', '{"topic": "wal"}')$$), try($$SELECT domev.emit('e', 'm4', '{"topic": "in"}')$$);
RESET ROLE;
REVOKE INSERT ON domev_topic.out FROM regress_mapper;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', 'm5')$$), try($$SELECT domev.emit('e', 'm6', '{"topic": "wal"}')$$);
RESET ROLE;
GRANT INSERT ON domev_topic.out TO regress_mapper;
REVOKE INSERT ON domev_event.e FROM regress_mapper;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', 'm7')$$);
RESET ROLE;
-- such an error is the mapping's own
SELECT domev.alter_mapping('m', on_error => 'record');
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', 'm8')$$);
RESET ROLE;
SELECT (event).aggregate_id, sqlstate, message, detail FROM domev.failed_mapping;
SELECT * FROM kept;
GRANT INSERT ON domev_event.e TO regress_mapper;
SELECT outcome, events FROM domev.remap('m');
TRUNCATE domev.outbox, domev.failed_mapping;

-- contents for whoever may read them
SET domev.keep_emitted = on;
BEGIN;
SET LOCAL ROLE regress_app;
SELECT domev.emit('e', 'content', '{"secret": 1}') IS NOT NULL AS emitted;
SELECT event_type, topic, key, payload FROM domev.emitted_in_transaction();
SELECT event_type, topic, key, payload FROM domev.preview('e', 'content', '{"secret": 1}');
RESET ROLE;
GRANT SELECT ON domev_topic.out TO regress_app;
SET LOCAL ROLE regress_app;
SELECT event_type, topic, key, payload FROM domev.emitted_in_transaction();
SELECT event_type, topic, key, payload FROM domev.preview('e', 'content', '{"secret": 1}');
RESET ROLE;
GRANT SELECT ON domev_event.e TO regress_app;
REVOKE SELECT ON domev_topic.out FROM regress_app;
SET LOCAL ROLE regress_app;
SELECT event_type, topic, key, payload FROM domev.emitted_in_transaction();
ROLLBACK;
RESET domev.keep_emitted;

-- a function that would leak what it sees is not shown other types' events
SELECT domev.emit('e', 'shown'), domev.emit('Other "1"', 'hidden') \gset
GRANT SELECT ON domev_event.e, domev_topic.out TO regress_reader;
SET ROLE regress_reader;
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$;
SELECT aggregate_id FROM domev_event.e WHERE leak(aggregate_id);
SELECT aggregate_id, mapping FROM domev_topic.out WHERE leak(aggregate_id);
SELECT try('SELECT * FROM domev_event."Other ""1"""'), try('SELECT * FROM domev_topic."in"');
RESET ROLE;

-- roles of PostgreSQL's own: may write all data is not to register, or to have events of one's own making mapped
GRANT pg_write_all_data, pg_read_all_data TO regress_reader;
SET ROLE regress_reader;
SELECT try($$INSERT INTO domev.topics VALUES ('x', 'external', 'table')$$), try('UPDATE domev.mappings SET enabled = true'), try('DELETE FROM domev.event_types'), try($$UPDATE domev.source SET source = 'x'$$);
SELECT try($$INSERT INTO domev.deferred VALUES ('00000000-0000-0000-0000-000000000002', 'e', 'a', '1', NULL, '{}', NULL, now(), '{m}')$$), try($$INSERT INTO domev.failed_mapping SELECT gen_random_uuid(), 'm', ROW(gen_random_uuid(), 'e', 'a', '1', NULL, '{}', NULL, now())::domev.domain_event, 'x', 'x', NULL, NULL, now(), 1$$);
SELECT count(*) FROM domev.message_key;
SELECT count(*) > 0 AS reads FROM domev.outbox;
SELECT try($$SELECT domev.emit('e', 'by write all')$$), try($$SELECT domev.create_topic('x')$$);
RESET ROLE;

-- a view that was dropped: nobody but a superuser has the right, until it is made anew
DROP VIEW domev_event.e;
SET ROLE regress_app;
SELECT domev.emit('e', 'gone');
RESET ROLE;
SELECT try($$SELECT domev.emit('e', 'gone')$$);
SELECT domev.alter_event_type('e'), domev.alter_topic('in');
GRANT INSERT ON domev_event.e TO regress_app;
SET ROLE regress_app;
SELECT try($$SELECT domev.emit('e', 'back')$$);
RESET ROLE;
-- what was dropped has no view; what others have made of one keeps it
CREATE VIEW on_top AS SELECT * FROM domev_event."Other ""1""";
SELECT try($$SELECT domev.drop_event_type('Other "1"')$$);
DROP VIEW on_top;
SELECT domev.drop_event_type('Other "1"'), domev.drop_topic('none', if_exists => true);
SELECT domev.drop_event_type('Other "1"'), domev.create_topic('short'), domev.drop_topic('short');
SELECT relname FROM pg_class WHERE relnamespace IN ('domev_event'::regnamespace, 'domev_topic'::regnamespace) ORDER BY 1;
-- rights go with their role
DROP OWNED BY regress_app, regress_group, regress_mapper, regress_reader, regress_owner CASCADE;
SELECT relname, relacl FROM pg_class WHERE relnamespace IN ('domev_event'::regnamespace, 'domev_topic'::regnamespace) AND relacl::text ~ 'regress';
DROP EXTENSION domev CASCADE;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^domev';
DROP FUNCTION try;
DROP ROLE regress_app, regress_group, regress_mapper, regress_reader, regress_owner;
