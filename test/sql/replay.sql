-- Replays: which events, to whom, in which order, with which ids; dry runs; in a transaction of the caller's; what is refused.
CREATE EXTENSION domev;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out.a'), domev.create_topic('out.b'), domev.create_topic('history', 'internal'), domev.create_topic('messages', storage => 'wal');
SELECT domev.create_event_type('placed', 'order', 'in'), domev.create_event_type('noted', 'order'), domev.create_event_type('billed', 'bill');
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('shop.placed,v1', (e).payload, t)).* FROM unnest('{out.a,out.b,messages}'::text[]) AS t; END;
SELECT domev.create_mapping('m', 'placed', 'public.m');
SELECT pg_create_logical_replication_slot('replays', 'domev') IS NOT NULL;
BEGIN;
SELECT domev.emit('placed', 1, '{"n": 1}') IS NOT NULL, domev.emit('noted', 1, '{"n": 2}') IS NOT NULL, domev.emit('billed', 1, '{"n": 3}', '{"user": "ann"}', 7) IS NOT NULL;
COMMIT;
SELECT domev.emit('placed', 2, '{"n": 4}') IS NOT NULL, domev.emit('noted', 2, '{"n": "ä"}') IS NOT NULL;
CREATE TABLE published AS SELECT data::jsonb AS e FROM pg_logical_slot_get_changes('replays', NULL, NULL);
CREATE FUNCTION sent(VARIADIC options text[] DEFAULT '{replay,p}') RETURNS TABLE (event text) LANGUAGE sql AS $$
	SELECT concat_ws(' ', e->>'topic', e->>'type', e->>'subject', e->>'data', right(e->>'replayid', 1))
	FROM (SELECT data::jsonb AS e FROM pg_logical_slot_peek_changes('replays', NULL, NULL, VARIADIC options)) AS p $$;
CREATE PROCEDURE read_up() LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_logical_slot_get_changes('replays', NULL, NULL); END $$;

-- all; to nobody but whoever asks for it by the name
CALL domev.replay('p', replay_id => '00000000-0000-0000-0000-000000000001');
SELECT * FROM sent();
SELECT count(*) FROM pg_logical_slot_peek_changes('replays', NULL, NULL);
SELECT count(*) FROM sent('replay', 'q');
SELECT count(*) FROM sent('replay', 'P');
SELECT count(*) FROM sent('replay', 'p.');
-- the other options hold as ever
SELECT * FROM sent('replay', 'p', 'topics', 'out.*', 'event_types', 'shop.placed\,v1');
SELECT * FROM sent('replay', 'p', 'scope', 'internal');
SELECT (SELECT count(*) FROM sent('replay', 'p', 'shard', '0/2')) + (SELECT count(*) FROM sent('replay', 'p', 'shard', '1/2')) AS of_shards;
-- the same events, but for what is of the replay, in the order of their recording
WITH replayed AS (SELECT (data::jsonb) AS e FROM pg_logical_slot_peek_changes('replays', NULL, NULL, 'replay', 'p'))
SELECT count(*), count(*) FILTER (WHERE r.e - '{replayid,sequence,endoftransaction}'::text[] = p.e - '{sequence,endoftransaction}'::text[])
FROM replayed AS r JOIN published AS p ON p.e->>'id' = r.e->>'id';
SELECT array_agg(e->>'id' ORDER BY e->>'sequence') = (SELECT array_agg(event_id::text ORDER BY recorded_at) FROM domev.outbox WHERE topic IS NOT NULL) AS in_order
FROM (SELECT (data::jsonb) AS e FROM pg_logical_slot_peek_changes('replays', NULL, NULL, 'replay', 'p')) AS r;
SELECT publisher, events, expected, position = until AS there, finished_at IS NOT NULL AS finished, started_by = current_user AS mine FROM domev.replays;
SELECT count(*) AS protobuf FROM pg_logical_slot_peek_binary_changes('replays', NULL, NULL, 'replay', 'p', 'format', 'protobuf')
WHERE position('\x0a08'::bytea || 'replayid'::bytea || '\x12261a24'::bytea || '00000000-0000-0000-0000-000000000001'::bytea IN data) > 0;
CALL read_up();

-- what is selected
\set VERBOSITY terse
CREATE PROCEDURE replayed(n integer, publisher text DEFAULT 'p', topics text[] DEFAULT NULL, event_types text[] DEFAULT NULL, aggregate_type text DEFAULT NULL, aggregate_id text DEFAULT NULL,
	since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, journal_topic text DEFAULT NULL) LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE id uuid := lpad(n::text, 32, '0')::uuid; BEGIN CALL domev.replay(publisher, topics, event_types, aggregate_type, aggregate_id, since, until, journal_topic, false, id); END $$;
