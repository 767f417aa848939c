-- What fires when: each kind of statement that can change a table, and the events that its captures raise of it.
CREATE EXTENSION domev;
SELECT domev.create_event_type(name, 'thing') FROM unnest('{i,u,d,t,leaf i,leaf u,leaf d,leaf t}'::text[]) AS name;
-- the events since the last look, in their order
CREATE FUNCTION taken() RETURNS TABLE (event_type text, id text, payload jsonb) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT o.event_type, o.aggregate_id, o.payload::jsonb FROM domev.outbox AS o ORDER BY o.recorded_at;
	DELETE FROM domev.outbox;
END $$;
-- captures of all four operations, their event types with a prefix
CREATE FUNCTION capture_all(relation regclass, prefix text DEFAULT '', ignore text[] DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	SELECT domev.create_capture(relation || ' i', relation, 'insert', 'id', prefix || 'i', ignore => ignore),
		domev.create_capture(relation || ' u', relation, 'update', 'id', prefix || 'u', ignore => ignore),
		domev.create_capture(relation || ' d', relation, 'delete', 'id', prefix || 'd', ignore => ignore),
		domev.create_capture(relation || ' t', relation, 'truncate', NULL, prefix || 't') $$;
CREATE TABLE t (id int PRIMARY KEY, a int, b text DEFAULT 'x');
SELECT capture_all('t');

-- INSERT of one row, of many, of none; with RETURNING
INSERT INTO t VALUES (1, 1), (2, 2);
INSERT INTO t SELECT i, i FROM generate_series(3, 4) AS i RETURNING id;
INSERT INTO t SELECT 1, 1 WHERE false;
SELECT * FROM taken();
-- many rows: one event each
INSERT INTO t SELECT i, 0 FROM generate_series(1001, 6000) AS i;
UPDATE t SET a = a + 1 WHERE id > 1000 AND id % 2 = 0;
DELETE FROM t WHERE id > 1000;
SELECT event_type, count(*), count(DISTINCT id), min(id::int), max(id::int) FROM taken() GROUP BY 1 ORDER BY 1;
-- COPY
COPY t (id, a) FROM stdin;
11	1
12	\N
\.
COPY t FROM stdin WITH (FORMAT csv);
13,3,"a,b"
\.
SELECT * FROM taken();
-- a COPY that fails raises nothing
\set VERBOSITY terse
COPY t (id, a) FROM stdin;
21	1
11	1
\.
SELECT * FROM taken();
-- ON CONFLICT: nothing of what is left as it is, UPDATE's of what is updated, none when that changes nothing
INSERT INTO t VALUES (11, 9), (14, 9) ON CONFLICT DO NOTHING;
SELECT event_type, id, payload->'changed' AS changed FROM taken();
INSERT INTO t VALUES (12, 9), (15, 9) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a;
INSERT INTO t VALUES (12, 9) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a;
INSERT INTO t VALUES (12, 10) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a WHERE t.a > 100;
SELECT event_type, id, payload->'changed' AS changed, payload->'before'->'a' AS before, payload->'after'->'a' AS after FROM taken();
-- MERGE
MERGE INTO t USING (VALUES (11, 0), (12, 20), (13, 3), (30, 30)) AS s(id, a) ON t.id = s.id
	WHEN MATCHED AND s.a = 0 THEN DELETE
	WHEN MATCHED AND s.a = 3 THEN DO NOTHING
	WHEN MATCHED THEN UPDATE SET a = s.a
	WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s.id, s.a);
SELECT event_type, id, payload->'changed' AS changed FROM taken() ORDER BY id::int;
-- UPDATE and DELETE with FROM and USING: a row that is matched twice is changed once
UPDATE t SET a = s.a FROM (VALUES (12, 5), (12, 5)) AS s(id, a) WHERE s.id = t.id;
DELETE FROM t USING (VALUES (12), (12)) AS s(id) WHERE s.id = t.id;
SELECT event_type, id, payload->'changed' AS changed FROM taken();
-- writable CTE: all of it, in the order in which the parts are done
WITH moved AS (DELETE FROM t WHERE id = 13 RETURNING *), changed AS (UPDATE t SET a = -1 WHERE id = 14 RETURNING id)
INSERT INTO t SELECT id + 100, a FROM moved;
SELECT event_type, id FROM taken() ORDER BY event_type;
-- through a cursor, a function, a prepared statement, PL/pgSQL with an exception
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t WHERE id = 14 FOR UPDATE;
FETCH c;
UPDATE t SET a = -2 WHERE CURRENT OF c;
COMMIT;
PREPARE p(int) AS UPDATE t SET a = $1 WHERE id = 14;
EXECUTE p(1);
EXECUTE p(1);
EXECUTE p(2);
DO $$
BEGIN
	UPDATE t SET a = 50 WHERE id = 14;
	BEGIN
		UPDATE t SET a = 51 WHERE id = 14;
		RAISE 'undone';
	EXCEPTION WHEN OTHERS THEN
		UPDATE t SET a = a + 2 WHERE id = 14;
	END;
