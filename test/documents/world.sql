-- A registry with names that would end a string, a label or a diagram, and events of it.
CREATE EXTENSION domev;
CREATE TABLE orders (id int PRIMARY KEY, status text);
CREATE TABLE "ta""b]l
e #1 end" (id int PRIMARY KEY, kind text, p jsonb);
SELECT domev.create_topic('orders', 'internal'), domev.create_topic('shop.orders', description => 'orders, for "others"'),
	domev.create_topic('end', storage => 'wal'), domev.create_topic('-'), domev.create_topic('1.2_3', 'internal', 'wal');
SELECT domev.create_event_type('order.placed', 'order', 'orders'), domev.create_event_type('end', 'x'),
	domev.create_event_type('"]--> #quot; <script>alert(1)</script> %%{init: {}}%%', '`md`'),
	domev.create_event_type('日本 "🙂" ''q'' \ ; | {} [] ()', '1. x'), domev.create_event_type('_em_ **b** a_b', 'subgraph');
CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event(t, jsonb_build_object('n', 1))).* FROM unnest('{shop.order-placed.v1, shop.order-audited.v1}'::text[]) AS t; END;
CREATE FUNCTION "m "" ]end"(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC
		SELECT (domev.make_integration_event('end', '{"n": 2, "me": {"n": 3}}', headers => '{"h": "s", "b": true, "i": -7}')).*
		UNION ALL SELECT (domev.make_integration_event('ä"/~ é', '[null, "x"]', topic => 'end', data_schema => 'urn:x')).*
		UNION ALL SELECT (domev.make_integration_event('$ref', data => '\x00ff', content_type => 'image/png')).*
		UNION ALL SELECT (domev.make_integration_event('x_')).*;
	END;
SELECT domev.create_mapping('placed-v1', 'order.placed', 'public.m', 'shop.orders', produces => '{shop.order-placed.v1, shop.order-audited.v1}'),
	domev.create_mapping('] "x" end', 'end', 'public."m "" ]end"', 'end', 'deferred', 'record',
		produces => ARRAY['end', 'ä"/~ é', 'snake_case', 'x_5F', 'x_', '$ref', repeat('"', 255)]),
	domev.create_mapping('free', 'order.placed', 'public.m', produces => '{shop.order-placed.v1, shop.order-audited.v1}'),
	domev.create_mapping('off', 'end', 'public.m', '-', produces => '{not told}');
SELECT domev.alter_mapping('free', enabled => false), domev.alter_mapping('off', enabled => false);
SELECT domev.create_capture('c', 'orders', 'insert', 'id', 'order.placed'), domev.create_capture('d "x" ] |', 'orders', 'delete', 'id', 'end'),
	domev.create_capture('events', '"ta""b]l
e #1 end"', 'insert', 'id', event_type_column => 'kind', payload_column => 'p');
SELECT domev.set_schema('end', '{"type": "object", "title": "say \"$ref\": \"#/x\" ", "required": ["n"], "definitions": {"n": {"type": "integer"}},
		"properties": {"n": {"$ref": "#/definitions/n"}, "me": {"$ref": "#"}}}'),
	domev.set_schema('ä"/~ é', '{"type": "array"}'), domev.set_schema('shop.order-audited.v1', 'true'), domev.set_schema('not told', '{"type": "object"}'),
	domev.set_schema('x_5F', 'false'),
	domev.set_schema('snake_case', '{"$schema": "http://json-schema.org/draft-07/schema#", "$id": "urn:x", "$defs": {"a": true}, "properties": {"a": {"$ref": "#/$defs/a"}}}');
SELECT pg_create_logical_replication_slot('documents', 'domev'), pg_create_logical_replication_slot('documents_pgoutput', 'pgoutput');

INSERT INTO orders VALUES (1, 'x');
DELETE FROM orders;
SELECT domev.emit('order.placed', 'v', '{}', '{"h": "x"}', aggregate_version => 9007199254740993);
