-- What is old goes when all that read it have confirmed it, or when it is as old as max_keep says; by partitions, and in the default partition by rows.
CREATE EXTENSION domev;
SET timezone = 'UTC';
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
-- as maintain made it long ago, when its events were emitted
CREATE FUNCTION put(at timestamptz) RETURNS void LANGUAGE sql AS $$
	INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, occurred_at)
	SELECT gen_random_uuid(), at, pg_current_xact_id(), 't', 'e', 'a', 'x', at FROM generate_series(1, 3) $$;
CREATE FUNCTION put(name text, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	EXECUTE format('CREATE TABLE domev.%I PARTITION OF domev.outbox FOR VALUES FROM (%L) TO (%L)', name, at, at + interval '1 day');
	EXECUTE format('ALTER EXTENSION domev ADD TABLE domev.%I', name);
	PERFORM put(at);
END $$;
SELECT count(*) FROM domev.maintain();

-- nothing goes that is to be kept, which is everything unless something else is said
SELECT put('one', '2001-01-01'), put('two', '2002-01-01');
SELECT * FROM domev.maintain();
SELECT domev.set_retention(keep => '1000 years');
SELECT * FROM domev.maintain();
SELECT domev.set_retention(keep => '10 years');
SELECT put('recent', now() - interval '9 years');
SELECT * FROM domev.maintain();

-- a slot has not confirmed what came after it was made, whatever its plugin is, and if nobody reads it
SELECT put('before', '2003-01-01');
SELECT slot_name FROM pg_create_logical_replication_slot('dead', 'test_decoding');
SELECT put('three', '2004-01-01'), put('four', '2005-01-01');
SELECT put('empty', '2005-06-01');
TRUNCATE domev.empty;
SELECT * FROM domev.maintain();
SELECT tableoid::regclass, count(*) FROM domev.outbox GROUP BY tableoid ORDER BY tableoid::regclass::text;
-- max_keep wins, with a warning
SELECT domev.set_retention(max_keep => now() - '2004-07-01');
SELECT * FROM domev.maintain();
-- one that somebody attached, one that others depend on
CREATE TABLE of_somebody PARTITION OF domev.outbox FOR VALUES FROM ('2000-01-01') TO ('2000-01-02');
SELECT pg_drop_replication_slot('dead');
CREATE VIEW dependent AS SELECT * FROM domev.four;
SELECT * FROM domev.maintain();
DROP VIEW dependent;
SELECT * FROM domev.maintain();
DROP TABLE of_somebody;
-- nor what is not old by its upper bound
SELECT domev.set_retention(keep => '9 years', reset => '{max_keep}');
SELECT * FROM domev.maintain();
SELECT domev.set_retention(keep => '8 years');
SELECT action, object FROM domev.maintain();

-- a reader that holds its position in domev.poll_consumers
SELECT domev.create_consumer('it''s "me"', poll_since => now());
BEGIN;
SELECT put('five', '2006-01-01');
UPDATE domev.poll_consumers SET position = pg_current_xact_id();
COMMIT;
SELECT put('six', '2007-01-01');
SELECT * FROM domev.maintain();
UPDATE domev.poll_consumers SET position = (SELECT max(xact_id) FROM domev.six);
SELECT * FROM domev.maintain();
SELECT domev.drop_consumer('it''s "me"');
SELECT * FROM domev.maintain();

-- the default partition: so many rows at a time while it has others that are kept
SELECT put('2010-01-01'), put('2011-01-01'), put('2012-01-01'), domev.emit('e', 'now') IS NOT NULL;
SELECT * FROM domev.maintain(max_rows => 5);
SELECT slot_name FROM pg_create_logical_replication_slot('dead', 'domev');
SELECT put('2013-01-01'), put('2014-01-01');
SELECT * FROM domev.maintain();
SELECT domev.set_retention(max_keep => now() - '2013-07-01');
SELECT * FROM domev.maintain();
SELECT * FROM domev.maintain();
SELECT count(*) FROM domev.outbox_default;
-- all at once when all is old
DELETE FROM domev.outbox WHERE aggregate_id = 'now';
SELECT * FROM domev.maintain();
SELECT pg_drop_replication_slot('dead');
SELECT put('2015-01-01');
SELECT * FROM domev.maintain();
SELECT pg_relation_size('domev.outbox_default');
SELECT domev.emit('e', 'now') IS NOT NULL AS emitted;
SELECT * FROM domev.maintain();

-- ids, failures, what was mapped again while its event is there
SELECT domev.emit('e', 'x', event_id => '00000000-0000-0000-0000-000000000001'), domev.emit('e', 'x', event_id => '00000000-0000-0000-0000-000000000002');
UPDATE domev.idempotency SET claimed_at = claimed_at - interval '31 days' WHERE event_id = '00000000-0000-0000-0000-000000000001';
INSERT INTO domev.failed_mapping (event_id, mapping, event, sqlstate, message, failed_at, attempts)
SELECT gen_random_uuid(), 'm', ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::domev.domain_event, 'P0001', i || ' years', now() - make_interval(years => i), 1 FROM generate_series(1, 9) AS i;
INSERT INTO domev.remapped (event_id, mapping, xact_id, remapped_at) SELECT gen_random_uuid(), 'gone', '1', now() - interval '9 years';
SELECT put(now() - interval '9 years');
SELECT slot_name FROM pg_create_logical_replication_slot('dead', 'domev');
SELECT domev.set_retention(reset => '{max_keep}');
SELECT put(now() - interval '9 years');
INSERT INTO domev.remapped (event_id, mapping, xact_id, remapped_at) SELECT event_id, 'there', '1', now() - interval '8 years 1 month' FROM domev.outbox WHERE recorded_at < now() - interval '1 year';
SELECT * FROM domev.maintain();
SELECT domev.emit('e', 'again', event_id => '00000000-0000-0000-0000-000000000001') IS NOT NULL AS emitted;
SELECT aggregate_id FROM domev.outbox WHERE event_id = '00000000-0000-0000-0000-000000000001' ORDER BY recorded_at;
SELECT domev.set_retention(failed_keep => '5 years 6 months');
SELECT * FROM domev.maintain(max_rows => 2);
SELECT * FROM domev.maintain();
SELECT message FROM domev.failed_mapping ORDER BY failed_at DESC;
SELECT pg_drop_replication_slot('dead');
SELECT * FROM domev.maintain();
SELECT * FROM domev.maintain();
SELECT mapping FROM domev.remapped;

-- at every isolation level
SELECT put('seven', '2016-01-01');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM domev.seven;
SELECT * FROM domev.maintain();
ROLLBACK;
SELECT count(*) FROM domev.seven;
-- not in the midst of reading it
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM domev.outbox;
FETCH FROM c \g /dev/null
SELECT * FROM domev.maintain();
COMMIT;

DROP EXTENSION domev CASCADE;
DROP FUNCTION put(timestamptz), put(text, timestamptz);
