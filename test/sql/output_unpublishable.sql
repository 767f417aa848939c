-- What cannot be sent is said, by its id, and is never an error: rows that a superuser has written by hand, in an outbox that he has changed.
CREATE EXTENSION domev;
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
SELECT pg_create_logical_replication_slot('poison', 'domev') IS NOT NULL;
CREATE FUNCTION sent(VARIADIC options text[] DEFAULT '{}') RETURNS TABLE (id text, type text, original text, subject text, members bigint, bytes text) LANGUAGE sql AS $$
	SELECT CASE WHEN e->>'id' LIKE '00000000-%' THEN right(e->>'id', 4) ELSE 'new' END, left(e->>'type', 30), e->>'originaltype', left(e->>'subject', 30), (SELECT count(*) FROM json_object_keys(e)), CASE WHEN length(data) < 1000 THEN 'few' ELSE 'many' END
	FROM (SELECT data, data::json AS e FROM pg_logical_slot_get_changes('poison', NULL, NULL, VARIADIC options)) AS p $$;
CREATE FUNCTION put(number int, event_type text DEFAULT 'by hand', aggregate_id text DEFAULT 'x', key text DEFAULT NULL, payload json DEFAULT NULL, data bytea DEFAULT NULL,
	headers json DEFAULT NULL, occurred_at timestamptz DEFAULT '2026-01-02 03:04:05+00') RETURNS void LANGUAGE sql AS $$
	INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, key, payload, data, headers, occurred_at)
	VALUES (('00000000-0000-0000-0000-' || lpad(number::text, 12, '0'))::uuid, now(), pg_current_xact_id(), 't', event_type, 'a', aggregate_id, key, payload, data, headers, occurred_at) $$;

-- larger than any event may be, by itself or once it is escaped (all of it compresses well)
SELECT put(1, data => convert_to(repeat('x', 270000000), 'SQL_ASCII'));
SELECT put(2, event_type => repeat(E'\x01', 45000000));
-- large, but not too large; a type that is longer than one may be is sent as it is
SELECT put(4, payload => ('"' || repeat('x', 1000000) || '"')::json);
SELECT put(5, event_type => repeat('t', 300), payload => '1');
-- with a NULL where there is none, times without a place in the calendar, headers that emit does not admit
ALTER TABLE domev.outbox ALTER aggregate_id DROP NOT NULL, ALTER event_type DROP NOT NULL, ALTER occurred_at DROP NOT NULL;
SELECT put(7, aggregate_id => NULL), put(8, event_type => NULL), put(9, occurred_at => NULL);
SELECT put(10, occurred_at => 'infinity'), put(11, occurred_at => '4713-01-01 00:00:00+00 BC');
SELECT put(12, headers => '{"flag" : true, "n":-5, "esc": "\ud83d\ude00 A \\"}', payload => '{"a": ["]", {"b": "\"}"}]}');
SELECT put(13, headers => '{"deep": {"a": [1, "}"]}}'), put(14, headers => '{"none": null}'), put(15, headers => '{"real": 1.5}'), put(16, headers => '{"large": 2147483648}'),
	put(17, headers => '{"id": "x"}'), put(18, headers => '{"Upper": 1}'), put(19, headers => '{"a": "1", "": "2"}');
SELECT * FROM sent();

-- a changed outbox: emit refuses, and of rows written by hand is said what can be read
SELECT put(20);
ALTER TABLE domev.outbox RENAME key TO ordering_key;
SELECT domev.emit('e', 'refused');
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, payload, occurred_at)
	VALUES ('00000000-0000-0000-0000-000000000022', now(), pg_current_xact_id(), 't', 'other name', 'a', 'x', '1', now());
ALTER TABLE domev.outbox RENAME ordering_key TO key;
BEGIN;
SELECT domev.emit('e', 'before the change') IS NOT NULL;
ALTER TABLE domev.outbox RENAME event_type TO kind;
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, kind, aggregate_type, aggregate_id, payload, occurred_at)
	VALUES ('00000000-0000-0000-0000-000000000023', now(), pg_current_xact_id(), 't', 'after the change', 'a', 'x', '1', now());
ALTER TABLE domev.outbox RENAME kind TO event_type;
SELECT domev.emit('e', 'after the change') IS NOT NULL;
COMMIT;
-- columns that are added do no harm; types cannot be changed
ALTER TABLE domev.outbox ADD note text DEFAULT 'x';
SELECT domev.emit('e', 'with a column more') IS NOT NULL;
ALTER TABLE domev.outbox DROP note;
DO $$ BEGIN ALTER TABLE domev.outbox ALTER payload TYPE jsonb; EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'refused'; END $$; -- by minor releases in other words
SELECT * FROM sent();
-- filtered by what can be read of it
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, payload, occurred_at)
	SELECT '00000000-0000-0000-0000-000000000025', now(), pg_current_xact_id(), 't', type, 'a', 'x', '1', now() FROM unnest('{one,two}'::text[]) AS type;
SELECT * FROM sent('event_types', 'two', 'shard', '0/1', 'topics', 't');

-- emit refuses a partition whose rows would not be in the WAL
DROP EXTENSION domev CASCADE;
SELECT count(*) >= 0 FROM pg_replication_slot_advance('poison', pg_current_wal_lsn());
CREATE EXTENSION domev;
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
ALTER TABLE domev.outbox_default SET UNLOGGED;
SELECT domev.emit('e', 'unlogged');
ALTER TABLE domev.outbox_default SET LOGGED;
SELECT domev.emit('e', 'logged again') IS NOT NULL;
SELECT subject FROM sent();

SELECT pg_drop_replication_slot('poison');
SET client_min_messages = warning;
DROP FUNCTION sent, put;
DROP EXTENSION domev CASCADE;
