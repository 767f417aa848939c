-- After the page's blocks: 42 was paid twice under one id, 43 once and rolled back before.
CREATE TEMP VIEW received AS
SELECT n, data::jsonb AS e FROM pg_logical_slot_peek_changes('publisher', NULL, NULL) WITH ORDINALITY AS s (lsn, xid, data, n);

SELECT CASE WHEN (array_agg(e->>'type' ORDER BY n) = '{order.paid,shop.order-paid.v1}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a command sent twice is one event, and mapped once'
FROM received WHERE e->>'subject' = '42';
SELECT CASE WHEN (bool_and(e->>'id' = '0199a3c4-7d11-7abc-8def-000000000042'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - its id is the one that the client gave'
FROM received WHERE e->>'subject' = '42' AND e->>'type' = 'order.paid';
SELECT CASE WHEN (array_agg(e->>'type' ORDER BY n) = '{order.paid,shop.order-paid.v1}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - after a rollback the retry is the first time'
FROM received WHERE e->>'subject' = '43';
SELECT CASE WHEN (domev.emit('order.paid', 42, event_id => '0199a3c4-7d11-7abc-8def-000000000042') =
		'0199a3c4-7d11-7abc-8def-000000000042')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a third time it returns the id';
SELECT CASE WHEN (domev.emit('order.paid', 7, '{"another": "payload"}',
		event_id => '0199a3c4-7d11-7abc-8def-000000000042') IS NOT NULL)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - also for another aggregate and payload';
SELECT CASE WHEN ((SELECT count(*) FROM received) = 4)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - and neither is an event';
SELECT CASE WHEN ((SELECT count(*) FROM domev.outbox) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the outbox has no row';
SELECT CASE WHEN (array_agg(event_id ORDER BY event_id) =
		'{0199a3c4-7d11-7abc-8def-000000000042,0199a3c4-7d11-7abc-8def-000000000043}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - what is kept is a row for each id'
FROM domev.idempotency;

-- An id that was removed is new again.
DELETE FROM domev.idempotency WHERE event_id = '0199a3c4-7d11-7abc-8def-000000000042';
DO $$ BEGIN PERFORM domev.emit('order.paid', 42, event_id => '0199a3c4-7d11-7abc-8def-000000000042'); END $$;
SELECT CASE WHEN (count(*) = 4 AND count(DISTINCT e->>'id') = 2)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - once an id is removed it is emitted again, with the same ids for consumers to dedupe'
FROM received WHERE e->>'subject' = '42';
