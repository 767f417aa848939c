-- Values of a captured row are as to_jsonb has them, whatever their type, and ids are the same whatever the session's settings.
CREATE EXTENSION domev;
SELECT domev.create_event_type('e', 'thing');
-- the events since the last look, in their order
CREATE FUNCTION taken() RETURNS TABLE (id text, payload jsonb) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT o.aggregate_id, o.payload::jsonb FROM domev.outbox AS o ORDER BY o.recorded_at;
	DELETE FROM domev.outbox;
END $$;
CREATE TYPE colour AS ENUM ('red', 'light "blue"');
CREATE TYPE pair AS (x int, "Y y" text, gone int, at date);
ALTER TYPE pair DROP ATTRIBUTE gone;
CREATE TYPE tagged AS ENUM ('tag');
CREATE FUNCTION tagged_json(tagged) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT json_build_object('cast', $1::text) $$;
CREATE CAST (tagged AS json) WITH FUNCTION tagged_json(tagged);
CREATE DOMAIN document AS jsonb;
CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]');
CREATE DOMAIN codes AS code[];
CREATE DOMAIN spot AS pair;
CREATE TYPE span AS RANGE (subtype = numeric);

-- all types: the payload is to_jsonb of the row, in INSERT, UPDATE and DELETE
CREATE TABLE types (id int, gone1 text, numeric numeric, "before" text, scaled numeric(10,3), money_nan numeric, float4 real, float8 float8, nan float8, inf float8,
	minus real, zero float8, bool bool, int2 int2, int8 int8, gone2 int, text text, varchar varchar(9), char char(5), name name, onechar "char", date date, date_inf date,
	time time, timetz timetz, timestamp timestamp, timestamptz timestamptz, timestamp_inf timestamp, interval interval, bytea bytea, uuid uuid, inet inet, cidr cidr, macaddr macaddr,
	bit bit(3), varbit varbit, point point, polygon polygon, tsvector tsvector, tsquery tsquery, ints int[], texts text[], deep int[], none int[], shifted int[], dates timestamptz[],
	jsonbs jsonb[], pair pair, pairs pair[], spot spot, tagged tagged, enum colour, enums colour[], range int4range, span span, spans nummultirange, json json, jsonb jsonb, "null" int,
	document document, code code, codes codes, oid oid, regclass regclass, xid xid, lsn pg_lsn, path jsonpath, "Quoted ""name""" int, "after" int, gone3 jsonb,
	stored int GENERATED ALWAYS AS (id * 2) STORED, ident int GENERATED ALWAYS AS IDENTITY);
ALTER TABLE types DROP COLUMN gone1, DROP COLUMN gone2, DROP COLUMN gone3;
ALTER TABLE types ADD COLUMN late numeric DEFAULT 63.10;
SELECT domev.create_capture('i', 'types', 'insert', 'id', 'e'), domev.create_capture('u', 'types', 'update', 'id', 'e'), domev.create_capture('d', 'types', 'delete', 'id', 'e');
INSERT INTO types VALUES (1, 63.10, 'a column named before', 1.5, 'NaN', 1.1, 0.1, 'NaN', 'Infinity',
	'-Infinity', '-0', true, -1, 9007199254740993, E'tab\t"quote" \\ ä \u20ac', 'v', 'c', 'n', 'x', '2026-01-02', 'infinity',
	'03:04:05.6', '03:04:05+02', '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05+00', '-infinity', '1 year 2 days 03:00', '\x00ff', '00000000-0000-4000-8000-00000000000A', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03',
	'101', '1', '(1,2)', '((0,0),(1,1),(2,0))', 'a fat cat', 'fat & cat', '{1,NULL,3}', '{"a b","c,\"d\"",NULL,null}', '{{1,2},{3,4}}', '{}', '[2:3]={1,2}', '{"2026-01-02 00:00+00",infinity}',
	'{"{\"a\": 1}",null}', '(1,"a ""b""",2026-01-02)', '{"(1,,)","(,b,)"}', '(2,z,)', 'tag', 'light "blue"', '{red}', '[1,5)', '(,1.50]', '{[1,2),[3,4)}', '{"b":1,  "a":1.0, "b":2}', '{"b":1, "a":1.0}', NULL,
	'{"in": "a domain"}', 'Code', '{A,B}', 4000000000, 'pg_class', '7', '0/16B3748', '$.a', 5, 6);
