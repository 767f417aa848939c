/* domev.sql: what CREATE EXTENSION domev makes, in sections: schema, types, registry, captures, outbox, doors, emitting,
looking, mapping again, operating, retention, replay, consuming, seeing, showing, rights */

-- complain if the script is sourced in psql, rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION domev" to load this file. \quit

-- CREATE EXTENSION has put the schema that it was given into the path, in which others may have made objects.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- ---------------------------------------------------------------------------------------------------------------------
-- Schemas.  Made here, without IF NOT EXISTS: a schema that somebody else made beforehand must not be adopted.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE SCHEMA domev;
COMMENT ON SCHEMA domev IS 'domain events, their mapping to integration events, and the outbox that publishes both';
CREATE SCHEMA domev_event;
COMMENT ON SCHEMA domev_event IS 'a view for each event type: INSERT on it is the right to emit, SELECT the right to read';
CREATE SCHEMA domev_topic;
COMMENT ON SCHEMA domev_topic IS 'a view for each topic: INSERT on it is the right to publish by mappings, SELECT the right to read and to stream';

-- ---------------------------------------------------------------------------------------------------------------------
-- Types.  src/domev.h numbers their attributes for mappings in C; append only.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TYPE domev.domain_event AS (
	event_id uuid,
	event_type text,
	aggregate_type text,
	aggregate_id text,
	aggregate_version bigint,
	payload jsonb,
	headers jsonb,
	occurred_at timestamptz
);
COMMENT ON TYPE domev.domain_event IS 'what a mapping function takes: something that happened to one aggregate';

CREATE TYPE domev.integration_event AS (
	topic text,
	event_type text,
	key text,
	payload jsonb,
	data bytea,
	content_type text,
	data_schema text,
	headers jsonb
);
COMMENT ON TYPE domev.integration_event IS
	'what a mapping function returns: an event for other systems; built with domev.make_integration_event, so that later attributes break nobody';

CREATE FUNCTION domev.make_integration_event(
	event_type text,
	payload jsonb DEFAULT NULL,
	topic text DEFAULT NULL,
	key text DEFAULT NULL,
	data bytea DEFAULT NULL,
	content_type text DEFAULT NULL,
	data_schema text DEFAULT NULL,
	headers jsonb DEFAULT NULL
) RETURNS domev.integration_event
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	-- one ROW() over each argument once: the planner inlines it, and so the mapping around it
	RETURN ROW(topic, event_type, key, payload, data, content_type, data_schema, headers)::domev.integration_event;
COMMENT ON FUNCTION domev.make_integration_event(text, jsonb, text, text, bytea, text, text, jsonb) IS
	'takes the event type (1 to 255 bytes) and either a JSON payload or binary data; topic (default: the mapping''s), ordering key (default: the aggregate id), content type, schema URI, headers (a JSON object); returns the integration event; raises nothing: emit checks what it is given';

-- ---------------------------------------------------------------------------------------------------------------------
-- Registry.  Everybody may read these tables, nobody writes them: the functions below are the door.  Names collate "C",
-- so that mappings of one event type run in the same order everywhere and index scans need no locale.
--
-- topics, source and message_key are read while WAL is decoded, hence user_catalog_table.  pg_dump must keep what users
-- registered, hence pg_extension_config_dump; no column has a type that pg_upgrade refuses (regproc, aclitem).
-- No foreign keys: the functions check under a lock of their own, and pg_restore -j loads the tables in any order.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE domev.topics (
	topic text COLLATE "C" PRIMARY KEY,
	scope text NOT NULL CHECK (scope IN ('internal', 'external')),
	storage text NOT NULL CHECK (storage IN ('table', 'wal')),
	description text
) WITH (user_catalog_table = true);
COMMENT ON TABLE domev.topics IS 'where events are published to; written by create_topic, alter_topic, drop_topic';
COMMENT ON COLUMN domev.topics.scope IS 'internal: for other parts of this system, may carry domain events; external: for other systems';
COMMENT ON COLUMN domev.topics.storage IS 'table: events are rows of domev.outbox; wal: they are WAL messages only';
SELECT pg_catalog.pg_extension_config_dump('domev.topics', '');

CREATE TABLE domev.event_types (
	event_type text COLLATE "C" PRIMARY KEY,
	aggregate_type text NOT NULL,
	topic text COLLATE "C",
	journal boolean,
	description text
);
COMMENT ON TABLE domev.event_types IS 'the types of domain events; written by create_event_type, alter_event_type, drop_event_type';
COMMENT ON COLUMN domev.event_types.topic IS 'internal topic that carries the domain event itself; NULL: none';
COMMENT ON COLUMN domev.event_types.journal IS
	'keep the domain event as a row of domev.outbox even when no table topic carries it; NULL: yes, unless its topic has WAL storage';
CREATE INDEX event_types_topic ON domev.event_types (topic);
SELECT pg_catalog.pg_extension_config_dump('domev.event_types', '');

CREATE TABLE domev.mappings (
	mapping text COLLATE "C" PRIMARY KEY,
	event_type text COLLATE "C" NOT NULL,
	function text NOT NULL,
	owner regrole NOT NULL,
	topic text COLLATE "C",
	timing text NOT NULL CHECK (timing IN ('immediate', 'deferred')),
	on_error text NOT NULL CHECK (on_error IN ('abort', 'record')),
	produces text[],
	enabled boolean NOT NULL DEFAULT true,
	description text
);
COMMENT ON TABLE domev.mappings IS
	'the functions that turn a domain event into integration events; written by create_mapping, alter_mapping, drop_mapping';
COMMENT ON COLUMN domev.mappings.function IS 'qualified name of a function (domev.domain_event), looked up anew whenever functions change';
COMMENT ON COLUMN domev.mappings.owner IS 'who owned the function when it was registered; emit refuses another owner''s';
COMMENT ON COLUMN domev.mappings.topic IS 'for results that name no topic';
COMMENT ON COLUMN domev.mappings.produces IS 'the integration event types it may return; NULL: any';
CREATE INDEX mappings_event_type ON domev.mappings (event_type);
CREATE INDEX mappings_topic ON domev.mappings (topic);
SELECT pg_catalog.pg_extension_config_dump('domev.mappings', '');

-- At most two rows: the first value, which a restored database makes anew, and what set_source said, which wins.
CREATE TABLE domev.source (
	initial boolean PRIMARY KEY,
	source text NOT NULL
) WITH (user_catalog_table = true);
ALTER TABLE domev.source ALTER source SET STORAGE MAIN; -- in line: see src/catalog.c
COMMENT ON TABLE domev.source IS 'the CloudEvents attribute "source" of all events of this database; written by set_source';
SELECT pg_catalog.pg_extension_config_dump('domev.source', 'WHERE NOT initial');

-- "/" and the database's name, its bytes outside RFC 3986's unreserved characters percent-encoded
INSERT INTO domev.source
SELECT true, '/' OPERATOR(pg_catalog.||) pg_catalog.string_agg(
	CASE WHEN pg_catalog.chr(b) OPERATOR(pg_catalog.~) '^[A-Za-z0-9._~-]$' AND b OPERATOR(pg_catalog.<) 128
		THEN pg_catalog.chr(b)
		ELSE '%' OPERATOR(pg_catalog.||) pg_catalog.upper(pg_catalog.lpad(pg_catalog.to_hex(b), 2, '0')) END, '' ORDER BY i)
FROM (SELECT pg_catalog.convert_to(pg_catalog.current_database(), 'UTF8') AS name) AS n,
	pg_catalog.generate_series(0, pg_catalog.length(n.name) OPERATOR(pg_catalog.-) 1) AS i,
	pg_catalog.get_byte(n.name, i) AS b;

-- The key of the MAC on WAL messages: whoever reads it can forge events.  Never dumped: a restored database has its own.
CREATE TABLE domev.message_key (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	key bytea NOT NULL CHECK (pg_catalog.octet_length(key) OPERATOR(pg_catalog.=) 16)
) WITH (user_catalog_table = true);
COMMENT ON TABLE domev.message_key IS 'the secret that tells genuine WAL messages from forged ones; nobody may read it';
-- Without a policy, so that not even a member of pg_read_all_data reads it.
ALTER TABLE domev.message_key ENABLE ROW LEVEL SECURITY;
INSERT INTO domev.message_key (key)
-- a hash only to spread the random bits of two version 4 UUIDs over 16 bytes
SELECT pg_catalog.substr(pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
	OPERATOR(pg_catalog.||) pg_catalog.uuid_send(pg_catalog.gen_random_uuid())), 1, 16);

CREATE FUNCTION domev.guard_registry() RETURNS trigger
	AS 'MODULE_PATHNAME', 'domev_guard_registry' LANGUAGE C;
COMMENT ON FUNCTION domev.guard_registry() IS
	'trigger: lets only the table''s owner write it; takes and returns the row, raises 39P01 when not called as a trigger, 42501 for somebody else, such as a member of pg_write_all_data';

CREATE FUNCTION domev.invalidate_registry() RETURNS trigger
	AS 'MODULE_PATHNAME', 'domev_invalidate_registry' LANGUAGE C;
COMMENT ON FUNCTION domev.invalidate_registry() IS
	'trigger: makes every session forget what it remembers of the table; takes nothing, returns nothing, raises 39P01 when not called as a trigger';

-- For each row: a logical apply worker fires no statement triggers.
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.topics
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.topics
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.topics
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.topics
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
ALTER TABLE domev.topics ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all,
	ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.event_types
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.event_types
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.event_types
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.event_types
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
ALTER TABLE domev.event_types ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all,
	ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.mappings
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.mappings
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.mappings
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.mappings
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
ALTER TABLE domev.mappings ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all,
	ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.source
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.source
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.source
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.source
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
ALTER TABLE domev.source ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all,
	ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.message_key
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.message_key
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.message_key
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.message_key
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
ALTER TABLE domev.message_key ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all,
	ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;

-- ---------------------------------------------------------------------------------------------------------------------
-- Captures.  A capture is its trigger: name and definition are the trigger's arguments, so it is dropped, dumped and
-- restored with its table, and nothing can be left of it.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION domev.capture_change() RETURNS trigger
	AS 'MODULE_PATHNAME', 'domev_capture_change' LANGUAGE C;
COMMENT ON FUNCTION domev.capture_change() IS
	'trigger of a capture: takes the capture''s name and definition as create_capture wrote them, emits the domain event that the change means, returns nothing; raises 39P01 when not called as such a trigger, 42501 when the owner of the table that the capture was made on may not emit the event type, 42703 when a column is gone, 42804 when it has another type, 22004 for an aggregate id, event type, payload or time that is NULL, 22023 for a trigger made by hand that is no capture''s, and what emit raises';

