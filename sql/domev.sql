/* domev.sql: what CREATE EXTENSION domev makes, in sections: schema, types, registry, captures, outbox, doors, emitting,
looking, mapping again, operating, rights */

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
	topic text COLLATE "C" REFERENCES domev.topics,
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
	event_type text COLLATE "C" NOT NULL REFERENCES domev.event_types,
	function text NOT NULL,
	owner regrole NOT NULL,
	topic text COLLATE "C" REFERENCES domev.topics,
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
	'takes the topics name, what to change (NULL: leave), and the attributes to reset (description); returns nothing; raises 22004 for a NULL name, 22023 for a bad value, 42704 when there is no such topic, 55000 when it carries domain events and would become external, 40001 when it was registered after the transaction''s snapshot';

CREATE FUNCTION domev.drop_topic(
	topic text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_topic' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_topic(text, boolean) IS
	'takes the topics name; returns nothing; raises 22004 for a NULL name, 42704 when there is no such topic (a notice with if_exists), 2BP01 when event types, mappings or somebody''s view use it, 40001 when it was registered after the transaction''s snapshot';

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
	'takes a name and the aggregates type (1 to 63 bytes each, no control characters), the internal topic that carries the domain event itself (NULL: none), and whether to keep it as a row even when no table topic does (NULL: yes, unless its topic has WAL storage); returns nothing; raises 22004 for a NULL name or aggregate type, 22023 for a bad value or an external topic, 42704 when there is no such topic, 42710 when the event type exists (a notice with if_not_exists), 40001 when the topic was registered after the transaction''s snapshot';

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
	'takes the event types name, what to change (NULL: leave), and the attributes to reset (topic, journal, description); returns nothing; raises 22004 for a NULL name, 22023 for a bad value or an external topic, 42704 when there is no such event type or topic, 40001 when either was registered after the transaction''s snapshot';

CREATE FUNCTION domev.drop_event_type(
	event_type text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_event_type' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_event_type(text, boolean) IS
	'takes the event types name; returns nothing; raises 22004 for a NULL name, 42704 when there is no such event type (a notice with if_exists), 2BP01 when mappings, captures or somebody''s view use it, 40001 when it was registered after the transaction''s snapshot';

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
	'takes the mappings name, what to change (NULL: leave), and the attributes to reset (topic, produces, description); a function given is looked up, checked and bound to its owner anew; returns nothing; raises what create_mapping raises, 42704 when there is no such mapping, 42501 when the caller does not own it, 40001 when it was registered after the transaction''s snapshot';

CREATE FUNCTION domev.drop_mapping(
	mapping text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_mapping' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_mapping(text, boolean) IS
	'takes the mappings name; returns nothing; raises 22004 for a NULL name, 42704 when there is no such mapping (a notice with if_exists), 42501 when the caller does not own it, 40001 when it was registered after the transaction''s snapshot';

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
	'takes the captures name, what to change (NULL: leave), whether its trigger is enabled, and the attributes to reset (event_type, condition, columns, ignore, event_type_column, payload_column, headers_column, version_column, event_id_column, occurred_at_column, description); returns nothing; raises what create_capture raises, 42704 when there is no such capture, 55006 when it was changed meanwhile, 42710 when there are several of the name';

CREATE FUNCTION domev.drop_capture(
	capture text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_capture' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_capture(text, boolean) IS
	'takes the captures name; drops its trigger, returns nothing; raises 22004 for a NULL name, 25006 in a read-only transaction, 42704 when there is no such capture (a notice with if_exists), 42501 when the caller does not own the table, 55006 when it was changed meanwhile, 42710 when there are several of the name';

CREATE FUNCTION domev.set_source(
	source text
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_set_source' LANGUAGE C;
COMMENT ON FUNCTION domev.set_source(text) IS
	'takes the CloudEvents source of this databases events, a URI reference (1 to 2048 ASCII characters, such as https://shop.example/orders); returns nothing; raises 22004 for NULL, 22023 for anything else, 40001 when it was first set after the transaction''s snapshot';

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
		EXECUTE pg_catalog.format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA domev FROM %s', grantee);
		EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA domev, domev_event, domev_topic FROM %s', grantee);
	END LOOP;
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA domev FROM PUBLIC;
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
