-- domev.remap maps once more what has failed, and old events by new mappings, once each, with the ids that they would have had.
CREATE EXTENSION domev;
CREATE TABLE rates (currency text PRIMARY KEY, rate numeric);
CREATE FUNCTION public.convert(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
	r numeric;
BEGIN
	SELECT rate INTO r FROM rates WHERE currency = (e).payload->>'currency';
	IF r IS NULL THEN
		RAISE EXCEPTION USING errcode = 'XY123', message = format('no rate of %s', (e).payload->>'currency');
	END IF;
	RETURN NEXT domev.make_integration_event('converted', jsonb_build_object('amount', ((e).payload->>'amount')::numeric * r));
	RETURN NEXT domev.make_integration_event('rate', to_jsonb(r), headers => '{"own": true}');
END $$;
CREATE FUNCTION public.v2(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('v2', (e).payload)).*; END;
CREATE FUNCTION public.silent(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('silent')).* WHERE false; END;
SELECT domev.create_topic('t'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('paid', 'order'), domev.create_event_type('other', 'order');
SELECT domev.create_mapping('convert', 'paid', 'public.convert', 't', on_error => 'record');
SELECT pg_create_logical_replication_slot('remap', 'domev') IS NOT NULL;
CREATE VIEW kept AS SELECT aggregate_id, mapping, event_type, payload FROM domev.outbox ORDER BY recorded_at;
CREATE VIEW failed AS SELECT (event).aggregate_id AS id, mapping, message, attempts FROM domev.failed_mapping ORDER BY (event).occurred_at;

-- what failed fails again, then is published: with the ids of an emission, with all that the event had
SELECT domev.emit('paid', 1, '{"amount": 63.10, "currency": "EUR"}', event_id => '00000000-0000-4000-8000-000000000001', aggregate_version => 5,
	headers => '{"h": 1}', occurred_at => '2026-01-01 00:00:00+00');
SELECT domev.emit('paid', 2, '{"amount": 1, "currency": "USD"}', event_id => '00000000-0000-4000-8000-000000000002', occurred_at => '2026-01-02 00:00:00+00');
SELECT * FROM failed;
SELECT * FROM domev.remap('00000000-0000-4000-8000-000000000001'::uuid, 'convert');
SELECT * FROM failed;
INSERT INTO rates VALUES ('EUR', 1.10);
SELECT domev.alter_mapping('convert', topic => 't');
CREATE TABLE previewed AS SELECT event_id FROM domev.preview('paid', 1, '{"amount": 63.10, "currency": "EUR"}', event_id => '00000000-0000-4000-8000-000000000001') WHERE mapping IS NOT NULL;
SELECT * FROM domev.remap('00000000-0000-4000-8000-000000000001', 'convert');
SELECT aggregate_type, aggregate_id, aggregate_version, mapping, event_type, payload, headers, causation_id, occurred_at AT TIME ZONE 'UTC' AS occurred_at,
	event_id IN (TABLE previewed) AS id_of_preview, xact_id = (SELECT xact_id FROM domev.remapped) AS of_remap
FROM domev.outbox WHERE mapping IS NOT NULL ORDER BY recorded_at;
SELECT * FROM failed;
-- once only, however it is named
SELECT * FROM domev.remap('00000000-0000-4000-8000-000000000001', 'convert');
SELECT * FROM domev.remap('00000000-0000-4000-8000-000000000001'::text, mapping => 'convert'::text);
SELECT * FROM domev.remap('convert');
INSERT INTO rates VALUES ('USD', 2);
SELECT * FROM domev.remap('convert');
SELECT * FROM domev.remap('convert');
SELECT event_id, outcome, events, error FROM domev.remap('convert', since => '2000-01-01') ORDER BY 1;
SELECT data::jsonb->>'type' AS type, data::jsonb->>'subject' AS subject, data::jsonb->'data' AS data, data::jsonb->'own' AS own, data::jsonb->'h' AS h
FROM pg_logical_slot_get_changes('remap', NULL, NULL);
TRUNCATE domev.outbox, domev.remapped, domev.idempotency;

-- all that a mapping failed, in the order of the events; of one type; with savepoints
TRUNCATE rates;
SELECT domev.create_mapping('convert other', 'other', 'public.convert', 't', on_error => 'record');
SELECT domev.emit('paid', 'third', '{"amount": 3, "currency": "EUR"}', occurred_at => '2026-01-03 00:00:00+00') IS NOT NULL AS emitted;
SELECT domev.emit('paid', 'first', '{"amount": 1, "currency": "EUR"}', occurred_at => '2026-01-01 00:00:00+00') IS NOT NULL AS emitted;
SELECT domev.emit('paid', 'second', '{"amount": 2, "currency": "USD"}', occurred_at => '2026-01-02 00:00:00+00') IS NOT NULL AS emitted;
SELECT domev.emit('other', 'other', '{"amount": 2, "currency": "EUR"}', occurred_at => '2026-01-02 00:00:00+00') IS NOT NULL AS emitted;
INSERT INTO rates VALUES ('EUR', 1);
SELECT outcome, events, error FROM domev.remap('convert', event_type => 'other');
BEGIN;
SAVEPOINT a;
SELECT outcome, events, error FROM domev.remap('convert');
SELECT * FROM failed;
ROLLBACK TO a;
SELECT * FROM failed;
COMMIT;
SELECT count(*) FROM domev.remapped;
SELECT count(*) FROM kept WHERE mapping IS NOT NULL;
-- a dry run says the same and writes nothing, not even where it could not
BEGIN READ ONLY;
SELECT outcome, events, error FROM domev.remap('convert', dry_run => true);
SELECT outcome, events, error FROM domev.remap('convert', since => '2000-01-01', dry_run => true);
SELECT outcome, events, error FROM domev.remap((SELECT event_id FROM domev.failed_mapping WHERE (event).aggregate_id = 'first'), 'convert', true);
COMMIT;
SELECT outcome, events, error FROM domev.remap('convert', dry_run => true);
SELECT * FROM failed;
SELECT (SELECT count(*) FROM domev.remapped) AS remapped, (SELECT count(*) FROM kept WHERE mapping IS NOT NULL) AS published;
-- and for good
SELECT outcome, events, error FROM domev.remap('convert');
SELECT * FROM failed;
SELECT * FROM kept WHERE mapping IS NOT NULL;
TRUNCATE domev.outbox, domev.remapped, domev.failed_mapping;

-- "v2 beside v1": the journal's events by a mapping that is registered later, in their order, once
SELECT domev.emit('paid', i, jsonb_build_object('amount', i, 'currency', 'EUR')) IS NOT NULL AS emitted FROM generate_series(1, 3) AS i;
SELECT domev.create_mapping('v2', 'paid', 'public.v2', 't');
SELECT domev.emit('paid', 4, '{"amount": 4, "currency": "EUR"}') IS NOT NULL AS emitted; -- by both
SELECT domev.emit('other', 5, '{"amount": 5, "currency": "EUR"}') IS NOT NULL AS emitted;
SELECT clock_timestamp() AS until \gset
SELECT domev.emit('paid', 6, '{"amount": 6, "currency": "EUR"}') IS NOT NULL AS emitted;
SELECT domev.alter_mapping('v2', enabled => false);
SELECT domev.emit('paid', 7, '{"amount": 7, "currency": "EUR"}') IS NOT NULL AS emitted;
SELECT domev.alter_mapping('v2', enabled => true);
SELECT o.aggregate_id, r.outcome, r.events, r.error FROM domev.remap('v2', until => :'until') WITH ORDINALITY AS r JOIN domev.outbox AS o ON o.event_id = r.event_id AND o.mapping IS NULL ORDER BY ordinality;
SELECT o.aggregate_id, r.outcome, r.events, r.error FROM domev.remap('v2', since => :'until') WITH ORDINALITY AS r JOIN domev.outbox AS o ON o.event_id = r.event_id AND o.mapping IS NULL ORDER BY ordinality;
SELECT outcome, count(*) FROM domev.remap('v2', since => '-infinity', until => 'infinity') GROUP BY 1;
SELECT * FROM kept WHERE mapping = 'v2';
SELECT event_id, count(*) FROM domev.outbox GROUP BY 1 HAVING count(*) > 1;
-- by the type that is asked for; of an old event by its id
SELECT o.aggregate_id, r.outcome, r.events FROM domev.remap('v2', since => '2000-01-01', event_type => 'other') AS r JOIN domev.outbox AS o ON o.event_id = r.event_id;
SELECT outcome FROM domev.remap('v2', since => '2000-01-01', event_type => 'no such');
SELECT domev.create_mapping('v3', 'paid', 'public.v2', 't', timing => 'deferred');
SELECT r.outcome, r.events FROM domev.outbox AS o, domev.remap(o.event_id, 'v3') AS r WHERE o.aggregate_id = '1' AND o.mapping IS NULL;
SELECT r.outcome, r.events FROM domev.outbox AS o, domev.remap(o.event_id::text, 'v3') AS r WHERE o.aggregate_id = '1' AND o.mapping IS NULL;
SELECT r.outcome, r.events FROM domev.outbox AS o, domev.remap(o.event_id, 'convert') AS r WHERE o.aggregate_id = '1' AND o.mapping IS NULL;
SELECT aggregate_id, mapping FROM kept WHERE mapping = 'v3';
-- the id of an integration event is no domain event's
SELECT event_id AS integration FROM domev.outbox WHERE mapping = 'v3' \gset
\set VERBOSITY sqlstate
SELECT * FROM domev.remap(:'integration'::uuid, 'v3');
-- nor is an event of another type taken for the mapping's by its id
SELECT r.outcome FROM domev.outbox AS o, domev.remap(o.event_id, 'v3') AS r WHERE o.aggregate_id = '5' AND o.mapping IS NULL;
\set VERBOSITY default
TRUNCATE domev.outbox, domev.remapped;
-- events given ids of other versions and times are found by them
SELECT domev.alter_mapping('v3', enabled => false);
SELECT domev.emit('paid', 'v4', '{"amount": 1, "currency": "EUR"}', event_id => '00000000-0000-4000-8000-00000000000a');
SELECT domev.emit('paid', 'v7', '{"amount": 1, "currency": "EUR"}', event_id => '01234567-89ab-7000-8000-00000000000a');
SELECT domev.alter_mapping('v3', enabled => true);
SELECT * FROM domev.remap('00000000-0000-4000-8000-00000000000a', 'v3');
SELECT * FROM domev.remap('01234567-89ab-7000-8000-00000000000a', 'v3');
TRUNCATE domev.outbox, domev.remapped;

-- what a deferred mapping has published at commit is not published again
SELECT domev.emit('paid', 'deferred', '{"amount": 1, "currency": "EUR"}') IS NOT NULL AS emitted;
SELECT outcome FROM domev.remap('v3', since => '2000-01-01');
-- a mapping that makes nothing of an event: mapped again once, as nothing tells that it was
SELECT domev.create_mapping('silent', 'paid', 'public.silent');
SELECT outcome, events FROM domev.remap('silent', since => '2000-01-01');
SELECT outcome, events FROM domev.remap('silent', since => '2000-01-01');
-- one that fails is kept, whatever its on_error, and forgotten when it is published from the journal
SELECT domev.drop_mapping('convert');
SELECT domev.create_mapping('convert', 'paid', 'public.convert', 'w');
TRUNCATE domev.outbox, domev.remapped;
SELECT domev.alter_mapping('convert', enabled => false);
SELECT domev.emit('paid', 'late', '{"amount": 1, "currency": "GBP"}') IS NOT NULL AS emitted;
SELECT domev.alter_mapping('convert', enabled => true);
SELECT outcome, events, error FROM domev.remap('convert', since => '2000-01-01');
SELECT outcome, events, error FROM domev.remap('convert', since => '2000-01-01');
SELECT * FROM failed;
INSERT INTO rates VALUES ('GBP', 3);
SELECT count(*) >= 0 AS got FROM pg_logical_slot_get_changes('remap', NULL, NULL);
SELECT outcome, events, error FROM domev.remap('convert', since => '2000-01-01');
SELECT * FROM failed;
-- to a topic in the WAL, once too
SELECT outcome, events, error FROM domev.remap('convert', since => '2000-01-01');
SELECT data::jsonb->>'type' AS type, data::jsonb->>'subject' AS subject, data::jsonb->>'topic' AS topic FROM pg_logical_slot_get_changes('remap', NULL, NULL);
-- rolled back: nothing was published, so it can be
SELECT domev.create_mapping('v4', 'paid', 'public.v2', 'w');
BEGIN;
SELECT outcome, events, error FROM domev.remap('v4', since => '2000-01-01');
ROLLBACK;
SELECT outcome, events, error FROM domev.remap('v4', since => '2000-01-01');
SELECT data::jsonb->>'type' AS type FROM pg_logical_slot_get_changes('remap', NULL, NULL);

-- events that no journal keeps are not there, but for what failed of them
SELECT domev.create_event_type('unkept', 'a', journal => false), domev.create_mapping('unkept', 'unkept', 'public.v2', 't'),
	domev.create_mapping('unkept fails', 'unkept', 'public.convert', 't', on_error => 'record');
SELECT domev.emit('unkept', 'x', '{"currency": "XXX", "amount": 1}', event_id => '00000000-0000-4000-8000-00000000000b');
SELECT * FROM domev.remap('unkept', since => '2000-01-01');
\set VERBOSITY sqlstate
SELECT * FROM domev.remap('00000000-0000-4000-8000-00000000000b', 'unkept');
\set VERBOSITY default
SELECT * FROM domev.remap('00000000-0000-4000-8000-00000000000b', 'unkept fails');

-- more than are fetched at a time; some fail
SELECT domev.alter_mapping('convert', enabled => false), domev.alter_mapping('v4', enabled => false), domev.alter_mapping('v2', enabled => false), domev.alter_mapping('v3', enabled => false);
TRUNCATE domev.outbox, domev.remapped, domev.failed_mapping;
SELECT count(domev.emit('paid', i, jsonb_build_object('amount', i, 'currency', CASE i % 10 WHEN 0 THEN 'XXX' ELSE 'EUR' END))) FROM generate_series(1, 1010) AS i;
SELECT domev.alter_mapping('convert', enabled => true, topic => 't');
SELECT outcome, count(*), sum(events) FROM domev.remap('convert', since => '2000-01-01') GROUP BY 1 ORDER BY 1;
SELECT array_agg(aggregate_id ORDER BY recorded_at) = array_agg(aggregate_id ORDER BY aggregate_id::int) AS in_order FROM domev.outbox WHERE event_type = 'converted';
SELECT outcome, count(*), sum(events) FROM domev.remap('convert') GROUP BY 1 ORDER BY 1;
SELECT min(attempts), max(attempts), count(*) FROM domev.failed_mapping;
INSERT INTO rates VALUES ('XXX', 1);
SELECT outcome, count(*), sum(events) FROM domev.remap('convert') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM domev.failed_mapping;

-- errors
SELECT * FROM domev.remap('missing');
SELECT * FROM domev.remap('missing', since => '2000-01-01');
SELECT * FROM domev.remap('00000000-0000-4000-8000-00000000000c', 'missing');
SELECT * FROM domev.remap('00000000-0000-4000-8000-00000000000c', 'convert');
SELECT * FROM domev.remap('no uuid', 'convert');
SELECT * FROM domev.remap('v2');
SELECT * FROM domev.remap('v2', dry_run => true);
SELECT * FROM domev.remap(NULL);
SELECT * FROM domev.remap(NULL::uuid, 'convert');
SELECT * FROM domev.remap('00000000-0000-4000-8000-00000000000c', NULL::text);
BEGIN READ ONLY;
SELECT * FROM domev.remap('convert');
ROLLBACK;
-- errors that are not the mapping's go up
CREATE FUNCTION public.retry(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE serialization_failure;
END $$;
SELECT domev.create_mapping('retry', 'paid', 'public.retry', 't', timing => 'deferred');
\set VERBOSITY sqlstate
SELECT * FROM domev.remap('retry', since => '2000-01-01');
SELECT * FROM domev.remap('retry', since => '2000-01-01', dry_run => true);
\set VERBOSITY default
SELECT domev.drop_mapping('retry');
-- inside a mapping, where not even a dry run may run others
SELECT domev.alter_mapping('v2', enabled => true);
CREATE FUNCTION public.remaps(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM domev.remap('v2', since => '2000-01-01', dry_run => ((e).payload->>'dry')::boolean);
END $$;
SELECT domev.create_event_type('remaps', 'a'), domev.create_mapping('remaps', 'remaps', 'public.remaps');
\set VERBOSITY sqlstate
SELECT domev.emit('remaps', 'x', '{"dry": false}') IS NOT NULL AS emitted;
SELECT domev.emit('remaps', 'x', '{"dry": true}') IS NOT NULL AS emitted;
\set VERBOSITY default

-- only who was granted it; who was needs no right on the tables, and the mapping still runs as its owner
CREATE ROLE regress_operator;
SELECT domev.create_mapping('v5', 'paid', 'public.v2', 't', timing => 'deferred');
SET ROLE regress_operator;
SELECT * FROM domev.remap('v5');
SELECT * FROM domev.remap('00000000-0000-4000-8000-00000000000c', 'v5');
SELECT * FROM domev.remapped;
RESET ROLE;
GRANT EXECUTE ON FUNCTION domev.remap(text, timestamptz, timestamptz, text, boolean) TO regress_operator;
SET ROLE regress_operator;
SELECT outcome, count(*) FROM domev.remap('v5', since => '2000-01-01') GROUP BY 1;
SELECT current_user;
RESET ROLE;

SELECT pg_drop_replication_slot('remap');
SET client_min_messages = warning;
DROP VIEW kept, failed;
DROP TABLE previewed;
DROP EXTENSION domev CASCADE;
DROP TABLE rates;
DROP OWNED BY regress_operator;
DROP ROLE regress_operator;
