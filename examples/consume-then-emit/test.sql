-- After the page's blocks: one event of the shop was received twice.
CREATE TEMP VIEW received_from_slot AS
SELECT n, data::jsonb AS e FROM pg_logical_slot_peek_changes('publisher', NULL, NULL) WITH ORDINALITY AS s (lsn, xid, data, n);

SELECT CASE WHEN (array_agg(e->>'type' ORDER BY n) = '{shipment.planned,warehouse.shipment-planned.v1}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - an event received twice is answered once'
FROM received_from_slot;
SELECT CASE WHEN ((SELECT count(*) FROM shipments) = 1)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - and there is one shipment';
SELECT CASE WHEN (bool_and(e->>'causationid' = '01a20ad7-9860-7bb8-a7b8-eac64f800609'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the domain event names the event received as its cause'
FROM received_from_slot WHERE e->>'topic' = 'warehouse';
SELECT CASE WHEN (bool_and(i.e->>'causationid' = d.e->>'id'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the integration event names the domain event'
FROM received_from_slot AS d, received_from_slot AS i WHERE d.e->>'topic' = 'warehouse' AND i.e->>'topic' = 'warehouse.shipments';
SELECT CASE WHEN (bool_and(e->'data' = '{"order": "42", "depot": "south"}'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - it says what the event said of the order, not what the shop says later'
FROM received_from_slot WHERE e->>'topic' = 'warehouse.shipments';

-- A consumer that dies before its commit has received nothing, so the repeat does it all.
BEGIN;
SET LOCAL domev.context = '{"causationid": "01a20ad7-9860-7bb8-a7b8-eac64f800610"}';
CALL receive_order_placed('{"id": "01a20ad7-9860-7bb8-a7b8-eac64f800610", "source": "/shop", "subject": "43", "data": {"city": "Porto"}}');
ROLLBACK;
SELECT CASE WHEN ((SELECT count(*) FROM domev.inbox) = 1 AND (SELECT count(*) FROM shipments) = 1
		AND (SELECT count(*) FROM domev.outbox) = 2)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a consumer that dies has received, done and said nothing';
CALL receive_order_placed('{"id": "01a20ad7-9860-7bb8-a7b8-eac64f800610", "source": "/shop", "subject": "43", "data": {"city": "Porto"}}');
SELECT CASE WHEN (count(*) = 2 AND bool_or(payload->>'depot' = 'north'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - and does it all when the event comes again'
FROM domev.outbox WHERE payload->>'order' = '43';
SELECT CASE WHEN (bool_and(causation_id IS NULL))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the context of one transaction is not the next one''s'
FROM domev.outbox WHERE payload->>'order' = '43' AND mapping IS NULL;
