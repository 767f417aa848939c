-- What the registry refuses, each with its SQLSTATE.
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

-- names of topics
SELECT name, try(format('SELECT domev.create_topic(%L)', name)) FROM (VALUES
	('A-z_0.9'), (repeat('t', 63)), (''), (repeat('t', 64)), ('.'), ('..'), ('...'), ('a b'), ('a/b'), ('ä'), (E'a\nb'), ('a"b'), (NULL)) AS v(name);
-- names of event types, aggregate types and mappings
SELECT left(name, 20), try(format('SELECT domev.create_event_type(%L, %L)', name, 'order')), try(format('SELECT domev.create_event_type(%L, %L, if_not_exists => true)', 'x', name))
	FROM (VALUES ('order placed'), ('it''s "quoted"'), (repeat('ä', 31)), (repeat('ä', 32)), (''), (repeat('e', 64)), (E'a\nb'), (E'\x7f'), (E'\u0085'), (NULL)) AS v(name);
-- choices
SELECT try($$SELECT domev.create_topic('t1', scope => 'public')$$);
SELECT try($$SELECT domev.create_topic('t1', scope => NULL)$$);
SELECT try($$SELECT domev.create_topic('t1', storage => 'disk')$$);
SELECT try($$SELECT domev.alter_topic('A-z_0.9', scope => 'External')$$);
SELECT try($$SELECT domev.alter_topic('A-z_0.9', storage => '')$$);
SELECT try($$SELECT domev.alter_topic('A-z_0.9', reset => '{scope}')$$);
SELECT try($$SELECT domev.alter_topic('A-z_0.9', reset => '{NULL}')$$);
SELECT try($$SELECT domev.alter_event_type('order placed', reset => '{aggregate_type}')$$);
-- what does not exist
SELECT try($$SELECT domev.alter_topic('missing', description => 'x')$$);
SELECT try($$SELECT domev.alter_event_type('missing')$$);
SELECT try($$SELECT domev.alter_mapping('missing')$$);
SELECT try($$SELECT domev.drop_topic('missing')$$);
SELECT try($$SELECT domev.drop_event_type('missing')$$);
SELECT try($$SELECT domev.drop_mapping('missing')$$);
SELECT try($$SELECT domev.create_event_type('e1', 'order', topic => 'missing')$$);
SELECT try($$SELECT domev.alter_event_type('order placed', topic => 'missing')$$);
-- an external topic carries no domain events, and one that does cannot become external
SELECT domev.create_topic('inside', 'internal'), domev.create_topic('outside');
SELECT try($$SELECT domev.create_event_type('e1', 'order', topic => 'outside')$$);
SELECT try($$SELECT domev.alter_event_type('order placed', topic => 'outside')$$);
SELECT try($$SELECT domev.create_event_type('e1', 'order', topic => 'inside')$$);
SELECT try($$SELECT domev.alter_topic('inside', scope => 'external')$$);
SELECT try($$SELECT domev.drop_topic('inside')$$);

