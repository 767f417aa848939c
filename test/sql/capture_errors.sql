-- What captures refuse, each with its SQLSTATE and with nothing half made, and what becomes of them when tables, rights and functions change.
CREATE EXTENSION domev;
-- runs a statement and says which error it raised, or that there was none
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text;
BEGIN
	EXECUTE statement;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, message, nullif(detail, ''), nullif(hint, ''));
END $$;
-- the same, where PostgreSQL's own texts may differ: the SQLSTATE alone
CREATE FUNCTION state(statement text) RETURNS text LANGUAGE sql AS $$ SELECT split_part(try(statement), ' | ', 1) $$;
SELECT domev.create_event_type('e', 'thing'), domev.create_event_type('other', 'thing');
CREATE TABLE t (id int, "Id" int, n numeric, kind text, body jsonb, uid uuid, at timestamptz, flag bool);

-- names of captures
SELECT left(name, 20) AS name, try(format($$SELECT domev.create_capture(%L, 't', 'insert', 'id', 'e')$$, name)) FROM (VALUES (''), (repeat('n', 58)), (repeat('ä', 29)), (E'a\nb'), (E'\x7f'), (E'\u0085'), (NULL)) AS v(name);
-- operations
SELECT operation, try(format($$SELECT domev.create_capture('c', 't', %L, 'id', 'e')$$, operation)) FROM (VALUES ('INSERT'), (''), ('merge'), ('insert or update'), (NULL)) AS v(operation);
-- NULLs, and what goes together
SELECT arguments, try(format($$SELECT domev.create_capture(%s)$$, arguments)) FROM (VALUES ($$'c', NULL, 'insert', 'id', 'e'$$), ($$'c', 't', 'insert', NULL, 'e'$$), ($$'c', 't', 'insert', 'id'$$),
	($$'c', 't', 'insert', 'id', NULL, 'true'$$), ($$'c', 't', 'insert', 'id', 'e', event_type_column => 'kind'$$), ($$'c', 't', 'update', 'id', 'e', columns => '{id}', ignore => '{n}'$$),
	($$'c', 't', 'truncate', 'id', 'e'$$), ($$'c', 't', 'truncate', '*', 'e'$$), ($$'c', 't', 'truncate', NULL, 'e', columns => '{id}'$$), ($$'c', 't', 'truncate', NULL, 'e', ignore => '{id}'$$),
	($$'c', 't', 'truncate', NULL, event_type_column => 'kind'$$), ($$'c', 't', 'truncate', NULL, 'e', payload_column => 'body'$$), ($$'c', 't', 'truncate', NULL, 'e', version_column => 'id'$$),
	($$'c', 't', 'update', 'id', 'e', event_id_column => 'uid'$$), ($$'c', 't', 'delete', 'id', 'e', event_id_column => 'uid'$$),
	($$'c', 't', 'insert', 'id', 'e', payload_column => 'body', columns => '{id}'$$), ($$'c', 't', 'delete', 'id', 'e', payload_column => 'body', ignore => '{id}'$$)) AS v(arguments);
-- columns that do not exist, in each place; names are as they are but for the aggregate's id
SELECT arguments, try(format($$SELECT domev.create_capture('c', 't', 'insert', %s)$$, arguments)) FROM (VALUES ($$'missing', 'e'$$), ($$'id, missing', 'e'$$), ($$'"ID"', 'e'$$), ($$'ctid', 'e'$$), ($$'t.id', 'e'$$),
	($$'id', 'e', columns => '{missing}'$$), ($$'id', 'e', ignore => '{id,missing}'$$), ($$'id', 'e', columns => '{ID}'$$), ($$'id', 'e', columns => '{"\"Id\""}'$$), ($$'id', event_type_column => 'missing'$$),
	($$'id', 'e', payload_column => 'missing'$$), ($$'id', 'e', headers_column => 'missing'$$), ($$'id', 'e', version_column => 'missing'$$), ($$'id', 'e', event_id_column => 'missing'$$),
	($$'id', 'e', occurred_at_column => 'missing'$$), ($$'id', 'e', occurred_at_column => ''$$)) AS v(arguments);
