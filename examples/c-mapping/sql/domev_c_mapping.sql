--
-- Do mappings written in C, built against the installed domev.h, work?
--

CREATE EXTENSION domev_c_mapping CASCADE;

SELECT domev.create_topic('shop');
SELECT domev.create_topic('warehouse');
SELECT domev.create_event_type('order.placed', 'order', journal => false);
SELECT domev.create_mapping('announce', 'order.placed', 'c_mapping.announce_order', topic => 'shop');
SELECT domev.create_mapping('reserve', 'order.placed', 'c_mapping.reserve_items', topic => 'shop');
-- no topic: the function names one
SELECT domev.create_mapping('labels', 'order.placed', 'c_mapping.print_labels');

CREATE VIEW events AS
	SELECT aggregate_id, mapping, topic, event_type, coalesce(key, '(aggregate id)') AS key,
		payload, convert_from(data, 'UTF8') AS data, content_type, data_schema, headers
	FROM domev.outbox;

-- a single result, one per line as JSON, one per line as text; margin stays inside, headers are handed on
SELECT domev.emit('order.placed', 'o1', '{"customer": "c7", "total": 63.10, "margin": 0.21,
	"lines": [{"sku": "tea", "quantity": 2, "shelf": 7}, {"sku": "cup", "quantity": 1}]}',
	headers => '{"tenant": "north"}') IS NOT NULL AS emitted;
\x on
SELECT * FROM events WHERE mapping = 'announce';
\x off
SELECT mapping, topic, event_type, key, payload, headers FROM events WHERE mapping = 'reserve' ORDER BY key;
SELECT mapping, topic, event_type, key, data, content_type, headers FROM events WHERE mapping = 'labels' ORDER BY data;

-- NULL is no event: only the sets have results
SELECT domev.emit('order.placed', 'o2', '{"test": true, "lines": [{"sku": "pot", "quantity": 1}]}') IS NOT NULL AS emitted;
SELECT mapping, event_type, key, payload, data FROM events WHERE aggregate_id = 'o2' ORDER BY mapping;

-- an empty set is no event either: only the single result
SELECT domev.emit('order.placed', 'o3', '{"customer": "c8", "total": 0, "lines": []}') IS NOT NULL AS emitted;
SELECT mapping, event_type, key, payload, data FROM events WHERE aggregate_id = 'o3' ORDER BY mapping;

-- an error in the second call of a set, or before any result, says where it came from and leaves nothing behind
SELECT domev.emit('order.placed', 'o4', '{"lines": [{"sku": "tea", "quantity": 2}, {"sku": "cup"}]}');
SELECT domev.emit('order.placed', 'o4', '[]');
SELECT domev.alter_mapping('labels', enabled => false);
SELECT domev.emit('order.placed', 'o4', '{"lines": [{"sku": "tea", "quantity": 2}, 17]}');
SELECT domev.alter_mapping('labels', enabled => true);
SELECT count(*) FROM events WHERE aggregate_id = 'o4';

-- what is caught does not disturb the next event of the transaction
DO $$
BEGIN
	BEGIN
		PERFORM domev.emit('order.placed', 'o5', '{"lines": [{"sku": "tea", "quantity": 2}, {"sku": "cup"}]}');
	EXCEPTION WHEN invalid_parameter_value THEN
		RAISE NOTICE 'caught: %', SQLERRM;
	END;
	PERFORM domev.emit('order.placed', 'o5', '{"lines": [{"sku": "tea", "quantity": 3}, {"sku": "cup", "quantity": 4}]}');
END
$$;
SELECT mapping, event_type, key, payload, data FROM events WHERE aggregate_id = 'o5' ORDER BY mapping, key, data;

-- a payload that had to be compressed or moved out of line where it was stored
CREATE TABLE orders (id text, payload jsonb);
INSERT INTO orders
	SELECT 'o6', jsonb_build_object('lines', jsonb_agg(jsonb_build_object('sku', md5(i::text), 'quantity', i)))
	FROM generate_series(1, 1000) AS i;
SELECT count(domev.emit('order.placed', id, payload)) FROM orders;
SELECT mapping, count(*), count(DISTINCT key) AS keys, sum((payload ->> 'quantity')::int), max(data)
	FROM events WHERE aggregate_id = 'o6' GROUP BY mapping ORDER BY mapping;

-- a given id makes the ids of the results a function of it, the mapping and the position; and the call idempotent
SELECT domev.emit('order.placed', 'o7', '{"lines": [{"sku": "tea", "quantity": 2}, {"sku": "cup", "quantity": 1}]}',
	event_id => '01234567-89ab-7000-8000-000000000001');
SELECT domev.emit('order.placed', 'o7', '{"lines": [{"sku": "tea", "quantity": 2}, {"sku": "cup", "quantity": 1}]}',
	event_id => '01234567-89ab-7000-8000-000000000001');
SELECT mapping, event_id, causation_id, key, payload, convert_from(data, 'UTF8') AS data
	FROM domev.outbox WHERE aggregate_id = 'o7' ORDER BY mapping, key, data;

-- every function is one that PostgreSQL can call too, in the select list and in FROM
SELECT (c_mapping.announce_order(event)).event_type, (c_mapping.reserve_items(event)).key, labels.data
	FROM (SELECT ROW('01234567-89ab-7000-8000-000000000001', 'order.placed', 'order', 'o8', 1,
			'{"lines": [{"sku": "tea", "quantity": 2}]}', NULL, '2026-01-01')::domev.domain_event) AS e (event),
		c_mapping.print_labels(event) AS labels;
