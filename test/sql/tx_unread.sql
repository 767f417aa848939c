-- What was committed is sent, whatever has become since of all that made it: its table, capture, mapping, function, type, topic and partition.
\set SHOW_CONTEXT never
CREATE EXTENSION domev;
CREATE TABLE orders (id int PRIMARY KEY, v text, w text);
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('mapped', (e).payload)).*; END;
CREATE TABLE part PARTITION OF domev.outbox FOR VALUES FROM ('2020-01-01') TO ('2200-01-01');
SELECT domev.create_topic('rows', 'internal'), domev.create_topic('wal', storage => 'wal'), domev.create_event_type('order', 'order', 'rows'),
	domev.create_mapping('m', 'order', 'public.m', 'wal');
SELECT domev.create_capture('orders', 'orders', 'insert', 'id', 'order');
SELECT pg_create_logical_replication_slot('tx_unread', 'domev') IS NOT NULL AS made;
CREATE VIEW unread AS
SELECT data::jsonb->>'subject' AS subject, data::jsonb->>'topic' AS topic, data::jsonb->>'type' AS type, data::jsonb->'data' AS data FROM pg_logical_slot_peek_changes('tx_unread', NULL, NULL);

-- one of them in a transaction that is prepared, and committed behind a later one
INSERT INTO orders VALUES (1, 'a', 'b');
BEGIN;
INSERT INTO orders VALUES (2, repeat('long', 1000), 'c');
PREPARE TRANSACTION 'tx_unread';
INSERT INTO orders VALUES (3, 'a', repeat('x', 5));
COMMIT PREPARED 'tx_unread';
SELECT subject, topic, type, length(data::text) FROM unread;

-- the table changes, is rewritten, renamed, dropped
ALTER TABLE orders DROP COLUMN w, ADD COLUMN x int DEFAULT 1, ALTER COLUMN v SET NOT NULL;
ALTER TABLE orders RENAME COLUMN v TO y;
ALTER TABLE orders RENAME TO old_orders;
VACUUM FULL old_orders;
INSERT INTO old_orders VALUES (4, 'd');
DROP TABLE old_orders;
SELECT subject, topic, type, length(data::text) FROM unread;
-- the mapping and its function, the topics, the type
SELECT domev.drop_mapping('m'), domev.drop_event_type('order'), domev.drop_topic('rows'), domev.drop_topic('wal');
DROP FUNCTION m;
SELECT subject, topic, type, length(data::text) FROM unread;
-- the partition, and what the outbox still holds
ALTER TABLE domev.outbox DETACH PARTITION part;
DROP TABLE part;
TRUNCATE domev.outbox;
VACUUM FULL domev.outbox;
SELECT subject, topic, type, length(data::text) FROM unread;
-- all made anew under the same names
CREATE TABLE orders (id text, other int);
SELECT domev.create_topic('rows', 'internal', 'wal'), domev.create_topic('wal'), domev.create_event_type('order', 'order', 'rows'), domev.create_capture('orders', 'orders', 'insert', 'id', 'order');
INSERT INTO orders VALUES ('five', 5);
SELECT subject, topic, type, length(data::text) FROM unread;
-- a prepared transaction without any change is none
BEGIN;
PREPARE TRANSACTION 'tx_unread';
COMMIT PREPARED 'tx_unread';
BEGIN;
SELECT domev.emit('order', 'rolled back') IS NOT NULL AS emitted;
PREPARE TRANSACTION 'tx_unread';
ROLLBACK PREPARED 'tx_unread';
SELECT count(*) FROM pg_logical_slot_get_changes('tx_unread', NULL, NULL);
SELECT count(*) FROM pg_logical_slot_get_changes('tx_unread', NULL, NULL);

SELECT pg_drop_replication_slot('tx_unread');
SET client_min_messages = warning;
DROP VIEW unread;
DROP EXTENSION domev CASCADE;
DROP TABLE orders;
