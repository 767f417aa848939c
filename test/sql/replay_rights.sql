-- Who may replay: EXECUTE, the right to publish to each topic, and to read what is in the journal only; looked at again in each transaction.
CREATE EXTENSION domev;
CREATE ROLE regress_replayer;
CREATE ROLE regress_stranger;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('history', 'internal');
SELECT domev.create_event_type('placed', 'order', 'in'), domev.create_event_type('noted', 'order');
SELECT pg_create_logical_replication_slot('replays', 'domev') IS NOT NULL;
SELECT domev.emit('placed', 1) IS NOT NULL, domev.emit('noted', 1) IS NOT NULL;

SET ROLE regress_stranger;
CALL domev.replay('p');
CALL domev.resume_replay('00000000-0000-0000-0000-000000000001');
CALL domev.catch_up('p', now());
SELECT * FROM domev.preview_replay();
SELECT * FROM domev.replays;
RESET ROLE;

GRANT EXECUTE ON PROCEDURE domev.replay, domev.resume_replay, domev.catch_up TO regress_replayer;
GRANT EXECUTE ON FUNCTION domev.preview_replay TO regress_replayer;
SET ROLE regress_replayer;
CALL domev.replay('p', replay_id => '00000000-0000-0000-0000-000000000001');
CALL domev.replay('p', dry_run => true);
SELECT * FROM domev.preview_replay();
CALL domev.catch_up('p', since => '-infinity');
-- nothing is in the way of nothing
CALL domev.replay('p', '{out}', replay_id => '00000000-0000-0000-0000-000000000002');
RESET ROLE;
GRANT INSERT ON domev_topic."in" TO regress_replayer;
SET ROLE regress_replayer;
CALL domev.replay('p', replay_id => '00000000-0000-0000-0000-000000000003');
CALL domev.replay('p', journal_topic => 'history');
RESET ROLE;
GRANT INSERT ON domev_topic.history TO regress_replayer;
SET ROLE regress_replayer;
CALL domev.replay('p', journal_topic => 'history');
RESET ROLE;
GRANT SELECT ON domev_event.noted TO regress_replayer;
SET ROLE regress_replayer;
CALL domev.replay('p', journal_topic => 'history', replay_id => '00000000-0000-0000-0000-000000000004');
CALL domev.resume_replay('00000000-0000-0000-0000-000000000004');
SELECT * FROM domev.replays;
SELECT count(*) FROM domev.outbox;
RESET ROLE;
SELECT replay_id, started_by, events FROM domev.replays ORDER BY 1;
SELECT data::json->>'type' AS type, count(*) FROM pg_logical_slot_peek_changes('replays', NULL, NULL, 'replay', 'p') WHERE data ~ 'replayid' GROUP BY 1 ORDER BY 1;

-- what somebody has put in front of the path has no say, nor is it run
CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO regress_replayer;
CREATE FUNCTION trap.sprung(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'sprung by %', current_user; END $$;
CREATE FUNCTION trap.sprung(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'sprung by %', current_user; END $$;
CREATE FUNCTION trap.sprung(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'sprung by %', current_user; END $$;
CREATE FUNCTION trap.sprung(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'sprung by %', current_user; END $$;
CREATE FUNCTION trap.sum(bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'sprung by %', current_user; END $$;
CREATE OPERATOR trap.= (leftarg = text, rightarg = text, function = trap.sprung);
CREATE OPERATOR trap.<> (leftarg = text, rightarg = text, function = trap.sprung);
CREATE OPERATOR trap.~~ (leftarg = text, rightarg = text, function = trap.sprung);
CREATE OPERATOR trap.= (leftarg = name, rightarg = name, function = trap.sprung);
CREATE OPERATOR trap.= (leftarg = uuid, rightarg = uuid, function = trap.sprung);
CREATE OPERATOR trap.>= (leftarg = timestamptz, rightarg = timestamptz, function = trap.sprung);
CREATE OPERATOR trap.< (leftarg = timestamptz, rightarg = timestamptz, function = trap.sprung);
SET ROLE regress_replayer;
SET search_path = trap, pg_catalog;
CALL domev.replay('p', '{in}', '{*}', 'order', '1', '-infinity', 'infinity', replay_id => '00000000-0000-0000-0000-000000000005');
CALL domev.catch_up('p', lost_slot => 'replays', slot => 'replays');
CALL domev.catch_up('p', since => '-infinity', topics => '{in}', replay_id => '00000000-0000-0000-0000-000000000006');
CALL domev.resume_replay('00000000-0000-0000-0000-000000000006');
RESET search_path;
RESET ROLE;

-- a right that is taken away while it runs: what is published so far stays, the rest is not
SELECT count(domev.emit('placed', i)) FROM generate_series(1, 12000) AS i;
CREATE FUNCTION take_away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN REVOKE INSERT ON domev_topic."in" FROM regress_replayer; RETURN NULL; END $$;
CREATE TRIGGER take_away AFTER UPDATE ON domev.replays FOR EACH ROW WHEN (new.events > 0 AND new.events < 12001) EXECUTE FUNCTION take_away();
SET ROLE regress_replayer;
CALL domev.replay('p', replay_id => '00000000-0000-0000-0000-000000000007');
RESET ROLE;
SELECT events > 0 AND events < 12001 AS some, expected, finished_at FROM domev.replays WHERE replay_id = '00000000-0000-0000-0000-000000000007';
DROP TRIGGER take_away ON domev.replays;
\set VERBOSITY terse
SET client_min_messages = warning;
CALL domev.resume_replay('00000000-0000-0000-0000-000000000007');
RESET client_min_messages;
SELECT count(*), count(DISTINCT data::json->>'id') FROM pg_logical_slot_peek_changes('replays', NULL, NULL, 'replay', 'p') WHERE data::json->>'replayid' ~ '7$';

SELECT pg_drop_replication_slot('replays');
DROP EXTENSION domev;
DROP FUNCTION take_away;
DROP SCHEMA trap CASCADE;
DROP ROLE regress_replayer, regress_stranger;
