-- SE-7: nobody writes domev's tables and views, or gets at what they hold, by whatever statement: neither an application that may emit
-- nor the database's owner.  (rights.sql has what GRANTs on the views give.)
CREATE EXTENSION domev;
CREATE ROLE regress_app;
CREATE ROLE regress_dbowner;
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
GRANT INSERT ON domev_event.e TO regress_app, regress_dbowner;
SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = current_database() \gset
ALTER DATABASE contrib_regression OWNER TO regress_dbowner;
CREATE SCHEMA app;
GRANT ALL ON SCHEMA app TO regress_app, regress_dbowner;
CREATE FUNCTION state(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT domev.emit('e', 'genuine', '{"secret": 1}') IS NOT NULL;
ANALYZE domev.outbox;
CREATE TABLE before AS SELECT oid, relacl, relowner FROM pg_class WHERE relnamespace IN ('domev'::regnamespace, 'domev_event'::regnamespace, 'domev_topic'::regnamespace);
CREATE VIEW all_relations AS SELECT oid::regclass AS relation, relkind FROM pg_class WHERE relnamespace IN ('domev'::regnamespace, 'domev_event'::regnamespace, 'domev_topic'::regnamespace) AND relkind IN ('r', 'p', 'v');
CREATE TABLE ways (n int GENERATED ALWAYS AS IDENTITY, way text, statement text);
INSERT INTO ways (way, statement) VALUES
	('read', 'SELECT * FROM %1$s'), ('count', 'SELECT count(*) FROM %1$s'), ('lock', 'LOCK TABLE %1$s IN ROW EXCLUSIVE MODE'), ('lock rows', 'SELECT 1 FROM %1$s FOR UPDATE'),
	('insert', 'INSERT INTO %1$s SELECT * FROM %1$s'), ('insert', 'INSERT INTO %1$s DEFAULT VALUES'), ('update', 'UPDATE %1$s SET %2$I = %2$I'), ('delete', 'DELETE FROM %1$s'), ('delete', 'DELETE FROM %1$s WHERE CURRENT OF c'),
	('truncate', 'TRUNCATE %1$s CASCADE'), ('merge', 'MERGE INTO %1$s USING (VALUES (1)) AS v ON true WHEN MATCHED THEN DELETE'), ('copy', 'COPY %1$s TO PROGRAM ''cat'''),
	('trigger', 'CREATE TRIGGER t BEFORE INSERT ON %1$s FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'), ('trigger', 'CREATE TRIGGER t INSTEAD OF INSERT ON %1$s FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
	('rule', 'CREATE RULE r AS ON INSERT TO %1$s DO INSTEAD NOTHING'), ('policy', 'CREATE POLICY p ON %1$s'), ('index', 'CREATE INDEX ON %1$s (%2$I)'), ('statistics', 'CREATE STATISTICS app.s ON %2$I, tableoid FROM %1$s'),
	('inherit', 'CREATE TABLE app.child () INHERITS (%1$s)'), ('partition', 'CREATE TABLE app.part PARTITION OF %1$s FOR VALUES FROM (''2000-01-01'') TO (''2000-01-02'')'),
	('partition', 'ALTER TABLE %1$s ATTACH PARTITION app.attached FOR VALUES FROM (''2000-01-01'') TO (''2000-01-02'')'), ('partition', 'ALTER TABLE domev.outbox DETACH PARTITION %1$s'), ('reference', 'CREATE TABLE app.r (x text REFERENCES %1$s (%2$I))'),
	('alter', 'ALTER TABLE %1$s ADD COLUMN x int'), ('alter', 'ALTER TABLE %1$s DISABLE TRIGGER ALL'), ('alter', 'ALTER TABLE %1$s OWNER TO regress_app'), ('alter', 'ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY'), ('alter', 'ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY'),
	('alter', 'ALTER TABLE %1$s SET SCHEMA app'), ('alter', 'ALTER TABLE %1$s RENAME TO x'), ('alter', 'ALTER VIEW %1$s ALTER COLUMN %2$I SET DEFAULT NULL'), ('alter', 'ALTER TABLE %1$s REPLICA IDENTITY FULL'), ('replace', 'CREATE OR REPLACE VIEW %1$s AS SELECT 1'),
	('drop', 'DROP TABLE %1$s CASCADE'), ('drop', 'DROP VIEW %1$s CASCADE'), ('comment', 'COMMENT ON TABLE %1$s IS ''x'''), ('reindex', 'REINDEX TABLE %1$s'), ('cluster', 'CLUSTER %1$s'),
	('refresh', 'REFRESH MATERIALIZED VIEW %1$s'), ('publish', 'CREATE PUBLICATION p FOR TABLE %1$s'), ('extension', 'ALTER EXTENSION domev DROP TABLE %1$s'), ('extension', 'ALTER EXTENSION domev ADD VIEW %1$s');
GRANT SELECT ON ways, all_relations TO PUBLIC;
-- what each way comes to, for how many relations: the right is missing, or there is no such thing to do with that kind of relation
CREATE VIEW tried AS
SELECT w.way, CASE WHEN s IN ('42501', 'done') THEN s ELSE 'makes no sense' END AS state, CASE WHEN s = 'done' THEN string_agg(r.relation::text, ', ' ORDER BY r.relation::text COLLATE "C") ELSE count(*)::text END AS relations
FROM ways AS w, all_relations AS r, LATERAL (SELECT attname FROM pg_attribute WHERE attrelid = r.relation AND attnum = 1) AS a, LATERAL (SELECT state(format(w.statement, r.relation, a.attname))) AS s (s)
GROUP BY w.way, 2, s = 'done', CASE WHEN s = 'done' THEN s END;
GRANT SELECT ON tried TO PUBLIC;
CREATE TABLE app.attached (LIKE domev.outbox);
ALTER TABLE app.attached OWNER TO regress_app;
-- a view's functions run as who asks, so that each is the role's own attempt
SET ROLE regress_app;
CREATE TEMP TABLE by_app AS SELECT * FROM tried;
SELECT way, relations FROM by_app WHERE state = 'done' ORDER BY 1;
SELECT string_agg(DISTINCT way, ', ' ORDER BY way) AS denied FROM by_app WHERE state = '42501';
SELECT way FROM ways EXCEPT SELECT way FROM by_app WHERE state = '42501';
RESET ROLE;
ALTER TABLE app.attached OWNER TO regress_dbowner;
SET ROLE regress_dbowner;
CREATE TEMP TABLE by_owner AS SELECT * FROM tried;
RESET ROLE;
SELECT * FROM by_owner EXCEPT SELECT * FROM by_app;
SELECT * FROM by_app EXCEPT SELECT * FROM by_owner;
-- nothing has changed
SELECT count(*) FROM all_relations;
SELECT aggregate_id, payload FROM domev.outbox;
SELECT count(*) FROM pg_trigger WHERE tgname = 't';
SELECT count(*) FROM before AS b FULL JOIN pg_class AS c ON c.oid = b.oid AND c.relacl IS NOT DISTINCT FROM b.relacl AND c.relowner = b.relowner
WHERE b.oid IS NULL AND c.relnamespace IN ('domev'::regnamespace, 'domev_event'::regnamespace, 'domev_topic'::regnamespace) OR c.oid IS NULL;

-- what COPY and cursors do, outside of functions
SET ROLE regress_app;
\copy domev.outbox FROM '/dev/null'
COPY domev.outbox TO stdout;
COPY domev_topic.t TO stdout;
COPY (SELECT * FROM domev.failed_mapping) TO stdout;
\copy domev.topics FROM '/dev/null'
RESET ROLE;

-- nor does the database's owner get at the extension, its schemas or settings
SET ROLE regress_dbowner;
SELECT s, string_agg(statement, E'\n' ORDER BY statement COLLATE "C") FROM unnest(ARRAY['DROP EXTENSION domev CASCADE', 'ALTER EXTENSION domev UPDATE TO ''2''', 'ALTER EXTENSION domev SET SCHEMA app', 'COMMENT ON EXTENSION domev IS ''x''',
	'DROP SCHEMA domev CASCADE', 'DROP SCHEMA domev_event CASCADE', 'ALTER SCHEMA domev_topic RENAME TO x', 'ALTER SCHEMA domev OWNER TO regress_dbowner',
	'CREATE TABLE domev.x ()', 'CREATE VIEW domev_event.x AS SELECT 1', 'CREATE VIEW domev_topic.x AS SELECT 1', 'CREATE FUNCTION domev.emit(text) RETURNS int LANGUAGE sql AS ''SELECT 1''', 'CREATE OPERATOR domev.= (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)',
	'CREATE OR REPLACE FUNCTION domev.time_of_id(uuid) RETURNS timestamptz LANGUAGE sql AS ''SELECT now()''', 'ALTER FUNCTION domev.capture_change() SECURITY DEFINER', 'ALTER FUNCTION domev.emit(text, text, jsonb, jsonb, bigint, uuid, timestamptz) OWNER TO regress_dbowner',
	'GRANT EXECUTE ON FUNCTION domev.create_topic TO regress_dbowner', 'ALTER TYPE domev.domain_event ADD ATTRIBUTE x int', 'DROP TYPE domev.integration_event CASCADE', 'CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION domev.map_deferred()',
	'ALTER DATABASE contrib_regression SET domev.max_event_size = ''256MB''', 'ALTER DATABASE contrib_regression SET session_replication_role = replica',
	'SET session_replication_role = replica', 'SET domev.max_event_size = ''256MB''', 'SELECT domev.create_topic(''x'')', 'SELECT domev.set_source(''/x'')', 'SELECT domev.remap(''x'')', 'SELECT domev.heartbeat()', 'SELECT domev.find_trace(''00000000-0000-0000-0000-000000000001'')']) AS statement,
	state(statement) AS s GROUP BY 1;
SELECT count(*) FROM unnest('{domev,domev_event,domev_topic}'::text[]) AS n WHERE has_schema_privilege('regress_dbowner', n, 'CREATE');
-- statistics of what is hidden are hidden
SELECT count(*) FROM pg_stats WHERE schemaname = 'domev' AND tablename IN ('outbox', 'outbox_default');
SELECT state($$SELECT * FROM pg_statistic$$);
-- a table of its own that looks like the outbox is not the outbox
RESET ROLE;
SELECT pg_create_logical_replication_slot('rows', 'domev') IS NOT NULL;
CREATE TABLE app.outbox (LIKE domev.outbox) PARTITION BY RANGE (recorded_at);
CREATE TABLE app.outbox_default PARTITION OF app.outbox DEFAULT;
ALTER TABLE app.outbox OWNER TO regress_dbowner;
ALTER TABLE app.outbox_default OWNER TO regress_dbowner;
SET ROLE regress_dbowner;
INSERT INTO app.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, payload, occurred_at) VALUES (gen_random_uuid(), now(), pg_current_xact_id(), 't', 'forged', 'a', 'x', '{}', now());
INSERT INTO domev_event.e (aggregate_id) VALUES ('by view');
RESET ROLE;
SELECT data::jsonb->>'subject' AS subject, data::jsonb->>'type' AS type FROM pg_logical_slot_get_changes('rows', NULL, NULL);

SELECT pg_drop_replication_slot('rows');
SET client_min_messages = warning;
ALTER DATABASE contrib_regression OWNER TO :"owner";
DROP VIEW tried, all_relations;
DROP EXTENSION domev CASCADE;
DROP TABLE ways, by_app, by_owner, before;
DROP FUNCTION state;
DROP SCHEMA app CASCADE;
DROP OWNED BY regress_app, regress_dbowner;
DROP ROLE regress_app, regress_dbowner;
