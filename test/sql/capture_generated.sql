-- Captures of tables with generated columns; from 18 on also virtual ones, which the rows that triggers get do not hold.
CREATE EXTENSION domev;
SELECT CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'VIRTUAL' ELSE 'STORED' END AS kind \gset
SELECT domev.create_event_type('e', 'a');
CREATE TABLE t (dropped int, id int, a int, stored int GENERATED ALWAYS AS (a * 2) STORED, computed int GENERATED ALWAYS AS (a + id) :kind,
	words text GENERATED ALWAYS AS (repeat('x', a)) :kind);
ALTER TABLE t DROP COLUMN dropped;
SELECT domev.create_capture('i', 't', 'insert', 'id', 'e');
SELECT domev.create_capture('u', 't', 'update', 'computed, id', 'e', columns => '{computed, words}');
SELECT domev.create_capture('d', 't', 'delete', 'id', 'e', condition => 'OLD.computed > 0');

-- in the payload, in the id, and among what counts
INSERT INTO t VALUES (1, 2), (2, NULL);
UPDATE t SET a = 3, id = id WHERE id = 1;
UPDATE t SET id = 5 - id, a = a + id * 2 - 5 WHERE id = 1;
UPDATE t SET id = 5, a = 5 WHERE id = 2;
DELETE FROM t;
SELECT aggregate_id, payload FROM domev.outbox ORDER BY recorded_at;

-- a partition whose columns have other numbers
CREATE TABLE p (id int, a int, computed int GENERATED ALWAYS AS (a + id) :kind) PARTITION BY LIST (id);
SELECT domev.create_capture('p', 'p', 'insert', 'id', 'e');
CREATE TABLE p1 (gone text, a int, computed int GENERATED ALWAYS AS (a + id) :kind, id int);
ALTER TABLE p1 DROP COLUMN gone;
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
TRUNCATE domev.outbox;
INSERT INTO p VALUES (1, 10), (2, 20);
SELECT aggregate_id, payload FROM domev.outbox ORDER BY recorded_at;

DROP TABLE t, p;
DROP EXTENSION domev;
