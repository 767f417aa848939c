-- Rows of the outbox that another transaction than their own writes are not published: restored, moved, copied.
CREATE EXTENSION domev;
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
SELECT pg_create_logical_replication_slot('restored', 'domev') IS NOT NULL;
SELECT count(domev.emit('e', i)) FROM generate_series(1, 3) AS i;
SELECT count(*) FROM pg_logical_slot_get_changes('restored', NULL, NULL);

-- as a superuser restores them: by INSERT … SELECT, and as pg_dump does, by COPY
CREATE TABLE backup AS TABLE domev.outbox;
TRUNCATE domev.outbox;
INSERT INTO domev.outbox TABLE backup;
\copy backup TO 'results/restored_rows.data'
TRUNCATE domev.outbox;
\copy domev.outbox FROM 'results/restored_rows.data'
SELECT count(*) FROM domev.outbox;
SELECT count(*) FROM pg_logical_slot_get_changes('restored', NULL, NULL);

-- moved from the default partition to one of their time, in the way that PostgreSQL demands
BEGIN;
CREATE TABLE moved (LIKE domev.outbox);
WITH old AS (DELETE FROM domev.outbox_default RETURNING *) INSERT INTO moved TABLE old;
DO $$ BEGIN EXECUTE format('ALTER TABLE domev.outbox ATTACH PARTITION moved FOR VALUES FROM (%L) TO (%L)', now() - interval '1 day', now() + interval '1 day'); END $$;
COMMIT;
-- by an update of the partition key, which is a delete and an insert
UPDATE domev.outbox SET recorded_at = recorded_at + interval '3 days' WHERE aggregate_id = '1';
SELECT tableoid::regclass, count(*) FROM domev.outbox GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM pg_logical_slot_get_changes('restored', NULL, NULL);

-- together with genuine events in one transaction: only those
BEGIN;
INSERT INTO domev.outbox TABLE backup;
SELECT domev.emit('e', 'genuine') IS NOT NULL;
INSERT INTO domev.outbox TABLE backup;
COMMIT;
SELECT data::jsonb->>'subject' AS subject, right(data::jsonb->>'sequence', 8) AS index, data::jsonb->>'endoftransaction' AS last FROM pg_logical_slot_get_changes('restored', NULL, NULL);

-- rewritten by VACUUM FULL and CLUSTER: not published again
VACUUM FULL domev.outbox_default;
VACUUM FULL moved;
SELECT count(*) FROM pg_logical_slot_get_changes('restored', NULL, NULL);

-- with its own transaction id but without what an event must have: said to be unpublishable, by the same id, never an error
ALTER TABLE domev.outbox ALTER aggregate_id DROP NOT NULL;
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, occurred_at)
	VALUES ('00000000-0000-0000-0000-000000000001', now(), pg_current_xact_id(), 't', 'broken', 'a', now());
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, headers, occurred_at)
	SELECT '00000000-0000-0000-0000-000000000002', now(), pg_current_xact_id(), 't', 'broken ' || headers, 'a', 'x', headers::json, '2026-01-02 03:04:05+00'
	FROM unnest('{"[1]",null,"{}","{ }","1","{\"ok\": 1}"}'::text[]) AS headers WHERE headers IS NOT NULL;
SELECT regexp_replace(data, '"sequence":"[0-9A-F]{16}\.', '"sequence":"….') FROM pg_logical_slot_get_changes('restored', NULL, NULL);

SELECT pg_drop_replication_slot('restored');
SET client_min_messages = warning;
DROP TABLE backup;
DROP EXTENSION domev CASCADE;