INSERT INTO types (id) VALUES (2);
CREATE TABLE was AS SELECT id, to_jsonb(types) AS row FROM types;
SELECT was.id, e.payload->'after' = was.row AS as_to_jsonb, (SELECT count(*) FROM jsonb_object_keys(e.payload->'after')) AS keys FROM taken() AS e JOIN was ON was.id = e.id::int ORDER BY was.id;
UPDATE types SET float8 = 0.3, texts = texts || '{more}'::text[], id = id + 10;
SELECT t.id, e.payload->'before' = was.row AS before_as_to_jsonb, e.payload->'after' = to_jsonb(t) AS after_as_to_jsonb, e.payload->'changed' AS changed
	FROM taken() AS e JOIN types AS t ON t.id = e.id::int JOIN was ON was.id = t.id - 10 ORDER BY t.id;
UPDATE was SET id = t.id, row = to_jsonb(t) FROM types AS t WHERE was.id = t.id - 10;
DELETE FROM types;
SELECT was.id, e.payload->'before' = was.row AS as_to_jsonb FROM taken() AS e JOIN was ON was.id = e.id::int ORDER BY 1;
-- some of them, to be read
SELECT key, value FROM was, jsonb_each(row) WHERE was.id = 11
	AND key IN ('numeric', 'scaled', 'money_nan', 'nan', 'inf', 'minus', 'int8', 'bytea', 'date', 'pair', 'tagged', 'span', 'late', 'json', 'jsonb', 'codes') ORDER BY key COLLATE "C";
DROP TABLE was, types;

-- xml, where the server has it
CREATE TABLE xmls (id int, x text);
SELECT domev.create_capture('x', 'xmls', 'insert', 'id', 'e');
DO $$
BEGIN
	PERFORM xml('<a/>');
	ALTER TABLE xmls ALTER COLUMN x TYPE xml USING xml(x);
EXCEPTION WHEN feature_not_supported THEN NULL;
END $$;
INSERT INTO xmls VALUES (1, '<a b="c"/>');
SELECT payload FROM taken();
DROP TABLE xmls;

-- ids: the same in each session, as the payload or the outbox cannot tell who wrote the row
CREATE TABLE ids (n int, date date, bytea bytea, float8 float8, float4 real, timestamp timestamp, timestamptz timestamptz, interval interval, numeric numeric, bool bool,
	uuid uuid, enum colour, char char(4), jsonb jsonb, ints int[], inet inet, text text);
