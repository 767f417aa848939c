-- Topics, event types and mappings are registered, altered and dropped; the registry is transactional.
CREATE EXTENSION domev;
CREATE FUNCTION public.map_one(e domev.domain_event) RETURNS SETOF domev.integration_event
	STABLE BEGIN ATOMIC SELECT (domev.make_integration_event('shop.one', (e).payload)).*; END;
CREATE FUNCTION public.map_two(e domev.domain_event) RETURNS SETOF domev.integration_event
	STABLE BEGIN ATOMIC SELECT (domev.make_integration_event('shop.two', (e).payload)).*; END;
CREATE VIEW registered AS
	SELECT 'topic' AS kind, topic AS name, concat_ws(' ', scope, storage, description) AS attributes FROM domev.topics
	UNION ALL SELECT 'event type', event_type, concat_ws(' ', aggregate_type, topic, journal, description) FROM domev.event_types
	UNION ALL SELECT 'mapping', mapping, concat_ws(' ', event_type, function, owner = current_user::regrole, topic, timing, on_error, produces, enabled, description)
		FROM domev.mappings ORDER BY 1, 2;

-- defaults, and everything given
SELECT domev.create_topic('orders');
SELECT domev.create_topic('orders.internal', scope => 'internal', storage => 'wal', description => 'for ourselves');
SELECT domev.create_event_type('order.placed', 'order');
SELECT domev.create_event_type('order.paid', 'order', topic => 'orders.internal', journal => true, description => 'money came');
SELECT domev.create_mapping('one', 'order.placed', 'public.map_one');
SELECT domev.create_mapping('two', 'order.placed', 'public.map_two', topic => 'orders', timing => 'immediate',
	on_error => 'abort', produces => ARRAY['shop.two', 'shop.three'], description => 'the second');
SELECT * FROM registered;

-- a name that exists is an error, or a notice for migrations that run again
SELECT domev.create_topic('orders');
SELECT domev.create_topic('orders', scope => 'internal', if_not_exists => true);
SELECT domev.create_event_type('order.paid', 'order');
SELECT domev.create_event_type('order.paid', 'other', if_not_exists => true);
SELECT domev.create_mapping('one', 'order.placed', 'public.map_one');
SELECT domev.create_mapping('one', 'order.paid', 'public.map_two', if_not_exists => true);

-- alter changes what is given and leaves the rest; reset goes back to the default
SELECT domev.alter_topic('orders', description => 'for others', storage => 'wal');
SELECT domev.alter_event_type('order.placed', topic => 'orders.internal', journal => false);
SELECT domev.alter_event_type('order.paid', aggregate_type => 'invoice', reset => '{topic,journal,description}');
SELECT domev.alter_mapping('one', function => 'public.map_two', topic => 'orders', enabled => false);
SELECT domev.alter_mapping('two', reset => '{topic,produces,description}');
SELECT * FROM registered;
SELECT domev.alter_topic('orders', reset => '{description}');
SELECT domev.alter_topic('orders', scope => 'internal');

-- drop, in the order of dependence
SELECT domev.drop_topic('orders.internal');
SELECT domev.drop_topic('orders');
SELECT domev.drop_event_type('order.placed');
SELECT domev.drop_mapping('one'), domev.drop_mapping('two');
SELECT domev.drop_event_type('order.placed'), domev.drop_event_type('order.paid');
SELECT domev.drop_topic('orders'), domev.drop_topic('orders.internal');
SELECT domev.drop_topic('orders'); -- error
SELECT domev.drop_topic('orders', if_exists => true), domev.drop_event_type('order.placed', true), domev.drop_mapping('one', true);
SELECT * FROM registered;

-- the registry's changes count at once, and are gone after rollback and rollback to a savepoint
CREATE FUNCTION emitted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM domev.outbox WHERE mapping IS NOT NULL';
SELECT domev.create_topic('orders'), domev.create_event_type('order.placed', 'order');
BEGIN;
SELECT domev.create_mapping('one', 'order.placed', 'public.map_one', topic => 'orders');
SELECT domev.emit('order.placed', 1) IS NOT NULL, emitted();
SAVEPOINT a;
SELECT domev.create_mapping('two', 'order.placed', 'public.map_two', topic => 'orders');
SELECT domev.emit('order.placed', 2) IS NOT NULL;
SELECT emitted(); -- 1 + 2
ROLLBACK TO a;
SELECT domev.emit('order.placed', 3) IS NOT NULL;
SELECT emitted(); -- 1 + 1
ROLLBACK;
SELECT domev.emit('order.placed', 4) IS NOT NULL;
SELECT emitted(); -- 0
BEGIN;
SELECT domev.create_event_type('order.paid', 'order');
SELECT domev.emit('order.paid', 1) IS NOT NULL;
ROLLBACK;
SELECT domev.emit('order.paid', 1); -- error

-- altered and dropped mappings, in a session that has them cached
SELECT domev.create_mapping('one', 'order.placed', 'public.map_one', topic => 'orders');
SELECT domev.emit('order.placed', 5) IS NOT NULL;
SELECT domev.alter_mapping('one', function => 'public.map_two');
SELECT domev.emit('order.placed', 6) IS NOT NULL;
SELECT domev.alter_mapping('one', enabled => false);
SELECT domev.emit('order.placed', 7) IS NOT NULL;
SELECT domev.alter_mapping('one', enabled => true);
SELECT domev.alter_topic('orders', storage => 'wal');
SELECT pg_create_logical_replication_slot('registry', 'domev') IS NOT NULL;
SELECT domev.emit('order.placed', 8) IS NOT NULL;
SELECT domev.drop_mapping('one');
SELECT domev.emit('order.placed', 9) IS NOT NULL;
SELECT aggregate_id, topic, event_type, mapping FROM domev.outbox ORDER BY recorded_at;
SELECT pg_drop_replication_slot('registry');

-- PREPARE TRANSACTION keeps the registry's changes
BEGIN;
SELECT domev.create_event_type('order.prepared', 'order');
PREPARE TRANSACTION 'registry';
SELECT domev.emit('order.prepared', 1); -- error
COMMIT PREPARED 'registry';
SELECT domev.emit('order.prepared', 1) IS NOT NULL;

-- the source of events
SELECT source FROM domev.source;
SELECT domev.set_source('https://shop.example/orders');
SELECT domev.set_source('urn:shop:orders');
SELECT * FROM domev.source ORDER BY initial;

SET client_min_messages = warning;
DROP VIEW registered;
DROP FUNCTION emitted;
DROP EXTENSION domev CASCADE;