-- lists of columns that are none
SELECT arguments, try(format($$SELECT domev.create_capture('c', 't', 'insert', %s)$$, arguments)) FROM (VALUES ($$'', 'e'$$), ($$' ', 'e'$$), ($$'id,', 'e'$$), ($$',id', 'e'$$), ($$'id n', 'e'$$), ($$'"id', 'e'$$), ($$'""', 'e'$$), ($$'id; DROP TABLE t', 'e'$$),
	($$'id', 'e', columns => '{}'$$), ($$'id', 'e', columns => '{NULL}'$$), ($$'id', 'e', columns => '{{id,n},{id,n}}'$$), ($$'id', 'e', ignore => '{}'$$), ($$'id', 'e', ignore => '{id,NULL}'$$)) AS v(arguments);
-- wrong types
SELECT arguments, try(format($$SELECT domev.create_capture('c', 't', 'insert', 'id', %s)$$, arguments)) FROM (VALUES ($$event_type_column => 'id'$$), ($$event_type_column => 'body'$$), ($$'e', payload_column => 'id'$$), ($$'e', payload_column => 'uid'$$),
	($$'e', headers_column => 'at'$$), ($$'e', version_column => 'n'$$), ($$'e', version_column => 'kind'$$), ($$'e', event_id_column => 'kind'$$), ($$'e', occurred_at_column => 'kind'$$), ($$'e', occurred_at_column => 'id'$$)) AS v(arguments);
-- event types
SELECT try($$SELECT domev.create_capture('c', 't', 'insert', 'id', 'missing')$$);
SELECT try($$SELECT domev.create_capture('c', 't', 'insert', 'id', '')$$);
-- conditions that are no expression, or not one only: nothing of them is run
SELECT condition, state(format($$SELECT domev.create_capture('c', 't', 'insert', 'id', 'e', condition => %L)$$, condition)) FROM (VALUES ('true) EXECUTE FUNCTION f(); DROP TABLE t; --'), ('1; DROP TABLE t'), ('true; SELECT true'), ('true;'),
	('true FROM pg_class'), ('true FROM t'), ('DISTINCT true'), ('true AS x'), ('true x'), ('true, true'), (''), (' '), ('-- true'), ('true WHERE true'), ('true GROUP BY ()'), ('true HAVING true'), ('true WINDOW w AS ()'), ('true ORDER BY 1'), ('true LIMIT 1'), ('true OFFSET 0'),
	('true FETCH FIRST ROW WITH TIES'), ('true FOR UPDATE'), ('true UNION SELECT true'), ('true INTERSECT SELECT true'), ('SELECT true'), ('(SELECT true)'), ('EXISTS (SELECT FROM t)'), ('NEW.id IN (SELECT 1)'), ('ARRAY(SELECT 1) IS NULL'), ('NEW.'), ('NEW.id >'), ('''open'), ('/* open'), ('$1'), ('x := true'),
	('INTO x true'), ('VALUES (true)'), ('DELETE FROM t'), ('NEW.*'), ('NEW'), ('count(*) > 0'), ('row_number() OVER () > 0'), ('generate_series(1, 2) > 0'), ('missing'), ('id > 0'), ('NEW.missing > 0'), ('missing.id > 0'), ('missing(NEW.id)'), ('OLD.id > 0'), ('NEW.id'), ('1'), ('''x'''), ('NEW.n || true'), ('DEFAULT')) AS v(condition);
SELECT try($$SELECT domev.create_capture('c', 't', 'insert', 'id', 'e', condition => 'true FROM t')$$);
SELECT try($$SELECT domev.create_capture('c', 't', 'insert', 'id', 'e', condition => '')$$);
SELECT operation, condition, state(format($$SELECT domev.create_capture('c', 't', %L, %L, 'e', condition => %L)$$, operation, CASE operation WHEN 'truncate' THEN NULL ELSE 'id' END, condition))
	FROM (VALUES ('delete', 'NEW.id > 0'), ('truncate', 'OLD.id > 0'), ('truncate', 'NEW IS NULL'), ('truncate', 'id > 0'), ('truncate', '1')) AS v(operation, condition);
SELECT try($$SELECT domev.create_capture('c', 't', 'insert', 'id', 'e', condition => '*')$$);
-- where the error is, is said
\set VERBOSITY default
SELECT domev.create_capture('c', 't', 'insert', 'id', 'e', condition => 'NEW.id > 0 AND AND true');
SELECT domev.create_capture('c', 't', 'insert', 'id', 'e', condition => 'NEW.id > 0 AND NEW.missing');
-- those that are
SELECT condition, state(format($$SELECT domev.create_capture('good', 't', 'update', 'id', 'e', condition => %L), domev.drop_capture('good')$$, condition)) FROM (VALUES ('true'), ('NULL'), ('NEW.flag'), ('((NEW.id) > 0) -- comment'), ('NEW IS DISTINCT FROM OLD'), ('OLD.* IS DISTINCT FROM NEW.*'),
	('NEW."Id" IN (1, 2)'), ('CASE WHEN OLD.id > 0 THEN true ELSE NEW.flag END'), ('pg_trigger_depth() = 0'), ('NEW.kind = ''); DROP TABLE t; --'''), ('NEW.body @> ''{"a": [1]}'''), ('''true''')) AS v(condition);

