-- What the output plugin sends: CloudEvents JSON, in commit order, of committed transactions, from text and binary functions.
CREATE EXTENSION domev;
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('shop.e', (e).payload, key => 'k', content_type => 'application/vnd.e+json', data_schema => 'urn:e:1', headers => '{"flag": true, "n": 7}')).*; END;
CREATE FUNCTION public.b(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('shop.b', data => '\x00ff10')).*; END;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_event_type('e', 'thing', 'in');
SELECT domev.create_mapping('m', 'e', 'public.m', topic => 'out'), domev.create_mapping('b', 'e', 'public.b', topic => 'out');

-- nothing is sent of what was before the slot, nor of the registry
SELECT domev.emit('e', 'before') IS NOT NULL;
SELECT pg_create_logical_replication_slot('output', 'domev') IS NOT NULL;
SELECT domev.create_event_type('x', 'thing');
SELECT count(*) FROM pg_logical_slot_get_changes('output', NULL, NULL);

-- the whole event as it is received, but for ids and positions
CREATE FUNCTION received(slot name) RETURNS TABLE (event text) LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace(data, '"(id|causationid)":"[0-9a-f-]{36}"', '"\1":"…"', 'g'), '"sequence":"[0-9A-F]{16}\.', '"sequence":"….')
	FROM pg_logical_slot_get_changes(slot, NULL, NULL) $$;
BEGIN;
SET LOCAL domev.context = '{"trace": "abc"}';
SELECT domev.emit('e', 'a "1"', '{"amount": 63.10}', aggregate_version => 9007199254740993, occurred_at => '2026-01-02 03:04:05.678901+02') IS NOT NULL;
COMMIT;
SELECT * FROM received('output');
SET timezone = 'Asia/Kolkata';
SET datestyle = 'SQL, DMY';
SET bytea_output = 'escape';
SELECT domev.emit('e', 'settings', occurred_at => '2026-01-02 03:04:05+00') IS NOT NULL;
SELECT * FROM received('output');
RESET ALL;

-- ids: those of the rows; causation; sequence rises in the stream; the end of each transaction is marked
BEGIN;
SELECT domev.emit('e', 'tx1 1') IS NOT NULL;
SELECT domev.emit('e', 'tx1 2') IS NOT NULL;
COMMIT;
SELECT domev.emit('x', 'journal only') IS NOT NULL;
SELECT domev.emit('e', 'tx2') IS NOT NULL;
CREATE TABLE got AS SELECT lsn, xid, data::jsonb AS e, row_number() OVER () AS n FROM pg_logical_slot_peek_changes('output', NULL, NULL);
SELECT n, e->>'subject' AS subject, e->>'type' AS type, right(e->>'sequence', 9) AS index, e->'endoftransaction' AS last,
	o.event_id IS NOT NULL AS is_row, coalesce((e->>'causationid')::uuid = o.causation_id, o.causation_id IS NULL) AS causation
FROM got LEFT JOIN domev.outbox AS o ON o.event_id = (e->>'id')::uuid ORDER BY n;
SELECT bool_and(e->>'sequence' > previous) AS rising FROM (SELECT e, lag(e->>'sequence') OVER (ORDER BY n) AS previous FROM got) AS g WHERE previous IS NOT NULL;
-- redelivery is byte-equal
SELECT count(*) FROM got JOIN pg_logical_slot_peek_changes('output', NULL, NULL) AS p ON p.data::jsonb = got.e AND p.lsn = got.lsn;
-- positions: only the last event of a transaction has its end, which no earlier one reaches
SELECT bool_and(CASE WHEN (e->>'endoftransaction')::boolean THEN lsn >= final ELSE lsn < final END) AS positions
FROM (SELECT *, (substr(e->>'sequence', 1, 8) || '/' || substr(e->>'sequence', 9, 8))::pg_lsn AS final FROM got) AS g;
DROP TABLE got;

-- the binary functions return the same bytes
SELECT count(*), bool_and(convert_from(b.data, 'UTF8') = t.data) AS same
FROM pg_logical_slot_peek_binary_changes('output', NULL, NULL) WITH ORDINALITY AS b
JOIN pg_logical_slot_peek_changes('output', NULL, NULL) WITH ORDINALITY AS t USING (ordinality);
SELECT count(*) FROM pg_logical_slot_get_changes('output', NULL, NULL);

-- rolled back, wholly and in part; nothing of updates, deletes and truncation of the outbox
BEGIN;
SELECT domev.emit('e', 'gone') IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT domev.emit('x', 'journal') IS NOT NULL;
SAVEPOINT s;
SELECT domev.emit('e', 'gone') IS NOT NULL;
ROLLBACK TO s;
COMMIT;
UPDATE domev.outbox SET topic = 'out' WHERE topic = 'in';
DELETE FROM domev.outbox WHERE topic = 'out';
TRUNCATE domev.outbox;
SELECT count(*) FROM pg_logical_slot_get_changes('output', NULL, NULL);

-- the source as of the event, also when it changes in the middle of a transaction
BEGIN;
SELECT domev.emit('e', 'one') IS NOT NULL;
SELECT domev.set_source('urn:two');
SELECT domev.emit('e', 'two') IS NOT NULL;
COMMIT;
SELECT domev.set_source('urn:three');
SELECT domev.emit('e', 'three') IS NOT NULL;
SELECT data::jsonb->>'subject' AS subject, min(data::jsonb->>'source'), max(data::jsonb->>'source') FROM pg_logical_slot_get_changes('output', NULL, NULL) GROUP BY 1 ORDER BY 2, 3;

-- upto_nchanges and upto_lsn return whole transactions
BEGIN;
SELECT domev.emit('e', 'a') IS NOT NULL;
COMMIT;
SELECT domev.emit('e', 'b') IS NOT NULL;
SELECT count(*) FROM pg_logical_slot_peek_changes('output', NULL, 1);

-- the registry's tables may be rewritten and reindexed before the slot is read: what was there is still read
SELECT domev.set_source('urn:four');
SELECT domev.emit('e', 'before rewriting') IS NOT NULL;
VACUUM FULL domev.topics, domev.source, domev.message_key;
REINDEX TABLE domev.topics;
REINDEX TABLE domev.source;
SELECT data::jsonb->>'subject' AS subject, data::jsonb->>'source' AS source FROM pg_logical_slot_peek_changes('output', NULL, NULL, 'scope', 'external', 'event_types', 'shop.e');

-- the extension can be dropped and made again: events that were not read yet are still sent (with no source left), and the slot goes on
SELECT count(*) FROM pg_logical_slot_get_changes('output', NULL, NULL);
SELECT domev.emit('e', 'before the drop') IS NOT NULL;
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
CREATE EXTENSION domev;
SELECT domev.create_topic('in', 'internal'), domev.create_event_type('e', 'thing', 'in');
SELECT domev.emit('e', 'after the drop') IS NOT NULL;
SELECT data::jsonb->>'subject' AS subject, data::jsonb->>'type' AS type, data::jsonb->>'source' AS source FROM pg_logical_slot_get_changes('output', NULL, NULL);
-- but changes of the registry that were not read yet are more than PostgreSQL can decode once its tables are gone, for whatever
-- plugin; the way out is to move the slot
SELECT domev.create_topic('unread');
DROP EXTENSION domev CASCADE;
SELECT count(*) FROM pg_replication_slot_advance('output', pg_current_wal_lsn());
SELECT count(*) FROM pg_logical_slot_get_changes('output', NULL, NULL);
SELECT pg_drop_replication_slot('output');
DROP FUNCTION received;
