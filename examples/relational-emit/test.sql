-- After the page's blocks: order 42 is placed, order 43 was rolled back.
CREATE TEMP VIEW received AS
SELECT n, data::jsonb AS e FROM pg_logical_slot_peek_changes('publisher', NULL, NULL) WITH ORDINALITY AS s (lsn, xid, data, n);

SELECT CASE WHEN (array_agg(e->>'type' ORDER BY n) = '{order.placed,shop.order-placed.v1}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the slot delivers the domain event, then its integration event, and no other'
FROM received;
SELECT CASE WHEN (bool_and(e->'data' = '{"order": 42, "customer": "Ann", "city": "Lisbon", "total": 63.10,
		"items": {"cup": 1, "tea": 4}}'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the mapping saw the lines of its own transaction, and the customer'
FROM received WHERE e->>'topic' = 'shop.orders';
SELECT CASE WHEN (bool_and(i.e->>'causationid' = d.e->>'id'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the integration event names the domain event as its cause'
FROM received AS d, received AS i WHERE d.e->>'topic' = 'orders' AND i.e->>'topic' = 'shop.orders';
SELECT CASE WHEN (count(*) = 2 AND count(DISTINCT xact_id) = 1)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the outbox has both, of one transaction'
FROM domev.outbox;
SELECT CASE WHEN (NOT EXISTS (SELECT FROM orders WHERE id = 43)
		AND NOT EXISTS (SELECT FROM domev.outbox WHERE aggregate_id = '43')
		AND NOT EXISTS (SELECT FROM received WHERE e->>'subject' = '43'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - of what was rolled back there is neither order nor event';

-- The mapping's query finds nothing: no integration event, and no error.
DO $$ BEGIN PERFORM domev.emit('order.placed', 99); END $$;
SELECT CASE WHEN (array_agg(topic) = '{orders}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a mapping that finds no row makes no event'
FROM domev.outbox WHERE aggregate_id = '99';

-- A mapping that fails takes the order with it: this id is no number.
DO $$
BEGIN
	INSERT INTO orders VALUES (44, 7);
	PERFORM domev.emit('order.placed', 'forty-four');
EXCEPTION WHEN invalid_text_representation THEN NULL;
END $$;
SELECT CASE WHEN (NOT EXISTS (SELECT FROM orders WHERE id = 44)
		AND NOT EXISTS (SELECT FROM domev.outbox WHERE aggregate_id = 'forty-four'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - when the mapping fails there is neither order nor event';