-- mapping functions
CREATE SCHEMA shop;
CREATE FUNCTION shop.good(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop."Good 2"(domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('x', '1')).*; END;
CREATE FUNCTION shop.path(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.sqlpath(domev.domain_event) RETURNS domev.integration_event LANGUAGE sql AS 'SELECT NULL::domev.integration_event';
CREATE FUNCTION shop.otherset(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET work_mem = '1MB' AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.definer(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.argument(jsonb) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.two(domev.domain_event, text DEFAULT '') RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.variadic(VARIADIC domev.domain_event[]) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.result(domev.domain_event) RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.poly(anyelement) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
CREATE PROCEDURE shop.procedure(domev.domain_event) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN END';
CREATE FUNCTION shop.temp_first(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = shop AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.temp_middle(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_temp, shop AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.empty_path(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = '' AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.user_path(domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = "$user", pg_temp AS 'BEGIN RETURN NULL; END';
SELECT domev.create_event_type('e2', 'order');
SELECT name, try(format('SELECT domev.create_mapping(%L, %L, %L)', name, 'e2', name)) FROM (VALUES
	('shop.good'), ('shop."Good 2"'), ('good'), ('other.shop.good'), ('shop.Good 2'), ('shop.'), ('shop.missing'), ('missing.good'), ('shop.good(domev.domain_event)'),
	('shop.path'), ('shop.sqlpath'), ('shop.otherset'), ('shop.temp_first'), ('shop.temp_middle'), ('shop.empty_path'), ('shop.user_path'), ('shop.definer'), ('shop.argument'), ('shop.two'), ('shop.variadic'),
	('shop.result'), ('shop.poly'), ('shop.procedure'), ('domev.make_integration_event'), ('')) AS v(name);
SELECT mapping, function FROM domev.mappings ORDER BY 1;

-- the other attributes of mappings
SELECT try($$SELECT domev.create_mapping('m1', 'missing', 'shop.good')$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', topic => 'missing')$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', NULL)$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', timing => 'later')$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', timing => NULL)$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', on_error => 'ignore')$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', on_error => NULL)$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', produces => '{}')$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', produces => '{a,NULL}')$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', produces => '{{a},{b}}')$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', produces => ARRAY[repeat('x', 256)])$$);
SELECT try($$SELECT domev.create_mapping('m1', 'e2', 'shop.good', produces => ARRAY[repeat('x', 255)])$$);
SELECT try($$SELECT domev.create_mapping(repeat('m', 64), 'e2', 'shop.good')$$);
SELECT try($$SELECT domev.alter_mapping('m1', function => 'shop.path')$$);
SELECT try($$SELECT domev.alter_mapping('m1', timing => 'Deferred')$$);
SELECT try($$SELECT domev.alter_mapping('m1', on_error => '')$$);
SELECT try($$SELECT domev.alter_mapping('m1', reset => '{timing}')$$);
SELECT try($$SELECT domev.alter_mapping('m1', reset => '{function}')$$);

-- source
SELECT left(uri, 20), try(format('SELECT domev.set_source(%L)', uri)) FROM (VALUES
	('/a%20b'), (repeat('u', 2048)), (''), (repeat('u', 2049)), ('/a b'), ('/a%2'), ('/a%zz'), ('/ä'), ('<a>'), (NULL),
	('urn:a:b'), ('a+b.c-1:'), ('//user@[::1]:80/a?b:c/d?#e:f/g?'), ('https://[2001:db8::1]'), ('./a:b'), ('?a:b'), ('%3a'),
	('1a:b'), ('a_b:c'), (':'), ('::'), ('a:b#c#d'), ('http://[::1'), ('http://a/[x]'), ('http://[x]'), ('http://[]'), ('http://a[::1]'), ('http://[::1]a'), ('a[b]'), ('urn:[::1]'), ('a]')) AS v(uri);

-- the tables themselves are closed to all but a superuser, even to one who may register
CREATE ROLE regress_registrar;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA domev TO regress_registrar;
GRANT EXECUTE ON FUNCTION try TO regress_registrar;
SET ROLE regress_registrar;
SELECT try($$INSERT INTO domev.topics VALUES ('x', 'internal', 'table')$$);
SELECT try($$UPDATE domev.mappings SET function = 'pg_catalog.now'$$);
SELECT try($$DELETE FROM domev.event_types$$);
SELECT try($$TRUNCATE domev.source$$);
SELECT try($$SELECT * FROM domev.message_key$$);
SELECT try($$SELECT count(*) FROM domev.topics, domev.event_types, domev.mappings, domev.source$$);
SELECT try($$SELECT domev.create_topic('by.registrar')$$);
-- a function of somebody else's, and a mapping of somebody else's
SELECT try($$SELECT domev.create_mapping('m2', 'e2', 'shop.good')$$);
SELECT try($$SELECT domev.alter_mapping('m1', enabled => false)$$);
SELECT try($$SELECT domev.drop_mapping('m1')$$);
RESET ROLE;

SET client_min_messages = warning;
DROP FUNCTION try;
DROP EXTENSION domev CASCADE;
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_registrar;
DROP ROLE regress_registrar;