-- what is no table, or no table of yours
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
CREATE INDEX i ON t (id);
CREATE SEQUENCE s;
CREATE TYPE c AS (id int);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nothing FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE f (id int) SERVER nothing;
SELECT relation, try(format($$SELECT domev.create_capture('c', %L, 'insert', 'id', 'e')$$, relation)) FROM (VALUES ('v'), ('m'), ('i'), ('s'), ('c'), ('f'), ('domev.outbox'), ('domev.outbox_default'), ('domev.topics'), ('domev.idempotency'), ('domev.captures')) AS v(relation);
SELECT relation, state(format($$SELECT domev.create_capture('c', %L, 'insert', 'id', 'e')$$, relation)) FROM (VALUES ('missing'), ('0'), ('1')) AS v(relation);
SELECT state($$SELECT domev.create_capture('c', 'pg_class', 'insert', 'oid', 'e')$$);
DROP VIEW v;
DROP MATERIALIZED VIEW m;
DROP SEQUENCE s;
DROP TYPE c;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
-- nothing was made of all that
SELECT count(*) FROM domev.captures;
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'domev.capture_change'::regproc;

-- a duplicate, also on another table; a trigger of that name that is no capture
CREATE TABLE t2 (id int);
SELECT domev.create_capture('c', 't', 'insert', 'id', 'e', description => 'kept');
SELECT try($$SELECT domev.create_capture('c', 't', 'insert', 'id', 'e')$$);
SELECT try($$SELECT domev.create_capture('c', 't2', 'delete', 'id', 'e')$$);
SELECT try($$SELECT domev.create_capture('c', 't2', 'delete', 'id', 'e', if_not_exists => NULL)$$);
CREATE TRIGGER domev_taken AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT state($$SELECT domev.create_capture('taken', 't', 'insert', 'id', 'e')$$);
DROP TRIGGER domev_taken ON t;
-- alter_capture and drop_capture
SELECT arguments, try(format($$SELECT domev.alter_capture(%s)$$, arguments)) FROM (VALUES ($$NULL$$), ($$'missing'$$), ($$'C'$$), ($$'c', aggregate_id => 'missing'$$), ($$'c', event_type => 'missing'$$), ($$'c', event_type_column => 'kind'$$), ($$'c', reset => '{event_type}'$$),
	($$'c', reset => '{aggregate_id}'$$), ($$'c', reset => '{enabled}'$$), ($$'c', reset => '{operation}'$$), ($$'c', reset => '{NULL}'$$), ($$'c', columns => '{missing}'$$), ($$'c', columns => '{id}', ignore => '{n}'$$), ($$'c', columns => '{}'$$), ($$'c', version_column => 'kind'$$)) AS v(arguments);
SELECT state($$SELECT domev.alter_capture('c', condition => 'OLD.id > 0')$$), state($$SELECT domev.alter_capture('c', condition => 'true) --')$$);
SELECT name, try(format($$SELECT domev.drop_capture(%L)$$, name)) FROM (VALUES ('missing'), (''), (NULL), ('domev_c')) AS v(name);
-- after all of it, as it was
SELECT aggregate_id, event_type, condition, columns, enabled, description FROM domev.captures;
SELECT domev.drop_capture('c');
DROP TABLE t2;

-- event types in use; one that a column names is not known to be
SELECT domev.create_capture('c', 't', 'insert', 'id', 'other');
SELECT try($$SELECT domev.drop_event_type('other')$$);
SELECT try($$SELECT domev.drop_event_type('other', if_exists => true)$$);
SELECT domev.drop_capture('c');
SELECT domev.drop_event_type('other');

