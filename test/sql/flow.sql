-- domev.flow: the registry as a Mermaid flowchart; its names are text in it, whatever they are (test/documents has it read by Mermaid).
CREATE EXTENSION domev;
\pset format unaligned
\pset tuples_only on
SELECT domev.flow();
CREATE SCHEMA flow;
CREATE TABLE flow.orders (id int PRIMARY KEY, status text);
CREATE TABLE flow.events (stream text, kind text, p jsonb);
CREATE FUNCTION flow.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC SELECT (domev.make_integration_event('i')).*; END;
SELECT domev.create_topic('orders', 'internal'), domev.create_topic('shop.orders'), domev.create_topic('fast', storage => 'wal');
SELECT domev.create_event_type('order.placed', 'order', 'orders'), domev.create_event_type('order.paid', 'order'), domev.create_event_type('nobody cares', 'order');
SELECT domev.create_mapping('placed-v1', 'order.placed', 'flow.m', 'shop.orders', produces => '{shop.order-placed.v1, shop.order-audited.v1}'),
	domev.create_mapping('paid-v1', 'order.paid', 'flow.m', 'fast', timing => 'deferred', on_error => 'record'),
	domev.create_mapping('anywhere', 'order.paid', 'flow.m', produces => '{i}'), domev.create_mapping('off', 'order.paid', 'flow.m', 'shop.orders');
SELECT domev.alter_mapping('off', enabled => false);
SELECT domev.create_capture('placed', 'flow.orders', 'insert', 'id', 'order.placed'), domev.create_capture('paid', 'flow.orders', 'update', 'id', 'order.paid'),
	domev.create_capture('off', 'flow.orders', 'delete', 'id', 'order.paid'), domev.create_capture('events', 'flow.events', 'insert', 'stream', event_type_column => 'kind', payload_column => 'p');
SELECT domev.alter_capture('off', enabled => false);
SELECT count(pg_create_logical_replication_slot('flow_' || n, p)) FROM (VALUES (1, 'domev'), (2, 'pgoutput')) AS v (n, p);
SELECT domev.flow();
-- not what is of another database, nor a physical slot; the same for whoever asks, and wherever things are found
SELECT domev.flow() AS flow \gset
CREATE DATABASE flow_other;
\set here :DBNAME
\c flow_other
SELECT count(pg_create_logical_replication_slot('flow_other', 'domev'));
SELECT count(pg_create_physical_replication_slot('flow_physical'));
\c :here
CREATE ROLE regress_plain;
SET ROLE regress_plain;
SET search_path = flow;
SELECT domev.flow() = :'flow';
BEGIN READ ONLY;
SELECT domev.flow() = :'flow';
COMMIT;
RESET ROLE;
RESET search_path;

-- a capture whose event type is gone, as after a restore in parts
SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots WHERE slot_name ~ '^flow_';
SELECT domev.drop_mapping(mapping) FROM domev.mappings WHERE event_type = 'order.placed';
DELETE FROM domev.event_types WHERE event_type = 'order.placed';
SELECT line FROM regexp_split_to_table(domev.flow(), E'\n') WITH ORDINALITY AS l (line, n) WHERE line ~ '^ *class|order.placed|placed: ' ORDER BY n;
DROP TABLE flow.orders, flow.events;
SELECT count(domev.drop_mapping(mapping)) FROM domev.mappings;
SELECT count(domev.drop_event_type(event_type)) FROM domev.event_types;
SELECT domev.flow();

-- whatever is not plain text is an entity code
SELECT string_agg(chr(n), '') FROM generate_series(1, 127) AS n WHERE domev.quote_mermaid(chr(n)) = chr(n);
SELECT string_agg(chr(n), '') FROM generate_series(1, 127) AS n WHERE domev.quote_mermaid('x' || chr(n)) = 'x' || chr(n);
SELECT n, domev.quote_mermaid(n) FROM unnest(ARRAY['', 'a"b', 'a_b _c_', '1. x', '- x', '"]--> n1', 'a #quot; b', E'two\nlines', '<script>', '%%{init: {}}%%', '`md`', 'end', '日本 🙂', NULL]) AS n;
DROP FUNCTION flow.m;
DROP SCHEMA flow;
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP DATABASE flow_other;
DROP ROLE regress_plain;
