-- After the page's blocks: account a1 has three events, and one that failed.
CREATE TEMP VIEW received AS
SELECT n, data::jsonb AS e FROM pg_logical_slot_peek_changes('publisher', NULL, NULL) WITH ORDINALITY AS s (lsn, xid, data, n);

SELECT CASE WHEN (array_agg(e->>'type' ORDER BY n) =
		'{account.opened,account.deposited,account.withdrawn,bank.account-overdrawn.v1}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the slot delivers each event of the table once, and what is mapped from it'
FROM received;
SELECT CASE WHEN (count(*) = 3)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - type, id, version, payload and time of each are those of its row'
FROM account_events AS a
JOIN received AS r ON r.e->>'id' = a.id::text AND r.e->>'type' = a.event_type AND r.e->>'subject' = a.stream
	AND r.e->>'aggregateversion' = a.version::text AND r.e->'data' = a.payload AND (r.e->>'time')::timestamptz = a.at;
SELECT CASE WHEN (bool_and(e->>'user' = 'ann'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - headers too'
FROM received WHERE e->>'type' = 'account.opened';
SELECT CASE WHEN (bool_and(e->'data' = '{"account": "a1", "balance": -30}'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the mapping saw the stream with the event that it maps'
FROM received WHERE e->>'topic' = 'bank.accounts';
SELECT CASE WHEN ((SELECT count(*) FROM domev.outbox) + (SELECT count(*) FROM domev.idempotency) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - domev has stored no row';
SELECT CASE WHEN (NOT bool_or(e->'data' = '{"amount": 10}'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the append that lost was not published'
FROM received;

-- PostgreSQL counts the rows that a transaction writes: here the event's own, and no other.
DO $$ BEGIN PERFORM pg_stat_force_next_flush(); END $$;
BEGIN;
INSERT INTO account_events (stream, version, event_type, payload) VALUES ('a1', 4, 'account.withdrawn', '{"amount": 1}');
SELECT CASE WHEN (coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) = 1)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - an append writes the row of its event, and no other'
FROM pg_stat_xact_all_tables;
ROLLBACK;

-- Appends of one stream, the second of which fails: the whole statement is gone.
DO $$
BEGIN
	INSERT INTO account_events (stream, version, event_type, payload) VALUES
		('a1', 4, 'account.deposited', '{"amount": 1}'), ('a1', 3, 'account.deposited', '{"amount": 2}');
	RAISE EXCEPTION 'version 3 was appended twice';
EXCEPTION WHEN unique_violation THEN NULL;
END $$;
SELECT CASE WHEN ((SELECT max(version) FROM account_events) = 3 AND (SELECT count(*) FROM received) = 4)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - of appends that fail together none is stored or published';

DO $$
BEGIN
	INSERT INTO account_events (stream, version, event_type) VALUES ('a1', 4, 'account.closed');
	RAISE EXCEPTION 'an unknown event type was stored';
EXCEPTION WHEN undefined_object THEN NULL;
END $$;
SELECT CASE WHEN (NOT EXISTS (SELECT FROM account_events WHERE event_type = 'account.closed'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - an event type that is not registered cannot be stored';

-- The row that was there first may come a second time from a client that retries: its id is unique.
DO $$
DECLARE
	first uuid := (SELECT id FROM account_events WHERE version = 2);
BEGIN
	INSERT INTO account_events (stream, version, event_type, payload, id)
	VALUES ('a1', 4, 'account.deposited', '{"amount": 50}', first);
	RAISE EXCEPTION 'one id was stored twice';
EXCEPTION WHEN unique_violation THEN NULL;
END $$;
SELECT CASE WHEN ((SELECT count(*) FROM received) = 4)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - nor can an event be stored twice under one id';