END $$;
SELECT event_type, id, payload->'after'->'a' AS a FROM taken();
-- a row that is changed twice in a transaction: two events; inserted and deleted: both
BEGIN;
INSERT INTO t VALUES (40, 1);
UPDATE t SET a = 2 WHERE id = 40;
UPDATE t SET a = 1 WHERE id = 40;
DELETE FROM t WHERE id = 40;
COMMIT;
SELECT event_type, payload->'before'->'a' AS before, payload->'after'->'a' AS after FROM taken();
-- a key that changes: one UPDATE, whose id is the new one
UPDATE t SET id = 41 WHERE id = 14;
SELECT event_type, id, payload->'before'->'id' AS before, payload->'changed' AS changed FROM taken();
-- a constraint that fails at the end undoes them
CREATE TABLE checked (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
SELECT capture_all('checked');
BEGIN;
INSERT INTO checked VALUES (1), (1);
COMMIT;
BEGIN;
INSERT INTO checked VALUES (1), (1);
UPDATE checked SET id = 2 WHERE ctid = '(0,4)';
COMMIT;
SELECT event_type, id FROM taken();
DROP TABLE checked;

-- triggers of the application: BEFORE that returns NULL, changes NEW, or writes elsewhere
CREATE FUNCTION before_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF coalesce(NEW.a, OLD.a) = 0 THEN
		RETURN NULL;
	END IF;
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	NEW.b := upper(NEW.b);
	RETURN NEW;
END $$;
TRUNCATE t;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION before_row();
INSERT INTO t VALUES (1, 0, 'a'), (2, 1, 'b');
UPDATE t SET a = 0;
UPDATE t SET b = 'b';
UPDATE t SET b = 'c';
ALTER TABLE t DISABLE TRIGGER before_row;
UPDATE t SET a = 0;
ALTER TABLE t ENABLE TRIGGER before_row;
DELETE FROM t;
SELECT * FROM taken();
SELECT count(*) FROM t;
DROP TRIGGER before_row ON t;
-- AFTER that changes the row again: each change is an event, with the row as that statement left it
CREATE FUNCTION after_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET a = a + 1 WHERE id = NEW.id AND a < 3; RETURN NULL; END $$;
CREATE TRIGGER "a first" AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION after_row();
INSERT INTO t VALUES (5, 1);
SELECT event_type, payload->'before'->'a' AS before, payload->'after'->'a' AS after FROM taken();
DROP TRIGGER "a first" ON t;
-- rules
CREATE TABLE log (id int);
CREATE RULE log AS ON DELETE TO t WHERE OLD.id = 5 DO INSTEAD INSERT INTO log VALUES (OLD.id);
SELECT capture_all('log', 'leaf ');
DELETE FROM t;
SELECT * FROM taken();
DROP TABLE log CASCADE;

-- foreign keys: CASCADE, SET NULL, SET DEFAULT
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int, parent int REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE friends (id int, parent int REFERENCES parents ON DELETE SET NULL ON UPDATE SET NULL);
CREATE TABLE fans (id int, parent int DEFAULT 1 REFERENCES parents ON DELETE SET DEFAULT);
INSERT INTO parents VALUES (1), (2), (3);
INSERT INTO children VALUES (21, 2), (22, 2), (31, 3);
INSERT INTO friends VALUES (210, 2), (310, 3);
INSERT INTO fans VALUES (2100, 2), (100, 1);
SELECT capture_all('children'), capture_all('friends'), capture_all('fans');
DELETE FROM parents WHERE id = 2;
UPDATE parents SET id = 4 WHERE id = 3;
SELECT event_type, id, payload->'before'->'parent' AS before, payload->'after'->'parent' AS after FROM taken() ORDER BY event_type, id::int, before;
-- TRUNCATE of several tables, and with CASCADE: one event for each table with a capture
TRUNCATE parents CASCADE;
SELECT event_type, id, payload FROM taken();
TRUNCATE children, friends RESTART IDENTITY;
SELECT event_type, id, payload FROM taken();
DROP TABLE parents, children, friends, fans;

-- views: updatable, and with an INSTEAD OF trigger
CREATE VIEW v AS SELECT id, a AS renamed FROM t WHERE a < 100 WITH CHECK OPTION;
CREATE VIEW w AS SELECT id, count(*) FROM t GROUP BY id;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE id = OLD.id; RETURN OLD; END $$;
CREATE TRIGGER instead INSTEAD OF DELETE ON w FOR EACH ROW EXECUTE FUNCTION instead();
INSERT INTO v VALUES (50, 1), (51, 2);
INSERT INTO v VALUES (52, 100);
UPDATE v SET renamed = renamed + 1 WHERE id = 50;
DELETE FROM v WHERE id = 50;
DELETE FROM w WHERE id = 51;
SELECT event_type, id, payload->'after'->'a' AS a FROM taken();
DROP VIEW v, w;

-- silent: disabled triggers, replication
INSERT INTO t VALUES (60, 1), (61, 1);
DELETE FROM domev.outbox;
ALTER TABLE t DISABLE TRIGGER "domev_t u";
UPDATE t SET a = 2;
ALTER TABLE t ENABLE TRIGGER "domev_t u";
UPDATE t SET a = 3 WHERE id = 60;
SELECT event_type, id FROM taken();
ALTER TABLE t DISABLE TRIGGER USER;
UPDATE t SET a = 4 WHERE id = 60;
ALTER TABLE t ENABLE TRIGGER USER;
SET session_replication_role = replica;
INSERT INTO t VALUES (62, 1);
UPDATE t SET a = 5;
DELETE FROM t WHERE id = 60;
TRUNCATE t;
SELECT event_type, id FROM taken();
-- unless they are enabled always, or for replicas
ALTER TABLE t ENABLE ALWAYS TRIGGER "domev_t i", ENABLE REPLICA TRIGGER "domev_t d";
INSERT INTO t VALUES (63, 1);
DELETE FROM t;
SELECT event_type, id FROM taken();
RESET session_replication_role;
INSERT INTO t VALUES (64, 1);
DELETE FROM t;
SELECT event_type, id FROM taken();
ALTER TABLE t ENABLE TRIGGER "domev_t d";

-- inheritance: rows of a child are the child's alone
CREATE TABLE child (extra int) INHERITS (t);
INSERT INTO t VALUES (70, 1);
INSERT INTO child VALUES (71, 1, 'x', 9);
UPDATE t SET a = 2;
DELETE FROM t;
SELECT event_type, id FROM taken();
SELECT capture_all('child', 'leaf ');
INSERT INTO child VALUES (72, 1, 'x', 9);
UPDATE t SET a = 2;
DELETE FROM t;
SELECT * FROM taken();
-- TRUNCATE names the children too, with ONLY not
TRUNCATE t;
SELECT * FROM taken();
TRUNCATE ONLY t;
SELECT * FROM taken();
DROP TABLE t CASCADE;

-- partitioned tables: partitions with other column orders and dropped columns, and partitions of partitions
CREATE TABLE p (gone int, id int, part int, a int, b text) PARTITION BY LIST (part);
ALTER TABLE p DROP COLUMN gone;
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (b text, dropped text, a int, part int, id int);
ALTER TABLE p2 DROP COLUMN dropped;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
SELECT capture_all('p');
SELECT capture, relation FROM domev.captures ORDER BY capture COLLATE "C";
INSERT INTO p VALUES (1, 1, 10, 'x'), (2, 2, 20, 'y');
COPY p FROM stdin;
3	2	30	z
\.
UPDATE p SET a = a + 1;
UPDATE p2 SET b = NULL WHERE id = 3;
DELETE FROM p WHERE id = 3;
INSERT INTO p1 VALUES (4, 1, 40, 'leaf');
SELECT * FROM taken();
-- later partitions: CREATE, ATTACH, of a table with partitions
CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3);
CREATE TABLE p4 (b text, id int, a int, part int);
ALTER TABLE p ATTACH PARTITION p4 FOR VALUES IN (4);
CREATE TABLE p5 (a int, b text, part int, id int) PARTITION BY RANGE (id);
CREATE TABLE p51 (id int, part int, b text, a int);
ALTER TABLE p5 ATTACH PARTITION p51 DEFAULT;
ALTER TABLE p ATTACH PARTITION p5 DEFAULT;
CREATE TABLE p52 PARTITION OF p5 FOR VALUES FROM (1) TO (50);
INSERT INTO p VALUES (5, 3, 50, 'x'), (6, 4, 60, 'x'), (7, 5, 70, 'x'), (70, 5, 80, 'x');
UPDATE p SET b = 'y' WHERE id >= 5;
SELECT event_type, id, payload->'after' AS after, payload->'changed' AS changed FROM taken();
SELECT count(*), count(DISTINCT capture) FROM domev.captures;
-- an UPDATE that moves the row: DELETE and INSERT, none of UPDATE; also when a foreign key looks at the table, and with MERGE
UPDATE p SET part = 2 WHERE id = 5;
SELECT * FROM taken();
UPDATE p SET part = 4, id = 8 WHERE id = 70;
SELECT event_type, id FROM taken();
MERGE INTO p USING (VALUES (6)) AS s(id) ON p.id = s.id WHEN MATCHED THEN UPDATE SET part = 1;
SELECT event_type, id FROM taken();
TRUNCATE p;
ALTER TABLE p ADD PRIMARY KEY (id, part);
CREATE TABLE refers (id int, part int, FOREIGN KEY (id, part) REFERENCES p ON UPDATE CASCADE);
SELECT capture_all('refers', 'leaf ');
INSERT INTO p VALUES (9, 1, 90, 'x');
INSERT INTO refers VALUES (9, 1);
DELETE FROM domev.outbox;
UPDATE p SET part = 2 WHERE id = 9;
SELECT event_type, id, payload->'changed' AS changed FROM taken();
DROP TABLE refers;
-- ON CONFLICT
INSERT INTO p VALUES (9, 2, 91, 'y'), (9, 3, 91, 'y') ON CONFLICT (id, part) DO UPDATE SET a = EXCLUDED.a;
SELECT event_type, payload->'after' AS after FROM taken();
-- a column that is added later, and one that is dropped
ALTER TABLE p ADD COLUMN later int DEFAULT 7, DROP COLUMN b;
INSERT INTO p VALUES (10, 4, 1, 2);
UPDATE p SET a = 0 WHERE id = 9 AND part = 2;
SELECT event_type, payload->'after' AS after FROM taken();
-- a partition's own captures fire besides
SELECT capture_all('p1', 'leaf ');
INSERT INTO p VALUES (11, 1, 1, 1);
UPDATE p SET part = 2 WHERE id = 11;
INSERT INTO p1 VALUES (12, 1, 1, 1);
SELECT event_type, id FROM taken();
SELECT capture, relation FROM domev.captures ORDER BY capture COLLATE "C";
-- TRUNCATE of a leaf, of the root, of the root alone
TRUNCATE p1;
SELECT event_type, id FROM taken();
TRUNCATE p2;
SELECT event_type, id FROM taken();
TRUNCATE p;
SELECT event_type, id FROM taken();
-- disabled and altered for all partitions at once
INSERT INTO p VALUES (20, 2, 1, 1);
DELETE FROM domev.outbox;
SELECT domev.alter_capture('p i', enabled => false);
INSERT INTO p VALUES (21, 1, 1, 1), (22, 2, 1, 1);
SELECT event_type, id FROM taken();
SELECT domev.alter_capture('p i', enabled => true, columns => '{id}', condition => 'NEW.a > 1');
INSERT INTO p VALUES (23, 1, 1, 1), (24, 1, 2, 1), (25, 2, 2, 1);
SELECT event_type, id, payload FROM taken();
SELECT tgrelid::regclass, tgenabled, pg_get_triggerdef(oid) ~ 'a > 1' AS condition FROM pg_trigger WHERE tgname = 'domev_p i' ORDER BY tgrelid::regclass::text COLLATE "C";
-- a disabled partition's trigger stays so, when others are altered
ALTER TABLE p2 DISABLE TRIGGER "domev_p u";
SELECT domev.alter_capture('p i', description => 'x');
UPDATE p SET a = 3 WHERE id IN (24, 25);
SELECT event_type, id FROM taken();
-- DETACH takes the captures away
ALTER TABLE p DETACH PARTITION p2;
INSERT INTO p2 (id, part, a) VALUES (30, 2, 5);
DELETE FROM p2;
SELECT event_type, id FROM taken();
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'p2'::regclass;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
INSERT INTO p2 (id, part, a) VALUES (30, 2, 5);
SELECT event_type, id FROM taken();
DROP TABLE p1;
SELECT count(*) FROM domev.captures;
SELECT domev.drop_capture(capture) FROM domev.captures;
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'domev\_p%';
DROP TABLE p;

-- a table that is rewritten raises nothing: ALTER TABLE, CLUSTER, VACUUM FULL
CREATE TABLE r (id int PRIMARY KEY, a int);
SELECT capture_all('r');
INSERT INTO r VALUES (1, 1);
DELETE FROM domev.outbox;
ALTER TABLE r ADD COLUMN b float DEFAULT random();
ALTER TABLE r ALTER COLUMN a TYPE bigint;
CLUSTER r USING r_pkey;
VACUUM FULL r;
SELECT * FROM taken();
UPDATE r SET a = 2, b = -1;
SELECT payload->'changed' AS changed, payload->'after' AS after FROM taken();
DROP TABLE r;
DROP FUNCTION taken, capture_all, before_row, after_row, instead;
DROP EXTENSION domev;
