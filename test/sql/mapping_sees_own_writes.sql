-- A mapping sees all that its transaction has written, the firing statement included, at every isolation level.
CREATE EXTENSION domev;
CREATE TABLE orders (id int PRIMARY KEY, total int);
-- one STABLE SQL function that is inlined, one that is not, one in PL/pgSQL
CREATE FUNCTION public.inlined(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('seen', to_jsonb(sum(total)))).* FROM orders; END;
CREATE FUNCTION public.pl(e domev.domain_event) RETURNS domev.integration_event STABLE LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN RETURN domev.make_integration_event('seen', (SELECT to_jsonb(sum(total)) FROM orders)); END $$;
CREATE FUNCTION public.volatile_pl(e domev.domain_event) RETURNS domev.integration_event VOLATILE LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN RETURN domev.make_integration_event('seen', (SELECT to_jsonb(sum(total)) FROM orders)); END $$;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'order');
SELECT domev.create_mapping('inlined', 'e', 'public.inlined', topic => 't'), domev.create_mapping('pl', 'e', 'public.pl', topic => 't'),
	domev.create_mapping('volatile', 'e', 'public.volatile_pl', topic => 't');
CREATE FUNCTION emit_after() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM domev.emit('e', 'trigger ' || TG_LEVEL || ' ' || TG_OP); RETURN NULL; END $$;
CREATE VIEW seen AS SELECT aggregate_id, string_agg(mapping || ' ' || payload, ', ' ORDER BY mapping) AS seen
	FROM domev.outbox WHERE mapping IS NOT NULL GROUP BY aggregate_id ORDER BY min(recorded_at);

-- from SELECT, after writes of the same transaction, and in the same statement as a write
\set level 'READ COMMITTED'
BEGIN ISOLATION LEVEL :level;
SELECT count(*) FROM orders; -- takes the snapshot of REPEATABLE READ
INSERT INTO orders VALUES (1, 10);
SELECT domev.emit('e', :'level' || ' after insert') IS NOT NULL;
UPDATE orders SET total = 20;
SELECT domev.emit('e', :'level' || ' after update') IS NOT NULL;
WITH new AS (INSERT INTO orders VALUES (2, 1) RETURNING id) SELECT domev.emit('e', :'level' || ' cte ' || id) IS NOT NULL FROM new;
INSERT INTO orders VALUES (3, 2) RETURNING domev.emit('e', :'level' || ' returning') IS NOT NULL;
DELETE FROM orders;
SELECT domev.emit('e', :'level' || ' after delete') IS NOT NULL;
COMMIT;
\set level 'REPEATABLE READ'
BEGIN ISOLATION LEVEL :level;
SELECT count(*) FROM orders;
INSERT INTO orders VALUES (1, 10);
SELECT domev.emit('e', :'level' || ' after insert') IS NOT NULL;
UPDATE orders SET total = 20;
SELECT domev.emit('e', :'level' || ' after update') IS NOT NULL;
WITH new AS (INSERT INTO orders VALUES (2, 1) RETURNING id) SELECT domev.emit('e', :'level' || ' cte ' || id) IS NOT NULL FROM new;
DELETE FROM orders;
SELECT domev.emit('e', :'level' || ' after delete') IS NOT NULL;
COMMIT;
\set level 'SERIALIZABLE'
BEGIN ISOLATION LEVEL :level;
SELECT count(*) FROM orders;
INSERT INTO orders VALUES (1, 10);
SELECT domev.emit('e', :'level' || ' after insert') IS NOT NULL;
UPDATE orders SET total = 20;
SELECT domev.emit('e', :'level' || ' after update') IS NOT NULL;
WITH new AS (INSERT INTO orders VALUES (2, 1) RETURNING id) SELECT domev.emit('e', :'level' || ' cte ' || id) IS NOT NULL FROM new;
DELETE FROM orders;
SELECT domev.emit('e', :'level' || ' after delete') IS NOT NULL;
COMMIT;
SELECT * FROM seen;
TRUNCATE domev.outbox;

-- from AFTER triggers: each row of the firing statement is there already
CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION emit_after();
CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH STATEMENT EXECUTE FUNCTION emit_after();
INSERT INTO orders VALUES (1, 10);
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE orders SET total = 30;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
DELETE FROM orders;
COMMIT;
SELECT * FROM seen;

SET client_min_messages = warning;
DROP VIEW seen;
DROP EXTENSION domev CASCADE;
DROP TABLE orders CASCADE;
DROP FUNCTION emit_after;
