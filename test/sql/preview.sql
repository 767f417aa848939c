-- domev.preview shows what an event would become, with its mappings' errors, and stores and publishes nothing.
CREATE EXTENSION domev;
CREATE TABLE t (v int);
INSERT INTO t VALUES (1);
CREATE FUNCTION public.two(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('two', jsonb_build_object('i', i, 'given', (e).payload, 'v', t.v), key => 'key ' || i, headers => '{"own": 1}')).* FROM t, generate_series(1, 2) AS i;
END;
CREATE FUNCTION public.bytes(e domev.domain_event) RETURNS domev.integration_event STABLE
	RETURN domev.make_integration_event('bytes', topic => 'other', data => '\x00ff', content_type => 'application/avro', data_schema => 'https://schemas.example/bytes');
CREATE FUNCTION public.silent(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('silent')).* WHERE false; END;
CREATE FUNCTION public.fails(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN NEXT domev.make_integration_event('partial');
	RAISE EXCEPTION USING errcode = coalesce((e).payload->>'raise', 'XY123'), message = 'of the mapping';
END $$;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('in.wal', 'internal', 'wal'), domev.create_topic('out'), domev.create_topic('other', storage => 'wal');
SELECT domev.create_event_type('e', 'a', 'in'), domev.create_event_type('wal', 'a', 'in.wal'), domev.create_event_type('bare', 'a', journal => false), domev.create_event_type('fails', 'a');
SELECT domev.create_mapping('a silent', 'e', 'public.silent'), domev.create_mapping('b deferred', 'e', 'public.two', 'out', timing => 'deferred'),
	domev.create_mapping('c bytes', 'e', 'public.bytes'), domev.create_mapping('d fails', 'e', 'public.fails', 'out', on_error => 'record'),
	domev.create_mapping('e disabled', 'e', 'public.two', 'out');
SELECT domev.alter_mapping('e disabled', enabled => false), domev.create_mapping('fails', 'fails', 'public.fails', 'out');
SELECT pg_create_logical_replication_slot('preview', 'domev') IS NOT NULL;

-- the domain event first, then each mapping in order: deferred ones, bytes, nothing, an error; each with its time
SELECT mapping, topic, event_type, key, payload, data, content_type, data_schema, headers, error, event_id IS NOT NULL AS id, milliseconds >= 0 AS timed
FROM domev.preview('e', 'x', '{"n": 63.10}', headers => '{"h": 1}');
-- other event types: on a topic in the WAL, on none, without mappings, with a mapping that aborts
SELECT mapping, topic, event_type, payload, error FROM domev.preview('wal', 'x');
SELECT mapping, topic, event_type, payload, error FROM domev.preview('bare', 'x');
SELECT mapping, topic, event_type, payload, error FROM domev.preview('fails', 'x');

-- all forms
SELECT key, payload FROM domev.preview('bare', 'x'::text, '{"a": 1.0}'::jsonb) UNION ALL SELECT key, payload FROM domev.preview('bare', 'x'::text, '{"a": 1.0}'::json)
UNION ALL SELECT key, payload FROM domev.preview('bare', 'x'::text, '{"a": 1.0}'::text) UNION ALL SELECT key, payload FROM domev.preview('bare', 1::bigint, '{"a": 1.0}'::jsonb)
UNION ALL SELECT key, payload FROM domev.preview('bare', 1::bigint, '{"a": 1.0}'::json) UNION ALL SELECT key, payload FROM domev.preview('bare', 1::bigint, '{"a": 1.0}'::text)
UNION ALL SELECT key, payload FROM domev.preview('bare', '00000000-0000-0000-0000-000000000001'::uuid, '{"a": 1.0}'::jsonb)
UNION ALL SELECT key, payload FROM domev.preview('bare', '00000000-0000-0000-0000-000000000001'::uuid, '{"a": 1.0}'::json)
UNION ALL SELECT key, payload FROM domev.preview('bare', '00000000-0000-0000-0000-000000000001'::uuid, '{"a": 1.0}'::text);
SELECT key, payload FROM domev.preview('bare', 7);
SELECT key, payload FROM domev.preview('bare', 7, '{}');
SELECT count(*) FROM (SELECT (domev.preview('e', 1)).*) AS p;

-- settings and headers count as for emit
BEGIN;
SET LOCAL domev.context = '{"user": "ann", "own": 0}';
SELECT mapping, event_type, headers FROM domev.preview('e', 'x', headers => '{"h": 1}') WHERE event_type IS NOT NULL;
COMMIT;

-- the state of now: of the transaction's own writes too
BEGIN;
UPDATE t SET v = 2;
SELECT payload->'v' AS v FROM domev.preview('e', 'x') WHERE event_type = 'two';
ROLLBACK;

-- in read-only transactions; at every isolation level
BEGIN READ ONLY;
SELECT mapping, event_type, error FROM domev.preview('e', 'x', event_id => '00000000-0000-4000-8000-000000000001');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT count(*) FROM domev.preview('e', 'x');
COMMIT;

-- nothing was stored, claimed or published, and no transaction id was used
SELECT pg_current_xact_id_if_assigned() IS NULL AS none FROM domev.preview('e', 'x') LIMIT 1;
SELECT (SELECT count(*) FROM domev.outbox) AS outbox, (SELECT count(*) FROM domev.idempotency) AS claimed, (SELECT count(*) FROM domev.failed_mapping) AS failed,
	(SELECT count(*) FROM domev.deferred) AS deferred, (SELECT count(*) FROM pg_logical_slot_get_changes('preview', NULL, NULL)) AS published;

-- the ids are those that emit makes of the same id
CREATE TABLE previewed AS SELECT * FROM domev.preview('e', 'x', '{"n": 1}', event_id => '01234567-89ab-7000-8000-000000000001');
SELECT domev.emit('e', 'x', '{"n": 1}', event_id => '01234567-89ab-7000-8000-000000000001');
SELECT p.mapping, p.event_type, p.payload FROM previewed AS p JOIN domev.outbox AS o USING (event_id, event_type) WHERE p.payload IS NOT DISTINCT FROM o.payload::jsonb ORDER BY o.recorded_at;
SELECT d->>'type' AS type FROM pg_logical_slot_get_changes('preview', NULL, NULL) AS c, LATERAL (SELECT c.data::jsonb) AS j(d) WHERE (d->>'id')::uuid IN (SELECT event_id FROM previewed);
-- an id that was emitted can be previewed
SELECT count(*) FROM domev.preview('e', 'x', event_id => '01234567-89ab-7000-8000-000000000001');

-- what emit refuses
SELECT * FROM domev.preview('missing', 'x');
SELECT * FROM domev.preview(NULL, 'x');
SELECT * FROM domev.preview('e', NULL::text);
SELECT * FROM domev.preview('e', 'x', NULL::jsonb);
SELECT * FROM domev.preview('e', 'x', occurred_at => NULL);
SELECT * FROM domev.preview('e', '');
SELECT * FROM domev.preview('e', 'x', headers => '{"id": 1}');
SELECT * FROM domev.preview('e', 'x', occurred_at => 'infinity');
\set VERBOSITY sqlstate
SELECT * FROM domev.preview('e', 'x', 'no json'::text);
SET domev.max_event_size = '1kB';
SELECT * FROM domev.preview('e', 'x', jsonb_build_object('pad', repeat('x', 2000)));
RESET domev.max_event_size;
-- errors that are not the mapping's go up, and leave nothing open
BEGIN;
SAVEPOINT s;
SELECT * FROM domev.preview('fails', 'x', '{"raise": "serialization_failure"}');
ROLLBACK TO s;
SELECT count(*) FROM domev.preview('fails', 'x');
COMMIT;
SELECT * FROM domev.preview('fails', 'x', '{"raise": "query_canceled"}');
-- inside a mapping
CREATE FUNCTION public.previews(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM domev.preview('bare', 'x');
END $$;
SELECT domev.create_event_type('previews', 'a'), domev.create_mapping('previews', 'previews', 'public.previews');
SELECT domev.emit('previews', 'x');
SELECT mapping, left(error, 5) AS error FROM domev.preview('previews', 'x');
\set VERBOSITY default
-- only who may emit; the mapping runs as its owner, and who previews stays who he is after an error
CREATE ROLE regress_viewer;
SET ROLE regress_viewer;
SELECT * FROM domev.preview('e', 'x'::text, '{}'::jsonb);
RESET ROLE;
GRANT INSERT ON domev_event.e TO regress_viewer;
SET ROLE regress_viewer;
SELECT mapping, event_type, payload, error FROM domev.preview('e', 'x'::text, '{}'::jsonb) WHERE mapping ~ '^[bd]';
RESET ROLE;
-- contents and messages only for who may read
GRANT SELECT ON domev_event.e, domev_topic.out TO regress_viewer;
SET ROLE regress_viewer;
SELECT mapping, event_type, payload, error FROM domev.preview('e', 'x'::text, '{}'::jsonb) WHERE mapping ~ '^[bd]';
SELECT current_user, current_setting('transaction_read_only') AS read_only;
RESET ROLE;

SELECT pg_drop_replication_slot('preview');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP TABLE t, previewed;
DROP OWNED BY regress_viewer;
DROP ROLE regress_viewer;
