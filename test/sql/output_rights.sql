-- Who is sent what: a role with REPLICATION streams the topics that it may read.
CREATE EXTENSION domev;
CREATE ROLE regress_publisher REPLICATION;
CREATE ROLE regress_topics;
CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('i', topic => t)).* FROM unnest('{in, out, wal}'::text[]) AS t;
END;
SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('wal', storage => 'wal'), domev.create_event_type('e', 'a'), domev.create_mapping('m', 'e', 'public.m');
SELECT pg_create_logical_replication_slot('rights', 'domev') IS NOT NULL AS made;
-- what a role is sent
CREATE FUNCTION sent(VARIADIC options text[] DEFAULT '{}') RETURNS TABLE (subject text, topics text, last text) LANGUAGE sql AS $$
	SELECT data::jsonb->>'subject', string_agg(data::jsonb->>'topic', ' ' ORDER BY data::jsonb->>'sequence'), string_agg(data::jsonb->>'topic', ' ') FILTER (WHERE (data::jsonb->>'endoftransaction')::boolean)
	FROM pg_logical_slot_peek_changes('rights', NULL, NULL, VARIADIC options) GROUP BY 1 ORDER BY min(data::jsonb->>'sequence') $$;
SELECT domev.emit('e', 'first') IS NOT NULL AS emitted;

-- without a right it is refused, as the slot would move on; a topic that is not there yet may come
SET ROLE regress_publisher;
SELECT * FROM sent();
SELECT * FROM sent('topics', 'out');
SELECT * FROM sent('topics', 'out, nothing');
SELECT * FROM sent('topics', 'o\ut');
SELECT * FROM sent('topics', 'ou?');
SELECT * FROM sent('topics', 'nothing');
RESET ROLE;
-- with one: what was sent before the right was given, too
GRANT SELECT ON domev_topic.out TO regress_publisher;
SET ROLE regress_publisher;
SELECT * FROM sent();
SELECT * FROM sent('topics', 'out');
SELECT * FROM sent('topics', '*');
SELECT * FROM sent('topics', 'out,wal');
SELECT * FROM sent('topics', 'wa?'); -- none of these
SELECT * FROM sent('scope', 'internal');
RESET ROLE;
GRANT SELECT ON domev_topic.wal TO regress_topics;
GRANT regress_topics TO regress_publisher;
SELECT domev.emit('e', 'second') IS NOT NULL AS emitted;
SET ROLE regress_publisher;
SELECT * FROM sent();
SELECT * FROM sent('topics', 'out, wal', 'scope', 'external');
RESET ROLE;
-- options narrow what is sent, rights do; INSERT and the right to read the event type are not the right to stream
GRANT INSERT ON domev_topic.in TO regress_publisher;
GRANT SELECT ON domev_event.e TO regress_publisher;
SET ROLE regress_publisher;
SELECT * FROM sent('event_types', '*');
RESET ROLE;
-- taken back: also of what was before
REVOKE regress_topics FROM regress_publisher;
SET ROLE regress_publisher;
SELECT * FROM sent();
SELECT * FROM sent('topics', 'wal');
RESET ROLE;
-- who reads all data, and a superuser
GRANT pg_read_all_data TO regress_publisher;
SET ROLE regress_publisher;
SELECT * FROM sent();
RESET ROLE;
REVOKE pg_read_all_data FROM regress_publisher;
SELECT * FROM sent();
-- a topic that was dropped goes by the rights at its events
SELECT domev.create_topic('gone');
GRANT SELECT ON domev_topic.gone TO regress_publisher;
CREATE OR REPLACE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('i', topic => t)).* FROM unnest('{gone, out}'::text[]) AS t;
END;
SELECT domev.emit('e', 'third') IS NOT NULL AS emitted;
SELECT domev.drop_topic('gone');
SET ROLE regress_publisher;
SELECT * FROM sent();
RESET ROLE;
-- a topic that was made, granted and used in one transaction
BEGIN;
SELECT domev.create_topic('gone');
GRANT SELECT ON domev_topic.gone TO regress_publisher;
SELECT domev.emit('e', 'fourth') IS NOT NULL AS emitted;
COMMIT;
SET ROLE regress_publisher;
SELECT * FROM sent();
SELECT current_user;
-- the session goes on as it was
SELECT count(*) FROM pg_logical_slot_get_changes('rights', NULL, NULL);
SELECT * FROM sent();
RESET ROLE;
-- before there is an extension, and after it
SELECT domev.emit('e', 'last') IS NOT NULL AS emitted;
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
RESET client_min_messages;
SET ROLE regress_publisher;
SELECT * FROM sent();
RESET ROLE;
SELECT pg_drop_replication_slot('rights');
DROP FUNCTION sent;
DROP ROLE regress_publisher, regress_topics;