CALL replayed(2, topics => '{out.*}');
CALL replayed(3, topics => '{out.a, "in"}', aggregate_id => '2');
CALL replayed(4, topics => '{"in,out.b"}', event_types => '{plac?d}');
CALL replayed(5, event_types => '{"shop.placed\\,v1"}', topics => '{out.a}');
CALL replayed(6, event_types => '{"shop.placed,v1"}');
CALL replayed(7, aggregate_type => 'bill');
CALL replayed(8, aggregate_type => 'bill', journal_topic => 'history');
CALL replayed(9, topics => '{history}', journal_topic => 'history');
SELECT * FROM sent();
SELECT data::json->>'replayid' AS replayid, count(*) AS ends FROM pg_logical_slot_peek_changes('replays', NULL, NULL, 'replay', 'p') WHERE data::json->>'endoftransaction' = 'true' GROUP BY 1 ORDER BY 1;
SELECT data::jsonb - '{id,time,sequence,source}'::text[] AS journaled FROM pg_logical_slot_peek_changes('replays', NULL, NULL, 'replay', 'p') WHERE data ~ '"billed".*0008"';
CALL read_up();
-- since is inclusive, until exclusive; what is recorded after the start is not replayed, whatever until says
SELECT min(recorded_at) AS first, max(recorded_at) AS last FROM domev.outbox WHERE topic IS NOT NULL \gset
CALL replayed(10, since => :'last');
CALL replayed(11, until => :'first');
CALL replayed(12, until => :'last', topics => '{out.b}');
CALL replayed(13, until => 'infinity', since => '-infinity', topics => '{out.b}');
CALL replayed(14, since => 'infinity');
CALL replayed(15, until => '-infinity');
SELECT * FROM sent();
SELECT replay_id, events, expected, until > now() + interval '1 day' AS far, finished_at IS NOT NULL AS finished FROM domev.replays WHERE replay_id > '00000000-0000-0000-0000-000000000009' ORDER BY 1;
CALL read_up();

-- beforehand
SELECT topic, event_type, events, first <= last AS "from", bytes > 0 AS bytes FROM domev.preview_replay();
SELECT topic, event_type, events FROM domev.preview_replay(topics => '{*}', aggregate_id => '1', journal_topic => 'history');
SELECT topic, event_type, events FROM domev.preview_replay(since => 'infinity');
CALL domev.replay('p', topics => '{in,out.a}', dry_run => true);
CALL domev.replay('p', topics => '{nothing}', dry_run => true);
SELECT count(*) FROM sent();

-- in the caller's transaction: what it rolls back is not replayed
BEGIN;
CALL domev.replay('p', '{out.a}', replay_id => '00000000-0000-0000-0000-000000000020');
ROLLBACK;
BEGIN;
SELECT domev.emit('noted', 3) IS NOT NULL, domev.emit('placed', 3) IS NOT NULL;
SAVEPOINT a;
CALL domev.replay('p', '{in}', replay_id => '00000000-0000-0000-0000-000000000021');
ROLLBACK TO a;
CALL domev.replay('p', '{in}', replay_id => '00000000-0000-0000-0000-000000000022');
SELECT domev.emit('noted', 4) IS NOT NULL;
SAVEPOINT b;
CALL domev.replay('p', '{in}', aggregate_id => '2', replay_id => '00000000-0000-0000-0000-000000000023');
RELEASE b;
COMMIT;
SELECT * FROM sent();
SELECT * FROM sent('scope', 'internal');
SELECT replay_id, events FROM domev.replays WHERE replay_id > '00000000-0000-0000-0000-000000000019' ORDER BY 1;
-- in a block that catches errors there are no commits
DO $$ DECLARE id uuid := '00000000-0000-0000-0000-000000000024'; BEGIN BEGIN CALL domev.replay('p', '{in}', replay_id => id); RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END; END $$;
-- without, there are: what follows does not undo it
DO $$ DECLARE id uuid := '00000000-0000-0000-0000-000000000025'; BEGIN CALL domev.replay('p', '{out.b}', replay_id => id); RAISE 'x'; END $$;
SELECT replay_id, events, finished_at IS NOT NULL AS finished FROM domev.replays WHERE replay_id > '00000000-0000-0000-0000-000000000023' ORDER BY 1;
-- of which the end is left
CALL domev.resume_replay('00000000-0000-0000-0000-000000000025');
CALL domev.resume_replay('00000000-0000-0000-0000-000000000025');
CALL read_up();

-- streamed
SET logical_decoding_work_mem = '64kB';
BEGIN;
SELECT count(domev.emit('noted', i, to_jsonb(repeat('x', 300)))) FROM generate_series(1, 400) AS i;
SAVEPOINT a;
CALL replayed(30, event_types => '{noted}', journal_topic => 'history');
ROLLBACK TO a;
CALL replayed(31, event_types => '{noted}', journal_topic => 'history');
COMMIT;
SELECT count(*), count(DISTINCT e->>'id'), min(e->>'replayid'), max(e->>'replayid') FROM (SELECT data::jsonb AS e FROM pg_logical_slot_peek_changes('replays', NULL, NULL, 'replay', 'p')) AS r;
SELECT count(*) FROM pg_logical_slot_peek_changes('replays', NULL, NULL);
RESET logical_decoding_work_mem;
CALL read_up();

