-- domev.set_schema and domev.asyncapi (test/documents has the document read by the official parser).
CREATE EXTENSION domev;
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC SELECT (domev.make_integration_event('i')).*; END;
SELECT domev.create_topic('orders', 'internal'), domev.create_topic('shop.orders', description => 'for "others"'), domev.create_topic('silent', storage => 'wal');
SELECT domev.create_event_type('order.placed', 'order', 'orders'), domev.create_event_type('order.paid', 'order');
SELECT domev.create_mapping('placed', 'order.placed', 'public.m', 'shop.orders', produces => '{shop.order-placed.v1, "odd \"name\" é_", x_41}'),
	domev.create_mapping('paid', 'order.paid', 'public.m', 'shop.orders', produces => '{shop.order-placed.v1}'),
	domev.create_mapping('unsaid', 'order.paid', 'public.m', 'shop.orders'), domev.create_mapping('off', 'order.paid', 'public.m', 'silent', produces => '{off}'),
	domev.create_mapping('elsewhere', 'order.paid', 'public.m', produces => '{elsewhere}');
SELECT domev.alter_mapping('off', enabled => false);

-- schemas: set, set again, forgotten; "#" is the schema, wherever it is
SELECT domev.set_schema('shop.order-placed.v1', '{"type": "string"}'), domev.set_schema('shop.order-placed.v1', '{"$defs": {"n": {"type": "integer", "title": "\"$ref\": \"#/\" "}}, "properties":
	{"n": {"$ref": "#/$defs/n"}, "me": {"$ref": "#"}, "other": {"$ref": "urn:other#/n"}, "anchor": {"$ref": "#n"}, "$ref": {"const": "#"}}}'),
	domev.set_schema('x_41', 'true'), domev.set_schema('odd "name" é_', 'false'), domev.set_schema('order.placed', '{}'), domev.set_schema('gone', 'true');
SELECT domev.set_schema('gone', NULL), domev.set_schema('never there', NULL);
SELECT * FROM domev.schemas ORDER BY event_type;
SELECT jsonb_pretty(domev.asyncapi() #- '{components, schemas, cloudevent, properties}');
SELECT d #>> '{info, title}', d #>> '{info, version}', d->'channels', d->'operations', d #> '{components, messages, order.placed}', d #> '{components, schemas, data.order.placed}'
FROM domev.asyncapi('internal', 'The "shop"', '2.1') AS d;
SELECT jsonb_object_keys(domev.asyncapi(NULL)->'channels');
SELECT domev.set_source('https://shop.example/');
SELECT domev.asyncapi() #>> '{components, schemas, cloudevent, title}';
-- no two event types have one name there
SELECT count(DISTINCT domev.component_name(n)), count(DISTINCT n), bool_and(domev.component_name(n) ~ '^[A-Za-z0-9._-]*$')
FROM (SELECT string_agg(substr('_4A1é /', 1 + (i / 7 ^ p)::int % 7, 1), '' ORDER BY p) AS n FROM generate_series(0, 2400) AS i, generate_series(0, 3) AS p GROUP BY i) AS names;

-- everybody may read it, in any transaction; whoever was granted it may set a schema, and nobody writes the table
CREATE ROLE regress_plain;
CREATE ROLE regress_registrar;
GRANT EXECUTE ON FUNCTION domev.set_schema TO regress_registrar;
CREATE ROLE regress_writer IN ROLE pg_write_all_data;
SELECT domev.asyncapi() AS document \gset
BEGIN READ ONLY;
SET LOCAL ROLE regress_plain;
SET LOCAL search_path = pg_temp;
SELECT domev.asyncapi() = :'document';
SELECT count(*) FROM domev.schemas;
SELECT domev.set_schema('i', 'true');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_registrar;
SELECT domev.set_schema('i', 'true');
SELECT domev.set_schema('i', NULL);
DELETE FROM domev.schemas;
ROLLBACK;
SET ROLE regress_writer;
INSERT INTO domev.schemas VALUES ('forged', 'true');
RESET ROLE;

-- refused
SELECT domev.set_schema(NULL, 'true');
SELECT domev.set_schema('', 'true');
SELECT domev.set_schema(repeat('x', 256), 'true');
SELECT domev.set_schema(E'a\nb', 'true');
SELECT domev.set_schema('i', '[]');
SELECT domev.set_schema('i', '"string"');
SELECT domev.set_schema('i', '1');
SELECT domev.set_schema('i', 'null');
SELECT domev.asyncapi('public');
SELECT domev.asyncapi(version => NULL);

DROP FUNCTION m;
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP ROLE regress_plain, regress_registrar, regress_writer;
