-- Catching up: what is asked for, which slots there are, what is said of events that cannot be caught up with.  With lost slots: test/t/023_catch_up.pl.
CREATE EXTENSION domev;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('messages', 'internal', 'wal');
SELECT domev.create_event_type('placed', 'order', 'in'), domev.create_event_type('noted', 'order'), domev.create_event_type('said', 'order', 'messages');
\set VERBOSITY terse
SELECT domev.emit('placed', 1) IS NOT NULL, domev.emit('noted', 1) IS NOT NULL;
\set VERBOSITY default
CALL domev.catch_up('p', since => '-infinity');
CALL domev.catch_up('p');
CALL domev.catch_up('p', since => '-infinity', lost_slot => 'old');
CALL domev.catch_up(NULL, since => '-infinity');
CALL domev.catch_up('p p', since => '-infinity');
CALL domev.catch_up('p', lost_slot => 'old');
SELECT slot_name FROM pg_create_logical_replication_slot('old', 'domev');
CALL domev.catch_up('p', lost_slot => 'old');
CALL domev.catch_up('p', lost_slot => 'old', slot => 'new');
SELECT domev.emit('placed', 2) IS NOT NULL, domev.emit('noted', 2) IS NOT NULL, domev.emit('said', 2) IS NOT NULL;
SELECT slot_name FROM pg_create_logical_replication_slot('new', 'domev');
SELECT slot_name FROM pg_create_logical_replication_slot('not_of_domev', 'test_decoding');
CALL domev.catch_up('p', lost_slot => 'not_of_domev');

-- what the old one has not delivered; a warning with positions for the messages
\set VERBOSITY terse
SELECT domev.emit('placed', 3) IS NOT NULL;
CALL domev.catch_up('p', lost_slot => 'old', slot => 'new', dry_run => true);
-- what was committed between its snapshot and the making of the slot would be in neither
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL domev.catch_up('p', lost_slot => 'old', slot => 'new');
ROLLBACK;
SET default_transaction_isolation = 'serializable';
CALL domev.catch_up('p', lost_slot => 'old', slot => 'new');
RESET default_transaction_isolation;
CALL domev.catch_up('p', lost_slot => 'old', topics => '{in}', replay_id => '00000000-0000-0000-0000-000000000001');
SELECT data::json->>'subject' AS subject, data::json->>'replayid' AS replayid FROM pg_logical_slot_get_changes('new', NULL, NULL, 'replay', 'p');
SELECT lost_slot, since_xact_id = (SELECT min(xact_id::text::bigint) FROM domev.outbox WHERE aggregate_id = '2')::text::xid8 AS of_two, since, topics, events FROM domev.replays;

-- since a time; everything that was recorded then or later
SELECT recorded_at AS time FROM domev.outbox WHERE aggregate_id = '2' AND topic IS NOT NULL \gset
CALL domev.catch_up('p', since => :'time', replay_id => '00000000-0000-0000-0000-000000000002');
SELECT data::json->>'subject' AS subject, data::json->>'replayid' AS replayid FROM pg_logical_slot_peek_changes('new', NULL, NULL, 'replay', 'p');

SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name IN ('old', 'new', 'not_of_domev');
DROP EXTENSION domev;