-- rights: only the owner, who needs the functions
CREATE ROLE regress_owner;
CREATE ROLE regress_writer;
GRANT CREATE ON SCHEMA public TO regress_owner;
GRANT EXECUTE ON FUNCTION try, state TO regress_owner, regress_writer;
SET ROLE regress_owner;
CREATE TABLE owned (id int);
GRANT ALL ON owned TO regress_writer;
SELECT try($$SELECT domev.create_capture('mine', 'owned', 'insert', 'id', 'e')$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION domev.create_capture, domev.alter_capture, domev.drop_capture TO regress_owner, regress_writer;
SET ROLE regress_owner;
SELECT try($$SELECT domev.create_capture('mine', 'owned', 'insert', 'id', 'e')$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION domev.capture_change TO regress_owner, regress_writer;
SET ROLE regress_writer;
SELECT try($$SELECT domev.create_capture('mine', 'owned', 'insert', 'id', 'e')$$);
SET ROLE regress_owner;
SELECT try($$SELECT domev.create_capture('mine', 't', 'insert', 'id', 'e')$$);
SELECT try($$SELECT domev.create_capture('mine', 'owned', 'insert', 'id', 'e')$$);
-- it emits by right of the table's owner, looked at each time
SELECT try('INSERT INTO owned VALUES (1)');
RESET ROLE;
SELECT try('INSERT INTO owned VALUES (1)');
GRANT INSERT ON domev_event.e TO regress_owner;
SELECT try('INSERT INTO owned VALUES (2)');
SET ROLE regress_writer;
SELECT try('INSERT INTO owned VALUES (3)');
SELECT state($$SELECT domev.emit('e', 'x')$$);
SELECT try($$SELECT domev.alter_capture('mine', description => 'x')$$), try($$SELECT domev.drop_capture('mine')$$);
RESET ROLE;
REVOKE INSERT ON domev_event.e FROM regress_owner;
SET ROLE regress_writer;
SELECT try('INSERT INTO owned VALUES (4)');
RESET ROLE;
SELECT aggregate_id FROM domev.outbox ORDER BY recorded_at;
TRUNCATE domev.outbox;
-- another owner, another right
SELECT session_user AS me \gset
ALTER TABLE owned OWNER TO :"me";
SET ROLE regress_writer;
SELECT try('INSERT INTO owned VALUES (5)');
RESET ROLE;
SELECT aggregate_id FROM domev.outbox ORDER BY recorded_at;
SELECT domev.drop_capture('mine');
TRUNCATE domev.outbox;
DROP TABLE owned;

-- where there can be no event
CREATE TABLE place (id int);
SELECT domev.create_capture('place', 'place', 'insert', 'id', 'e');
BEGIN READ ONLY;
INSERT INTO place VALUES (1);
ROLLBACK;
SELECT state('SELECT domev.capture_change()');
DROP TABLE place;

-- triggers made by hand: what is no capture's is refused when it fires, and is in nobody's way
SELECT domev.create_capture('genuine', 't', 'delete', 'id', 'e');
CREATE TABLE hand (id int, n int);
CREATE VIEW hand_view AS SELECT * FROM hand;
CREATE FUNCTION fire(definition text, statements text DEFAULT 'INSERT INTO hand VALUES (1)', relation text DEFAULT 'hand') RETURNS TABLE (made text, fired text, listed text, dropped text) LANGUAGE plpgsql AS $$
BEGIN
	made := try(format('CREATE TRIGGER by_hand %s', replace(definition, 'F(', 'EXECUTE FUNCTION domev.capture_change(')));
	fired := try(statements);
	listed := try($q$SELECT * FROM domev.captures$q$);
	-- other captures and event types can still be changed
	dropped := try($q$SELECT domev.create_event_type('passing', 'a'), domev.alter_capture('genuine', description => 'x')$q$) || ', ' || try($q$SELECT domev.drop_event_type('passing')$q$);
	DELETE FROM domev.event_types WHERE event_type = 'passing';
	EXECUTE format('DROP TRIGGER IF EXISTS by_hand ON %s', relation);
	RETURN NEXT;
END $$;
SELECT definition, (fire(definition)).* FROM (VALUES ('AFTER INSERT ON hand FOR EACH ROW F()'), ($$AFTER INSERT ON hand FOR EACH ROW F('x')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '{}', 'y')$$),
	($$AFTER INSERT ON hand FOR EACH ROW F('x', 'no json')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '[]')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '1')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', 'null')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '{}')$$),
	($$AFTER INSERT ON hand FOR EACH ROW F('x', '{"event_type": "e"}')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '{"event_type": "e", "aggregate_id": "missing"}')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '{"event_type": "e", "aggregate_id": 1}')$$),
	($$AFTER INSERT ON hand FOR EACH ROW F('x', '{"event_type": "missing", "aggregate_id": "id"}')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '{"event_type": "e", "aggregate_id": "id", "columns": ["missing"]}')$$),
	($$AFTER INSERT ON hand FOR EACH ROW F('x', '{"event_type": "e", "aggregate_id": "id", "version_column": "missing"}')$$), ($$AFTER INSERT ON hand FOR EACH ROW F('x', '{"event_type": "e", "aggregate_id": "id", "event_id_column": "n"}')$$),
	($$BEFORE INSERT ON hand FOR EACH ROW F('x', '{"event_type": "e", "aggregate_id": "id"}')$$), ($$AFTER INSERT ON hand FOR EACH STATEMENT F('x', '{"event_type": "e", "aggregate_id": "id"}')$$),
	($$BEFORE INSERT ON hand FOR EACH STATEMENT F('x', '{"event_type": "e", "aggregate_id": "id"}')$$)) AS v(definition);