CREATE FUNCTION domev.read_definition(arguments bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'domev_read_definition' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION domev.read_definition(bytea) IS
	'takes the arguments of a trigger, as pg_trigger has them; returns the definition of the capture that they are, NULL when they are not; raises nothing';

CREATE VIEW domev.captures AS
SELECT pg_catalog.convert_from(pg_catalog.substr(t.tgargs, 1, p.first OPERATOR(pg_catalog.-) 1), pg_catalog.getdatabaseencoding()) AS capture,
	t.tgrelid::regclass AS relation,
	CASE WHEN t.tgtype OPERATOR(pg_catalog.&) 4::smallint OPERATOR(pg_catalog.<>) 0 THEN 'insert'
		WHEN t.tgtype OPERATOR(pg_catalog.&) 8::smallint OPERATOR(pg_catalog.<>) 0 THEN 'delete'
		WHEN t.tgtype OPERATOR(pg_catalog.&) 16::smallint OPERATOR(pg_catalog.<>) 0 THEN 'update'
		ELSE 'truncate' END AS operation,
	d.definition OPERATOR(pg_catalog.->>) 'aggregate_id' AS aggregate_id,
	d.definition OPERATOR(pg_catalog.->>) 'event_type' AS event_type,
	d.definition OPERATOR(pg_catalog.->>) 'condition' AS condition,
	CASE WHEN d.definition OPERATOR(pg_catalog.?) 'columns' THEN
		ARRAY(SELECT pg_catalog.jsonb_array_elements_text(d.definition OPERATOR(pg_catalog.->) 'columns')) END AS columns,
	CASE WHEN d.definition OPERATOR(pg_catalog.?) 'ignore' THEN
		ARRAY(SELECT pg_catalog.jsonb_array_elements_text(d.definition OPERATOR(pg_catalog.->) 'ignore')) END AS ignore,
	d.definition OPERATOR(pg_catalog.->>) 'event_type_column' AS event_type_column,
	d.definition OPERATOR(pg_catalog.->>) 'payload_column' AS payload_column,
	d.definition OPERATOR(pg_catalog.->>) 'headers_column' AS headers_column,
	d.definition OPERATOR(pg_catalog.->>) 'version_column' AS version_column,
	d.definition OPERATOR(pg_catalog.->>) 'event_id_column' AS event_id_column,
	d.definition OPERATOR(pg_catalog.->>) 'occurred_at_column' AS occurred_at_column,
	t.tgenabled OPERATOR(pg_catalog.<>) 'D' AS enabled,
	d.definition OPERATOR(pg_catalog.->>) 'description' AS description
FROM pg_catalog.pg_trigger AS t,
	LATERAL (SELECT pg_catalog.position(t.tgargs, '\x00'::bytea)) AS p (first),
	LATERAL (SELECT domev.read_definition(t.tgargs)) AS d (definition)
WHERE t.tgfoid OPERATOR(pg_catalog.=) 'domev.capture_change'::pg_catalog.regproc
	AND t.tgnargs OPERATOR(pg_catalog.=) 2::smallint
	AND t.tgparentid OPERATOR(pg_catalog.=) 0::oid -- not its copies on partitions
	AND d.definition IS NOT NULL; -- nor what somebody made by hand
COMMENT ON VIEW domev.captures IS
	'the triggers that turn changes of tables into domain events; made by create_capture, alter_capture, drop_capture';
COMMENT ON COLUMN domev.captures.aggregate_id IS 'the columns of the aggregate''s id, separated by commas; NULL: truncate, whose id is *';
COMMENT ON COLUMN domev.captures.event_type IS 'NULL: the column event_type_column names it';
COMMENT ON COLUMN domev.captures.columns IS 'the columns that count and go into the payload; NULL: all, but those to ignore';
COMMENT ON COLUMN domev.captures.enabled IS 'whether its trigger is';

-- ---------------------------------------------------------------------------------------------------------------------
-- Outbox.  Written by domev's C code alone; read by the output plugin, which takes a row only while it decodes the very
-- transaction that the row names in xact_id.  src/event.h numbers the columns.  Not dumped: its events were published.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE domev.outbox (
	event_id uuid NOT NULL,
	recorded_at timestamptz NOT NULL,
	xact_id xid8 NOT NULL,
	topic text COLLATE "C",
	event_type text COLLATE "C" NOT NULL,
	mapping text COLLATE "C",
	causation_id uuid,
	aggregate_type text NOT NULL,
	aggregate_id text NOT NULL,
	aggregate_version bigint,
	key text,
	payload json,
	data bytea,
	content_type text,
	data_schema text,
	headers json,
	occurred_at timestamptz NOT NULL
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE domev.outbox IS 'the events of topics with table storage, and the journal of domain events';
COMMENT ON COLUMN domev.outbox.event_id IS 'CloudEvents id: UUIDv7 unless the caller gave one; of an integration event a function of its cause, mapping and position';
COMMENT ON COLUMN domev.outbox.recorded_at IS 'when the row was written; partitions are ranges of it';
COMMENT ON COLUMN domev.outbox.xact_id IS 'the transaction that raised the event; all that was raised with it has the same';
COMMENT ON COLUMN domev.outbox.topic IS 'where it is published to; NULL: kept in the journal only';
COMMENT ON COLUMN domev.outbox.mapping IS 'the mapping that made the integration event; NULL: a domain event';
COMMENT ON COLUMN domev.outbox.causation_id IS 'the event that caused this one: of an integration event, its domain event';
COMMENT ON COLUMN domev.outbox.key IS 'ordering key; NULL: the aggregate id';

CREATE TABLE domev.outbox_default PARTITION OF domev.outbox DEFAULT;
COMMENT ON TABLE domev.outbox_default IS 'the events for whose time domev.outbox has no partition';

-- PostgreSQL has no BRIN operator class for xid8; the general min/max functions serve.  Not the type's default: others
-- may bring their own.
CREATE OPERATOR CLASS domev.xid8_minmax_ops FOR TYPE xid8 USING brin AS
	OPERATOR 1 pg_catalog.< (xid8, xid8),
	OPERATOR 2 pg_catalog.<= (xid8, xid8),
	OPERATOR 3 pg_catalog.= (xid8, xid8),
	OPERATOR 4 pg_catalog.>= (xid8, xid8),
	OPERATOR 5 pg_catalog.> (xid8, xid8),
	FUNCTION 1 pg_catalog.brin_minmax_opcinfo(internal),
	FUNCTION 2 pg_catalog.brin_minmax_add_value(internal, internal, internal, internal),
	FUNCTION 3 pg_catalog.brin_minmax_consistent(internal, internal, internal),
	FUNCTION 4 pg_catalog.brin_minmax_union(internal, internal, internal);
COMMENT ON OPERATOR CLASS domev.xid8_minmax_ops USING brin IS 'smallest and largest transaction id of each range of domev.outbox';
COMMENT ON OPERATOR FAMILY domev.xid8_minmax_ops USING brin IS 'smallest and largest transaction id of each range of domev.outbox';

CREATE INDEX outbox_recorded_at_xact_id ON domev.outbox USING brin (recorded_at, xact_id domev.xid8_minmax_ops);

CREATE TABLE domev.idempotency (
	event_id uuid PRIMARY KEY,
	event_type text COLLATE "C" NOT NULL,
	claimed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE domev.idempotency IS 'the event ids that callers of emit gave, and for which event type: an id found here is not emitted again';
-- Dumped: a command retried after a restore must still find that it was done.
SELECT pg_catalog.pg_extension_config_dump('domev.idempotency', '');

CREATE TABLE domev.failed_mapping (
	event_id uuid,
	mapping text COLLATE "C",
	event domev.domain_event NOT NULL,
	sqlstate text NOT NULL,
	message text NOT NULL,
	detail text,
	context text,
	failed_at timestamptz NOT NULL,
	attempts integer NOT NULL,
	PRIMARY KEY (event_id, mapping)
);
COMMENT ON TABLE domev.failed_mapping IS 'what mappings with on_error record could not map; domev.remap tries again, domev.purge_failed forgets';
COMMENT ON COLUMN domev.failed_mapping.event IS 'the domain event as the mapping was given it';
COMMENT ON COLUMN domev.failed_mapping.failed_at IS 'the last time that it failed';
COMMENT ON COLUMN domev.failed_mapping.attempts IS 'how often it has failed';
-- Dumped: what has not been published is still to be.
SELECT pg_catalog.pg_extension_config_dump('domev.failed_mapping', '');

-- With the transaction, so that domev.trace finds the rows of the outbox.  Not dumped, as the outbox is not.
CREATE TABLE domev.remapped (
	event_id uuid,
	mapping text COLLATE "C",
	xact_id xid8 NOT NULL,
	remapped_at timestamptz NOT NULL,
	PRIMARY KEY (event_id, mapping)
);
COMMENT ON TABLE domev.remapped IS 'what domev.remap has published, and will not publish again';

-- What waits for the end of its transaction.  Each row is gone when that has committed: it never needs to survive a crash.
CREATE UNLOGGED TABLE domev.deferred (
	event_id uuid NOT NULL,
	event_type text NOT NULL,
	aggregate_type text NOT NULL,
	aggregate_id text NOT NULL,
	aggregate_version bigint,
	payload jsonb NOT NULL,
	headers jsonb,
	occurred_at timestamptz NOT NULL,
	mappings text[] NOT NULL
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1,
	autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_threshold = 1000, toast.autovacuum_vacuum_scale_factor = 0,
	toast.autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE domev.deferred IS 'domain events whose deferred mappings run when the transaction commits; empty to everybody else';
COMMENT ON COLUMN domev.deferred.mappings IS 'the names of those mappings, in their order';

-- Without a policy, so that not even a member of pg_write_all_data has events of his own making mapped.
ALTER TABLE domev.deferred ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION domev.map_deferred() RETURNS trigger
	AS 'MODULE_PATHNAME', 'domev_map_deferred' LANGUAGE C;
COMMENT ON FUNCTION domev.map_deferred() IS
	'constraint trigger on domev.deferred: maps the event and removes the row; takes nothing, returns nothing, raises 39P01 when not called as that trigger, 2F002 inside a mapping, and what the mappings raise';

CREATE CONSTRAINT TRIGGER map_deferred AFTER INSERT ON domev.deferred
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION domev.map_deferred();
ALTER TABLE domev.deferred ENABLE ALWAYS TRIGGER map_deferred;

-- ---------------------------------------------------------------------------------------------------------------------
-- Doors of the registry.  In alter_..., an argument left out (NULL) leaves its attribute; reset names attributes to set
-- back to their defaults.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION domev.create_topic(
	topic text,
	scope text DEFAULT 'external',
	storage text DEFAULT 'table',
	description text DEFAULT NULL,
	if_not_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_create_topic' LANGUAGE C;
COMMENT ON FUNCTION domev.create_topic(text, text, text, text, boolean) IS
	'takes a name (1 to 63 letters, digits, ".", "_", "-"), a scope (internal | external) and a storage (table | wal); returns nothing; raises 22004 for a NULL name, scope or storage, 22023 for a bad value, 42710 when the topic exists (a notice with if_not_exists)';

CREATE FUNCTION domev.alter_topic(
	topic text,
	scope text DEFAULT NULL,
	storage text DEFAULT NULL,
	description text DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_alter_topic' LANGUAGE C;
COMMENT ON FUNCTION domev.alter_topic(text, text, text, text, text[]) IS
	'takes the topic''s name, what to change (NULL: leave), and the attributes to reset (description); returns nothing; raises 22004 for a NULL name, 22023 for a bad value, 42704 when there is no such topic, 55000 when it carries domain events and would become external, 40001 when it was registered after the transaction''s snapshot';

CREATE FUNCTION domev.drop_topic(
	topic text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_topic' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_topic(text, boolean) IS
	'takes the topic''s name; returns nothing; raises 22004 for a NULL name, 42704 when there is no such topic (a notice with if_exists), 2BP01 when event types, mappings or somebody''s view use it, 40001 when it was registered after the transaction''s snapshot';

CREATE FUNCTION domev.create_event_type(
	event_type text,
	aggregate_type text,
	topic text DEFAULT NULL,
	journal boolean DEFAULT NULL,
	description text DEFAULT NULL,
	if_not_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_create_event_type' LANGUAGE C;
COMMENT ON FUNCTION domev.create_event_type(text, text, text, boolean, text, boolean) IS
	'takes a name and the aggregate''s type (1 to 63 bytes each, no control characters), the internal topic that carries the domain event itself (NULL: none), and whether to keep it as a row even when no table topic does (NULL: yes, unless its topic has WAL storage); returns nothing; raises 22004 for a NULL name or aggregate type, 22023 for a bad value or an external topic, 42704 when there is no such topic, 42710 when the event type exists (a notice with if_not_exists), 40001 when the topic was registered after the transaction''s snapshot';

CREATE FUNCTION domev.alter_event_type(
	event_type text,
	aggregate_type text DEFAULT NULL,
	topic text DEFAULT NULL,
	journal boolean DEFAULT NULL,
	description text DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_alter_event_type' LANGUAGE C;
COMMENT ON FUNCTION domev.alter_event_type(text, text, text, boolean, text, text[]) IS
	'takes the event type''s name, what to change (NULL: leave), and the attributes to reset (topic, journal, description); returns nothing; raises 22004 for a NULL name, 22023 for a bad value or an external topic, 42704 when there is no such event type or topic, 40001 when either was registered after the transaction''s snapshot';

CREATE FUNCTION domev.drop_event_type(
	event_type text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_event_type' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_event_type(text, boolean) IS
	'takes the event type''s name; returns nothing; raises 22004 for a NULL name, 42704 when there is no such event type (a notice with if_exists), 2BP01 when mappings, captures or somebody''s view use it, 40001 when it was registered after the transaction''s snapshot';

CREATE FUNCTION domev.create_mapping(
	mapping text,
	event_type text,
	function text,
	topic text DEFAULT NULL,
	timing text DEFAULT 'immediate',
	on_error text DEFAULT 'abort',
	produces text[] DEFAULT NULL,
	description text DEFAULT NULL,
	if_not_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_create_mapping' LANGUAGE C;
COMMENT ON FUNCTION domev.create_mapping(text, text, text, text, text, text, text[], text, boolean) IS
	'takes a name (1 to 63 bytes, no control characters), the event type it maps, the qualified name of a function (domev.domain_event) that returns [SETOF] domev.integration_event and that the caller owns, the topic of results that name none, when it runs (immediate | deferred: at commit), what an error does (abort: it is the emitter''s | record: it is kept in domev.failed_mapping), and the event types it may return (NULL: any); returns nothing; raises 22004 for NULL where there is no default, 22023 for a bad value, 42704 when there is no such event type or topic, 42883 when there is no such function, 42P13 when it is not fit, 42602 for a name that is none, 42501 when the caller does not own it, or its owner may not emit the event type or publish to the topic, 40001 when either was registered after the transaction''s snapshot, what planning an SQL function raises, 42710 when the mapping exists (a notice with if_not_exists)';

CREATE FUNCTION domev.alter_mapping(
	mapping text,
	function text DEFAULT NULL,
	topic text DEFAULT NULL,
	timing text DEFAULT NULL,
	on_error text DEFAULT NULL,
	produces text[] DEFAULT NULL,
	enabled boolean DEFAULT NULL,
	description text DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_alter_mapping' LANGUAGE C;
COMMENT ON FUNCTION domev.alter_mapping(text, text, text, text, text, text[], boolean, text, text[]) IS
	'takes the mapping''s name, what to change (NULL: leave), and the attributes to reset (topic, produces, description); a function given is looked up, checked and bound to its owner anew; returns nothing; raises what create_mapping raises, 42704 when there is no such mapping, 42501 when the caller does not own it, 40001 when it was registered after the transaction''s snapshot';

CREATE FUNCTION domev.drop_mapping(
	mapping text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_mapping' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_mapping(text, boolean) IS
	'takes the mapping''s name; returns nothing; raises 22004 for a NULL name, 42704 when there is no such mapping (a notice with if_exists), 42501 when the caller does not own it, 40001 when it was registered after the transaction''s snapshot';

CREATE FUNCTION domev.create_capture(
	capture text,
	relation regclass,
	operation text,
	aggregate_id text,
	event_type text DEFAULT NULL,
	condition text DEFAULT NULL,
	columns text[] DEFAULT NULL,
	ignore text[] DEFAULT NULL,
	event_type_column text DEFAULT NULL,
	payload_column text DEFAULT NULL,
	headers_column text DEFAULT NULL,
	version_column text DEFAULT NULL,
	event_id_column text DEFAULT NULL,
	occurred_at_column text DEFAULT NULL,
	description text DEFAULT NULL,
	if_not_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_create_capture' LANGUAGE C;
COMMENT ON FUNCTION domev.create_capture(text, regclass, text, text, text, text, text[], text[], text, text, text, text, text, text, text, boolean) IS
	'takes a name (1 to 57 bytes, no control characters), a table that the caller owns, an operation (insert | update | delete | truncate), the columns of the aggregate''s id (separated by commas; NULL for truncate), the event type or the column that names it, a condition over OLD and NEW (NULL: always), the columns that count and go into the payload or those to ignore (NULL: all count), and the columns that hold payload, headers, version, event id and time of the event (NULL: made here); makes a trigger, returns nothing; raises 22004 for a NULL name, table or operation, 25006 in a read-only transaction, 22023 for a bad value, 42P01 for a table that does not exist, what PostgreSQL raises for a condition that cannot be a trigger''s (such as 42601 or 42P17), 42703 for a column that does not exist, 42804 for one of the wrong type, 42809 for what is no ordinary or partitioned table, 42501 when the caller does not own it, 42704 when there is no such event type, 42710 when the capture exists (a notice with if_not_exists) or a trigger of its name';

CREATE FUNCTION domev.alter_capture(
	capture text,
	aggregate_id text DEFAULT NULL,
	event_type text DEFAULT NULL,
	condition text DEFAULT NULL,
	columns text[] DEFAULT NULL,
	ignore text[] DEFAULT NULL,
	event_type_column text DEFAULT NULL,
	payload_column text DEFAULT NULL,
	headers_column text DEFAULT NULL,
	version_column text DEFAULT NULL,
	event_id_column text DEFAULT NULL,
	occurred_at_column text DEFAULT NULL,
	enabled boolean DEFAULT NULL,
	description text DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_alter_capture' LANGUAGE C;
COMMENT ON FUNCTION domev.alter_capture(text, text, text, text, text[], text[], text, text, text, text, text, text, boolean, text, text[]) IS
	'takes the capture''s name, what to change (NULL: leave), whether its trigger is enabled, and the attributes to reset (event_type, condition, columns, ignore, event_type_column, payload_column, headers_column, version_column, event_id_column, occurred_at_column, description); returns nothing; raises what create_capture raises, 42704 when there is no such capture, 55006 when it was changed meanwhile, 42710 when there are several of the name';

CREATE FUNCTION domev.drop_capture(
	capture text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_capture' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_capture(text, boolean) IS
	'takes the capture''s name; drops its trigger, returns nothing; raises 22004 for a NULL name, 25006 in a read-only transaction, 42704 when there is no such capture (a notice with if_exists), 42501 when the caller does not own the table, 55006 when it was changed meanwhile, 42710 when there are several of the name';

CREATE FUNCTION domev.set_source(
	source text
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_set_source' LANGUAGE C;
COMMENT ON FUNCTION domev.set_source(text) IS
	'takes the CloudEvents source of this database''s events, a URI reference (1 to 2048 ASCII characters, such as https://shop.example/orders); returns nothing; raises 22004 for NULL, 22023 for anything else, 40001 when it was first set after the transaction''s snapshot';

-- ---------------------------------------------------------------------------------------------------------------------
-- Emitting.  One C function; a form for each way in which drivers send ids (numbers, uuid, text or untyped) and payloads
-- (jsonb, json, text or untyped).  Only the jsonb forms have a default payload, else a call without one is ambiguous.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION domev.emit(event_type text, aggregate_id text, payload jsonb DEFAULT '{}', headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;
CREATE FUNCTION domev.emit(event_type text, aggregate_id text, payload json, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;
CREATE FUNCTION domev.emit(event_type text, aggregate_id text, payload text, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;
CREATE FUNCTION domev.emit(event_type text, aggregate_id bigint, payload jsonb DEFAULT '{}', headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;
CREATE FUNCTION domev.emit(event_type text, aggregate_id bigint, payload json, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;
CREATE FUNCTION domev.emit(event_type text, aggregate_id bigint, payload text, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;
CREATE FUNCTION domev.emit(event_type text, aggregate_id uuid, payload jsonb DEFAULT '{}', headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;
CREATE FUNCTION domev.emit(event_type text, aggregate_id uuid, payload json, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;
CREATE FUNCTION domev.emit(event_type text, aggregate_id uuid, payload text, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS uuid
	AS 'MODULE_PATHNAME', 'domev_emit' LANGUAGE C;

COMMENT ON FUNCTION domev.emit(text, text, jsonb, jsonb, bigint, uuid, timestamptz) IS
	'takes a registered event type, the aggregate''s id (1 to 1024 bytes), the payload (JSON), headers (a JSON object of strings, booleans and 32-bit integers), the aggregate''s version, the event''s id (makes the call idempotent) and the time it happened; maps the event, stores all in this transaction, returns the event''s id; raises 22004 for NULL, 22023 for a bad value, 22P02, 22P05, 22003 or 54001 for a payload that jsonb cannot hold, 22P05 or 22021 for characters that UTF-8 lacks, 42704 for an unknown event type, 25006 in a read-only transaction or recovery, 25000 in a parallel worker, 42501 for who may not INSERT into domev_event."<event type>" and in a security-restricted operation, 23000 by domev.aggregate_guard, 23505 for an event id that was claimed for another event type, 40001 when the event id was claimed or a mapping function changed meanwhile, 2F002 inside a mapping, 54000 beyond domev.max_event_size, and what its mappings raise';
COMMENT ON FUNCTION domev.emit(text, text, json, jsonb, bigint, uuid, timestamptz) IS
	'as domev.emit(text, text, jsonb, ...), for an aggregate id of type text and a payload of type json; takes, returns and raises the same';
COMMENT ON FUNCTION domev.emit(text, text, text, jsonb, bigint, uuid, timestamptz) IS
	'as domev.emit(text, text, jsonb, ...), for an aggregate id of type text and a payload of type text; takes, returns and raises the same';
COMMENT ON FUNCTION domev.emit(text, bigint, jsonb, jsonb, bigint, uuid, timestamptz) IS
	'as domev.emit(text, text, jsonb, ...), for an aggregate id of type bigint and a payload of type jsonb; takes, returns and raises the same';
COMMENT ON FUNCTION domev.emit(text, bigint, json, jsonb, bigint, uuid, timestamptz) IS
	'as domev.emit(text, text, jsonb, ...), for an aggregate id of type bigint and a payload of type json; takes, returns and raises the same';
COMMENT ON FUNCTION domev.emit(text, bigint, text, jsonb, bigint, uuid, timestamptz) IS
	'as domev.emit(text, text, jsonb, ...), for an aggregate id of type bigint and a payload of type text; takes, returns and raises the same';
COMMENT ON FUNCTION domev.emit(text, uuid, jsonb, jsonb, bigint, uuid, timestamptz) IS
	'as domev.emit(text, text, jsonb, ...), for an aggregate id of type uuid and a payload of type jsonb; takes, returns and raises the same';
COMMENT ON FUNCTION domev.emit(text, uuid, json, jsonb, bigint, uuid, timestamptz) IS
	'as domev.emit(text, text, jsonb, ...), for an aggregate id of type uuid and a payload of type json; takes, returns and raises the same';
COMMENT ON FUNCTION domev.emit(text, uuid, text, jsonb, bigint, uuid, timestamptz) IS
	'as domev.emit(text, text, jsonb, ...), for an aggregate id of type uuid and a payload of type text; takes, returns and raises the same';

-- The views domev_event."<event type>" have it, which create_event_type makes.
CREATE FUNCTION domev.emit_inserted() RETURNS trigger
	AS 'MODULE_PATHNAME', 'domev_emit_inserted' LANGUAGE C;
COMMENT ON FUNCTION domev.emit_inserted() IS
	'trigger: emits the event that is inserted into an event type''s view, a column that is NULL being not given; returns the row with the event''s id, payload and time; raises 39P01 when not called as that trigger, 22004 for an aggregate_id that is NULL, 428C9 for a recorded_at that is given, and what emit raises';

-- ---------------------------------------------------------------------------------------------------------------------
-- Looking: what an event would become, what it became, what this transaction has emitted.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TYPE domev.previewed_event AS (
	mapping text,
	topic text,
	event_type text,
	event_id uuid,
	key text,
	payload jsonb,
	data bytea,
	content_type text,
	data_schema text,
	headers jsonb,
	error text,
	milliseconds double precision
);
COMMENT ON TYPE domev.previewed_event IS
	'what domev.preview returns: the domain event (mapping NULL), and for each mapping its integration events, or a row without event type when there are none, with the time that the mapping took and its error';

CREATE FUNCTION domev.preview(event_type text, aggregate_id text, payload jsonb DEFAULT '{}', headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;
CREATE FUNCTION domev.preview(event_type text, aggregate_id text, payload json, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;
CREATE FUNCTION domev.preview(event_type text, aggregate_id text, payload text, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;
CREATE FUNCTION domev.preview(event_type text, aggregate_id bigint, payload jsonb DEFAULT '{}', headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;
CREATE FUNCTION domev.preview(event_type text, aggregate_id bigint, payload json, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;
CREATE FUNCTION domev.preview(event_type text, aggregate_id bigint, payload text, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;
CREATE FUNCTION domev.preview(event_type text, aggregate_id uuid, payload jsonb DEFAULT '{}', headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;
CREATE FUNCTION domev.preview(event_type text, aggregate_id uuid, payload json, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;
CREATE FUNCTION domev.preview(event_type text, aggregate_id uuid, payload text, headers jsonb DEFAULT NULL,
	aggregate_version bigint DEFAULT NULL, event_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS SETOF domev.previewed_event
	AS 'MODULE_PATHNAME', 'domev_preview' LANGUAGE C;

COMMENT ON FUNCTION domev.preview(text, text, jsonb, jsonb, bigint, uuid, timestamptz) IS
	'takes what domev.emit takes; runs the mappings, the deferred ones too, on the state of now; returns the domain event and the integration events that it would become, with each mapping''s time in milliseconds and its error; stores and publishes nothing, works in read-only transactions and on standbys; raises what emit raises for bad values and event types, 2F002 inside a mapping, 25000 in a parallel worker; 42501 for who may not INSERT into domev_event."<event type>"; errors of mappings are in the result, but those that are never recorded (cancelled queries, serialization failures and deadlocks, lack of memory or disk, internal errors), which are raised; contents and messages are for who may SELECT from the views of topic or event type';
COMMENT ON FUNCTION domev.preview(text, text, json, jsonb, bigint, uuid, timestamptz) IS
	'as domev.preview(text, text, jsonb, ...), for an aggregate id of type text and a payload of type json; takes, returns and raises the same';
COMMENT ON FUNCTION domev.preview(text, text, text, jsonb, bigint, uuid, timestamptz) IS
	'as domev.preview(text, text, jsonb, ...), for an aggregate id of type text and a payload of type text; takes, returns and raises the same';
COMMENT ON FUNCTION domev.preview(text, bigint, jsonb, jsonb, bigint, uuid, timestamptz) IS
	'as domev.preview(text, text, jsonb, ...), for an aggregate id of type bigint and a payload of type jsonb; takes, returns and raises the same';
COMMENT ON FUNCTION domev.preview(text, bigint, json, jsonb, bigint, uuid, timestamptz) IS
	'as domev.preview(text, text, jsonb, ...), for an aggregate id of type bigint and a payload of type json; takes, returns and raises the same';
COMMENT ON FUNCTION domev.preview(text, bigint, text, jsonb, bigint, uuid, timestamptz) IS
	'as domev.preview(text, text, jsonb, ...), for an aggregate id of type bigint and a payload of type text; takes, returns and raises the same';
COMMENT ON FUNCTION domev.preview(text, uuid, jsonb, jsonb, bigint, uuid, timestamptz) IS
	'as domev.preview(text, text, jsonb, ...), for an aggregate id of type uuid and a payload of type jsonb; takes, returns and raises the same';
COMMENT ON FUNCTION domev.preview(text, uuid, json, jsonb, bigint, uuid, timestamptz) IS
	'as domev.preview(text, text, jsonb, ...), for an aggregate id of type uuid and a payload of type json; takes, returns and raises the same';
COMMENT ON FUNCTION domev.preview(text, uuid, text, jsonb, bigint, uuid, timestamptz) IS
	'as domev.preview(text, text, jsonb, ...), for an aggregate id of type uuid and a payload of type text; takes, returns and raises the same';

CREATE FUNCTION domev.time_of_id(id uuid) RETURNS timestamptz
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN pg_catalog.substr(id::text, 15, 1) OPERATOR(pg_catalog.=) '7' THEN
		'1970-01-01 00:00:00+00'::timestamptz OPERATOR(pg_catalog.+)
		(('x' OPERATOR(pg_catalog.||) pg_catalog.substr(id::text, 1, 8) OPERATOR(pg_catalog.||) pg_catalog.substr(id::text, 10, 4))::bit(48)::bigint
			OPERATOR(pg_catalog.*) '1 millisecond'::interval) END;
COMMENT ON FUNCTION domev.time_of_id(uuid) IS 'takes a UUID; returns the time in it, NULL when it is not of version 7; raises nothing';

CREATE FUNCTION domev.find_trace(
	id uuid,
	OUT kind text, OUT event_id uuid, OUT event_type text, OUT mapping text, OUT topic text, OUT key text, OUT payload jsonb,
	OUT headers jsonb, OUT occurred_at timestamptz, OUT recorded_at timestamptz, OUT error text
) RETURNS SETOF record
	LANGUAGE sql STABLE
BEGIN ATOMIC
	-- There is no btree: look where the time in the id says that the event is, and at everything only if it is not there.
	WITH near AS MATERIALIZED (
		SELECT o.* FROM domev.outbox AS o
		WHERE (o.mapping IS NULL AND o.event_id OPERATOR(pg_catalog.=) find_trace.id OR o.mapping IS NOT NULL AND o.causation_id OPERATOR(pg_catalog.=) find_trace.id)
			AND o.recorded_at OPERATOR(pg_catalog.>=) (domev.time_of_id(find_trace.id) OPERATOR(pg_catalog.-) '1 minute'::interval)
			AND o.recorded_at OPERATOR(pg_catalog.<=) (domev.time_of_id(find_trace.id) OPERATOR(pg_catalog.+) '1 hour'::interval)
	), found AS MATERIALIZED (
		SELECT * FROM near
		UNION ALL
		SELECT o.* FROM domev.outbox AS o
		WHERE NOT EXISTS (SELECT FROM near)
			AND (o.mapping IS NULL AND o.event_id OPERATOR(pg_catalog.=) find_trace.id OR o.mapping IS NOT NULL AND o.causation_id OPERATOR(pg_catalog.=) find_trace.id)
	), results AS MATERIALIZED (
		SELECT * FROM found AS f WHERE f.mapping IS NOT NULL
		UNION ALL
		-- deferred in a long transaction, or made later by remap
		SELECT o.* FROM domev.outbox AS o
		WHERE o.causation_id OPERATOR(pg_catalog.=) find_trace.id AND o.mapping IS NOT NULL
			AND o.xact_id OPERATOR(pg_catalog.=) ANY (ARRAY(
				SELECT f.xact_id FROM found AS f
				UNION ALL SELECT r.xact_id FROM domev.remapped AS r WHERE r.event_id OPERATOR(pg_catalog.=) find_trace.id))
			AND NOT EXISTS (SELECT FROM found AS f WHERE f.event_id OPERATOR(pg_catalog.=) o.event_id AND f.recorded_at OPERATOR(pg_catalog.=) o.recorded_at)
	)
	SELECT t.kind, t.event_id, t.event_type, t.mapping, t.topic, t.key, t.payload, t.headers, t.occurred_at, t.recorded_at, t.error
	FROM (
		SELECT 1, 'domain event', e.event_id, e.event_type, e.mapping, e.topic, coalesce(e.key, e.aggregate_id), e.payload::jsonb, e.headers::jsonb,
			e.occurred_at, e.recorded_at, NULL FROM found AS e WHERE e.mapping IS NULL
		UNION ALL
		SELECT 2, 'integration event', r.event_id, r.event_type, r.mapping, r.topic, coalesce(r.key, r.aggregate_id), r.payload::jsonb, r.headers::jsonb,
			r.occurred_at, r.recorded_at, NULL FROM results AS r
		UNION ALL
		SELECT 3, 'failure', f.event_id, (f.event).event_type, f.mapping, NULL, (f.event).aggregate_id, (f.event).payload, (f.event).headers,
			(f.event).occurred_at, f.failed_at, f.sqlstate OPERATOR(pg_catalog.||) ': ' OPERATOR(pg_catalog.||) f.message
			FROM domev.failed_mapping AS f WHERE f.event_id OPERATOR(pg_catalog.=) find_trace.id
	) AS t (part, kind, event_id, event_type, mapping, topic, key, payload, headers, occurred_at, recorded_at, error)
	ORDER BY t.part, t.recorded_at, t.mapping;
END;
COMMENT ON FUNCTION domev.find_trace(uuid) IS
	'what domev.trace shows, to whoever may read all of it: takes a domain event''s id, returns the same, raises 22P05 or 22P02 for a payload that somebody wrote to the outbox by hand and that jsonb cannot hold';

CREATE FUNCTION domev.trace(
	id uuid,
	OUT kind text, OUT event_id uuid, OUT event_type text, OUT mapping text, OUT topic text, OUT key text, OUT payload jsonb,
	OUT headers jsonb, OUT occurred_at timestamptz, OUT recorded_at timestamptz, OUT error text
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'domev_trace' LANGUAGE C STABLE;
COMMENT ON FUNCTION domev.trace(uuid) IS
	'takes a domain event''s id; returns the event as the outbox has it, its integration events in topics with table storage, and its failures, in this order, as far as the caller may SELECT from domev_event."<event type>" or domev_topic."<topic>"; raises what domev.find_trace does';

CREATE FUNCTION domev.emitted_in_transaction(
	OUT event_id uuid, OUT topic text, OUT event_type text, OUT mapping text, OUT causation_id uuid, OUT aggregate_type text,
	OUT aggregate_id text, OUT aggregate_version bigint, OUT key text, OUT payload jsonb, OUT data bytea, OUT content_type text,
	OUT data_schema text, OUT headers jsonb, OUT occurred_at timestamptz
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'domev_emitted_in_transaction' LANGUAGE C;
COMMENT ON FUNCTION domev.emitted_in_transaction() IS
	'takes nothing; returns the domain events (mapping NULL) and integration events that this transaction has emitted since domev.keep_emitted was set on, in their order, whatever their storage, without what was rolled back; contents (key, payload, data, headers) are NULL for who may not SELECT from domev_topic."<topic>", or for a domain event domev_event."<event type>"; raises 55000 when the setting is off';

-- ---------------------------------------------------------------------------------------------------------------------
-- Mapping again: what has failed, and old events by new mappings.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TYPE domev.remapped_event AS (
	event_id uuid,
	outcome text,
	events integer,
	error text
);
COMMENT ON TYPE domev.remapped_event IS
	'what domev.remap returns for each domain event: its id, what came of it (published | failed | skipped), how many integration events, and why it failed';

CREATE FUNCTION domev.remap(event_id uuid, mapping text, dry_run boolean DEFAULT false) RETURNS SETOF domev.remapped_event
	AS 'MODULE_PATHNAME', 'domev_remap_event' LANGUAGE C;
CREATE FUNCTION domev.remap(event_id text, mapping text, dry_run boolean DEFAULT false) RETURNS SETOF domev.remapped_event
	AS 'MODULE_PATHNAME', 'domev_remap_event' LANGUAGE C;
CREATE FUNCTION domev.remap(mapping text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, event_type text DEFAULT NULL,
	dry_run boolean DEFAULT false) RETURNS SETOF domev.remapped_event
	AS 'MODULE_PATHNAME', 'domev_remap' LANGUAGE C;
COMMENT ON FUNCTION domev.remap(uuid, text, boolean) IS
	'takes a domain event''s id, a mapping''s name, and whether only to try; maps the event, from domev.failed_mapping or the outbox, on the state of now and publishes what comes of it, with the ids that it would have had; the event must be of the mapping''s event type; returns one row: published (the failure is removed), failed (one more attempt is counted) or skipped (this mapping has published it); raises 22004 for NULL, 42704 when there is no such mapping or event, 22023 for an event of another type, or one that was written by hand and that emit would refuse, 55000 when the mapping is disabled, and what emit raises for the transaction';
COMMENT ON FUNCTION domev.remap(text, text, boolean) IS
	'as domev.remap(uuid, text, boolean), for an event id of type text, or one that is not typed (in domev.remap(mapping, since) a time that is not typed must be named: since => ...); takes, returns and raises the same, 22P02 for an id that is no uuid';
COMMENT ON FUNCTION domev.remap(text, timestamptz, timestamptz, text, boolean) IS
	'takes a mapping''s name, and either nothing more: tries again what it failed to map; or a range of time (since: inclusive, until: exclusive; when the events were recorded) and an event type (NULL: the mapping''s): maps the journaled events in it that this mapping has not published; with dry_run only tries; returns a row for each event, as domev.remap(uuid, text, boolean); raises 22004 for a mapping that is NULL, 42704 when there is no such mapping, 55000 when it is disabled, 22023 for an event that was written by hand and that emit would refuse, and what emit raises for the transaction';

CREATE FUNCTION domev.purge_failed(
	older_than interval
) RETURNS bigint
	AS 'MODULE_PATHNAME', 'domev_purge_failed' LANGUAGE C;
COMMENT ON FUNCTION domev.purge_failed(interval) IS
	'takes an age; removes what last failed longer ago from domev.failed_mapping, returns how many rows; raises 22004 for NULL, 22008 for an age that leads beyond the calendar';

-- ---------------------------------------------------------------------------------------------------------------------
-- Operating.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION domev.heartbeat() RETURNS pg_lsn
	AS 'MODULE_PATHNAME', 'domev_heartbeat' LANGUAGE C;
COMMENT ON FUNCTION domev.heartbeat() IS
	'takes nothing; writes a WAL message that is no event (prefix domev.heartbeat, not transactional), so that the slots of a database in which nothing else happens move on; returns its position; raises 25006 on a standby';

-- ---------------------------------------------------------------------------------------------------------------------
-- Retention: partitions of the outbox that come and go, and what else is forgotten in time.
-- ---------------------------------------------------------------------------------------------------------------------

-- At most one row: of set_retention, or the defaults, which the first maintain puts there so that they can be seen.
CREATE TABLE domev.retention (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	period interval NOT NULL DEFAULT '1 day',
	keep interval,
	max_keep interval,
	ahead integer NOT NULL DEFAULT 3,
	idempotency_keep interval NOT NULL DEFAULT '30 days',
	failed_keep interval,
	inbox_keep interval NOT NULL DEFAULT '30 days'
);
COMMENT ON TABLE domev.retention IS 'how long things are kept; written by set_retention, obeyed by maintain';
COMMENT ON COLUMN domev.retention.period IS 'the time that a new partition of domev.outbox spans';
COMMENT ON COLUMN domev.retention.keep IS 'how long rows of domev.outbox are kept; NULL: for ever';
COMMENT ON COLUMN domev.retention.max_keep IS 'how long those are that somebody who reads them has not confirmed; NULL: until then';
COMMENT ON COLUMN domev.retention.ahead IS 'how many periods from the next one on have their partitions';
COMMENT ON COLUMN domev.retention.idempotency_keep IS 'how long a given event id makes a repeated call do nothing';
COMMENT ON COLUMN domev.retention.failed_keep IS 'how long domev.failed_mapping keeps what last failed then; NULL: for ever';
COMMENT ON COLUMN domev.retention.inbox_keep IS 'how long consumers remember what they have received';
SELECT pg_catalog.pg_extension_config_dump('domev.retention', '');

CREATE FUNCTION domev.set_retention(
	period interval DEFAULT NULL,
	keep interval DEFAULT NULL,
	max_keep interval DEFAULT NULL,
	ahead integer DEFAULT NULL,
	idempotency_keep interval DEFAULT NULL,
	failed_keep interval DEFAULT NULL,
	inbox_keep interval DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_set_retention' LANGUAGE C;
COMMENT ON FUNCTION domev.set_retention(interval, interval, interval, integer, interval, interval, interval, text[]) IS
	'takes what shall change (see the columns of domev.retention): the period of new partitions (whole hours, days or weeks, or whole months, to a year; aligned in UTC; default 1 day), how long rows of the outbox are kept (default: for ever) and how long at most (default: until all that read them have confirmed them), the number of periods ahead (1 to 1000; default 3), and the ages at which given event ids (default 30 days), failures (default: never) and what consumers received (default 30 days) are forgotten (each above zero, to 1000 years); NULL leaves, reset names those that go back to their defaults; raises 22023 for bad values and for a max_keep that is less than keep';

CREATE FUNCTION domev.maintain(
	lock_timeout interval DEFAULT '100 milliseconds',
	max_rows integer DEFAULT 100000,
	OUT action text, OUT object text, OUT detail text
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'domev_maintain' LANGUAGE C;
COMMENT ON FUNCTION domev.maintain(interval, integer) IS
	'makes partitions of domev.outbox ahead, removes what is older than domev.retention says; takes the longest time that it, and whoever writes behind it, waits for one lock (1 millisecond to 1 minute), and how many rows it deletes from a table at most; returns a row for each thing that it did (action made, dropped or pruned), left for the next time as it could not have a lock (postponed), or left and why (kept); warns when it drops what max_keep says and somebody has not read; for cron, as a statement of its own, in one session at a time (a second one returns at once); raises 22004 for NULL, 22023 for bad values, 25006 on a standby or in a read-only transaction';
-- Seeing: publishers, what mappings cost, and what is wrong.  For everybody, each as far as he may see.  What differs
-- between releases of PostgreSQL is read by name, from settings and from rows as jsonb, so that the views are valid on
-- all, and after pg_upgrade.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE VIEW domev.publishers AS
SELECT s.slot_name,
	s.plugin,
	s.active,
	s.active_pid,
	r.application_name,
	r.usename,
	r.client_addr,
	s.confirmed_flush_lsn,
	s.restart_lsn,
	-- a copy on a standby may be ahead of what that has replayed
	CASE WHEN s.confirmed_flush_lsn IS NOT NULL THEN greatest(p.now OPERATOR(pg_catalog.-) s.confirmed_flush_lsn, 0)::bigint END AS lag_bytes,
	CASE WHEN s.restart_lsn IS NOT NULL THEN greatest(p.now OPERATOR(pg_catalog.-) s.restart_lsn, 0)::bigint END AS retained_bytes,
	s.safe_wal_size,
	s.wal_status,
	coalesce(j.slot OPERATOR(pg_catalog.->>) 'invalidation_reason', CASE WHEN s.wal_status OPERATOR(pg_catalog.=) 'lost' THEN 'lost' END) AS invalidation_reason,
	(j.slot OPERATOR(pg_catalog.->>) 'failover')::boolean AS failover,
	(j.slot OPERATOR(pg_catalog.->>) 'synced')::boolean AS synced,
	(j.slot OPERATOR(pg_catalog.->>) 'inactive_since')::timestamptz AS inactive_since,
	CASE WHEN s.active THEN r.flush_lag
		ELSE pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) (j.slot OPERATOR(pg_catalog.->>) 'inactive_since')::timestamptz END AS confirmed_age
FROM pg_catalog.pg_replication_slots AS s
	CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END) AS p (now)
	CROSS JOIN LATERAL pg_catalog.to_jsonb(s) AS j (slot)
	LEFT JOIN pg_catalog.pg_stat_replication AS r ON r.pid OPERATOR(pg_catalog.=) s.active_pid
WHERE s.slot_type OPERATOR(pg_catalog.=) 'logical' AND s.database OPERATOR(pg_catalog.=) pg_catalog.current_database()
	AND s.plugin OPERATOR(pg_catalog.=) ANY ('{domev, pgoutput}');
COMMENT ON VIEW domev.publishers IS
	'the logical slots of this database from which events may be published: those of the plugin domev, and of pgoutput; keyed by slot_name';
COMMENT ON COLUMN domev.publishers.application_name IS 'of the client that is connected, as usename and client_addr';
COMMENT ON COLUMN domev.publishers.client_addr IS 'NULL to who is neither that role nor a member of pg_read_all_stats; so is confirmed_age of an active slot';
COMMENT ON COLUMN domev.publishers.lag_bytes IS 'WAL of the server, written (on a standby: replayed) behind what the publisher has confirmed';
COMMENT ON COLUMN domev.publishers.retained_bytes IS 'WAL that the slot keeps; NULL: none, as it is lost';
COMMENT ON COLUMN domev.publishers.safe_wal_size IS 'WAL in bytes that may still be written before the slot may be lost; NULL: no limit (max_slot_wal_keep_size), or lost';
COMMENT ON COLUMN domev.publishers.wal_status IS 'reserved | extended | unreserved: the next checkpoint may give it up | lost';
COMMENT ON COLUMN domev.publishers.invalidation_reason IS 'why the slot is lost; NULL: it is not; before PostgreSQL 17 nothing but lost';
COMMENT ON COLUMN domev.publishers.failover IS 'is the slot copied to standbys? NULL before PostgreSQL 17, as synced and inactive_since';
COMMENT ON COLUMN domev.publishers.synced IS 'is it a copy of the primary''s slot?';
COMMENT ON COLUMN domev.publishers.confirmed_age IS
	'of a connected publisher, how long before now the WAL that it confirmed last had been sent when it confirmed it (flush_lag; NULL: it has caught up); else for how long nobody has been connected, so that nothing has been confirmed';

CREATE FUNCTION domev.read_mapping_stats(
	OUT mapping text, OUT calls bigint, OUT failures bigint, OUT total_time double precision, OUT max_time double precision,
	OUT last_call timestamptz, OUT since timestamptz
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'domev_read_mapping_stats' LANGUAGE C;
COMMENT ON FUNCTION domev.read_mapping_stats() IS
	'takes nothing; returns what the server has counted of mappings in this database, dropped ones too: what domev.mapping_stats is made of; no rows before PostgreSQL 17 unless domev is in shared_preload_libraries; raises nothing';

CREATE VIEW domev.mapping_stats AS
SELECT m.mapping, s.calls, s.failures, s.total_time, s.total_time OPERATOR(pg_catalog./) s.calls::double precision AS mean_time, s.max_time, s.last_call, s.since
FROM domev.mappings AS m JOIN domev.read_mapping_stats() AS s ON s.mapping OPERATOR(pg_catalog.=) m.mapping;
COMMENT ON VIEW domev.mapping_stats IS
	'how often each mapping has run on this server and for how long, since it was started (or crashed) or domev.reset_mapping_stats was called: runs of emit, at commit, of remap and of preview, rolled back or not';
COMMENT ON COLUMN domev.mapping_stats.failures IS 'those of the calls that ended in an error, recorded or raised';
COMMENT ON COLUMN domev.mapping_stats.total_time IS 'in milliseconds, as mean_time and max_time; what keeping the results takes is not in it';
COMMENT ON COLUMN domev.mapping_stats.last_call IS 'when the statement began that called it last';
COMMENT ON COLUMN domev.mapping_stats.since IS 'since when it is counted';

CREATE FUNCTION domev.reset_mapping_stats() RETURNS void
	AS 'MODULE_PATHNAME', 'domev_reset_mapping_stats' LANGUAGE C;
COMMENT ON FUNCTION domev.reset_mapping_stats() IS
	'takes nothing; makes domev.mapping_stats of this database start anew, at once, whatever becomes of the transaction; returns nothing; raises nothing';

-- The views below have a row for each thing that is wrong.  domev.doctor says in which order, and what is fine when there is none.

CREATE TYPE domev.finding AS (
	check_name text,
	status text,
	what text,
	hint text
);
COMMENT ON TYPE domev.finding IS
	'what domev.doctor returns: the name of a check; ok | warning | error | unknown: it could not be looked at; what was found; and what to do about it';

CREATE VIEW domev.server_problems WITH (security_barrier) AS
WITH setting AS MATERIALIZED (
	SELECT name, setting, coalesce(setting OPERATOR(pg_catalog.||) unit, setting) AS with_unit FROM pg_catalog.pg_settings
	WHERE name OPERATOR(pg_catalog.=) ANY ('{wal_level, effective_wal_level, output_plugin_libraries, max_replication_slots, max_wal_senders,
		max_slot_wal_keep_size, idle_replication_slot_timeout, autovacuum, temp_file_limit, server_version_num}')
), libraries AS MATERIALIZED (
	-- "" in a quoted element is a quotation mark; that no name has
	SELECT coalesce(m.found[1], m.found[2]) AS library
	FROM setting AS s, pg_catalog.regexp_matches(s.setting, '"((?:[^"]|"")*)"|([^,\s"]+)', 'g') AS m (found)
	WHERE s.name OPERATOR(pg_catalog.=) 'output_plugin_libraries'
), role_setting AS (
	SELECT r.rolname, pg_catalog.split_part(c.config, '=', 1) AS name, pg_catalog.substr(c.config, pg_catalog.strpos(c.config, '=') OPERATOR(pg_catalog.+) 1) AS setting
	FROM pg_catalog.pg_db_role_setting AS d JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) d.setrole,
		pg_catalog.unnest(d.setconfig) AS c (config)
	WHERE d.setdatabase OPERATOR(pg_catalog.=) 0::oid
		OR d.setdatabase OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
), replication_role AS (
	SELECT rolname FROM pg_catalog.pg_roles WHERE rolreplication AND NOT rolsuper
)
SELECT 'wal_level' AS check_name,
	CASE WHEN EXISTS (SELECT FROM domev.topics WHERE storage OPERATOR(pg_catalog.=) 'wal') OR EXISTS (SELECT FROM domev.publishers) THEN 'error' ELSE 'warning' END AS status,
	pg_catalog.format('%s is %s', s.name, s.setting) AS what,
	'No event is published through slots. ALTER SYSTEM SET wal_level = logical, and restart. Rows of the outbox can be read without.' AS hint
FROM setting AS s
WHERE s.setting OPERATOR(pg_catalog.<>) 'logical'
	AND CASE WHEN EXISTS (SELECT FROM setting WHERE name OPERATOR(pg_catalog.=) 'effective_wal_level')
		-- logical decoding is switched on with the first logical slot, which minimal does not allow
		THEN s.name OPERATOR(pg_catalog.=) 'wal_level' AND s.setting OPERATOR(pg_catalog.=) 'minimal'
			OR s.name OPERATOR(pg_catalog.=) 'effective_wal_level' AND EXISTS (SELECT FROM domev.publishers WHERE wal_status OPERATOR(pg_catalog.<>) 'lost')
		ELSE s.name OPERATOR(pg_catalog.=) 'wal_level' END
UNION ALL
SELECT 'output_plugin_libraries', 'error',
	CASE WHEN l.trap IS NULL THEN 'it does not list domev' ELSE pg_catalog.format('it has one element "%s", which is the name of no library', l.trap) END,
	'No slot of the plugin domev can be made or read. List the names without quotes: ALTER SYSTEM SET output_plugin_libraries = pgoutput, domev; in postgresql.conf with quotes around all: ''pgoutput, domev''; and reload.'
FROM (SELECT pg_catalog.max(library) FILTER (WHERE library OPERATOR(pg_catalog.~) ',.*domev|domev.*,') AS trap,
		pg_catalog.bool_or(library OPERATOR(pg_catalog.~) '^(\$libdir/)?domev$') AS listed FROM libraries) AS l
WHERE EXISTS (SELECT FROM setting WHERE name OPERATOR(pg_catalog.=) 'output_plugin_libraries') AND l.listed IS NOT TRUE
UNION ALL
SELECT 'free_slots', 'warning', pg_catalog.format('%s of max_replication_slots = %s are in use', n.used, s.setting),
	'Nobody can make another slot. Drop those that are not needed, or raise the setting and restart.'
FROM setting AS s, (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots) AS n (used)
WHERE s.name OPERATOR(pg_catalog.=) 'max_replication_slots' AND n.used OPERATOR(pg_catalog.>=) s.setting::bigint
UNION ALL
SELECT 'free_walsenders', 'warning', pg_catalog.format('%s of max_wal_senders = %s are in use', n.used, s.setting),
	'No other publisher can connect. Raise the setting and restart.'
FROM setting AS s, (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication) AS n (used)
WHERE s.name OPERATOR(pg_catalog.=) 'max_wal_senders' AND n.used OPERATOR(pg_catalog.>=) s.setting::bigint
UNION ALL
SELECT 'slot_limit', 'warning', 'max_slot_wal_keep_size is unlimited',
	'A publisher that does not come back makes the server keep WAL until the disk is full. Set a limit that the disk has room for; what a lost slot did not deliver can be caught up.'
FROM setting AS s
WHERE s.name OPERATOR(pg_catalog.=) 'max_slot_wal_keep_size' AND s.setting OPERATOR(pg_catalog.=) '-1' AND EXISTS (SELECT FROM domev.publishers)
UNION ALL
SELECT 'idle_timeout', 'warning', pg_catalog.format('idle_replication_slot_timeout is %s', s.with_unit::interval),
	'The slot of a publisher that is away for longer is lost. Let it be a day or more, or 0.'
FROM setting AS s
WHERE s.name OPERATOR(pg_catalog.=) 'idle_replication_slot_timeout' AND s.setting OPERATOR(pg_catalog.<>) '0'
	AND s.with_unit::interval OPERATOR(pg_catalog.<) '1 day'::interval
UNION ALL
SELECT 'autovacuum', 'warning', 'autovacuum is off', 'domev.deferred, domev.idempotency and the catalogs grow. ALTER SYSTEM SET autovacuum = on, and reload.'
FROM setting AS s WHERE s.name OPERATOR(pg_catalog.=) 'autovacuum' AND s.setting OPERATOR(pg_catalog.<>) 'on'
UNION ALL
SELECT 'replication_roles', 'warning', pg_catalog.format('role "%s" has REPLICATION, and may load any plugin', r.rolname),
	pg_catalog.format('If it publishes events: ALTER ROLE %I SET output_plugin_libraries = domev.', r.rolname)
FROM replication_role AS r
WHERE EXISTS (SELECT FROM setting WHERE name OPERATOR(pg_catalog.=) 'output_plugin_libraries')
	AND NOT EXISTS (SELECT FROM role_setting AS s WHERE s.rolname OPERATOR(pg_catalog.=) r.rolname AND s.name OPERATOR(pg_catalog.=) 'output_plugin_libraries')
UNION ALL
SELECT 'temp_file_limit', 'warning', pg_catalog.format('it is %s for role "%s", which has REPLICATION', l.setting, r.rolname),
	pg_catalog.format('Events of a large transaction wait in a temporary file, and the stream would break there again and again. ALTER ROLE %I SET temp_file_limit = -1.', r.rolname)
FROM replication_role AS r, LATERAL (
		SELECT coalesce(
			(SELECT pg_catalog.max(s.setting) FROM role_setting AS s WHERE s.rolname OPERATOR(pg_catalog.=) r.rolname AND s.name OPERATOR(pg_catalog.=) 'temp_file_limit'),
			(SELECT reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'temp_file_limit'))) AS l (setting)
WHERE l.setting OPERATOR(pg_catalog.<>) '-1'
UNION ALL
SELECT 'emit_message', 'warning', 'PUBLIC may execute pg_logical_emit_message',
	pg_catalog.format('Anybody can write WAL messages. They are not taken for events, but publishers have to decode them. REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC.', f.functions)
FROM (SELECT pg_catalog.string_agg(pg_catalog.format('pg_catalog.pg_logical_emit_message(%s)', pg_catalog.oidvectortypes(p.proargtypes)), ', ' ORDER BY p.oid)
	FROM pg_catalog.pg_proc AS p
	WHERE p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace AND p.proname OPERATOR(pg_catalog.=) 'pg_logical_emit_message'
		AND pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')) AS f (functions)
WHERE f.functions IS NOT NULL;
COMMENT ON VIEW domev.server_problems IS 'what domev.doctor finds in the server''s settings and roles';

CREATE VIEW domev.publisher_problems WITH (security_barrier) AS
SELECT 'slot_missing' AS check_name, 'warning' AS status, 'there is no slot in this database' AS what,
	'Events are written, and none is published through a slot. SELECT pg_create_logical_replication_slot(''...'', ''domev''): it sends what commits from then on.' AS hint
WHERE EXISTS (SELECT FROM domev.topics) AND NOT EXISTS (SELECT FROM domev.publishers)
UNION ALL
SELECT 'wal_topics', 'error', pg_catalog.format('topic "%s" has WAL storage, and no slot is there to read it', t.topic),
	'Its events are lost. Make a slot, or let it have table storage (domev.alter_topic).'
FROM domev.topics AS t
WHERE t.storage OPERATOR(pg_catalog.=) 'wal' AND NOT EXISTS (SELECT FROM domev.publishers WHERE wal_status OPERATOR(pg_catalog.<>) 'lost')
	AND NOT pg_catalog.pg_is_in_recovery()
UNION ALL
SELECT 'slot_lost', 'error', pg_catalog.format('slot "%s" is lost (%s)', p.slot_name, p.invalidation_reason),
	'Its publisher gets nothing any more. Do not drop it yet: see doc/high-availability.md, After a lost slot.'
FROM domev.publishers AS p WHERE p.invalidation_reason IS NOT NULL
UNION ALL
SELECT 'slot_lost', 'warning', pg_catalog.format('slot "%s" keeps more than max_slot_wal_keep_size', p.slot_name),
	'The next checkpoint may give it up. Raise the limit and reload, or let its publisher catch up.'
FROM domev.publishers AS p WHERE p.wal_status OPERATOR(pg_catalog.=) 'unreserved' AND p.invalidation_reason IS NULL
UNION ALL
SELECT 'slot_inactive', 'warning', pg_catalog.format('nobody reads slot "%s"%s', p.slot_name, coalesce(' since ' OPERATOR(pg_catalog.||) p.inactive_since::text, '')),
	'The server keeps WAL for it. Start its publisher, or drop the slot.'
FROM domev.publishers AS p WHERE NOT p.active AND p.invalidation_reason IS NULL AND p.synced IS NOT TRUE
UNION ALL
SELECT 'slot_failover', 'warning', pg_catalog.format('slot "%s" is no failover slot', p.slot_name),
	'A standby that is promoted does not have it. ALTER_REPLICATION_SLOT ... (FAILOVER true), on a replication connection while nobody reads it.'
FROM domev.publishers AS p
WHERE p.failover IS FALSE AND p.plugin OPERATOR(pg_catalog.=) 'domev' AND p.invalidation_reason IS NULL AND NOT pg_catalog.pg_is_in_recovery()
	AND EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_type OPERATOR(pg_catalog.=) 'physical')
UNION ALL
SELECT 'slot_failover', 'warning', pg_catalog.format('slot "%s" is a failover slot, and synchronized_standby_slots is empty', p.slot_name),
	'Its publisher may be ahead of a standby that is promoted: events may have been published of transactions that are lost. Name the standbys'' physical slots there.'
FROM domev.publishers AS p, pg_catalog.pg_settings AS s
WHERE p.failover AND p.plugin OPERATOR(pg_catalog.=) 'domev' AND NOT pg_catalog.pg_is_in_recovery()
	AND s.name OPERATOR(pg_catalog.=) 'synchronized_standby_slots' AND s.setting OPERATOR(pg_catalog.=) ''
UNION ALL
SELECT 'slot_failover', CASE WHEN r.slot_name IS NULL THEN 'error' ELSE 'warning' END,
	pg_catalog.format(CASE WHEN r.slot_name IS NULL THEN 'synchronized_standby_slots names "%s", and there is no such physical slot'
		ELSE 'publishers of failover slots wait for the standby of slot "%s"' END, n.name),
	'Failover slots are sent nothing that this standby does not have. Start it, or take the name out of synchronized_standby_slots and reload.'
FROM pg_catalog.pg_settings AS s
	CROSS JOIN LATERAL (SELECT pg_catalog.lower(pg_catalog.btrim(l.name, ' "')) FROM pg_catalog.string_to_table(s.setting, ',') AS l (name)) AS n (name)
	LEFT JOIN pg_catalog.pg_replication_slots AS r ON r.slot_name::text OPERATOR(pg_catalog.=) n.name AND r.slot_type OPERATOR(pg_catalog.=) 'physical'
WHERE s.name OPERATOR(pg_catalog.=) 'synchronized_standby_slots' AND r.active IS NOT TRUE
	AND NOT pg_catalog.pg_is_in_recovery() AND EXISTS (SELECT FROM domev.publishers AS p WHERE p.failover AND p.plugin OPERATOR(pg_catalog.=) 'domev');
COMMENT ON VIEW domev.publisher_problems IS 'what domev.doctor finds at slots';

CREATE VIEW domev.registry_problems WITH (security_barrier) AS
SELECT 'dead_end' AS check_name, 'warning' AS status, pg_catalog.format('event type "%s" leads nowhere', t.event_type) AS what,
	'It has no topic, no mapping that is enabled, and is not kept in the journal: emitting it does nothing.' AS hint
FROM domev.event_types AS t
WHERE t.topic IS NULL AND t.journal IS FALSE
	AND NOT EXISTS (SELECT FROM domev.mappings AS m WHERE m.event_type OPERATOR(pg_catalog.=) t.event_type AND m.enabled)
UNION ALL
SELECT 'view_missing', 'error', pg_catalog.format('the view %I.%I is missing', v.schema, v.name),
	pg_catalog.format('It bears the rights, and nobody else than its owner has any. domev.%s makes it anew; what was granted on it is to be granted again.', v.maker)
FROM (SELECT 'domev_event', event_type, 'alter_event_type' FROM domev.event_types
		UNION ALL SELECT 'domev_topic', topic, 'alter_topic' FROM domev.topics) AS v (schema, name, maker)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c
	WHERE c.relnamespace OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname::text OPERATOR(pg_catalog.=) v.schema)
		AND c.relname::text OPERATOR(pg_catalog.=) v.name)
UNION ALL
SELECT 'mapping_disabled', 'warning', pg_catalog.format('mapping "%s" is disabled', m.mapping),
	'Events of its type are not mapped. domev.alter_mapping(..., enabled => true); what it missed is mapped by domev.remap.'
FROM domev.mappings AS m WHERE NOT m.enabled
UNION ALL
SELECT 'failed_mappings', 'warning', pg_catalog.format('events wait that mapping "%s" has failed to map: %s, the oldest since %s', f.mapping, f.count, f.oldest),
	'Mend it, then domev.remap(mapping). domev.failed_mapping says why.'
FROM (SELECT mapping, pg_catalog.count(*), pg_catalog.min(failed_at) FROM domev.failed_mapping GROUP BY mapping) AS f (mapping, count, oldest)
UNION ALL
SELECT 'source', 'warning', pg_catalog.format('the source of events is %s, and this database is "%s"', pg_catalog.quote_literal(s.source), pg_catalog.current_database()),
	'It was renamed, or is a copy of another one. domev.set_source gives it a source of its own.'
FROM domev.source AS s
WHERE s.initial AND NOT EXISTS (SELECT FROM domev.source WHERE NOT initial)
	AND pg_catalog.current_database()::text OPERATOR(pg_catalog.~) '^[A-Za-z0-9._~-]+$'
	AND s.source OPERATOR(pg_catalog.<>) ('/' OPERATOR(pg_catalog.||) pg_catalog.current_database());
COMMENT ON VIEW domev.registry_problems IS 'what domev.doctor finds in what is registered';

CREATE VIEW domev.capture_problems WITH (security_barrier) AS
SELECT 'capture_disabled' AS check_name, 'warning' AS status,
	pg_catalog.format(CASE t.tgenabled WHEN 'D' THEN 'trigger "%s" on %s is disabled' ELSE 'trigger "%s" on %s fires only where session_replication_role is replica' END, t.tgname, t.tgrelid::pg_catalog.regclass) AS what,
	'Changes of the table are no events. domev.alter_capture(..., enabled => true), or ALTER TABLE ... ENABLE TRIGGER.' AS hint
FROM pg_catalog.pg_trigger AS t
WHERE t.tgfoid OPERATOR(pg_catalog.=) 'domev.capture_change'::pg_catalog.regproc AND t.tgenabled OPERATOR(pg_catalog.=) ANY ('{D, R}'::"char"[])
UNION ALL
SELECT 'capture_bypassed', 'warning', 'session_replication_role is replica in this session', 'Captures do not fire in it; changes are no events. SET session_replication_role = origin.'
FROM pg_catalog.pg_settings AS s
WHERE s.name OPERATOR(pg_catalog.=) 'session_replication_role' AND s.setting OPERATOR(pg_catalog.=) 'replica'
UNION ALL
SELECT 'capture_bypassed', 'warning',
	pg_catalog.format('session_replication_role is set to %s for %s', pg_catalog.split_part(c.config, '=', 2),
		CASE WHEN d.setrole OPERATOR(pg_catalog.=) 0::oid THEN 'all roles in a database' ELSE pg_catalog.format('role "%s"', pg_catalog.pg_get_userbyid(d.setrole)) END),
	'Captures do not fire in such sessions. ALTER ROLE ... (or DATABASE ...) RESET session_replication_role.'
FROM pg_catalog.pg_db_role_setting AS d, pg_catalog.unnest(d.setconfig) AS c (config)
WHERE c.config OPERATOR(pg_catalog.=) 'session_replication_role=replica'
	AND (d.setdatabase OPERATOR(pg_catalog.=) 0::oid
		OR d.setdatabase OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()))
UNION ALL
SELECT 'capture_table', 'warning', pg_catalog.format('table %s, which has captures, is unlogged', r.oid::pg_catalog.regclass),
	'After a crash its rows are gone, and the events of them are not. ALTER TABLE ... SET LOGGED.'
FROM pg_catalog.pg_class AS r
WHERE r.relpersistence OPERATOR(pg_catalog.=) 'u'
	AND EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid OPERATOR(pg_catalog.=) r.oid AND t.tgfoid OPERATOR(pg_catalog.=) 'domev.capture_change'::pg_catalog.regproc)
UNION ALL
SELECT 'capture_table', 'error', pg_catalog.format('table %s, a partition of one that has captures, is a foreign table', i.relid),
	'What changes on the other server is no event, and what changes through this one fires by the partition''s own triggers only.'
FROM pg_catalog.pg_trigger AS t, pg_catalog.pg_partition_tree(t.tgrelid) AS i JOIN pg_catalog.pg_class AS r ON r.oid OPERATOR(pg_catalog.=) i.relid
WHERE t.tgfoid OPERATOR(pg_catalog.=) 'domev.capture_change'::pg_catalog.regproc AND t.tgparentid OPERATOR(pg_catalog.=) 0::oid AND r.relkind OPERATOR(pg_catalog.=) 'f'
UNION ALL
SELECT 'capture_broken', 'error', pg_catalog.format('trigger "%s" on %s calls domev.capture_change() and is no capture', t.tgname, t.tgrelid::pg_catalog.regclass),
	'Changes of the table fail. Drop it, and make a capture with domev.create_capture.'
FROM pg_catalog.pg_trigger AS t
WHERE t.tgfoid OPERATOR(pg_catalog.=) 'domev.capture_change'::pg_catalog.regproc AND t.tgparentid OPERATOR(pg_catalog.=) 0::oid
	AND (t.tgnargs OPERATOR(pg_catalog.<>) 2::smallint OR domev.read_definition(t.tgargs) IS NULL)
UNION ALL
SELECT 'capture_broken', 'error', pg_catalog.format('capture "%s" on %s emits event type "%s", which does not exist', c.capture, c.relation, c.event_type),
	'Changes of the table fail. Register the event type with domev.create_event_type, or drop the capture.'
FROM domev.captures AS c
WHERE c.event_type IS NOT NULL AND NOT EXISTS (SELECT FROM domev.event_types AS t WHERE t.event_type OPERATOR(pg_catalog.=) c.event_type);
COMMENT ON VIEW domev.capture_problems IS 'what domev.doctor finds at captures';

-- With a DateStyle whose times read the same in every session; a function of this setting, as a view has none.
CREATE FUNCTION domev.partition_bound(partition regclass) RETURNS text
	LANGUAGE sql STABLE STRICT PARALLEL SAFE SET datestyle = 'ISO'
	RETURN (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) partition);
COMMENT ON FUNCTION domev.partition_bound(regclass) IS
	'takes a table; returns the bounds that make it a partition, with times in the style ISO, NULL when it is none; raises nothing';

CREATE VIEW domev.outbox_partitions WITH (security_barrier) AS
SELECT c.oid::pg_catalog.regclass AS relation,
	coalesce(pg_catalog.substring(b.bound, 'FROM \(''([^'']*)''\)')::timestamptz, '-infinity') AS since,
	coalesce(pg_catalog.substring(b.bound, 'TO \(''([^'']*)''\)')::timestamptz, 'infinity') AS until
FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid,
	LATERAL (SELECT domev.partition_bound(c.oid)) AS b (bound)
WHERE i.inhparent OPERATOR(pg_catalog.=) 'domev.outbox'::pg_catalog.regclass AND b.bound OPERATOR(pg_catalog.<>) 'DEFAULT';
COMMENT ON VIEW domev.outbox_partitions IS 'the partitions of domev.outbox but its default one, and of which time their rows are: since (inclusive), until (exclusive)';

CREATE VIEW domev.outbox_problems WITH (security_barrier) AS
SELECT 'partitions' AS check_name, 'warning' AS status, 'domev.outbox has partitions, and none is for the events of now' AS what,
	'They go to domev.outbox_default. Run domev.maintain() regularly, by cron.' AS hint
-- domev.maintain begins with the next period: the first one is in the default partition to its end
WHERE EXISTS (SELECT FROM domev.outbox_partitions AS p WHERE p.since OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp())
	AND NOT EXISTS (SELECT FROM domev.outbox_partitions AS p
		WHERE pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>=) p.since AND pg_catalog.clock_timestamp() OPERATOR(pg_catalog.<) p.until)
UNION ALL
SELECT 'outbox_partition', 'error', pg_catalog.format('partition %s of domev.outbox is %s', c.oid::pg_catalog.regclass, CASE c.relkind WHEN 'f' THEN 'a foreign table' ELSE 'not logged' END),
	'Its events are not published. ALTER TABLE ... SET LOGGED; a foreign table is to be detached.'
FROM pg_catalog.pg_partition_tree('domev.outbox') AS i JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.relid
WHERE i.isleaf AND (c.relkind OPERATOR(pg_catalog.=) 'f' OR c.relpersistence OPERATOR(pg_catalog.<>) 'p');
COMMENT ON VIEW domev.outbox_problems IS 'what domev.doctor finds at the outbox''s partitions';

-- An unlogged table: cannot be read on a standby.
CREATE VIEW domev.deferred_problems WITH (security_barrier) AS
SELECT 'deferred' AS check_name, 'warning' AS status, pg_catalog.format('domev.deferred has events of transactions that have ended: %s', d.count) AS what,
	'They wait for nothing: their mappings have not run. Somebody has disabled the trigger map_deferred, or written there.' AS hint
-- this transaction's own are as they should be
FROM (SELECT pg_catalog.count(*) FROM domev.deferred) AS d (count)
WHERE d.count OPERATOR(pg_catalog.>) 0 AND pg_catalog.pg_current_xact_id_if_assigned() IS NULL;
COMMENT ON VIEW domev.deferred_problems IS 'what domev.doctor finds in domev.deferred';

CREATE FUNCTION domev.doctor(max_lag bigint DEFAULT 1073741824) RETURNS SETOF domev.finding
	AS 'MODULE_PATHNAME', 'domev_doctor' LANGUAGE C;
COMMENT ON FUNCTION domev.doctor(bigint) IS
	'takes how many bytes of WAL a publisher may be behind (NULL: any number); returns for each check either a row ok, or one for each thing that is wrong, as far as the caller may see it; changes nothing, works on standbys and in read-only transactions; raises nothing: a check that fails is unknown, and says why';
-- Replay: recorded events once more, for a publisher that asks for them.
-- ---------------------------------------------------------------------------------------------------------------------

-- Not dumped, as the outbox is not.
CREATE TABLE domev.replays (
	replay_id uuid PRIMARY KEY,
	publisher text NOT NULL,
	topics text[],
	event_types text[],
	aggregate_type text,
	aggregate_id text,
	since timestamptz,
	until timestamptz NOT NULL,
	journal_topic text,
	since_xact_id xid8,
	lost_slot text,
	position timestamptz NOT NULL,
	events bigint NOT NULL DEFAULT 0,
	expected bigint NOT NULL,
	started_by text NOT NULL,
	pid integer NOT NULL,
	started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	finished_at timestamptz
);
COMMENT ON TABLE domev.replays IS 'what domev.replay and domev.catch_up were asked for, and how far it is; a row may be deleted when it is finished';
COMMENT ON COLUMN domev.replays.publisher IS 'who gets it: who gives this name in the option replay of the output plugin';
COMMENT ON COLUMN domev.replays.until IS 'what was recorded later is not replayed; fixed at the start';
COMMENT ON COLUMN domev.replays.since_xact_id IS 'what older transactions raised is not replayed: the first that lost_slot may not have delivered';
COMMENT ON COLUMN domev.replays.position IS 'all that was recorded before is done';
COMMENT ON COLUMN domev.replays.events IS 'how many are done';
COMMENT ON COLUMN domev.replays.expected IS 'how many there were when it was started or resumed';
COMMENT ON COLUMN domev.replays.started_by IS 'the role';
COMMENT ON COLUMN domev.replays.pid IS 'the process that works at it, or that last did';
COMMENT ON COLUMN domev.replays.finished_at IS 'NULL: it is being worked at, or was ended; domev.resume_replay goes on';

CREATE FUNCTION domev.preview_replay(
	topics text[] DEFAULT NULL,
	event_types text[] DEFAULT NULL,
	aggregate_type text DEFAULT NULL,
	aggregate_id text DEFAULT NULL,
	since timestamptz DEFAULT NULL,
	until timestamptz DEFAULT NULL,
	journal_topic text DEFAULT NULL,
	OUT topic text, OUT event_type text, OUT events bigint, OUT first timestamptz, OUT last timestamptz, OUT bytes bigint
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'domev_preview_replay' LANGUAGE C;
COMMENT ON FUNCTION domev.preview_replay(text[], text[], text, text, timestamptz, timestamptz, text) IS
	'takes what domev.replay takes to select events; returns for each topic and event type how many would be replayed, when the first and the last were recorded, and how many bytes their data and headers have as they are stored; raises what domev.replay raises for these arguments and rights';

CREATE PROCEDURE domev.replay(
	publisher text,
	topics text[] DEFAULT NULL,
	event_types text[] DEFAULT NULL,
	aggregate_type text DEFAULT NULL,
	aggregate_id text DEFAULT NULL,
	since timestamptz DEFAULT NULL,
	until timestamptz DEFAULT NULL,
	journal_topic text DEFAULT NULL,
	dry_run boolean DEFAULT false,
	INOUT replay_id uuid DEFAULT NULL
)
	AS 'MODULE_PATHNAME', 'domev_replay' LANGUAGE C;
COMMENT ON PROCEDURE domev.replay(text, text[], text[], text, text, timestamptz, timestamptz, text, boolean, uuid) IS
	'takes the name that a publisher gives in the option replay of the output plugin (1 to 63 letters, digits, ".", "_", "-"); which events of the outbox, in order of their recording: globs of the topics they go to and of their types, the aggregate''s type and id, when they were recorded (since: inclusive, until: exclusive, at the latest now), NULL: all; the internal topic for domain events that are in the journal only (NULL: not these); whether only to say in notices what would be replayed; and an id for the replay (NULL: a new one); publishes the events once more for that publisher, with their ids and the attribute replayid, in several transactions unless it is called in one; returns the replay''s id, NULL with dry_run; raises 22004 for a publisher that is NULL, 22023 for a bad value or an external journal_topic, 42704 when there is no such topic, 42501 for who may not INSERT into domev_topic."<topic>" of a topic that events go to, or SELECT from domev_event."<event type>" of journaled ones, 55000 when domain events would go to a topic that has become external, 42710 when the replay exists, 55P03 when another session works at it, and what emit raises for the transaction';

CREATE PROCEDURE domev.resume_replay(
	replay_id uuid
)
	AS 'MODULE_PATHNAME', 'domev_resume_replay' LANGUAGE C;
COMMENT ON PROCEDURE domev.resume_replay(uuid) IS
	'takes the id of a replay in domev.replays that was ended, by an error, a cancel or a crash; publishes the rest of it; returns nothing, a notice when it is finished already; raises 22004 for NULL, 42704 when there is no such replay, 55P03 when another session works at it, and what domev.replay raises for rights and the transaction';

CREATE PROCEDURE domev.catch_up(
	publisher text,
	since timestamptz DEFAULT NULL,
	lost_slot name DEFAULT NULL,
	slot name DEFAULT NULL,
	topics text[] DEFAULT NULL,
	dry_run boolean DEFAULT false,
	INOUT replay_id uuid DEFAULT NULL
)
	AS 'MODULE_PATHNAME', 'domev_catch_up' LANGUAGE C;
COMMENT ON PROCEDURE domev.catch_up(text, timestamptz, name, name, text[], boolean, uuid) IS
	'takes a publisher''s name as domev.replay does, and either a slot that the server has given up and that pg_replication_slots still lists, or a time; the slot that the publisher reads now (NULL: any), globs of topics, whether only to say what would be replayed, and an id for the replay; replays all events of topics that the outbox still has and that the lost slot may not have delivered, or that were recorded since, and warns of topics with storage wal, whose events have no rows, with the range of positions that was lost; returns the replay''s id; raises 22023 when neither or both are given, 42704 when there is no such slot of this database and plugin, 55000 in a REPEATABLE READ or SERIALIZABLE transaction, when there is no other slot that is ready to deliver the replay, or the lost one does not say what it has delivered, and what domev.replay raises';
-- Consuming: what a consumer has received from wherever, and reading the outbox without a slot.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE domev.consumers (
	consumer text COLLATE "C" PRIMARY KEY,
	owner regrole NOT NULL,
	description text
);
COMMENT ON TABLE domev.consumers IS 'who receives and polls events; written by create_consumer, alter_consumer, drop_consumer';
-- Keeps members of pg_write_all_data from giving themselves a consumer.
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.consumers
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.consumers
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
ALTER TABLE domev.consumers ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all;
COMMENT ON COLUMN domev.consumers.owner IS 'whoever has the rights of this role may receive and poll as the consumer';
SELECT pg_catalog.pg_extension_config_dump('domev.consumers', '');

CREATE TABLE domev.inbox (
	consumer text COLLATE "C",
	event_id text COLLATE "C",
	source text COLLATE "C",
	received_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	PRIMARY KEY (consumer, event_id, source)
) WITH (autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX inbox_received_at ON domev.inbox (received_at);
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.inbox
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.inbox
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
ALTER TABLE domev.inbox ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all;
COMMENT ON TABLE domev.inbox IS 'which events consumers have received; written by receive, pruned by purge_inbox';
COMMENT ON COLUMN domev.inbox.source IS 'the CloudEvents source of the event, empty when receive was given none';
-- Dumped: what was received before a restore must still be known after it.
SELECT pg_catalog.pg_extension_config_dump('domev.inbox', '');

-- Not dumped: positions are transaction ids of this cluster, and the outbox is not dumped either.
CREATE TABLE domev.poll_consumers (
	consumer text COLLATE "C" PRIMARY KEY,
	position xid8 NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT '-infinity',
	since timestamptz NOT NULL DEFAULT '-infinity',
	mark xid8 NOT NULL,
	marked_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	acked_at timestamptz
);
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.poll_consumers
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.poll_consumers
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
ALTER TABLE domev.poll_consumers ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all;
COMMENT ON TABLE domev.poll_consumers IS 'where the consumers that poll are in domev.outbox; written by create_consumer, alter_consumer, poll, ack';
COMMENT ON COLUMN domev.poll_consumers.position IS 'the events of transactions before this one are done, in the order of transaction ids';
COMMENT ON COLUMN domev.poll_consumers.recorded_at IS 'of that transaction, those recorded up to this time are done, too';
COMMENT ON COLUMN domev.poll_consumers.since IS 'no event that is not done was recorded before this time, as this server''s clock had it';
COMMENT ON COLUMN domev.poll_consumers.mark IS 'this transaction and later ones began to write after marked_at, which becomes since when position is there';
COMMENT ON COLUMN domev.poll_consumers.acked_at IS 'the last ack, or poll that found nothing and moved the position; NULL: none yet';

CREATE FUNCTION domev.create_consumer(
	consumer text,
	poll_since timestamptz DEFAULT NULL,
	owner regrole DEFAULT NULL,
	description text DEFAULT NULL,
	if_not_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_create_consumer' LANGUAGE C;
COMMENT ON FUNCTION domev.create_consumer(text, timestamptz, regrole, text, boolean) IS
	'takes a name (1 to 63 bytes, no control characters), the time since which it polls domev.outbox (now(): what is to come; NULL: it does not poll), and its owner (NULL: the current user); returns nothing; the consumer is given at least all events that were recorded since then or whose transaction has not ended; raises 22004 for a NULL name, 22023 for a bad value, 42501 when the caller does not have the rights of the owner, 42704 when there is no such role, 42710 when the consumer exists (a notice with if_not_exists)';

CREATE FUNCTION domev.alter_consumer(
	consumer text,
	poll_since timestamptz DEFAULT NULL,
	owner regrole DEFAULT NULL,
	description text DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_alter_consumer' LANGUAGE C;
COMMENT ON FUNCTION domev.alter_consumer(text, timestamptz, regrole, text, text[]) IS
	'takes the consumer''s name, what to change (NULL: leave), and the attributes to reset (poll_since: it polls no more, description); poll_since moves its position, forwards or back, as create_consumer sets it; waits for who receives or polls as the consumer; returns nothing; raises 22004 for a NULL name, 22023 for a bad value, 42501 when the caller does not have the rights of the old and the new owner, 42704 when there is no such consumer or role, 40001 when it was registered after the transaction''s snapshot';

CREATE FUNCTION domev.drop_consumer(
	consumer text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_consumer' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_consumer(text, boolean) IS
	'takes the consumer''s name; removes it, its position, and what it has received; waits for who receives or polls as the consumer; returns nothing; raises 22004 for a NULL name, 42704 when there is no such consumer (a notice with if_exists), 42501 when the caller does not have the rights of its owner, 40001 when it was registered, or has received, after the transaction''s snapshot';

CREATE FUNCTION domev.receive(consumer text, event_id uuid, source text DEFAULT '') RETURNS boolean
	AS 'MODULE_PATHNAME', 'domev_receive' LANGUAGE C;
CREATE FUNCTION domev.receive(consumer text, event_id text, source text DEFAULT '') RETURNS boolean
	AS 'MODULE_PATHNAME', 'domev_receive' LANGUAGE C;
COMMENT ON FUNCTION domev.receive(text, text, text) IS
	'takes a consumer''s name, an event''s id (1 to 512 bytes, no control characters) and, where ids of several sources could be equal, its source (up to 2048 bytes); returns true the first time, false when the consumer has received the event before; counts if the transaction commits; waits for a transaction that is receiving the same event, then returns true if that was rolled back; raises 22004 for NULL, 22023 for a bad value, 42704 when there is no such consumer, 42501 for who does not have the rights of its owner, 25006 in a read-only transaction and on a standby, 25000 in a parallel worker, 40001 when the event was received after the snapshot of a REPEATABLE READ transaction, 40P01 when two transactions receive the same events in different order';
COMMENT ON FUNCTION domev.receive(text, uuid, text) IS
	'as domev.receive(text, text, text), for an event id of type uuid, which is kept in lower case as domev sends it; takes, returns and raises the same';

CREATE FUNCTION domev.purge_inbox(older_than interval, max_rows bigint DEFAULT 100000) RETURNS bigint
	AS 'MODULE_PATHNAME', 'domev_purge_inbox' LANGUAGE C;
COMMENT ON FUNCTION domev.purge_inbox(interval, bigint) IS
	'takes an age and a number; forgets the events that were received longer ago, the oldest first and at most that many, and returns how many: fewer than max_rows when none is left; raises 22004 for NULL, 22023 for a number that is not positive, 22008 for an age that leads beyond the calendar';

CREATE FUNCTION domev.poll(
	consumer text,
	max integer DEFAULT 100,
	topics text[] DEFAULT NULL,
	OUT "position" text, OUT event_id uuid, OUT topic text, OUT event_type text, OUT key text, OUT event json
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'domev_poll' LANGUAGE C;
COMMENT ON FUNCTION domev.poll(text, integer, text[]) IS
	'takes a consumer''s name, how many events at most, and the names of topics (NULL: all); returns the next events behind its position in topics with table storage that the caller may SELECT from, in the order of their transactions'' ids, which is not that of their commits, and in a transaction as they were raised; event is what the output plugin sends, without sequence and endoftransaction; events of a transaction are returned when that and all with smaller ids have ended; waits until no other transaction polls or acknowledges as the consumer; the same is returned again until it is acknowledged; when there is nothing up to now, the position may be moved to now; raises 22004 for NULL, 22023 for a bad value, 42704 when there is no such consumer or topic, 42501 for who does not have the rights of its owner or may not read a topic that is named, 55000 for a consumer without a position, 25006 in a read-only transaction and on a standby, 25000 in a parallel worker, 40001 when the position was moved after the snapshot of a REPEATABLE READ transaction; warns (01000) a role that may read no topic, and of a topic that is named and has storage wal';

CREATE FUNCTION domev.ack(consumer text, up_to text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'domev_ack' LANGUAGE C;
COMMENT ON FUNCTION domev.ack(text, text) IS
	'takes a consumer''s name and a position that poll returned (NULL: of nothing); the event at it and all before it, also of topics that were not asked for, are not returned again; returns true, or false when the consumer is there already or further; raises 22004 for a NULL name, 22023 for what is no position, or one beyond what poll can have returned, 42704 when there is no such consumer, 42501 for who does not have the rights of its owner, 55000 for a consumer without a position, 25006 in a read-only transaction and on a standby, 25000 in a parallel worker, 40001 when the position was moved after the snapshot of a REPEATABLE READ transaction';
-- Showing: the registry as a picture, and as a document for those who receive its events.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE domev.schemas (
	event_type text COLLATE "C" PRIMARY KEY,
	schema jsonb NOT NULL CHECK (pg_catalog.jsonb_typeof(schema) OPERATOR(pg_catalog.=) ANY ('{object, boolean}'))
);
COMMENT ON TABLE domev.schemas IS 'the JSON Schemas that domev.asyncapi shows for the data of events; written by set_schema';
COMMENT ON COLUMN domev.schemas.event_type IS 'of an integration event; or of a domain event, which internal topics carry';
COMMENT ON COLUMN domev.schemas.schema IS 'a JSON Schema; nothing is checked against it';
SELECT pg_catalog.pg_extension_config_dump('domev.schemas', '');
-- Like the registry they are not for members of pg_write_all_data.
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE ON domev.schemas
	FOR EACH ROW EXECUTE FUNCTION domev.guard_registry();
CREATE TRIGGER guard_registry_all BEFORE TRUNCATE ON domev.schemas
	FOR EACH STATEMENT EXECUTE FUNCTION domev.guard_registry();
ALTER TABLE domev.schemas ENABLE ALWAYS TRIGGER guard_registry, ENABLE ALWAYS TRIGGER guard_registry_all;

CREATE FUNCTION domev.set_schema(
	event_type text,
	schema jsonb
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_set_schema' LANGUAGE C;
COMMENT ON FUNCTION domev.set_schema(text, jsonb) IS
	'takes an event type that mappings may return or that is registered (1 to 255 bytes, no control characters), and the JSON Schema of its data (a JSON object or boolean; NULL: forget it), in which "#" is the schema itself; domev.asyncapi shows it, events are not checked against it; returns nothing; raises 22004 for a NULL event type, 22023 for a bad value, 40001 when somebody set it after the transaction''s snapshot';

CREATE FUNCTION domev.quote_mermaid(label text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	-- Letters, digits and a little more as they are; not at the beginning, where "1." or "-" would be a list, nor "_" around a word.
	RETURN (SELECT pg_catalog.string_agg(CASE
			WHEN pg_catalog.ascii(c.letter) OPERATOR(pg_catalog.>) 127 OR c.letter OPERATOR(pg_catalog.=) '' THEN c.letter
			WHEN c.letter OPERATOR(pg_catalog.~) CASE
					WHEN c.place OPERATOR(pg_catalog.=) 1 THEN '^[A-Za-z]$'
					WHEN pg_catalog.substr(label, c.place::integer OPERATOR(pg_catalog.-) 1, 3) OPERATOR(pg_catalog.~) '^[A-Za-z0-9]_[A-Za-z0-9]$' THEN '^_$'
					ELSE '^[A-Za-z0-9 ./:,()-]$' END THEN c.letter
			ELSE pg_catalog.concat('#', pg_catalog.ascii(c.letter), ';') END, '' ORDER BY c.place)
		FROM pg_catalog.regexp_split_to_table(label, '') WITH ORDINALITY AS c (letter, place));
COMMENT ON FUNCTION domev.quote_mermaid(text) IS
	'takes any text; returns what shows it between double quotes in a Mermaid diagram: what could be more than text is an entity code; raises nothing';

CREATE FUNCTION domev.flow() RETURNS text
	LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH captures AS (
		SELECT c.capture, pg_catalog.concat(n.nspname, '.', r.relname) AS relation, c.operation, c.event_type, c.event_type_column, c.enabled
		FROM domev.captures AS c
			JOIN pg_catalog.pg_class AS r ON r.oid OPERATOR(pg_catalog.=) c.relation
			JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace
	), slots AS (
		SELECT s.slot_name::text, s.plugin::text FROM pg_catalog.pg_replication_slots AS s
		WHERE s.slot_type OPERATOR(pg_catalog.=) 'logical' AND s.database OPERATOR(pg_catalog.=) pg_catalog.current_database()
	), nodes (box, kind, name, shape, lines, off) AS (
		SELECT DISTINCT 1, 'table', c.relation, '[("%s")]', ARRAY[c.relation], false FROM captures AS c
		UNION ALL
		SELECT 2, 'event type', e.event_type, '(["%s"])', ARRAY[e.event_type, pg_catalog.concat('of ', e.aggregate_type)], false FROM domev.event_types AS e
		UNION ALL
		SELECT DISTINCT 2, 'event type', c.event_type, '(["%s"])', ARRAY[c.event_type, 'not registered'], true FROM captures AS c
		WHERE NOT EXISTS (SELECT FROM domev.event_types AS e WHERE e.event_type OPERATOR(pg_catalog.=) c.event_type) AND c.event_type IS NOT NULL
		UNION ALL
		SELECT DISTINCT 2, 'types', c.relation, '(["%s"])', ARRAY[pg_catalog.concat('named by column ', c.event_type_column)], false FROM captures AS c
		WHERE c.event_type_column IS NOT NULL
		UNION ALL
		SELECT 3, 'mapping', m.mapping, '["%s"]', ARRAY[m.mapping, m.function,
			pg_catalog.concat_ws(', ', CASE WHEN NOT m.enabled THEN 'disabled' END, CASE m.timing WHEN 'deferred' THEN 'deferred' END,
				CASE m.on_error WHEN 'record' THEN 'failures recorded' END)], NOT m.enabled FROM domev.mappings AS m
		UNION ALL
		SELECT 4, 'topic', t.topic, '{{"%s"}}', ARRAY[t.topic, pg_catalog.concat(t.scope, ', ', t.storage)], false FROM domev.topics AS t
		UNION ALL
		SELECT DISTINCT 4, 'topics', '', '{{"%s"}}', ARRAY['named by results'], false FROM domev.mappings AS m WHERE m.topic IS NULL
		UNION ALL
		SELECT DISTINCT 5, 'a WAL', '', '[/"%s"/]', ARRAY['WAL'], false FROM slots AS s
		UNION ALL
		SELECT 5, 'slot', s.slot_name, '[["%s"]]', ARRAY[s.slot_name, pg_catalog.concat('plugin ', s.plugin)], false FROM slots AS s
	), places AS (
		SELECT n.*, pg_catalog.row_number() OVER (ORDER BY n.box, n.kind COLLATE "C", n.name COLLATE "C", n.lines) AS place FROM nodes AS n
	), arrows (kind, name, to_kind, to_name, lines, dotted) AS (
		SELECT 'table', c.relation, CASE WHEN c.event_type IS NULL THEN 'types' ELSE 'event type' END, coalesce(c.event_type, c.relation),
			ARRAY[pg_catalog.concat(c.capture, ': ', c.operation, CASE WHEN NOT c.enabled THEN ', disabled' END)], NOT c.enabled FROM captures AS c
		UNION ALL
		SELECT 'event type', e.event_type, 'topic', e.topic, NULL, false FROM domev.event_types AS e WHERE e.topic IS NOT NULL
		UNION ALL
		SELECT 'event type', m.event_type, 'mapping', m.mapping, NULL, m.timing OPERATOR(pg_catalog.=) 'deferred' OR NOT m.enabled FROM domev.mappings AS m
		UNION ALL
		SELECT 'mapping', m.mapping, CASE WHEN m.topic IS NULL THEN 'topics' ELSE 'topic' END, coalesce(m.topic, ''), m.produces,
			m.topic IS NULL OR NOT m.enabled FROM domev.mappings AS m
		UNION ALL
		SELECT 'topic', t.topic, 'a WAL', '', NULL, false FROM domev.topics AS t
		UNION ALL
		SELECT 'a WAL', '', 'slot', s.slot_name, NULL, s.plugin OPERATOR(pg_catalog.<>) 'domev' FROM slots AS s
	), said (section, place, to_place, line) AS (
		SELECT 0, 0::bigint, 0::bigint, 'flowchart LR'
		UNION ALL
		SELECT DISTINCT p.box, 0, 0, pg_catalog.format('  subgraph box%s["%s"]', p.box,
			('{tables, event types, mappings, topics, publishers}'::text[])[p.box]) FROM places AS p
		UNION ALL
		SELECT p.box, p.place, 0, pg_catalog.concat('    n', p.place, pg_catalog.format(p.shape, (
			SELECT pg_catalog.string_agg(domev.quote_mermaid(l.line), '<br/>' ORDER BY l.place) FROM pg_catalog.unnest(p.lines) WITH ORDINALITY AS l (line, place)
			WHERE l.line OPERATOR(pg_catalog.<>) ''))) FROM places AS p
		UNION ALL
		SELECT DISTINCT p.box, 9223372036854775807, 0, '  end' FROM places AS p
		UNION ALL
		SELECT 6, f.place, t.place, pg_catalog.format('  n%s %s%s n%s', f.place, CASE WHEN a.dotted THEN '-.->' ELSE '-->' END, (
			SELECT pg_catalog.concat('|"', pg_catalog.string_agg(domev.quote_mermaid(l.line), '<br/>' ORDER BY l.place), '"|')
			FROM pg_catalog.unnest(a.lines) WITH ORDINALITY AS l (line, place) HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0), t.place)
		FROM arrows AS a
			JOIN places AS f ON f.kind OPERATOR(pg_catalog.=) a.kind AND f.name OPERATOR(pg_catalog.=) a.name
			JOIN places AS t ON t.kind OPERATOR(pg_catalog.=) a.to_kind AND t.name OPERATOR(pg_catalog.=) a.to_name
		UNION ALL
		SELECT 7, 0, 0, pg_catalog.concat('  classDef off stroke-dasharray: 5 5', E'\n  class ', pg_catalog.string_agg(pg_catalog.concat('n', p.place), ',' ORDER BY p.place), ' off')
		FROM places AS p WHERE p.off HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0
	)
	SELECT pg_catalog.concat(pg_catalog.string_agg(s.line, E'\n' ORDER BY s.section, s.place, s.to_place, s.line COLLATE "C"), E'\n') FROM said AS s;
END;
COMMENT ON FUNCTION domev.flow() IS
	'takes nothing; returns a Mermaid flowchart of this database: captured tables, event types, mappings, topics, publishers (its logical slots), with arrows along which events go, dotted where they are deferred, disabled or not known; names are escaped, the order is the same each time; takes no locks but AccessShareLock; raises nothing';

CREATE FUNCTION domev.component_name(event_type text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	-- By bytes of the database's own encoding, as those of SQL_ASCII are no UTF-8.  An underscore that could be read as our own is escaped as well.
	RETURN (SELECT coalesce(pg_catalog.string_agg(
			CASE WHEN b.byte OPERATOR(pg_catalog.<) 128 AND pg_catalog.chr(b.byte) OPERATOR(pg_catalog.~) '^[A-Za-z0-9._-]$' THEN pg_catalog.chr(b.byte)
				ELSE pg_catalog.concat('_', pg_catalog.upper(pg_catalog.lpad(pg_catalog.to_hex(b.byte), 2, '0'))) END, '' ORDER BY b.place), '')
		FROM (SELECT i, pg_catalog.get_byte(n.name, i)
			FROM (SELECT pg_catalog.convert_to(pg_catalog.regexp_replace(component_name.event_type, '_(?=[0-9A-F]{2})', '_5F', 'g'), pg_catalog.getdatabaseencoding())) AS n (name),
				pg_catalog.generate_series(0, pg_catalog.length(n.name) OPERATOR(pg_catalog.-) 1) AS i) AS b (place, byte));
COMMENT ON FUNCTION domev.component_name(text) IS
	'takes an event type; returns what domev.asyncapi calls it where only letters, digits, ".", "_" and "-" are allowed: other bytes as "_" and two hexadecimal digits, no two event types alike; raises nothing';

CREATE FUNCTION domev.make_asyncapi(scope text, title text, version text) RETURNS jsonb
	LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH topics AS (
		SELECT t.* FROM domev.topics AS t WHERE make_asyncapi.scope IS NULL OR t.scope OPERATOR(pg_catalog.=) make_asyncapi.scope
	), sent (topic, event_type) AS (
		SELECT e.topic, e.event_type FROM domev.event_types AS e WHERE e.topic OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT t.topic FROM topics AS t))
		UNION
		SELECT m.topic, p.event_type FROM domev.mappings AS m, pg_catalog.unnest(m.produces) AS p (event_type)
		WHERE m.enabled AND m.topic OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT t.topic FROM topics AS t))
	), types AS (
		SELECT t.event_type, domev.component_name(t.event_type) AS name, s.schema
		FROM (SELECT DISTINCT e.event_type FROM sent AS e) AS t LEFT JOIN domev.schemas AS s ON s.event_type OPERATOR(pg_catalog.=) t.event_type
	), channels AS (
		SELECT t.topic, pg_catalog.jsonb_build_object('address', t.topic, 'messages', coalesce((
				SELECT pg_catalog.jsonb_object_agg(y.name, pg_catalog.jsonb_build_object('$ref', pg_catalog.concat('#/components/messages/', y.name)))
				FROM sent AS e JOIN types AS y ON y.event_type OPERATOR(pg_catalog.=) e.event_type WHERE e.topic OPERATOR(pg_catalog.=) t.topic), '{}'))
			OPERATOR(pg_catalog.||) CASE WHEN t.description IS NULL THEN '{}' ELSE pg_catalog.jsonb_build_object('description', t.description) END AS channel
		FROM topics AS t
	)
	SELECT pg_catalog.jsonb_build_object(
		'asyncapi', '3.0.0',
		'info', pg_catalog.jsonb_build_object('title', coalesce(make_asyncapi.title, pg_catalog.current_database()), 'version', make_asyncapi.version, 'description',
			'The events that the mappings of this database declare for its topics. A mapping may name another topic for what it returns, and one that declares nothing may return events of any type: those are not listed.'),
		'defaultContentType', 'application/cloudevents+json',
		'channels', coalesce((SELECT pg_catalog.jsonb_object_agg(c.topic, c.channel) FROM channels AS c), '{}'),
		'operations', coalesce((SELECT pg_catalog.jsonb_object_agg(pg_catalog.concat('send.', c.topic), pg_catalog.jsonb_build_object('action', 'send',
			'channel', pg_catalog.jsonb_build_object('$ref', pg_catalog.concat('#/channels/', c.topic)))) FROM channels AS c), '{}'),
		'components', pg_catalog.jsonb_build_object(
			'messages', coalesce((SELECT pg_catalog.jsonb_object_agg(y.name, pg_catalog.jsonb_build_object('name', y.event_type, 'title', y.event_type,
				'contentType', 'application/cloudevents+json', 'payload', pg_catalog.jsonb_build_object('allOf', pg_catalog.jsonb_build_array(
					'{"$ref": "#/components/schemas/cloudevent"}'::jsonb, pg_catalog.jsonb_build_object('properties',
						pg_catalog.jsonb_build_object('type', pg_catalog.jsonb_build_object('const', y.event_type)) OPERATOR(pg_catalog.||)
						CASE WHEN y.schema IS NULL THEN '{}' ELSE pg_catalog.jsonb_build_object('data',
							pg_catalog.jsonb_build_object('$ref', pg_catalog.concat('#/components/schemas/data.', y.name))) END))))) FROM types AS y), '{}'),
			'schemas', coalesce((
				-- A reference to the schema itself is one to its place in here.  In jsonb's text no string has a quote that is not escaped.
				-- The parser takes no boolean there.
				SELECT pg_catalog.jsonb_object_agg(pg_catalog.concat('data.', y.name), CASE y.schema WHEN 'true' THEN '{}' WHEN 'false' THEN '{"not": {}}'
					ELSE pg_catalog.regexp_replace(y.schema::text, '([ {]"\$ref": "#)(?=["/])', pg_catalog.concat('\1/components/schemas/data.', y.name), 'g')::jsonb END)
				FROM types AS y WHERE y.schema IS NOT NULL), '{}')
				OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('cloudevent', '{
					"type": "object",
					"description": "CloudEvents 1.0 in the JSON format, one event a message. Other members are headers.",
					"required": ["specversion", "id", "type", "source", "subject", "topic", "partitionkey", "aggregatetype"],
					"properties": {
						"specversion": {"const": "1.0"},
						"id": {"type": "string", "format": "uuid", "description": "the same for each repetition: deduplicate by it"},
						"type": {"type": "string"},
						"subject": {"type": "string", "description": "the id of the aggregate"},
						"time": {"type": "string", "format": "date-time", "description": "when it happened"},
						"datacontenttype": {"type": "string"},
						"dataschema": {"type": "string", "format": "uri"},
						"topic": {"type": "string"},
						"partitionkey": {"type": "string", "description": "events of one key are to be kept in their order"},
						"causationid": {"type": "string", "format": "uuid", "description": "the id of the event that caused this one"},
						"aggregatetype": {"type": "string"},
						"aggregateversion": {"type": "string", "description": "a number of 64 bits"},
						"sequence": {"type": "string", "description": "rises as text in the order of commits"},
						"endoftransaction": {"type": "boolean", "description": "whether it is the last event of its transaction that this client is sent"},
						"data": {},
						"data_base64": {"type": "string", "contentEncoding": "base64"}
					},
					"additionalProperties": {"type": ["string", "boolean", "integer"]}
				}'::jsonb OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('title', (SELECT pg_catalog.concat('an event of ', s.source)
					FROM domev.source AS s ORDER BY s.initial LIMIT 1)))));
END;
COMMENT ON FUNCTION domev.make_asyncapi(text, text, text) IS
	'what domev.asyncapi returns: takes the same and returns the same, with arguments that it has checked; raises 54001 when a schema is nested too deep';

CREATE FUNCTION domev.asyncapi(
	scope text DEFAULT 'external',
	title text DEFAULT NULL,
	version text DEFAULT '1.0.0'
) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'domev_asyncapi' LANGUAGE C STABLE;
COMMENT ON FUNCTION domev.asyncapi(text, text, text) IS
	'takes a scope (external | internal; NULL: both), and the title (NULL: the name of the database) and version of the document; returns an AsyncAPI 3.0 document of the topics of that scope: a channel for each, the event types that enabled mappings declare in produces for their topic, or that are registered with it, and their schemas as set_schema has set them; takes no locks but AccessShareLock; raises 22004 for a NULL version, 22023 for another scope, 54001 when a schema is nested too deep';

-- ---------------------------------------------------------------------------------------------------------------------
-- Rights.  PUBLIC may execute what asks itself for rights on the views of event types and topics, or needs none.  Who
-- shall register is GRANTed EXECUTE; the registry is there for all to read; the outbox and the keys are not.
-- ---------------------------------------------------------------------------------------------------------------------

-- Not only from PUBLIC: what somebody's ALTER DEFAULT PRIVILEGES has granted to others goes as well.
DO $$
DECLARE
	grantee text;
BEGIN
	FOR grantee IN
		SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
		FROM (SELECT relacl AS acl, relowner AS owner FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) 'domev'::pg_catalog.regnamespace
			UNION ALL SELECT proacl, proowner FROM pg_catalog.pg_proc WHERE pronamespace OPERATOR(pg_catalog.=) 'domev'::pg_catalog.regnamespace
			UNION ALL SELECT nspacl, nspowner FROM pg_catalog.pg_namespace
				WHERE nspname OPERATOR(pg_catalog.=) ANY ('{domev, domev_event, domev_topic}')) AS o,
			pg_catalog.aclexplode(o.acl) AS a
		WHERE a.grantee OPERATOR(pg_catalog.<>) o.owner
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON ALL TABLES IN SCHEMA domev FROM %s', grantee);
		EXECUTE pg_catalog.format('REVOKE ALL ON ALL ROUTINES IN SCHEMA domev FROM %s', grantee);
		EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA domev, domev_event, domev_topic FROM %s', grantee);
	END LOOP;
END $$;
REVOKE ALL ON ALL ROUTINES IN SCHEMA domev FROM PUBLIC; -- procedures as well
GRANT EXECUTE ON FUNCTION domev.make_integration_event(text, jsonb, text, text, bytea, text, text, jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION domev.read_definition(bytea) TO PUBLIC; -- the view domev.captures calls it
GRANT EXECUTE ON FUNCTION domev.time_of_id(uuid) TO PUBLIC; -- anybody may take a time out of an id
GRANT EXECUTE ON FUNCTION domev.trace(uuid), domev.emitted_in_transaction() TO PUBLIC;
GRANT EXECUTE ON FUNCTION domev.emit(text, text, jsonb, jsonb, bigint, uuid, timestamptz), domev.emit(text, text, json, jsonb, bigint, uuid, timestamptz),
	domev.emit(text, text, text, jsonb, bigint, uuid, timestamptz), domev.emit(text, bigint, jsonb, jsonb, bigint, uuid, timestamptz),
	domev.emit(text, bigint, json, jsonb, bigint, uuid, timestamptz), domev.emit(text, bigint, text, jsonb, bigint, uuid, timestamptz),
	domev.emit(text, uuid, jsonb, jsonb, bigint, uuid, timestamptz), domev.emit(text, uuid, json, jsonb, bigint, uuid, timestamptz),
	domev.emit(text, uuid, text, jsonb, bigint, uuid, timestamptz) TO PUBLIC;
GRANT EXECUTE ON FUNCTION domev.preview(text, text, jsonb, jsonb, bigint, uuid, timestamptz), domev.preview(text, text, json, jsonb, bigint, uuid, timestamptz),
	domev.preview(text, text, text, jsonb, bigint, uuid, timestamptz), domev.preview(text, bigint, jsonb, jsonb, bigint, uuid, timestamptz),
	domev.preview(text, bigint, json, jsonb, bigint, uuid, timestamptz), domev.preview(text, bigint, text, jsonb, bigint, uuid, timestamptz),
	domev.preview(text, uuid, jsonb, jsonb, bigint, uuid, timestamptz), domev.preview(text, uuid, json, jsonb, bigint, uuid, timestamptz),
	domev.preview(text, uuid, text, jsonb, bigint, uuid, timestamptz) TO PUBLIC;
GRANT USAGE ON SCHEMA domev, domev_event, domev_topic TO PUBLIC;
GRANT SELECT ON domev.topics, domev.event_types, domev.mappings, domev.captures, domev.source TO PUBLIC;
-- retention: how long things are kept is no secret
GRANT SELECT ON domev.retention TO PUBLIC;

-- Seeing.
GRANT SELECT ON domev.publishers, domev.mapping_stats, domev.server_problems, domev.publisher_problems, domev.registry_problems, domev.capture_problems,
	domev.outbox_partitions, domev.outbox_problems, domev.deferred_problems TO PUBLIC;
GRANT EXECUTE ON FUNCTION domev.doctor(bigint), domev.read_mapping_stats() TO PUBLIC;
-- Consuming: each asks for the rights of the consumer's owner, poll also for those on topics.
GRANT EXECUTE ON FUNCTION domev.receive(text, uuid, text), domev.receive(text, text, text), domev.poll(text, integer, text[]), domev.ack(text, text) TO PUBLIC;
GRANT SELECT ON domev.consumers, domev.poll_consumers TO PUBLIC;
-- Shown to everybody, as the registry is; domev.flow calls domev.quote_mermaid.
GRANT EXECUTE ON FUNCTION domev.partition_bound(regclass) TO PUBLIC; -- the view domev.outbox_partitions calls it
GRANT EXECUTE ON FUNCTION domev.flow(), domev.asyncapi(text, text, text), domev.quote_mermaid(text) TO PUBLIC;
GRANT SELECT ON domev.schemas TO PUBLIC;
