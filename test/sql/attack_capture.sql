-- SE-9: a capture emits by right of the table's owner, whenever it fires; its triggers, made by hand, give nobody more; and what the
-- table's owner writes into it, casts, conditions, triggers, runs as whoever writes to the table.
CREATE EXTENSION domev;
CREATE ROLE regress_evil;
CREATE ROLE regress_writer;
CREATE ROLE regress_group;
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('payments.Paid', 'payment', 't'), domev.create_event_type('own', 'a', 't'), domev.create_event_type('others', 'a', 't');
GRANT EXECUTE ON FUNCTION domev.create_capture, domev.alter_capture, domev.drop_capture, domev.capture_change TO regress_evil, regress_writer;
GRANT INSERT ON domev_event.own TO regress_evil;
CREATE SCHEMA evil AUTHORIZATION regress_evil;
GRANT USAGE ON SCHEMA evil TO regress_writer;
CREATE TABLE canary (what text, who name);
GRANT INSERT ON canary TO PUBLIC;
CREATE VIEW kept AS SELECT event_type, aggregate_id FROM domev.outbox ORDER BY recorded_at;
GRANT SELECT ON kept TO PUBLIC;

-- made for an event type that the owner may not emit: it fires in vain, whoever writes, and however it was made
SET ROLE regress_evil;
CREATE TABLE evil.t (id int, type text);
GRANT ALL ON evil.t TO regress_writer;
SELECT domev.create_capture('c', 'evil.t', 'insert', 'id', 'payments.Paid');
INSERT INTO evil.t VALUES (1);
RESET ROLE;
INSERT INTO evil.t VALUES (2);
SET ROLE regress_evil;
SELECT domev.drop_capture('c', true);
CREATE TRIGGER by_hand AFTER INSERT ON evil.t FOR EACH ROW EXECUTE FUNCTION domev.capture_change('by hand', '{"event_type": "payments.Paid", "aggregate_id": "id"}');
RESET ROLE;
INSERT INTO evil.t VALUES (3);
-- nor by a column that names the type
SET ROLE regress_evil;
DROP TRIGGER by_hand ON evil.t;
SELECT domev.create_capture('c', 'evil.t', 'insert', 'id', event_type_column => 'type', payload_column => NULL);
INSERT INTO evil.t VALUES (4, 'own');
INSERT INTO evil.t VALUES (5, 'payments.Paid');
RESET ROLE;
INSERT INTO evil.t VALUES (6, 'others');
-- whoever may emit it does not lend the right by writing
GRANT INSERT ON domev_event."payments.Paid" TO regress_writer;
SET ROLE regress_writer;
INSERT INTO evil.t VALUES (7, 'payments.Paid');
INSERT INTO evil.t VALUES (8, 'own'); -- and needs none for the owner's
RESET ROLE;
SELECT * FROM kept;

-- the right is that of the time: granted, revoked, by membership, given away; in a session whose capture is warm
GRANT INSERT ON domev_event."payments.Paid" TO regress_evil;
INSERT INTO evil.t VALUES (9, 'payments.Paid');
REVOKE INSERT ON domev_event."payments.Paid" FROM regress_evil;
INSERT INTO evil.t VALUES (10, 'payments.Paid');
GRANT INSERT ON domev_event."payments.Paid" TO regress_group;
GRANT regress_group TO regress_evil;
INSERT INTO evil.t VALUES (11, 'payments.Paid');
REVOKE regress_group FROM regress_evil;
INSERT INTO evil.t VALUES (12, 'payments.Paid');
ALTER TABLE evil.t OWNER TO regress_writer;
INSERT INTO evil.t VALUES (13, 'payments.Paid'), (14, 'payments.Paid');
INSERT INTO evil.t VALUES (15, 'own');
ALTER TABLE evil.t OWNER TO regress_evil;
INSERT INTO evil.t VALUES (16, 'payments.Paid');
INSERT INTO evil.t VALUES (17, 'own');
SELECT * FROM kept;
SELECT id FROM evil.t ORDER BY 1; -- what could not be emitted was not written
-- nobody else makes, alters or drops captures on it, and it makes none on others' tables
CREATE TABLE mine (id int);
GRANT ALL ON mine TO regress_evil;
SET ROLE regress_evil;
SELECT domev.create_capture('mine', 'mine', 'insert', 'id', 'own');
SELECT domev.create_capture('outbox', 'domev.outbox_default', 'insert', 'event_id', 'own');
SELECT domev.create_capture('catalog', 'pg_catalog.pg_proc', 'insert', 'oid', 'own');
SET ROLE regress_writer;
SELECT domev.alter_capture('c', enabled => false);
SELECT domev.drop_capture('c');
RESET ROLE;
-- the function without its right: no trigger, in whatever way
REVOKE EXECUTE ON FUNCTION domev.capture_change FROM regress_evil;
SET ROLE regress_evil;
CREATE TABLE evil.u (id int);
CREATE TRIGGER by_hand AFTER INSERT ON evil.u FOR EACH ROW EXECUTE FUNCTION domev.capture_change('u', '{"event_type": "own", "aggregate_id": "id"}');
SELECT domev.create_capture('u', 'evil.u', 'insert', 'id', 'own');
SELECT domev.capture_change();
-- one that was made before goes on, as PostgreSQL has it for triggers: the right that counts is that on the event type
INSERT INTO evil.t VALUES (18, 'own');
RESET ROLE;
GRANT EXECUTE ON FUNCTION domev.capture_change TO regress_evil;