SELECT fire($$INSTEAD OF INSERT ON hand_view FOR EACH ROW F('x', '{"event_type": "e", "aggregate_id": "id"}')$$, 'INSERT INTO hand_view VALUES (1)', 'hand_view');
SELECT fire($$BEFORE TRUNCATE ON hand FOR EACH STATEMENT F('x', '{"event_type": "e"}')$$, 'TRUNCATE hand');
SELECT fire($$AFTER TRUNCATE ON hand FOR EACH STATEMENT F('x', '{"event_type": "e", "aggregate_id": "id"}')$$, 'TRUNCATE hand');
-- none of them has raised an event
SELECT count(*) FROM domev.outbox;
-- one that is as create_capture would have made it is a capture
CREATE TRIGGER any_name AFTER INSERT ON hand FOR EACH ROW WHEN (NEW.n > 0) EXECUTE FUNCTION domev.capture_change('by hand', '{"event_type": "e", "aggregate_id": "id", "columns": ["n"]}');
INSERT INTO hand VALUES (1, 0), (2, 1);
SELECT aggregate_id, payload FROM domev.outbox;
SELECT capture, relation, operation, columns FROM domev.captures ORDER BY capture COLLATE "C";
-- but not a second one of a name
CREATE TRIGGER any_name2 AFTER DELETE ON hand FOR EACH ROW EXECUTE FUNCTION domev.capture_change('by hand', '{"event_type": "e", "aggregate_id": "id"}');
SELECT try($$SELECT domev.drop_capture('by hand')$$);
DROP TRIGGER any_name2 ON hand;
SELECT domev.drop_capture('by hand');
TRUNCATE domev.outbox;

-- changing captured tables: a column that a capture names is not dropped without it, nor is its type changed
CREATE TABLE changing (id int, a int, b int, kind text, body jsonb, meta jsonb, version int, uid uuid, at timestamptz, free int, cond int);
SELECT domev.create_capture('names', 'changing', 'insert', 'id', event_type_column => 'kind', payload_column => 'body', headers_column => 'meta', version_column => 'version', event_id_column => 'uid', occurred_at_column => 'at', condition => 'NEW.cond IS NULL');
SELECT domev.create_capture('columns', 'changing', 'update', 'id', 'e', columns => '{a}');
SELECT name, try(format('ALTER TABLE changing DROP COLUMN %I', name)) AS drop FROM (VALUES ('id'), ('kind'), ('body'), ('meta'), ('version'), ('uid'), ('at'), ('cond'), ('a')) AS v(name);
SELECT name, state(format('ALTER TABLE changing ALTER COLUMN %I TYPE text', name)) AS type FROM (VALUES ('id'), ('kind'), ('uid'), ('cond'), ('a')) AS v(name);
ALTER TABLE changing ALTER COLUMN free TYPE text;
ALTER TABLE changing DROP COLUMN free;
-- an altered capture lets go of what it names no more, and holds what it names now
SELECT domev.alter_capture('columns', columns => '{version}');
ALTER TABLE changing DROP COLUMN a;
SELECT state('ALTER TABLE changing DROP COLUMN version');
-- CASCADE drops the captures
ALTER TABLE changing DROP COLUMN version CASCADE;
SELECT capture FROM domev.captures ORDER BY capture COLLATE "C";
DROP TABLE changing;
SELECT capture FROM domev.captures ORDER BY capture COLLATE "C";