CREATE TABLE got (n int, attribute text, id text);
CREATE FUNCTION ids_of_all(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	attribute text;
BEGIN
	FOR attribute IN SELECT attname FROM pg_attribute WHERE attrelid = 'ids'::regclass AND attnum > 1 ORDER BY attnum LOOP
		PERFORM domev.create_capture('ids', 'ids', 'insert', attribute, 'e', columns => '{n}');
		INSERT INTO ids VALUES (n, '2026-01-02', '\x00ff5c41', 0.1::float8 + 0.2, 1.1, '2026-01-02 03:04:05.5', '2026-01-02 03:04:05.5+00', '1 year 2 days 03:00', 63.10, true,
			'00000000-0000-4000-8000-00000000000A', 'red', 'c', '{"b": 1.0, "a": "x"}', '{1,2}', '10.0.0.1/8', '"as it is"');
		INSERT INTO got SELECT n, attribute, t.id FROM taken() AS t;
		PERFORM domev.drop_capture('ids');
	END LOOP;
END $$;
SET timezone = 'UTC';
SELECT ids_of_all(1);
SELECT attribute, id FROM got ORDER BY attribute COLLATE "C";
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Kolkata';
SET bytea_output = 'escape';
SET extra_float_digits = 0;
SET intervalstyle = 'sql_standard';
SELECT ids_of_all(2);
SET extra_float_digits = -5;
SELECT ids_of_all(3);
-- those that differ: none
SELECT count(*) FROM got;
SELECT a.attribute, a.id, b.id FROM got AS a JOIN got AS b USING (attribute) WHERE a.n = 1 AND b.n > 1 AND a.id <> b.id ORDER BY attribute COLLATE "C", b.n;
RESET datestyle;
RESET timezone;
RESET bytea_output;
RESET extra_float_digits;
RESET intervalstyle;
DROP TABLE ids, got;

-- large values out of line: not in changed when they are left, in it when they change, even by one byte
CREATE TABLE big (id int, plain text, doc jsonb, n int);
ALTER TABLE big ALTER plain SET STORAGE EXTERNAL, ALTER doc SET STORAGE EXTERNAL;
SELECT domev.create_capture('u', 'big', 'update', 'id', 'e'), domev.create_capture('i', 'big', 'insert', 'id', 'e'), domev.create_capture('d', 'big', 'delete', 'id', 'e');
INSERT INTO big VALUES (1, repeat('x', 100000), jsonb_build_object('a', repeat('y', 100000), 'b', repeat('z', 100000)), 1);
SELECT length(payload->'after'->>'plain') AS plain, length(payload->'after'->'doc'->>'b') AS doc FROM taken();
UPDATE big SET n = 2;
UPDATE big SET plain = plain, doc = doc;
UPDATE big SET plain = repeat('x', 100000), doc = doc || '{"b": 0}' || jsonb_build_object('b', repeat('z', 100000));
UPDATE big SET plain = repeat('x', 99999) || 'y';
UPDATE big SET doc = doc || '{"a": 1}';
UPDATE big SET plain = NULL, n = 3;
SELECT payload->'changed' AS changed, length(payload->'before'->>'plain') AS before, length(payload->'after'->>'plain') AS after FROM taken();
DELETE FROM big;
SELECT payload ? 'before' AS before, length(payload->'before'->'doc'->>'b') AS doc FROM taken();
-- compressed or not, what is the same is the same
INSERT INTO big VALUES (2, repeat('x', 100000));
UPDATE big SET n = 1;
DELETE FROM domev.outbox;
ALTER TABLE big ALTER plain SET STORAGE EXTENDED;
UPDATE big SET plain = repeat('x', 100000);
SELECT payload->'changed' AS changed FROM taken();
UPDATE big SET plain = left(plain, 50);
UPDATE big SET plain = plain || '';
SELECT payload->'changed' AS changed FROM taken();
DROP TABLE big;

-- as many columns as PostgreSQL has
DO $$
BEGIN
	EXECUTE (SELECT format('CREATE TABLE wide (%s)', string_agg(format('c%s int', i), ', ')) FROM generate_series(1, 1600) AS i);
END $$;
SELECT domev.create_capture('i', 'wide', 'insert', 'c1, c1600', 'e'), domev.create_capture('u', 'wide', 'update', 'c1', 'e', 'OLD.c1600 IS DISTINCT FROM NEW.c1600'), domev.create_capture('d', 'wide', 'delete', 'c1', 'e',
	ignore => (SELECT array_agg('c' || i) FROM generate_series(2, 1600) AS i));
INSERT INTO wide (c1, c2, c1600) VALUES (1, 2, 3);
UPDATE wide SET c1 = 2;
UPDATE wide SET c800 = 4, c1600 = 5;
SELECT id, payload->'changed' AS changed, (SELECT count(*) FROM jsonb_object_keys(payload->'after')) AS keys, payload->'after' = to_jsonb(wide) AS as_to_jsonb FROM taken(), wide WHERE payload ? 'changed';
DELETE FROM wide;
SELECT * FROM taken();
DROP TABLE wide;
-- a table of one column
CREATE TABLE narrow (id int, gone int);
ALTER TABLE narrow DROP COLUMN gone;
SELECT domev.create_capture('i', 'narrow', 'insert', 'id', 'e');
INSERT INTO narrow VALUES (1);
SELECT * FROM taken();
-- columns named as the parts of the payload
ALTER TABLE narrow ADD COLUMN "before" int, ADD COLUMN "after" jsonb, ADD COLUMN changed text, ADD COLUMN "old" int, ADD COLUMN "tg_op" text, ADD COLUMN "after.a" int;
SELECT domev.create_capture('u', 'narrow', 'update', '"before"', 'e', 'NEW."before" = 2');
UPDATE narrow SET "before" = 2, "after" = '{}', changed = '';
UPDATE narrow SET "after" = '{"a": 1}', "after.a" = 1;
SELECT * FROM taken();
DROP TABLE narrow;

-- what changes in a type changes what is captured: an attribute or a label that is added or renamed, in a warm session
CREATE TABLE t (id int, pair pair, enum colour);
SELECT domev.create_capture('i', 't', 'insert', 'id', 'e');
INSERT INTO t VALUES (1, '(1,a,2026-01-02)', 'red');
ALTER TYPE pair RENAME ATTRIBUTE x TO z;
ALTER TYPE colour RENAME VALUE 'red' TO 'RED';
INSERT INTO t VALUES (2, '(1,a,2026-01-02)', 'RED');
ALTER TYPE colour ADD VALUE 'green';
INSERT INTO t VALUES (3, NULL, 'green');
SELECT * FROM taken();
-- a cast to json made in a warm session
CREATE TYPE label AS ENUM ('a', 'fail', 'write', 'written', 'later');
ALTER TABLE t ADD COLUMN label label;
INSERT INTO t VALUES (4, NULL, NULL, 'a');
CREATE FUNCTION label_json(label) RETURNS json LANGUAGE sql AS $$ SELECT json_build_object('cast', upper($1::text)) $$;
CREATE CAST (label AS json) WITH FUNCTION label_json(label);
INSERT INTO t VALUES (5, NULL, NULL, 'a');
SELECT payload->'after'->'label' AS label FROM taken();
-- a cast that fails, and one that alters the capture and writes to the captured table itself
CREATE OR REPLACE FUNCTION label_json(l label) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
	IF l = 'fail' THEN
		RAISE 'no json of this';
	ELSIF l = 'write' THEN
		PERFORM domev.alter_capture('i', columns => '{id, label}');
		INSERT INTO t VALUES (7, NULL, NULL, 'written');
	END IF;
	RETURN json_build_object('cast', l::text);
END $$;
\set VERBOSITY terse
INSERT INTO t VALUES (6, NULL, NULL, 'fail');
INSERT INTO t VALUES (6, NULL, NULL, 'write');
INSERT INTO t VALUES (8, NULL, NULL, 'later');
SELECT * FROM taken();
-- the same where the cast is of the id
SELECT domev.alter_capture('i', aggregate_id => 'label, id', reset => '{columns}');
INSERT INTO t VALUES (6, NULL, NULL, 'fail');
INSERT INTO t VALUES (6, NULL, NULL, 'write');
INSERT INTO t VALUES (8, NULL, NULL, 'later');
SELECT * FROM taken();
SET client_min_messages = warning;
DROP TABLE t;
DROP TYPE label, tagged CASCADE;
DROP FUNCTION taken, ids_of_all;
DROP DOMAIN document, codes, code, spot;
DROP TYPE colour, pair, span CASCADE;
DROP EXTENSION domev;
