-- domev.emit keeps the domain event and returns its id; each argument does what it says.
CREATE EXTENSION domev;
SELECT domev.create_topic('orders', 'internal'), domev.create_event_type('order.placed', 'order', 'orders');

-- all defaults; occurred_at is now, recorded_at and the id's time as well
SELECT domev.emit('order.placed', 'o-1') AS id \gset
SELECT event_id = :'id' AS id, topic, event_type, mapping, causation_id, aggregate_type, aggregate_id, aggregate_version, key, payload, data,
	content_type, data_schema, headers, xact_id < pg_current_xact_id() AS xact_id,
	occurred_at BETWEEN now() - interval '1 minute' AND now() AS occurred_at, recorded_at BETWEEN occurred_at AND now() AS recorded_at,
	abs(extract(epoch FROM recorded_at) * 1000 - ('x' || translate(left(event_id::text, 13), '-', ''))::bit(48)::bigint) < 1000 AS id_time
FROM domev.outbox \gx

-- everything given, by name and in another order
SELECT domev.emit(occurred_at => '2026-01-02 03:04:05.678901+00', event_id => '01234567-89ab-7000-8000-000000000001', aggregate_version => 7,
	headers => '{"tenant": "acme"}', payload => '{"amount": 63.10}', aggregate_id => 'o-2', event_type => 'order.placed');
SELECT event_id, aggregate_id, aggregate_version, payload, headers, occurred_at AT TIME ZONE 'UTC' FROM domev.outbox WHERE aggregate_id = 'o-2';

-- the ids are UUIDs of version 7 and rise, however fast they are made
DO $$
DECLARE
	previous uuid := '00000000-0000-0000-0000-000000000000';
	id uuid;
BEGIN
	FOR i IN 1 .. 5000 LOOP
		id := domev.emit('order.placed', i);
		ASSERT id > previous, format('%s after %s', id, previous);
		ASSERT id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$', id;
		previous := id;
	END LOOP;
END $$;
SELECT count(*), count(DISTINCT event_id), count(DISTINCT xact_id) FROM domev.outbox WHERE aggregate_id NOT LIKE 'o-%';

-- bulk is plain SQL; the order is the query's
SELECT count(domev.emit('order.placed', i, jsonb_build_object('n', i))) FROM generate_series(1, 100) AS i;
SELECT array_agg(aggregate_id ORDER BY recorded_at, event_id) = array_agg(aggregate_id ORDER BY aggregate_id::int)
FROM domev.outbox WHERE payload::jsonb ? 'n';

-- gone with the transaction, and with the savepoint
BEGIN;
SELECT domev.emit('order.placed', 'gone') IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT domev.emit('order.placed', 'kept 1') IS NOT NULL;
SAVEPOINT a;
SELECT domev.emit('order.placed', 'gone') IS NOT NULL;
ROLLBACK TO a;
SELECT domev.emit('order.placed', 'kept 2') IS NOT NULL;
COMMIT;
SELECT aggregate_id FROM domev.outbox WHERE aggregate_id ~ 'gone|kept' ORDER BY recorded_at;

-- what is wrong with an event
SELECT domev.emit('order.lost', 'o-1');
SELECT domev.emit(NULL, 'o-1');
SELECT domev.emit('order.placed', NULL::text);
SELECT domev.emit('order.placed', 'o-1', NULL::jsonb);
SELECT domev.emit('order.placed', 'o-1', occurred_at => NULL);
SELECT domev.emit('order.placed', '');
SELECT domev.emit('order.placed', repeat('x', 1025));
SELECT domev.emit('order.placed', repeat('x', 1024)) IS NOT NULL;
SELECT domev.emit('order.placed', E'o-1\r\nX-Injected: 1');
\set VERBOSITY sqlstate
SELECT domev.emit('order.placed', 'o-1', '{"a": }');
\set VERBOSITY default
SELECT domev.emit('order.placed', 'o-1', occurred_at => 'infinity');
SELECT domev.emit('order.placed', 'o-1', occurred_at => '0044-03-15 12:00:00+00 BC');
SELECT domev.emit('order.placed', 'o-1', occurred_at => '10000-01-01 00:00:00+00');
SELECT domev.emit('order.placed', 'o-1', occurred_at => '9999-12-31 23:59:59.999999+00') IS NOT NULL;
SELECT domev.emit(repeat('x', 100000), 'o-1') IS NULL; -- error, with a long name

-- an unknown event type leaves nothing in memory
DO $$
BEGIN
	FOR i IN 1 .. 5000 LOOP
		BEGIN
			PERFORM domev.emit('no such type ' || i, 'x');
		EXCEPTION WHEN undefined_object THEN
			NULL;
		END;
	END LOOP;
END $$;
SELECT sum(total_bytes) < 100000 AS bounded FROM pg_backend_memory_contexts WHERE name LIKE 'domev%';

-- the limit of the finished event's size
SET domev.max_event_size = '2kB';
SELECT domev.emit('order.placed', 'small', to_jsonb(repeat('x', 1500))) IS NOT NULL;
SELECT domev.emit('order.placed', 'large', to_jsonb(repeat('x', 2000)));
SELECT domev.emit('order.placed', 'large', to_jsonb(repeat('x', 20000)));
RESET domev.max_event_size;
\set VERBOSITY sqlstate
SET domev.max_event_size = '257MB'; -- error
\set VERBOSITY default
SELECT aggregate_id FROM domev.outbox WHERE aggregate_id IN ('small', 'large');

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