-- renaming: the table is followed, a column that is named is an error until the capture is altered
CREATE TABLE named (id int, a int, b int);
SELECT domev.create_capture('named', 'named', 'insert', 'id', 'e', condition => 'NEW.a > 0', columns => '{a, b}');
INSERT INTO named VALUES (1, 1, 1);
ALTER TABLE named RENAME TO renamed;
CREATE SCHEMA elsewhere;
ALTER TABLE renamed SET SCHEMA elsewhere;
INSERT INTO elsewhere.renamed VALUES (2, 1, 1);
SELECT domev.alter_capture('named', description => 'moved');
ALTER TABLE elsewhere.renamed RENAME COLUMN a TO c;
SELECT try('INSERT INTO elsewhere.renamed VALUES (3, 1, 1)');
SELECT try('INSERT INTO elsewhere.renamed VALUES (3, 0, 1)');
SELECT state($$SELECT domev.alter_capture('named', description => 'still')$$);
SELECT state($$SELECT domev.alter_capture('named', columns => '{b}')$$);
SELECT domev.alter_capture('named', condition => 'NEW.c > 0', columns => '{c}');
INSERT INTO elsewhere.renamed VALUES (4, 1, 1);
ALTER TABLE elsewhere.renamed RENAME COLUMN id TO key;
SELECT try('INSERT INTO elsewhere.renamed VALUES (5, 1, 1)');
SELECT domev.alter_capture('named', aggregate_id => 'key');
INSERT INTO elsewhere.renamed VALUES (6, 1, 1);
-- two columns swap their names: by name
ALTER TABLE elsewhere.renamed RENAME COLUMN c TO x;
ALTER TABLE elsewhere.renamed RENAME COLUMN b TO c;
INSERT INTO elsewhere.renamed VALUES (7, 1, 8);
SELECT aggregate_id, payload FROM domev.outbox ORDER BY recorded_at;
TRUNCATE domev.outbox;
-- the trigger renamed, and dropped
ALTER TRIGGER domev_named ON elsewhere.renamed RENAME TO "my own";
SELECT domev.alter_capture('named', columns => '{key}', condition => 'NEW.key > 7');
INSERT INTO elsewhere.renamed VALUES (7, 1, 1), (8, 1, 1);
SELECT aggregate_id, payload FROM domev.outbox ORDER BY recorded_at;
TRUNCATE domev.outbox;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'elsewhere.renamed'::regclass;
DROP TRIGGER "my own" ON elsewhere.renamed;
SELECT try($$SELECT domev.drop_capture('named')$$);
INSERT INTO elsewhere.renamed VALUES (9, 1, 1);
SELECT count(*) FROM domev.outbox;
DROP TABLE elsewhere.renamed;
DROP SCHEMA elsewhere;
-- dropped and changed in one transaction: the type of a captured column
CREATE TABLE typed (id int);
SELECT domev.create_capture('typed', 'typed', 'insert', 'id', 'e');
INSERT INTO typed VALUES (1);
BEGIN;
SELECT domev.drop_capture('typed');
ALTER TABLE typed ALTER COLUMN id TYPE text USING 'id ' || id;
SELECT domev.create_capture('typed', 'typed', 'insert', 'id', 'e');
COMMIT;
INSERT INTO typed VALUES ('2');
SELECT aggregate_id, payload FROM domev.outbox ORDER BY recorded_at;
TRUNCATE domev.outbox;
-- inside the statement that fires it: as with DROP TRIGGER, that statement still does
CREATE FUNCTION dropped() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM domev.drop_capture('typed'); RETURN 'x'; END $$;
SELECT state('INSERT INTO typed SELECT dropped()');
INSERT INTO typed VALUES ('y');
SELECT count(*) FROM domev.captures WHERE capture = 'typed';
SELECT aggregate_id FROM domev.outbox;
TRUNCATE domev.outbox;
DROP FUNCTION dropped;
DROP TABLE typed;

-- the function is the extension's
SELECT try('DROP FUNCTION domev.capture_change'), try('DROP FUNCTION domev.capture_change CASCADE');

DROP VIEW hand_view;
DROP TABLE hand, t;
DROP OWNED BY regress_owner, regress_writer;
DROP ROLE regress_owner, regress_writer;
DROP FUNCTION fire, try, state;
DROP EXTENSION domev;
