-- Triggers of captures that somebody made by hand for several operations, or with lists that are none: nothing crashes, and others go on.
CREATE EXTENSION domev;
SELECT domev.create_event_type('e', 'thing');
-- runs a statement and says which error it raised, or that there was none
CREATE FUNCTION state(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE TABLE hand (id int, n int);

-- of several operations, whichever fires first: refused, as no capture is
INSERT INTO hand VALUES (1, 1);
SELECT events, state(format($$CREATE TRIGGER several AFTER %s ON hand FOR EACH ROW EXECUTE FUNCTION domev.capture_change('several', '{"event_type": "e", "aggregate_id": "id"}')$$, events)) AS made,
	CASE WHEN events LIKE '%INSERT%' THEN state('INSERT INTO hand VALUES (2, 2)') END AS insert, CASE WHEN events LIKE '%UPDATE%' THEN state('UPDATE hand SET n = n + 1') END AS update,
	CASE WHEN events LIKE '%DELETE%' THEN state('DELETE FROM hand') END AS delete, state('DROP TRIGGER several ON hand') AS dropped
FROM (VALUES ('INSERT OR UPDATE'), ('UPDATE OR DELETE'), ('INSERT OR DELETE'), ('INSERT OR UPDATE OR DELETE')) AS v(events);
SELECT events, state(format($$CREATE TRIGGER several AFTER %s ON hand FOR EACH ROW EXECUTE FUNCTION domev.capture_change('several', '{"event_type": "e", "aggregate_id": "id"}')$$, events)) AS made,
	state('UPDATE hand SET n = n + 1') AS update, state('INSERT INTO hand VALUES (2, 2)') AS insert, state('DROP TRIGGER several ON hand') AS dropped
FROM (VALUES ('INSERT OR UPDATE')) AS v(events);
SELECT count(*) FROM domev.outbox;
SELECT * FROM hand;
-- one operation only for a list of columns is a capture, as create_capture makes none
CREATE TRIGGER of_columns AFTER UPDATE OF n ON hand FOR EACH ROW EXECUTE FUNCTION domev.capture_change('of columns', '{"event_type": "e", "aggregate_id": "id"}');
UPDATE hand SET id = 2;
UPDATE hand SET n = 5;
SELECT aggregate_id, payload FROM domev.outbox;
SELECT capture, operation FROM domev.captures;
DROP TRIGGER of_columns ON hand;
TRUNCATE domev.outbox;
-- a constraint trigger that is deferred raises its events at commit
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON hand DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION domev.capture_change('deferred', '{"event_type": "e", "aggregate_id": "id"}');
BEGIN;
INSERT INTO hand VALUES (7, 7);
SELECT count(*) FROM domev.outbox;
COMMIT;
SELECT aggregate_id, payload FROM domev.outbox;
DROP TRIGGER deferred ON hand;
TRUNCATE domev.outbox;
-- lists that are none never fail others: the view lists, event types are dropped, captures are made
SELECT left(list, 26) AS list, state(format($$CREATE TRIGGER lists AFTER INSERT ON hand FOR EACH ROW EXECUTE FUNCTION domev.capture_change('lists', '{"event_type": "e", "aggregate_id": "id", %s}')$$, list)) AS made,
	state('INSERT INTO hand VALUES (3, 3)') <> 'XX000' AS fired, state('SELECT * FROM domev.captures') AS listed,
	state($$SELECT domev.create_event_type('passing', 'a'), domev.create_capture('other', 'hand', 'delete', 'id', 'passing'), domev.drop_capture('other'), domev.drop_event_type('passing')$$) AS others,
	state('DROP TRIGGER lists ON hand') AS dropped
FROM (VALUES ('"columns": {"a": 1}'), ('"columns": "id"'), ('"columns": 1'), ('"columns": []'), ('"ignore": {}'), ('"columns": null'), ('"columns": [{"a": 1}, [2]]'),
	('"columns": ' || repeat('[', 100000)), ('"columns": ' || repeat('{"a": ', 100000))) AS v(list);
-- but brackets in a text are text
CREATE TRIGGER texts AFTER INSERT ON hand FOR EACH ROW EXECUTE FUNCTION domev.capture_change('texts', '{"event_type": "e", "aggregate_id": "id", "description": "[[[{{{ \"[[["}');
SELECT description FROM domev.captures;
DROP TABLE hand;
DROP FUNCTION state;
DROP EXTENSION domev;
