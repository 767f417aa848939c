-- What happens to the outbox without being an event?
-- Somebody restores a row, and moves another one to another partition.
CREATE TABLE kept AS SELECT * FROM domev.outbox WHERE topic = 'shop.orders' AND aggregate_id = 'headers' ORDER BY recorded_at LIMIT 1;
INSERT INTO domev.outbox TABLE kept;
CREATE TABLE domev.outbox_old PARTITION OF domev.outbox FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00');
UPDATE domev.outbox SET recorded_at = '2020-01-01 12:00+00' WHERE topic = 'shop.orders' AND aggregate_id = 'after a savepoint';
-- Rows are deleted, changed, truncated, and dropped with their partition.
DELETE FROM domev.outbox WHERE topic = 'shop.orders' AND aggregate_id = 'numbers';
UPDATE domev.outbox SET causation_id = NULL WHERE topic = 'shop.stock' AND aggregate_id = 'order-1';
ALTER EXTENSION domev ADD TABLE domev.outbox_old;
SELECT domev.set_retention(keep => '1 day', max_keep => '2 days');
SELECT action, object FROM domev.maintain();
DO $$ BEGIN ASSERT to_regclass('domev.outbox_old') IS NULL; END $$;
TRUNCATE domev.outbox_default;