-- forged: dropped, whatever they look like
SELECT pg_logical_emit_message(true, 'domev.replay/p/in', '{"specversion":"1.0","id":"x","mac":"00000000000000000000000000000000"}') IS NOT NULL,
	pg_logical_emit_message(true, 'domev.replay/', 'x') IS NOT NULL, pg_logical_emit_message(false, 'domev.replay/p/in', 'x') IS NOT NULL,
	pg_logical_emit_message(true, 'domev.replay/p/' || repeat('a', 1000), '{"mac":"00000000000000000000000000000000"}') IS NOT NULL;
SELECT count(*) FROM sent();
-- nor is a genuine one that comes again, or under another prefix
SELECT pg_create_logical_replication_slot('raw', 'test_decoding') IS NOT NULL;
CALL replayed(35, topics => '{in}', aggregate_id => '1');
\set VERBOSITY terse
SELECT domev.emit('placed', 5) IS NOT NULL;
SELECT max(content) FILTER (WHERE prefix = 'domev.replay/p/in') AS replayed, max(content) FILTER (WHERE prefix = 'domev/messages') AS emitted
FROM (SELECT substring(data FROM 'prefix: (.*), sz:') AS prefix, substring(data FROM 'content:(.*)') AS content FROM pg_logical_slot_get_changes('raw', NULL, NULL)) AS m \gset
SELECT data::json->>'subject' AS subject FROM pg_logical_slot_get_changes('replays', NULL, NULL, 'replay', 'p', 'topics', 'in, messages');
SELECT pg_logical_emit_message(true, 'domev.replay/p/in', :'replayed') IS NOT NULL, pg_logical_emit_message(true, 'domev.replay/p/messages', :'emitted') IS NOT NULL,
	pg_logical_emit_message(true, 'domev/in', :'replayed') IS NOT NULL, pg_logical_emit_message(true, 'domev.replay/q/in', :'replayed') IS NOT NULL;
SELECT count(*) FROM sent();
SELECT count(*) FROM sent('replay', 'q');
SELECT pg_drop_replication_slot('raw');

-- an event that cannot be sent is replaced, as ever
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, mapping, aggregate_type, aggregate_id, headers, occurred_at)
VALUES ('00000000-0000-0000-0000-0000000000aa', now(), '3', 'in', 'bad', 'x', 'a', '1', '{"id": "y"}', now());
CALL replayed(40, event_types => '{bad}');
SELECT data::jsonb - '{sequence,source}'::text[] FROM pg_logical_slot_peek_changes('replays', NULL, NULL, 'replay', 'p');
DELETE FROM domev.outbox WHERE event_type = 'bad';
-- nor does it matter when it was recorded
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, mapping, aggregate_type, aggregate_id, occurred_at)
SELECT gen_random_uuid(), t, '3', 'in', 'odd', 'x', 'a', t::text, now() FROM unnest('{-infinity, 4714-11-24 00:00:00+00 BC, 2000-01-01, 294276-12-31 23:59:59.999999+00, infinity}'::timestamptz[]) AS t;
SET timezone = 'UTC';
CALL replayed(41, topics => '{in}');
CALL replayed(42, topics => '{in}', event_types => '{odd}', until => '2000-01-02');
SELECT count(*) - (SELECT count(*) FROM domev.outbox WHERE topic = 'in' AND recorded_at <> 'infinity') AS but_those_at_infinity FROM sent() WHERE event ~ '1$';
RESET timezone;
DELETE FROM domev.outbox WHERE event_type = 'odd';

-- what is refused
\set VERBOSITY default
CALL domev.replay(NULL);
CALL domev.replay('');
CALL domev.replay('a/b');
CALL domev.replay(repeat('x', 64));
CALL domev.replay('p', '{}');
CALL domev.replay('p', '{a,NULL}');
CALL domev.replay('p', '{""}');
CALL domev.replay('p', event_types => '{"a\\"}');
CALL domev.replay('p', journal_topic => 'nowhere');
CALL domev.replay('p', journal_topic => 'out.a');
CALL domev.replay('p', replay_id => '00000000-0000-0000-0000-000000000001');
CALL domev.resume_replay(NULL);
CALL domev.resume_replay('00000000-0000-0000-0000-0000000000ff');
SELECT domev.alter_event_type('placed', reset => '{topic}'), domev.alter_topic('in', scope => 'external');
CALL domev.replay('p');
SELECT * FROM domev.preview_replay(topics => '{in}');
BEGIN READ ONLY;
CALL domev.replay('p', '{out.a}');
ROLLBACK;
SELECT * FROM sent('replay', 'a/b');
SELECT * FROM sent('replay', '');
SELECT * FROM sent('replay', repeat('x', 64));
SELECT domev.emit('noted', 1, headers => '{"replayid": "x"}');

SELECT pg_drop_replication_slot('replays');
DROP EXTENSION domev CASCADE;
DROP FUNCTION sent;
DROP PROCEDURE read_up, replayed;
DROP TABLE published;
