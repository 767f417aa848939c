-- After the page's blocks.
CREATE TEMP VIEW received AS
SELECT n, data::jsonb AS e FROM pg_logical_slot_peek_changes('publisher', NULL, NULL) WITH ORDINALITY AS s (lsn, xid, data, n);

SELECT CASE WHEN (array_agg(e->>'type' ORDER BY n) =
		'{order.placed,shop.order-placed.v1,order.redirected,order.paid,order.cancelled}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - each change is the event that it means, and two changes are none'
FROM received;
SELECT CASE WHEN (bool_and(e->'data' = '{"order": "42", "city": "Lisbon", "lines": 2, "total": 63.10}'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the deferred mapping saw the lines, which came after the order'
FROM received WHERE e->>'topic' = 'shop.orders';
SELECT CASE WHEN (bool_and(e->'data'->'before' = '{"id": 42, "status": "placed"}'
		AND e->'data'->'after' = '{"id": 42, "status": "paid"}' AND e->'data'->'changed' = '["status"]'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the payload has the columns that count, before and after'
FROM received WHERE e->>'type' = 'order.paid';
SELECT CASE WHEN (bool_and(e->'data'->'after' ?& '{id,customer,status}'
		AND NOT e->'data'->'after' ?| '{street,city,clerk_note,updated_at}'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - columns to ignore are not in the payload'
FROM received WHERE e->>'type' = 'order.cancelled';
SELECT CASE WHEN (NOT bool_or(e::text ~ 'called twice|changed her mind'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - what the clerk noted is told nobody'
FROM received;
SELECT CASE WHEN (NOT has_table_privilege('capture_clerk', 'domev_event."order.placed"', 'INSERT'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the application had no right to emit';

-- The same as an immediate mapping: it runs before the lines are there.
DO $$
BEGIN
	PERFORM domev.alter_mapping('order-placed-v1', timing => 'immediate');
	INSERT INTO orders (id, customer, street, city) VALUES (43, 'Bob', 'Rua da Prata 2', 'Lisbon');
	INSERT INTO order_lines VALUES (43, 'tea', 1, 12.50);
END $$;
SELECT CASE WHEN (bool_and((payload->>'lines')::int = 0))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - an immediate mapping would have run before the lines were there'
FROM domev.outbox WHERE aggregate_id = '43' AND mapping IS NOT NULL;

-- One UPDATE may mean two things.
UPDATE orders SET status = 'paid', city = 'Porto' WHERE id = 43;
SELECT CASE WHEN (array_agg(event_type ORDER BY event_type) = '{order.paid,order.redirected}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - an UPDATE that means two things is two events'
FROM domev.outbox WHERE aggregate_id = '43' AND event_type IN ('order.paid', 'order.redirected');

-- What is rolled back.
BEGIN;
UPDATE orders SET status = 'cancelled' WHERE id = 43;
ROLLBACK;
SELECT CASE WHEN (count(*) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a cancellation that is rolled back is not told'
FROM domev.outbox WHERE aggregate_id = '43' AND event_type = 'order.cancelled';

-- A set of rows: an event for each.
INSERT INTO orders (id, customer, street, city) SELECT i, 'Eve', 'Rua Nova', 'Faro' FROM generate_series(100, 104) AS i;
UPDATE orders SET status = 'paid' WHERE id >= 100;
SELECT CASE WHEN (count(DISTINCT aggregate_id) = 5 AND count(*) = 5)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a statement that pays five orders is five events'
FROM domev.outbox WHERE event_type = 'order.paid' AND aggregate_id::bigint >= 100;
