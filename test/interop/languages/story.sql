-- What has the service left behind?  One row for each thing that is not as it should be; takes the variable "order".
CREATE TEMP TABLE event AS
	SELECT row_number() OVER () AS n, data::json AS e FROM pg_logical_slot_peek_changes(replace(current_database(), '-', '_'), NULL, NULL);

-- As text: 63.10 and 63.1 are equal numbers.
CREATE TEMP TABLE expected (n, type, topic, version, data) AS VALUES
	(1, 'order.placed', 'orders', '1', '{"total": 63.10, "customer": 7}'),
	(2, 'shop.order-placed.v1', 'shop.orders', '1', format('{"city": "Lisbon", "order": "%s", "total": 63.10, "customer": "Ann"}', :'order')),
	(3, 'order.cancelled', 'orders', NULL, '{"reason": "too late"}');

SELECT 'events: ' || coalesce(string_agg(e->>'type', ', ' ORDER BY n), 'none') FROM event
	HAVING array_agg(e->>'type' ORDER BY n) IS DISTINCT FROM (SELECT array_agg(type ORDER BY n) FROM expected);
SELECT 'event: ' || e FROM event JOIN expected USING (n)
	WHERE (e->>'topic', e->>'aggregateversion', e->>'data', e->>'subject') IS DISTINCT FROM (topic, version, data, :'order');
SELECT 'headers: ' || e FROM event
	WHERE (e->>'user', e->>'traceparent') IS DISTINCT FROM ('ann', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
SELECT 'cause: ' || e FROM event
	WHERE e->>'causationid' IS DISTINCT FROM CASE n WHEN 2 THEN (SELECT e->>'id' FROM event WHERE n = 1) END;
SELECT 'command: ' || e FROM event WHERE n = 3 AND e->>'id' <> '0199a3c4-7d11-7abc-8def-000000000042';
SELECT 'orders: ' || coalesce(string_agg(o::text, ', '), 'none') FROM orders AS o
	HAVING string_agg(o::text, ', ') IS DISTINCT FROM format('(%s,7,63.10,cancelled)', :'order');
SELECT 'not tried: ' || s FROM (VALUES ('lost_insert'), ('lost_update'), ('lost_commit')) AS v (s)
	WHERE coalesce(pg_sequence_last_value(s::regclass), 0) < 2;
