-- domev.poll and domev.ack: the outbox without a slot.
CREATE EXTENSION domev;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('wal', storage => 'wal');
SELECT domev.create_event_type('e', 'a', 'in'), domev.create_event_type('journaled', 'a'), domev.create_event_type('w', 'a', 'in');
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload, key => 'k')).*; END;
SELECT domev.create_mapping('m', 'e', 'public.m', 'out');
SET client_min_messages = error;
SELECT domev.create_mapping('mw', 'w', 'public.m', 'wal');
RESET client_min_messages;
SELECT domev.emit('e', 'before') IS NOT NULL;
SELECT clock_timestamp() AS middle \gset
SELECT domev.emit('e', 'after') IS NOT NULL;
SELECT domev.create_consumer('new', now()), domev.create_consumer('all', '-infinity'), domev.create_consumer('since', :'middle'), domev.create_consumer('not');
SELECT topic, key, event->>'subject' AS subject FROM domev.poll('new');
SELECT topic, key, event->>'subject' AS subject FROM domev.poll('all');
SELECT topic, key, event->>'subject' AS subject FROM domev.poll('since');

-- a transaction's events as they were raised, also in savepoints and as far as they were not rolled back; not the journal, nor WAL storage
BEGIN;
SELECT domev.emit('e', '1') IS NOT NULL;
SAVEPOINT s;
SELECT domev.emit('e', '2') IS NOT NULL;
RELEASE s;
SAVEPOINT s;
SELECT domev.emit('e', 'rolled back') IS NOT NULL;
ROLLBACK TO s;
SELECT domev.emit('journaled', 'journal') IS NOT NULL;
SET LOCAL client_min_messages = error;
SELECT domev.emit('w', '3') IS NOT NULL;
-- not its own, before the commit
SELECT count(*) FROM domev.poll('new');
COMMIT;
SELECT topic, event_type, key, event->>'subject' AS subject, event->>'causationid' = lag(event_id::text) OVER () AS caused FROM domev.poll('new');

-- the event is what the plugin sends
SELECT pg_create_logical_replication_slot('polled', 'domev') IS NOT NULL;
SELECT domev.emit('e', 'ä€🙂', '{"n": 63.10, "text": "ß\n"}', '{"user": "ann", "n": 7, "b": true}', 5) IS NOT NULL;
SELECT count(*), bool_and(p.event::text = regexp_replace(s.data, ',"sequence":"[0-9A-F.]*","endoftransaction":(true|false)}$', '}')) AS same
FROM domev.poll('new', 1000) AS p JOIN pg_logical_slot_get_changes('polled', NULL, NULL) AS s ON s.data::jsonb->>'id' = p.event_id::text;
SELECT pg_drop_replication_slot('polled');

