-- A database that uses everything that has to survive a move; psql runs it in the database "shop".  Roles are made by roles.sql.
CREATE EXTENSION domev;
SELECT domev.create_topic('shop', 'internal'), domev.create_topic('orders', description => 'for others'), domev.create_topic('fast', storage => 'wal');
SELECT domev.create_event_type('order.placed', 'order', 'shop', description => 'somebody wants it'), domev.create_event_type('order.changed', 'order'),
	domev.create_event_type('Odd "name" é', 'it''s');
CREATE SCHEMA mapper AUTHORIZATION move_mapper;
CREATE SCHEMA app AUTHORIZATION move_owner;
GRANT INSERT ON domev_event."order.placed", domev_event."order.changed", domev_topic.orders, domev_topic.fast TO move_mapper;
GRANT INSERT ON domev_event."order.placed", domev_event."order.changed", domev_event."Odd ""name"" é" TO move_owner;
GRANT SELECT ON domev_topic.orders TO move_publisher WITH GRANT OPTION;
GRANT SELECT ON domev_topic.fast, domev_topic.shop TO move_publisher;
GRANT EXECUTE ON FUNCTION domev.create_mapping, domev.alter_mapping, domev.create_capture, domev.alter_capture, domev.capture_change TO move_mapper, move_owner;
SET ROLE move_mapper;
CREATE FUNCTION mapper.placed(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('order-placed.v1', (e).payload)).*; END;
CREATE FUNCTION mapper.fails(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('order-changed.v1', to_jsonb(1 / (length((e).aggregate_id) - 1)))).*; END;
SELECT domev.create_mapping('placed', 'order.placed', 'mapper.placed', 'orders', produces => '{order-placed.v1}'),
	domev.create_mapping('placed fast', 'order.placed', 'mapper.placed', 'fast', timing => 'deferred', description => 'the same, at commit'),
	domev.create_mapping('changed', 'order.changed', 'mapper.fails', 'orders', on_error => 'record'),
	domev.create_mapping('off', 'order.placed', 'mapper.fails', 'orders');
SELECT domev.alter_mapping('off', enabled => false);
SET ROLE move_owner;
CREATE TABLE app.orders (id int, status text, secret text) PARTITION BY RANGE (id);
CREATE TABLE app.orders_1 PARTITION OF app.orders FOR VALUES FROM (0) TO (1000000);
CREATE TABLE app.orders_2 PARTITION OF app.orders DEFAULT;
CREATE TABLE app.documents (id text PRIMARY KEY, kind text, body jsonb);
SELECT domev.create_capture('placed', 'app.orders', 'insert', 'id', 'order.placed', ignore => '{secret}'),
	domev.create_capture('changed', 'app.orders', 'update', 'id', 'order.changed', condition => $$NEW.status IS DISTINCT FROM 'it''s \ "none"'$$),
	domev.create_capture('documents', 'app.documents', 'insert', 'id', event_type_column => 'kind', payload_column => 'body'),
	domev.create_capture('off', 'app.orders', 'delete', 'id', 'order.changed', description => 'not yet');
SELECT domev.alter_capture('off', enabled => false);
RESET ROLE;
SELECT domev.set_source('urn:shop'), domev.set_schema('order-placed.v1', '{"type": "object"}');
SELECT pg_create_logical_replication_slot('publisher', 'domev');
INSERT INTO app.orders VALUES (1, 'placed', 'x'), (2000000, 'placed', 'y');
UPDATE app.orders SET status = 'paid' WHERE id = 1;
UPDATE app.orders SET status = 'paid' WHERE id = 2000000;
INSERT INTO app.documents VALUES ('d', 'Odd "name" é', '{"n": 63.10}');
SELECT domev.emit('order.placed', 'command', event_id => '00000000-0000-0000-0000-000000000001');
