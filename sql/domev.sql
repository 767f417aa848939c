/* domev.sql: what CREATE EXTENSION domev makes, in sections: schema, types, registry, outbox, doors, emitting, rights */

-- complain if the script is sourced in psql, rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION domev" to load this file. \quit

-- ---------------------------------------------------------------------------------------------------------------------
-- Schema.  Made here, without IF NOT EXISTS: a schema that somebody else made beforehand must not be adopted.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE SCHEMA domev;
COMMENT ON SCHEMA domev IS 'domain events, their mapping to integration events, and the outbox that publishes both';

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
INSERT INTO domev.message_key (key)
-- a hash only to spread the random bits of two version 4 UUIDs over 16 bytes
SELECT pg_catalog.substr(pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
	OPERATOR(pg_catalog.||) pg_catalog.uuid_send(pg_catalog.gen_random_uuid())), 1, 16);

CREATE FUNCTION domev.invalidate_registry() RETURNS trigger
	AS 'MODULE_PATHNAME', 'domev_invalidate_registry' LANGUAGE C;
COMMENT ON FUNCTION domev.invalidate_registry() IS
	'trigger: makes every session forget what it remembers of the table; takes nothing, returns nothing, raises 39P01 when not called as a trigger';

-- For each row: a logical apply worker fires no statement triggers.
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.topics
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.topics
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.event_types
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.event_types
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.mappings
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.mappings
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.source
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.source
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry AFTER INSERT OR UPDATE OR DELETE ON domev.message_key
	FOR EACH ROW EXECUTE FUNCTION domev.invalidate_registry();
CREATE TRIGGER invalidate_registry_all AFTER TRUNCATE ON domev.message_key
	FOR EACH STATEMENT EXECUTE FUNCTION domev.invalidate_registry();
ALTER TABLE domev.topics ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;
ALTER TABLE domev.event_types ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;
ALTER TABLE domev.mappings ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;
ALTER TABLE domev.source ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;
ALTER TABLE domev.message_key ENABLE ALWAYS TRIGGER invalidate_registry, ENABLE ALWAYS TRIGGER invalidate_registry_all;

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
	claimed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE domev.idempotency IS 'the event ids that callers of emit gave: an id found here is not emitted again';
-- Dumped: a command retried after a restore must still find that it was done.
SELECT pg_catalog.pg_extension_config_dump('domev.idempotency', '');

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
	'takes a name (1 to 63 letters, digits, ".", "_", "-"), a scope (internal | external) and a storage (table | wal); returns nothing; raises 22023 for a bad value, 42710 when the topic exists (a notice with if_not_exists)';

CREATE FUNCTION domev.alter_topic(
	topic text,
	scope text DEFAULT NULL,
	storage text DEFAULT NULL,
	description text DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_alter_topic' LANGUAGE C;
COMMENT ON FUNCTION domev.alter_topic(text, text, text, text, text[]) IS
	'takes the topics name, what to change (NULL: leave), and the attributes to reset (description); returns nothing; raises 22023 for a bad value, 42704 when there is no such topic, 55000 when it carries domain events and would become external';

CREATE FUNCTION domev.drop_topic(
	topic text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_topic' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_topic(text, boolean) IS
	'takes the topics name; returns nothing; raises 42704 when there is no such topic (a notice with if_exists), 2BP01 when event types or mappings use it';

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
	'takes a name and the aggregates type (1 to 63 bytes each, no control characters), the internal topic that carries the domain event itself (NULL: none), and whether to keep it as a row even when no table topic does (NULL: yes, unless its topic has WAL storage); returns nothing; raises 22023 for a bad value or an external topic, 42704 when there is no such topic, 42710 when the event type exists (a notice with if_not_exists)';

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
	'takes the event types name, what to change (NULL: leave), and the attributes to reset (topic, journal, description); returns nothing; raises 22023 for a bad value or an external topic, 42704 when there is no such event type or topic';

CREATE FUNCTION domev.drop_event_type(
	event_type text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_event_type' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_event_type(text, boolean) IS
	'takes the event types name; returns nothing; raises 42704 when there is no such event type (a notice with if_exists), 2BP01 when mappings use it';

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
	'takes a name (1 to 63 bytes, no control characters), the event type it maps, the qualified name of a function (domev.domain_event) that returns [SETOF] domev.integration_event and that the caller owns, the topic of results that name none, when it runs (immediate), what an error does (abort), and the event types it may return (NULL: any); returns nothing; raises 22023 for a bad value, 42704 when there is no such event type or topic, 42883 when there is no such function, 42P13 when it is not fit, 42501 when the caller does not own it, 0A000 for timing deferred and on_error record, 42710 when the mapping exists (a notice with if_not_exists)';

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
	'takes the mappings name, what to change (NULL: leave), and the attributes to reset (topic, produces, description); a function given is looked up, checked and bound to its owner anew; returns nothing; raises what create_mapping raises, 42704 when there is no such mapping, 42501 when the caller does not own it';

CREATE FUNCTION domev.drop_mapping(
	mapping text,
	if_exists boolean DEFAULT false
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_drop_mapping' LANGUAGE C;
COMMENT ON FUNCTION domev.drop_mapping(text, boolean) IS
	'takes the mappings name; returns nothing; raises 42704 when there is no such mapping (a notice with if_exists), 42501 when the caller does not own it';

CREATE FUNCTION domev.set_source(
	source text
) RETURNS void
	AS 'MODULE_PATHNAME', 'domev_set_source' LANGUAGE C;
COMMENT ON FUNCTION domev.set_source(text) IS
	'takes the CloudEvents source of this databases events, a URI reference (1 to 2048 ASCII characters, such as https://shop.example/orders); returns nothing; raises 22023 for anything else';

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
	'takes a registered event type, the aggregate''s id (1 to 1024 bytes), the payload (JSON), headers (a JSON object of strings, booleans and 32-bit integers), the aggregate''s version, the event''s id (makes the call idempotent) and the time it happened; maps the event, stores all in this transaction, returns the event''s id; raises 22004 for NULL, 22023 for a bad value, 22P02 for a payload that is not JSON, 42704 for an unknown event type, 25006 in a read-only transaction or recovery, 25000 in a parallel worker, 42501 in a security-restricted operation, 2F002 inside a mapping, 54000 beyond domev.max_event_size, and what its mappings raise';
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

-- ---------------------------------------------------------------------------------------------------------------------
-- Rights.  Who shall emit or register is GRANTed EXECUTE; the registry is there for all to read; the outbox and the
-- keys are not.
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
			UNION ALL SELECT nspacl, nspowner FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) 'domev') AS o,
			pg_catalog.aclexplode(o.acl) AS a
		WHERE a.grantee OPERATOR(pg_catalog.<>) o.owner
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON ALL TABLES IN SCHEMA domev FROM %s', grantee);
		EXECUTE pg_catalog.format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA domev FROM %s', grantee);
		EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA domev FROM %s', grantee);
	END LOOP;
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA domev FROM PUBLIC;
GRANT EXECUTE ON FUNCTION domev.make_integration_event(text, jsonb, text, text, bytea, text, text, jsonb) TO PUBLIC;
GRANT USAGE ON SCHEMA domev TO PUBLIC;
GRANT SELECT ON domev.topics, domev.event_types, domev.mappings, domev.source TO PUBLIC;
