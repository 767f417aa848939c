-- domev.trace finds a domain event in the outbox, with what became of it: integration events, and failures.
CREATE EXTENSION domev;
CREATE TABLE t (v int);
CREATE FUNCTION public.two(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('two', to_jsonb(i), key => 'key ' || i)).* FROM generate_series(1, 2) AS i;
END;
CREATE FUNCTION public.needs(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
	PERFORM FROM t;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING errcode = 'XY123', message = 'nothing in t';
	END IF;
	RETURN NEXT domev.make_integration_event('needs', '1');
END $$;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('wal', storage => 'wal'), domev.create_event_type('e', 'a', 'in');
SELECT domev.create_mapping('a two', 'e', 'public.two', 'out'), domev.create_mapping('b deferred', 'e', 'public.two', 'out', timing => 'deferred'),
	domev.create_mapping('c wal', 'e', 'public.two', 'wal'), domev.create_mapping('d needs', 'e', 'public.needs', 'out', on_error => 'record');
SELECT pg_create_logical_replication_slot('trace', 'domev') IS NOT NULL;

-- an id made here: all of it; results in the WAL alone are not there
SELECT domev.emit('e', 'x', '{"n": 63.10}', headers => '{"h": 1}', occurred_at => '2026-01-02 03:04:05+00') AS id \gset
SELECT domev.emit('e', 'other') IS NOT NULL AS emitted;
SELECT kind, event_type, mapping, topic, key, payload, headers, occurred_at AT TIME ZONE 'UTC' AS occurred_at, error FROM domev.trace(:'id');
SELECT bool_and(recorded_at BETWEEN now() - interval '1 hour' AND clock_timestamp()), count(DISTINCT event_id), count(*) FILTER (WHERE event_id = :'id') FROM domev.trace(:'id');
-- mapped again later
INSERT INTO t VALUES (1);
SELECT outcome, events FROM domev.remap(:'id', 'd needs');
SELECT kind, event_type, mapping, topic, key, payload, error FROM domev.trace(:'id');
SELECT domev.create_mapping('e later', 'e', 'public.two', 'out');
SELECT outcome, events FROM domev.remap(:'id', 'e later');
SELECT kind, event_type, mapping, topic, key FROM domev.trace(:'id') WHERE mapping = 'e later';

-- ids that were given: not of version 7, of version 7 and another time
SELECT domev.emit('e', 'v4', event_id => '00000000-0000-4000-8000-000000000001');
SELECT domev.emit('e', 'old', event_id => '01234567-89ab-7000-8000-000000000001');
SELECT domev.emit('e', 'future', event_id => 'ffffffff-ffff-7000-8000-000000000001');
SELECT kind, key, count(*) FROM domev.trace('00000000-0000-4000-8000-000000000001') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT kind, key, count(*) FROM domev.trace('01234567-89ab-7000-8000-000000000001') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT kind, key, count(*) FROM domev.trace('ffffffff-ffff-7000-8000-000000000001') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT id, date_trunc('second', domev.time_of_id(id) AT TIME ZONE 'UTC') AS time FROM unnest('{00000000-0000-4000-8000-000000000001,01234567-89ab-7000-8000-000000000001,ffffffff-ffff-7000-8000-000000000001,NULL}'::uuid[]) AS id;

-- the event in a WAL topic with a journal; one that failed in a transaction with others
SELECT domev.create_topic('in.wal', 'internal', 'wal'), domev.create_event_type('wal', 'a', 'in.wal', journal => true), domev.create_mapping('wal', 'wal', 'public.two', 'out');
SELECT domev.emit('wal', 'x') AS id \gset
SELECT kind, event_type, mapping, topic, key FROM domev.trace(:'id');
DELETE FROM t;
BEGIN;
SELECT domev.emit('e', 'first') AS first \gset
SELECT domev.emit('e', 'second') AS second \gset
SELECT kind, key, error FROM domev.trace(:'first') WHERE kind <> 'integration event';
COMMIT;
SELECT kind, mapping, key, error FROM domev.trace(:'second') WHERE kind <> 'integration event';
-- what is in no journal, by what became of it
SELECT domev.create_event_type('unkept', 'a', journal => false), domev.create_mapping('unkept', 'unkept', 'public.two', 'out'),
	domev.create_mapping('unkept needs', 'unkept', 'public.needs', 'out', on_error => 'record');
SELECT domev.emit('unkept', 'x') AS id \gset
SELECT kind, event_type, mapping, topic, key, error FROM domev.trace(:'id');

-- an id that is not a domain event's, an integration event's id, NULL
SELECT * FROM domev.trace('00000000-0000-4000-8000-00000000000f');
SELECT t.kind FROM domev.outbox AS o, domev.trace(o.event_id) AS t WHERE o.mapping IS NOT NULL;
SELECT * FROM domev.trace(NULL);

-- with partitions, in whichever the event is
CREATE TABLE past PARTITION OF domev.outbox FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
SELECT kind, count(*) FROM domev.trace(:'second') GROUP BY 1 ORDER BY 1;
DROP TABLE past;

-- to each what he may read
CREATE ROLE regress_tracer;
SET ROLE regress_tracer;
SELECT * FROM domev.trace('00000000-0000-4000-8000-000000000001');
RESET ROLE;
SELECT domev.trace(NULL);
SELECT DISTINCT event_type, format('GRANT SELECT ON domev_event.%I TO regress_tracer', event_type) AS grant FROM domev.trace('00000000-0000-4000-8000-000000000001') WHERE mapping IS NULL \gset
:grant;
SET ROLE regress_tracer;
SELECT kind, count(*) FROM domev.trace('00000000-0000-4000-8000-000000000001') GROUP BY 1 ORDER BY 1;
RESET ROLE;
SELECT format('GRANT SELECT ON domev_topic.%I TO regress_tracer', topic) FROM domev.topics \gexec
SET ROLE regress_tracer;
SELECT kind, count(*) FROM domev.trace('00000000-0000-4000-8000-000000000001') GROUP BY 1 ORDER BY 1;
RESET ROLE;

SELECT pg_drop_replication_slot('trace');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE t;
DROP OWNED BY regress_tracer;
DROP ROLE regress_tracer;
