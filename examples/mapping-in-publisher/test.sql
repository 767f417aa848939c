-- After the page's blocks: order 1 has changed, order 2 is gone, order 3 is as it was.
CREATE TEMP VIEW received AS
SELECT n, data::jsonb AS e FROM pg_logical_slot_peek_changes('publisher', NULL, NULL) WITH ORDINALITY AS s (lsn, xid, data, n);
CREATE TEMP VIEW answers AS
SELECT (d.e->>'subject')::int AS id, t.city AS publisher_city, t.total AS publisher_total,
	i.e->'data'->>'city' AS domev_city, (i.e->'data'->>'total')::numeric AS domev_total
FROM received AS d
JOIN received AS i ON i.e->>'causationid' = d.e->>'id'
LEFT JOIN order_totals AS t ON t.id = (d.e->>'subject')::bigint
WHERE d.e->>'type' = 'order.placed';

SELECT CASE WHEN (array_agg(e->>'type' ORDER BY n) = '{order.placed,shop.order-placed.v1,order.placed,shop.order-placed.v1,
		order.placed,shop.order-placed.v1}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - three orders were placed, and others told of each'
FROM received;
SELECT CASE WHEN (bool_and((publisher_city, publisher_total, domev_city, domev_total) = ('Porto', 63.10, 'Lisbon', 50.00)))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - of an order that changed the publisher says what it is later, domev what was placed'
FROM answers WHERE id = 1;
SELECT CASE WHEN (bool_and(publisher_total IS NULL AND domev_city = 'Lisbon' AND domev_total = 12.50))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - of one that is gone the publisher can say nothing, domev what was placed'
FROM answers WHERE id = 2;
SELECT CASE WHEN (bool_and(publisher_city = domev_city AND publisher_total = domev_total))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - where nothing happened in between they agree'
FROM answers WHERE id = 3;

CREATE TEMP TABLE before AS SELECT * FROM answers;
UPDATE order_lines SET price = price + 1;
SELECT CASE WHEN (bool_and(b.publisher_total <> a.publisher_total
		AND b.domev_total = a.domev_total AND b.domev_city = a.domev_city))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - asked again, the publisher says a third thing, domev the same'
FROM before AS b JOIN answers AS a USING (id) WHERE id = 1;
