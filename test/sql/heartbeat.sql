-- domev.heartbeat(): a message that is no event, decoded at once and flushed, so that an idle database's slots move on.
CREATE EXTENSION domev;
SELECT pg_create_logical_replication_slot('beating', 'domev') IS NOT NULL, pg_create_logical_replication_slot('raw', 'test_decoding') IS NOT NULL;

-- flushed when it returns
SELECT domev.heartbeat() AS beat \gset
SELECT pg_current_wal_flush_lsn() >= :'beat'::pg_lsn AS flushed;
-- not transactional
BEGIN;
SELECT domev.heartbeat() IS NOT NULL AS in_a_transaction;
ROLLBACK;
SELECT data FROM pg_logical_slot_get_changes('raw', NULL, NULL, 'skip-empty-xacts', '1');
-- nothing for a client of ours, whose slot moves past it
SELECT domev.heartbeat() AS beat \gset
SELECT count(*) FROM pg_logical_slot_get_changes('beating', NULL, NULL);
SELECT confirmed_flush_lsn >= :'beat'::pg_lsn AS moved FROM pg_replication_slots WHERE slot_name = 'beating';
-- it takes no part in the sequence of a transaction
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
BEGIN;
SELECT domev.emit('e', 1) IS NOT NULL;
SELECT domev.heartbeat() IS NOT NULL;
SELECT domev.emit('e', 2) IS NOT NULL;
COMMIT;
SELECT data::jsonb->>'subject' AS subject, right(data::jsonb->>'sequence', 8) AS index FROM pg_logical_slot_get_changes('beating', NULL, NULL);
-- not for everybody
CREATE ROLE regress_domev_beating;
SET ROLE regress_domev_beating;
SELECT domev.heartbeat();
RESET ROLE;
GRANT EXECUTE ON FUNCTION domev.heartbeat() TO regress_domev_beating;
SET ROLE regress_domev_beating;
SELECT domev.heartbeat() IS NOT NULL AS granted;
RESET ROLE;

SELECT pg_drop_replication_slot('beating'), pg_drop_replication_slot('raw');
DROP EXTENSION domev;
DROP ROLE regress_domev_beating;
