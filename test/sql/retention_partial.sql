-- What stands in the way of a part of maintain's work keeps that part from being done, and no other.
CREATE EXTENSION domev;
SET timezone = 'UTC';
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
CREATE FUNCTION put(at timestamptz) RETURNS void LANGUAGE sql AS $$
	INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, occurred_at)
	SELECT gen_random_uuid(), at, pg_current_xact_id(), 't', 'e', 'a', 'x', at FROM generate_series(1, 3) $$;
-- a partition begins two minutes from now at the soonest: so long before midnight it is tomorrow already
CREATE FUNCTION soon() RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() + interval '2 minutes' $$;
CREATE FUNCTION day(n int) RETURNS text LANGUAGE sql AS $$ SELECT to_char((soon() AT TIME ZONE 'UTC')::date + n, 'YYYYMMDD') $$;
-- domev.maintain's rows, with days from now instead of dates
CREATE FUNCTION maintain(max_rows int DEFAULT 10000) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	s text;
BEGIN
	FOR r IN SELECT * FROM domev.maintain(max_rows => max_rows) LOOP
		s := concat_ws(' | ', r.action, r.object, r.detail);
		FOR n IN 0..9 LOOP
			s := replace(replace(s, day(n), 'day ' || n), to_char((soon() AT TIME ZONE 'UTC')::date + n, 'YYYY-MM-DD'), 'day ' || n);
		END LOOP;
		RETURN NEXT s;
	END LOOP;
END $$;

-- a clock was ahead, and somebody has taken the name of a partition: the others are made
SELECT domev.set_retention(ahead => 5);
SELECT put(date_trunc('day', soon()) + '3 days 12 hours');
DO $$ BEGIN EXECUTE format('CREATE TABLE domev.%I ()', 'outbox_p' || day(2)); END $$;
SELECT maintain();
TRUNCATE domev.outbox;
DO $$ BEGIN EXECUTE format('DROP TABLE domev.%I', 'outbox_p' || day(2)); END $$;
SELECT maintain();

-- they are told in any style of dates, and zone
SET timezone = 'Asia/Kolkata';
SET datestyle = 'SQL, DMY';
SELECT bool_and(since AT TIME ZONE 'UTC' = date_trunc('day', since AT TIME ZONE 'UTC')) AS at_midnight, count(*) FROM domev.outbox_partitions;
RESET datestyle;
SET timezone = 'UTC';

-- the default partition has old rows only, of which some are held: the others go
SELECT domev.set_retention(keep => '10 years', max_keep => '15 years');
SELECT domev.create_consumer('late', poll_since => '-infinity');
SELECT put('2001-01-01'), put(now() - interval '12 years');
SELECT maintain();
SELECT count(*) FROM domev.outbox;
SELECT domev.drop_consumer('late');
SELECT maintain();
SELECT count(*) FROM domev.outbox;

-- what was received is forgotten at its age, so many rows at a time
SELECT domev.create_consumer('c');
SELECT count(domev.receive('c', 'e' || n)) FROM generate_series(1, 12) AS n;
SELECT domev.set_retention(inbox_keep => '30 days');
SELECT maintain();
UPDATE domev.inbox SET received_at = now() - interval '31 days' WHERE event_id <> 'e1';
SELECT maintain(10);
SELECT maintain(10);
SELECT event_id FROM domev.inbox;

-- somebody's event trigger guards tables: what it refuses is kept, all else is done
SELECT put('2001-01-01'), domev.set_retention(reset => '{max_keep}');
CREATE TABLE domev.old PARTITION OF domev.outbox FOR VALUES FROM ('1999-01-01') TO ('1999-01-02');
ALTER EXTENSION domev ADD TABLE domev.old;
CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'nothing is dropped here'; END $$;
CREATE EVENT TRIGGER guard ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION guard();
SELECT maintain();
DROP EVENT TRIGGER guard;
SELECT maintain();

DROP EXTENSION domev CASCADE;
DROP FUNCTION put, soon, day, maintain, guard;
