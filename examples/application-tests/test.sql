-- After the page's blocks, whose tests were rolled back.
SELECT CASE WHEN ((SELECT count(*) FROM orders WHERE status = 'paid') = 0 AND (SELECT count(*) FROM domev.outbox) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - of the page''s tests no order and no event remains';

SELECT CASE WHEN (domev.alter_mapping('invoice-due-v1', timing => 'immediate')::text = '')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the mapping is immediate again';
BEGIN;
SET LOCAL domev.keep_emitted = on;
UPDATE orders SET status = 'paid' WHERE id = 42;
SELECT CASE WHEN (array_agg(event_type) = '{order.paid,shop.invoice-due.v1}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - a transaction sees what it has emitted, in both storages'
FROM domev.emitted_in_transaction();
SAVEPOINT s;
UPDATE orders SET status = 'paid' WHERE id = 43;
SELECT CASE WHEN (count(*) = 4)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - and what comes next'
FROM domev.emitted_in_transaction();
ROLLBACK TO s;
SELECT CASE WHEN (count(*) = 2)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - but not what is rolled back'
FROM domev.emitted_in_transaction();
ROLLBACK;

BEGIN;
SET LOCAL domev.keep_emitted = on;
SELECT CASE WHEN (count(*) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the next transaction starts with nothing'
FROM domev.emitted_in_transaction();
ROLLBACK;

-- The guard: an error, so that a test can see it.
DO $$
BEGIN
	SET LOCAL domev.aggregate_guard = error;
	UPDATE orders SET status = 'paid';
	RAISE EXCEPTION 'two aggregates in one transaction, and no error';
EXCEPTION WHEN integrity_constraint_violation THEN NULL;
END $$;
DO $$
BEGIN
	SET LOCAL domev.aggregate_guard = error;
	UPDATE orders SET status = 'paid' WHERE id = 43;
END $$;
SELECT CASE WHEN (array_agg(id) = '{43}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the guard lets one aggregate pass, and not two'
FROM orders WHERE status = 'paid';

SELECT CASE WHEN (count(*) FILTER (WHERE mapping IS NULL) = 1
		AND count(*) FILTER (WHERE event_type = 'shop.invoice-due.v1' AND error IS NULL) = 1)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - preview says what an event would become'
FROM domev.preview('order.paid', 42, '{"after": {"total": 1}}');
SELECT CASE WHEN (count(*) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - and keeps nothing of it'
FROM domev.outbox WHERE aggregate_id = '42';
