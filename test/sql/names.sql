-- Odd names: spaces, quotes, percent signs, 63 bytes, several bytes a character; in the registry, the outbox and the stream.
CREATE EXTENSION domev;
CREATE SCHEMA "Odd ""schema""";
CREATE FUNCTION "Odd ""schema"""."Map 'it' %I"(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event((e).event_type || ' → x', to_jsonb((e).aggregate_type))).*; END;
CREATE TABLE names (n int, name text);
INSERT INTO names VALUES (1, 'UPPER and space'), (2, 'it''s'), (3, '"quoted"'), (4, '%I %s $1 $$'), (5, E'back\\slash'), (6, repeat('x', 63)),
	(7, repeat('€', 21)), (8, 'select; DROP TABLE names'), (9, ' leading and trailing '), (10, '日本語'), (11, '*'), (12, '--'), (13, '🙂');
SELECT domev.create_topic('A'), domev.create_topic(repeat('T', 63)), domev.create_topic('-'), domev.create_topic('1.2_3');
SELECT count(domev.create_event_type(name, name)) FROM names;
SELECT count(domev.create_mapping(name, name, '"Odd ""schema"""."Map ''it'' %I"', topic => CASE WHEN n = 6 THEN repeat('T', 63) ELSE '1.2_3' END)) FROM names;
SELECT DISTINCT function FROM domev.mappings;
SELECT pg_create_logical_replication_slot('names', 'domev') IS NOT NULL;
SELECT count(domev.emit(name, name, to_jsonb(name), jsonb_build_object('h', name))) FROM names;
SELECT n, bool_and(o.event_type IN (name, name || ' → x') AND o.aggregate_type = name AND o.aggregate_id = name AND o.payload::jsonb = to_jsonb(name) AND o.headers::jsonb->>'h' = name) AS kept,
	count(*) FROM names JOIN domev.outbox AS o ON o.aggregate_id = name GROUP BY n ORDER BY n;
SELECT n, e->>'type' = name || ' → x' AND e->>'aggregatetype' = name AND e->'data' = to_jsonb(name) AND e->>'h' = name AS sent, e->>'topic' AS topic
FROM (SELECT data::jsonb AS e FROM pg_logical_slot_peek_changes('names', NULL, NULL)) AS p JOIN names ON e->>'subject' = name ORDER BY n;
-- selected by glob, each by its own name alone
SELECT n, (SELECT count(*) FROM pg_logical_slot_peek_changes('names', NULL, NULL, 'event_types', regexp_replace(name, '([\\*?, ])', '\\\1', 'g') || ' → x')) FROM names ORDER BY n;
-- dropped again
SELECT count(domev.drop_mapping(name)) FROM names;
SELECT count(domev.drop_event_type(name)) FROM names;
SELECT count(*) FROM domev.event_types;

SELECT pg_drop_replication_slot('names');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP SCHEMA "Odd ""schema""" CASCADE;
DROP TABLE names;
