-- After the page's blocks.
CREATE TEMP VIEW received AS
SELECT n, data::jsonb AS e FROM pg_logical_slot_peek_changes('publisher', NULL, NULL) WITH ORDINALITY AS s (lsn, xid, data, n);

SELECT CASE WHEN (array_agg(e->>'type' ORDER BY n) =
		'{customer.registered,customer.changed,customer.moved,customer.moved,crm.customer-moved.v1}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - each change of the document is the event that it means'
FROM received;
SELECT CASE WHEN (bool_and(e->'data'->'changed' @> '["document.phone", "document.tags"]'
		AND NOT e->'data'->'changed' @> '["document.name"]' AND NOT e->'data'->'changed' @> '["document.address"]'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - "changed" names the keys that differ, one that came included, and no other'
FROM received WHERE e->>'type' = 'customer.changed';
SELECT CASE WHEN (bool_and(e->'data'->'changed' @> '["document.address"]'
		AND NOT e->'data'->'changed' @> '["document.address.city"]'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - but not what is deeper in the document'
FROM received WHERE e->>'aggregateversion' = '4' AND e->>'type' = 'customer.moved';
SELECT CASE WHEN (bool_and(e #>> '{data,before,document,address,city}' = 'Lisbon'
		AND e #>> '{data,after,document,address,city}' = 'Porto'
		AND e #> '{data,after,document}' = (SELECT document FROM customers WHERE id = 'c7')))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the payload has the document before and after'
FROM received WHERE e->>'aggregateversion' = '4' AND e->>'type' = 'customer.moved';
SELECT CASE WHEN (bool_and(e->'data' ? 'after' AND NOT e->'data' ? 'before'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - an insert has no "before"'
FROM received WHERE e->>'type' = 'customer.registered';
SELECT CASE WHEN (jsonb_agg(e->'data') = '[{"customer": "c7", "from": "Lisbon", "to": "Porto"}]')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - others are told of the one move between cities, and of nothing else'
FROM received WHERE e->>'topic' = 'crm.customers';
SELECT CASE WHEN (array_agg(e->>'aggregateversion' ORDER BY n) = '{1,2,3,4,4}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - events carry the version of the document'
FROM received;

UPDATE customers SET version = 9 WHERE id = 'c7';
SELECT CASE WHEN (count(*) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a new version of the same document is no event'
FROM domev.outbox WHERE aggregate_version = 9;

UPDATE customers SET version = 10, document = document - 'phone' WHERE id = 'c7';
SELECT CASE WHEN (bool_and((payload->'changed')::jsonb @> '["document.phone"]'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a key that is gone has changed'
FROM domev.outbox WHERE aggregate_version = 10;