-- so many at a time; the same until acknowledged
SELECT string_agg(event->>'subject', ' ') FROM domev.poll('new', 3);
SELECT string_agg(event->>'subject', ' ') FROM domev.poll('new', 3);
SELECT max(position) AS three, min(position) AS one FROM domev.poll('new', 3) \gset
SELECT domev.ack('new', :'three'), domev.ack('new', :'three'), domev.ack('new', :'one');
SELECT string_agg(event->>'subject', ' ') FROM domev.poll('new', 3);
-- what is acknowledged in a transaction that is rolled back is not
BEGIN;
SELECT domev.ack('new', max(position)) FROM domev.poll('new');
SELECT count(*) FROM domev.poll('new');
ROLLBACK;
SELECT string_agg(event->>'subject', ' ') FROM domev.poll('new', 3);
SELECT domev.ack('new', max(position)) FROM domev.poll('new');
SELECT count(*) FROM domev.poll('new');
-- others have their own positions
SELECT count(*) FROM domev.poll('all');
-- in ones, across transactions
CREATE FUNCTION public.drain(consumer text, max int, topics text[] DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	subjects text := '';
	r record;
BEGIN
	LOOP
		SELECT max(p.position) AS position, string_agg(event->>'subject', ' ' ORDER BY p.position) AS subjects INTO r FROM domev.poll(drain.consumer, drain.max, drain.topics) AS p;
		EXIT WHEN r.position IS NULL;
		subjects := subjects || r.subjects || CASE WHEN domev.ack(drain.consumer, r.position) THEN ' ' ELSE '!' END;
	END LOOP;
	RETURN subjects;
END $$;
SELECT drain('all', 1);
SELECT domev.alter_consumer('all', poll_since => '-infinity');
SELECT drain('all', 2, '{out}');
-- what was not asked for is passed, too
SELECT count(*) FROM domev.poll('all');
-- back, by time; forwards
SELECT domev.alter_consumer('all', poll_since => :'middle');
SELECT drain('all', 100);
SELECT domev.alter_consumer('all', poll_since => '-infinity'), domev.alter_consumer('all', poll_since => now());
SELECT drain('all', 100);
-- a large transaction in small pieces
SELECT count(domev.emit('e', i)) FROM generate_series(1, 1000) AS i;
SELECT md5(drain('all', 7)) = md5((SELECT string_agg(i || ' ' || i, ' ' ORDER BY i) || ' ' FROM generate_series(1, 1000) AS i)) AS in_order;

-- positions that are none
SELECT domev.ack('new', NULL), domev.ack('new', max(position)) FROM domev.poll('new', 100, '{wal}');
SELECT domev.ack(NULL, up_to => :'three');
SELECT domev.ack('new', '');
SELECT domev.ack('new', 'x');
SELECT domev.ack('new', lower(:'three') || '0');
SELECT domev.ack('new', replace(:'three', '.', ','));
SELECT domev.ack('new', '7FFFFFFFFFFFFFFF.0000000000000000');
SELECT domev.ack('new', '0000000000000001.7FFFFFFFFFFFFFFF');
SELECT domev.ack('new', '0000000000000001.8000000000000000');
SELECT domev.ack('new', '000000000000000g.0000000000000000');
-- and other arguments
SELECT domev.poll(NULL);
SELECT domev.poll('none');
SELECT domev.ack('none', :'three');
SELECT domev.poll('not');
SELECT domev.ack('not', :'three');
SELECT domev.poll('new', NULL);
SELECT domev.poll('new', 0);
SELECT domev.poll('new', topics => '{}');
SELECT domev.poll('new', topics => '{in,NULL}');
SELECT domev.poll('new', topics => '{nothing}');
SELECT count(*) FROM domev.poll('new', topics => '{wal}');
BEGIN READ ONLY;
SELECT domev.poll('new');
ROLLBACK;
BEGIN READ ONLY;
SELECT domev.ack('new', :'three');
ROLLBACK;

-- rights: as the plugin has them
CREATE ROLE regress_domev_poller;
SELECT domev.create_consumer('theirs', '-infinity', 'regress_domev_poller');
SET ROLE regress_domev_poller;
SELECT count(*) FROM domev.poll('theirs');
SELECT domev.poll('theirs', topics => '{out}');
RESET ROLE;
GRANT SELECT ON domev_topic.out TO regress_domev_poller;
SET ROLE regress_domev_poller;
SELECT topic, count(*) FROM domev.poll('theirs', 100000) GROUP BY 1;
SELECT topic, count(*) FROM domev.poll('theirs', 100000, '{out}') GROUP BY 1;
SELECT domev.poll('theirs', topics => '{out,in}');
RESET ROLE;
GRANT pg_read_all_data TO regress_domev_poller;
SET ROLE regress_domev_poller;
SELECT topic, count(*) FROM domev.poll('theirs', 100000) GROUP BY 1 ORDER BY 1;
RESET ROLE;

-- an idle consumer is moved along, when nothing is left and it is long ago
SELECT domev.ack('new', max(position)) FROM domev.poll('new', 100000);
SELECT position AS before FROM domev.poll_consumers WHERE consumer = 'new' \gset
SELECT pg_current_xact_id() IS NOT NULL;
SELECT count(*) FROM domev.poll('new');
SELECT position > :'before'::xid8 AS moved FROM domev.poll_consumers WHERE consumer = 'new';
UPDATE domev.poll_consumers SET marked_at = now() - interval '2 minutes' WHERE consumer = 'new';
SELECT count(*) FROM domev.poll('new');
SELECT position > :'before'::xid8 AS moved FROM domev.poll_consumers WHERE consumer = 'new';
SELECT domev.emit('e', 'later') IS NOT NULL;
SELECT drain('new', 10);

-- what cannot be sent comes as the plugin sends it; a row that a superuser has written with headers that are none
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, payload, headers, occurred_at)
VALUES ('00000000-0000-0000-0000-000000000001', now(), pg_current_xact_id(), 'in', 'x', 'a', '1', '{}', '{"data": 1}', now());
SELECT event FROM domev.poll('new');

SELECT domev.ack('new', max(position)) FROM domev.poll('new');
-- rows that a superuser has written with one time: all of a position at once
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, payload, occurred_at)
SELECT ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, now() + CASE WHEN i > 7 THEN interval '1 s' ELSE '0' END, pg_current_xact_id(), 'in', 'x', 'a', i, '{}', now() FROM generate_series(1, 9) AS i;
SELECT string_agg(event->>'subject', ' ') FROM domev.poll('new', 3);
SELECT domev.ack('new', max(position)) FROM domev.poll('new', 3);
SELECT string_agg(event->>'subject', ' ') FROM domev.poll('new', 1);
SELECT domev.ack('new', max(position)) FROM domev.poll('new', 1);
SELECT count(*) FROM domev.poll('new', 1);

DROP EXTENSION domev CASCADE;
DROP FUNCTION drain;
DROP ROLE regress_domev_poller;
