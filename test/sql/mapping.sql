-- Mappings turn a domain event into 0, 1 or many integration events, in SQL and PL/pgSQL, deterministically.
CREATE EXTENSION domev;
CREATE TABLE customers (id int PRIMARY KEY, name text);
INSERT INTO customers VALUES (7, 'Ann');
SELECT domev.create_topic('out'), domev.create_topic('other');
CREATE VIEW kept AS SELECT aggregate_id, mapping, topic, event_type, key, payload, encode(data, 'hex') AS data, content_type, data_schema
	FROM domev.outbox WHERE mapping IS NOT NULL ORDER BY recorded_at;

-- an SQL function that enriches, in the form that is inlined: no notice
CREATE FUNCTION public.enrich(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('shop.enriched', jsonb_build_object('order', (e).aggregate_id, 'customer', c.name), key => c.name)).*
	FROM customers AS c WHERE c.id = ((e).payload->>'customer')::int;
END;
-- PL/pgSQL: one row, many rows, NULL
CREATE FUNCTION public.split(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT (domev.make_integration_event('shop.line', line, 'other', key => line->>'sku')).*
		FROM jsonb_array_elements((e).payload->'lines') AS line;
	RETURN NEXT NULL;
END $$;
CREATE FUNCTION public.nothing(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION public.bytes(e domev.domain_event) RETURNS domev.integration_event STABLE
	RETURN domev.make_integration_event('shop.bytes', data => '\x00ff', content_type => 'application/avro', data_schema => 'https://schemas.example/bytes');
SELECT domev.create_event_type('order.placed', 'order');
SELECT domev.create_mapping('c enrich', 'order.placed', 'public.enrich', topic => 'out');
SELECT domev.create_mapping('b split', 'order.placed', 'public.split', topic => 'out');
SELECT domev.create_mapping('a nothing', 'order.placed', 'public.nothing');
-- mappings run in the order of their names; a result's own topic wins
SELECT domev.emit('order.placed', 1, '{"customer": 7, "lines": [{"sku": "a"}, {"sku": "b"}]}') IS NOT NULL;
SELECT domev.emit('order.placed', 2, '{"customer": 8, "lines": []}') IS NOT NULL;
SELECT * FROM kept;
TRUNCATE domev.outbox;

-- bytes with a content type and a schema; no data at all
SELECT domev.create_event_type('data', 'a');
SELECT domev.create_mapping('bytes', 'data', 'public.bytes', topic => 'out');
CREATE FUNCTION public.bare(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('shop.bare')).*; END;
SELECT domev.create_mapping('bare', 'data', 'public.bare', topic => 'out');
SELECT domev.emit('data', 'x') IS NOT NULL;
SELECT * FROM kept;
TRUNCATE domev.outbox;

-- ids are a function of cause, mapping and position: computed here by another implementation (see src/siphash.c)
SELECT domev.create_event_type('ids', 'a'), domev.create_mapping('split', 'ids', 'public.split', topic => 'out');
SELECT domev.emit('ids', 'v4', '{"lines": [1, 2]}', event_id => '00000000-0000-4000-8000-000000000001');
SELECT domev.emit('ids', 'v7', '{"lines": [1, 2]}', event_id => '01234567-89ab-7000-8000-000000000001');
SELECT o.aggregate_id, o.event_id, o.event_id = v.id AS as_computed, o.causation_id
FROM (SELECT *, row_number() OVER (PARTITION BY aggregate_id ORDER BY recorded_at) AS n FROM domev.outbox WHERE mapping IS NOT NULL) AS o
JOIN (VALUES ('v4', 1, '161229f7-2a74-8625-900e-3f5ab138ec3c'::uuid), ('v4', 2, 'e9217098-eb6f-83b7-9867-91741ac0fb5c'),
	('v7', 1, '01234567-89ab-7d8a-b858-895953e0cfb8'), ('v7', 2, '01234567-89ab-727d-8514-26159ac42b13')) AS v(a, n, id) ON v.a = o.aggregate_id AND v.n = o.n
ORDER BY 1, o.n;
TRUNCATE domev.outbox;

-- what an integration event inherits, and that the time is the domain event's
SELECT domev.create_event_type('inherit', 'thing'), domev.create_mapping('inherit', 'inherit', 'public.bare', topic => 'out');
SELECT domev.emit('inherit', 'x', aggregate_version => 3, occurred_at => '2026-01-02 03:04:05+00', headers => '{"h": 1}') AS id \gset
SELECT mapping, causation_id = :'id' AS caused, aggregate_type, aggregate_id, aggregate_version, headers, occurred_at AT TIME ZONE 'UTC' FROM domev.outbox ORDER BY recorded_at;

-- errors of the results, each with the mapping as context
CREATE FUNCTION public.result(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (e).payload ? 'raise' THEN
		RAISE EXCEPTION USING errcode = 'XY123', message = (e).payload->>'raise', hint = 'of the mapping';
	END IF;
	RETURN jsonb_populate_record(NULL::domev.integration_event, (e).payload);
END $$;
SELECT domev.create_event_type('result', 'a'), domev.create_mapping('result', 'result', 'public.result');
SELECT domev.emit('result', 'x', '{"raise": "the mapping''s own"}');
SELECT domev.emit('result', 'x', '{"topic": "out", "key": "k"}');
SELECT domev.emit('result', 'x', '{"event_type": "e"}');
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "missing"}');
SELECT domev.emit('result', 'x', '{"event_type": "", "topic": "out"}');
SELECT domev.emit('result', 'x', jsonb_build_object('event_type', repeat('x', 256), 'topic', 'out'));
SELECT domev.emit('result', 'x', jsonb_build_object('event_type', repeat('x', 255), 'topic', 'out')) IS NOT NULL;
SELECT domev.emit('result', 'x', '{"event_type": "e\u0001", "topic": "out"}');
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "out", "key": ""}');
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "out", "payload": 1, "data": "\\x00"}');
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "out", "payload": 1, "content_type": "text/plain"}');
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "out", "payload": 1, "content_type": "application/vnd.shop+json; v=1"}') IS NOT NULL;
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "out", "data": "\\x00", "content_type": "avro"}');
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "out", "data": "\\x00", "data_schema": "/schemas/relative"}');
-- content types, as RFC 9110 has them
CREATE FUNCTION try_content_type(content_type text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM domev.emit('result', 'x', jsonb_build_object('event_type', 'e', 'topic', 'out', 'data', '\x00', 'content_type', content_type));
	RETURN 'accepted';
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN SQLERRM;
END $$;
SELECT left(content_type, 30) AS content_type, try_content_type(content_type) FROM unnest(ARRAY['text/plain', 'text/plain;charset=utf-8', 'text/plain ; a=b; c="d;\" e"', 'a/b+c.d-1', 'text / plain',
	'text/plain; charset', 'text/plain; =x', 'a/b/c', '/json', 'a/', 'a b/c', 'a/b; c=', 'a/b; c="d', 'a/b; c="d\', 'a/b;', 'a/b x=y', ' a/b', 'a/ü', '', repeat('a', 127) || '/' || repeat('b', 127), repeat('a', 128) || '/' || repeat('b', 127)]) AS content_type;
DROP FUNCTION try_content_type;
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "out", "data": "\\x00", "data_schema": "not a uri"}');
SELECT domev.emit('result', 'x', '{"event_type": "e", "topic": "out", "headers": {"id": 1}}');

-- produces
SELECT domev.alter_mapping('result', produces => '{e,f}');
SELECT domev.emit('result', 'x', '{"event_type": "f", "topic": "out"}') IS NOT NULL;
SELECT domev.emit('result', 'x', '{"event_type": "g", "topic": "out"}');
SELECT domev.alter_mapping('result', reset => '{produces}');
SELECT domev.emit('result', 'x', '{"event_type": "g", "topic": "out"}') IS NOT NULL;

-- an error in one mapping undoes the whole emit, and no more than that
SELECT domev.create_mapping('before', 'result', 'public.bare', topic => 'out');
TRUNCATE domev.outbox;
BEGIN;
SELECT domev.emit('inherit', 'kept') IS NOT NULL;
SAVEPOINT s;
SELECT domev.emit('result', 'lost', '{"raise": "late"}');
ROLLBACK TO s;
COMMIT;
SELECT aggregate_id, mapping FROM domev.outbox ORDER BY recorded_at;

SET client_min_messages = warning;
DROP VIEW kept;
DROP EXTENSION domev CASCADE;
DROP TABLE customers CASCADE;
