-- Where events are kept: by the storage of their topics, the journal, and the partitions of domev.outbox.
CREATE EXTENSION domev;
SELECT domev.create_topic('in.table', 'internal'), domev.create_topic('in.wal', 'internal', 'wal');

-- the journal: every combination of topic and journal
SELECT domev.create_event_type('none', 'a'), domev.create_event_type('none yes', 'a', journal => true), domev.create_event_type('none no', 'a', journal => false);
SELECT domev.create_event_type('table', 'a', 'in.table'), domev.create_event_type('table yes', 'a', 'in.table', true), domev.create_event_type('table no', 'a', 'in.table', false);
SELECT domev.create_event_type('wal', 'a', 'in.wal'), domev.create_event_type('wal yes', 'a', 'in.wal', true), domev.create_event_type('wal no', 'a', 'in.wal', false);
SELECT pg_create_logical_replication_slot('outbox', 'domev') IS NOT NULL;
SELECT count(domev.emit(event_type, 'x')) FROM (SELECT event_type FROM domev.event_types ORDER BY event_type) AS e;
SELECT event_type, array_agg(topic) AS rows FROM domev.outbox GROUP BY 1 ORDER BY 1;
SELECT data::jsonb->>'type' AS event_type, data::jsonb->>'topic' AS topic FROM pg_logical_slot_get_changes('outbox', NULL, NULL);
TRUNCATE domev.outbox;

-- a range partition takes the rows of its time, the default one the rest
DO $$ BEGIN EXECUTE format('CREATE TABLE day PARTITION OF domev.outbox FOR VALUES FROM (%L) TO (%L)', now() - interval '1 day', now() + interval '2 days'); END $$;
SELECT domev.emit('table', 'routed') IS NOT NULL;
SELECT tableoid::regclass, aggregate_id FROM domev.outbox;
SELECT data::jsonb->>'subject' AS subject FROM pg_logical_slot_get_changes('outbox', NULL, NULL);
DROP TABLE day;

-- a partition attached, with its columns in another order, a dropped column, one of its own in another schema, and an index
CREATE SCHEMA archive;
CREATE TABLE archive.odd (headers json, gone int, topic text COLLATE "C", event_type text COLLATE "C" NOT NULL, event_id uuid NOT NULL, xact_id xid8 NOT NULL,
	data bytea, mapping text COLLATE "C", causation_id uuid, aggregate_type text NOT NULL, aggregate_id text NOT NULL, aggregate_version bigint,
	key text, payload json, content_type text, data_schema text, occurred_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL);
ALTER TABLE archive.odd DROP COLUMN gone;
CREATE INDEX odd_expression ON archive.odd ((payload->>'n'));
DO $$ BEGIN EXECUTE format('ALTER TABLE domev.outbox ATTACH PARTITION archive.odd FOR VALUES FROM (%L) TO (%L)', now() - interval '1 day', now() + interval '2 days'); END $$;
SELECT domev.emit('table', 'odd', '{"n": 1}', aggregate_version => 4) IS NOT NULL;
SELECT tableoid::regclass, aggregate_id, aggregate_version, payload, topic FROM domev.outbox;
SELECT data::jsonb->>'subject' AS subject, data::jsonb->>'aggregateversion' AS version, data::jsonb->'data' AS data FROM pg_logical_slot_get_changes('outbox', NULL, NULL);
SELECT pg_relation_size('archive.odd_expression') > 0;
ALTER TABLE domev.outbox DETACH PARTITION archive.odd;
DROP SCHEMA archive CASCADE;

-- a column and a trigger that an administrator adds are kept
ALTER TABLE domev.outbox ADD COLUMN note text DEFAULT 'added';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row for %', NEW.aggregate_id; RETURN NEW; END $$;
CREATE TRIGGER noted AFTER INSERT ON domev.outbox FOR EACH ROW EXECUTE FUNCTION noted();
SELECT domev.emit('table', 'noted') IS NOT NULL;
SELECT aggregate_id FROM domev.outbox;
SELECT data::jsonb->>'subject' AS subject FROM pg_logical_slot_get_changes('outbox', NULL, NULL);
DROP TRIGGER noted ON domev.outbox;
DROP FUNCTION noted;
ALTER TABLE domev.outbox DROP COLUMN note;
-- even one that emits, and changes the registry, in the middle of an emit
SELECT domev.create_event_type('outer', 'a', 'in.table'), domev.create_topic('out');
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('mapped')).*; END;
SELECT domev.create_mapping('m1', 'outer', 'public.m', 'out'), domev.create_mapping('m2', 'outer', 'public.m', 'out');
CREATE FUNCTION nested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.event_type IN ('outer', 'mapped') THEN
		PERFORM domev.alter_topic('out', description => NEW.event_type);
		PERFORM domev.emit('table', 'nested in ' || NEW.event_type);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER nested BEFORE INSERT ON domev.outbox FOR EACH ROW EXECUTE FUNCTION nested();
SELECT domev.emit('outer', 'outer') IS NOT NULL;
SELECT aggregate_id, mapping FROM domev.outbox ORDER BY recorded_at;
DROP TRIGGER nested ON domev.outbox;
DROP FUNCTION nested;
-- but its own columns must be there
BEGIN;
ALTER TABLE domev.outbox RENAME COLUMN key TO k;
SELECT domev.emit('table', 'x');
ROLLBACK;

-- the BRIN index is used to find events by time and by transaction
SELECT indexdef FROM pg_indexes WHERE schemaname = 'domev' AND tablename = 'outbox';
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM domev.outbox WHERE xact_id = '1';
EXPLAIN (COSTS OFF) SELECT * FROM domev.outbox WHERE recorded_at > '2026-01-01';
SELECT count(*) FROM domev.outbox WHERE xact_id = (SELECT max(xact_id::text::bigint)::text::xid8 FROM domev.outbox);
RESET enable_seqscan;

-- the first event in the WAL of a session that no slot would see: a warning, once
SELECT pg_drop_replication_slot('outbox');
\c -
SELECT domev.emit('wal', 'x') IS NOT NULL;
SELECT domev.emit('wal', 'x') IS NOT NULL;
\c -
SELECT domev.emit('table', 'x') IS NOT NULL;

-- nobody writes or reads it
CREATE ROLE regress_reader;
SET ROLE regress_reader;
SELECT * FROM domev.outbox;
INSERT INTO domev.outbox (event_id) VALUES (gen_random_uuid());
INSERT INTO domev.outbox_default (event_id) VALUES (gen_random_uuid());
UPDATE domev.outbox SET topic = 'x';
DELETE FROM domev.outbox;
SELECT * FROM domev.idempotency;
RESET ROLE;
DROP ROLE regress_reader;

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