-- what is the table owner's own code runs as who writes, as triggers do, never as the extension's owner
SET ROLE regress_evil;
CREATE FUNCTION evil.bite(what text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES (what, current_user); RETURN true; END $$;
CREATE TYPE evil.mood AS ENUM ('angry');
CREATE FUNCTION evil.to_json(evil.mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.bite('cast to json'); RETURN '1'; END $$;
CREATE FUNCTION evil.to_jsonb(evil.mood) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.bite('cast to jsonb'); RETURN '1'; END $$;
CREATE FUNCTION evil.to_text(evil.mood) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.bite('cast to text'); RETURN 'x'; END $$;
CREATE CAST (evil.mood AS json) WITH FUNCTION evil.to_json(evil.mood);
CREATE CAST (evil.mood AS jsonb) WITH FUNCTION evil.to_jsonb(evil.mood);
CREATE CAST (evil.mood AS text) WITH FUNCTION evil.to_text(evil.mood) AS IMPLICIT;
CREATE DOMAIN evil.checked AS int CHECK (evil.bite('domain'));
CREATE TABLE evil.v (id evil.checked, mood evil.mood, moods evil.mood[], twice int GENERATED ALWAYS AS (2) STORED);
GRANT ALL ON evil.v TO regress_writer;
SELECT domev.create_capture('v', 'evil.v', 'insert', 'id', 'own', condition => 'evil.bite(''condition'')');
SELECT domev.create_capture('w', 'evil.v', 'update', 'id', 'own');
SET ROLE regress_writer;
INSERT INTO evil.v VALUES (1, 'angry', '{angry}');
UPDATE evil.v SET moods = NULL;
RESET ROLE;
SELECT who, string_agg(DISTINCT what, ', ' ORDER BY what) FROM canary GROUP BY 1;
SELECT payload FROM domev.outbox WHERE aggregate_id = '1' AND payload::text ~ 'mood' ORDER BY recorded_at;
-- others who look at it run none of it: the view of captures, what is done to event types, a superuser's changes of the capture
SET ROLE regress_evil;
TRUNCATE evil.v;
RESET ROLE;
TRUNCATE canary;
SELECT capture, relation, condition FROM domev.captures ORDER BY 1;
SELECT domev.create_event_type('z', 'a'), domev.drop_event_type('z');
SELECT domev.alter_capture('v', description => 'looked at'), domev.alter_capture('w', enabled => false), domev.drop_capture('w');
SELECT count(*) FROM canary;

-- a partition that belongs to somebody who may: the capture is that of the partitioned table's owner
SET ROLE regress_evil;
CREATE TABLE evil.p (id int, type text) PARTITION BY RANGE (id);
SELECT domev.create_capture('p', 'evil.p', 'insert', 'id', event_type_column => 'type');
RESET ROLE;
CREATE TABLE paid PARTITION OF evil.p FOR VALUES FROM (1000) TO (2000);
ALTER TABLE paid OWNER TO regress_writer;
TRUNCATE domev.outbox;
SET ROLE regress_evil;
INSERT INTO evil.p VALUES (1001, 'payments.Paid');
INSERT INTO evil.p VALUES (1002, 'own');
SET ROLE regress_writer;
INSERT INTO paid VALUES (1003, 'payments.Paid');
RESET ROLE;
SELECT * FROM kept;

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP SCHEMA evil CASCADE;
DROP TABLE canary, mine;
DROP OWNED BY regress_evil, regress_writer, regress_group;
DROP ROLE regress_evil, regress_writer, regress_group;
