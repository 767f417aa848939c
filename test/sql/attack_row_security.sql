-- SE-12: row security and what is said of a payload.  A mapping sees what its owner may see, whoever emits; errors hold no payload.
CREATE EXTENSION domev;
CREATE ROLE regress_mapper;
CREATE ROLE regress_free BYPASSRLS;
CREATE ROLE regress_app_1;
CREATE ROLE regress_app_2;
CREATE SCHEMA mapper AUTHORIZATION regress_mapper;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA domev TO regress_mapper, regress_free, regress_app_1, regress_app_2;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_event_type('f', 'a'), domev.create_event_type('d', 'a');
GRANT INSERT ON ALL TABLES IN SCHEMA domev_event, domev_topic TO regress_mapper, regress_free, regress_app_1, regress_app_2;
CREATE TABLE customers (tenant name, v text);
ALTER TABLE customers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON customers USING (tenant = current_user);
GRANT SELECT, INSERT ON customers TO PUBLIC;
INSERT INTO customers VALUES ('regress_mapper', 'mapper''s'), ('regress_app_1', 'app 1''s'), ('regress_app_2', 'app 2''s');
-- one inlined, one in PL/pgSQL, one of an owner who is free of it, one deferred
SET ROLE regress_mapper;
CREATE FUNCTION mapper.inlined(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('i', to_jsonb((SELECT string_agg(v, ',' ORDER BY v) FROM public.customers)))).*; END;
CREATE FUNCTION mapper.plpgsql(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN RETURN domev.make_integration_event('p', to_jsonb((SELECT string_agg(v, ',' ORDER BY v) FROM public.customers))); END $$;
SELECT domev.create_mapping('inlined', 'e', 'mapper.inlined', 't'), domev.create_mapping('plpgsql', 'e', 'mapper.plpgsql', 't'),
	domev.create_mapping('deferred', 'd', 'mapper.plpgsql', 't', timing => 'deferred');
RESET ROLE;
GRANT CREATE, USAGE ON SCHEMA mapper TO regress_free;
SET ROLE regress_free;
CREATE FUNCTION mapper.free(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
	SELECT (domev.make_integration_event('f', to_jsonb((SELECT string_agg(v, ',' ORDER BY v) FROM public.customers)))).*; END;
SELECT domev.create_mapping('free', 'f', 'mapper.free', 't');
RESET ROLE;

-- the same for every emitter, in one session, with plans that were made for another
SELECT count(domev.emit(e, 'superuser')) FROM unnest('{e,f,d}'::text[]) AS e;
SET ROLE regress_app_1;
SELECT v FROM customers;
SELECT count(domev.emit(e, 'app 1')) FROM unnest('{e,f,d}'::text[]) AS e;
SET ROLE regress_app_2;
SELECT count(domev.emit(e, 'app 2')) FROM unnest('{e,f,d}'::text[]) AS e;
SET ROLE regress_mapper;
SELECT count(domev.emit(e, 'mapper')) FROM unnest('{e,f,d}'::text[]) AS e;
SET ROLE regress_free;
SELECT count(domev.emit(e, 'free')) FROM unnest('{e,f,d}'::text[]) AS e;
RESET ROLE;
SELECT mapping, payload::text AS payload, string_agg(aggregate_id, ', ' ORDER BY aggregate_id COLLATE "C") AS emitters FROM domev.outbox WHERE mapping IS NOT NULL GROUP BY 1, 2 ORDER BY 1;
-- an emitter who switches row security off gets an error, not the rows; one whose settings the policy reads makes the policy see them
SET ROLE regress_app_1;
SET row_security = off;
\set SHOW_CONTEXT never
SELECT domev.emit('e', 'x');
\set SHOW_CONTEXT errors
SELECT domev.emit('f', 'x') IS NOT NULL; -- of who is free of it
RESET row_security;
RESET ROLE;
ALTER POLICY own ON customers USING (tenant = current_setting('app.tenant', true));
TRUNCATE domev.outbox;
SET app.tenant = 'regress_app_2';
SELECT domev.emit('e', 'x') IS NOT NULL;
SET app.tenant = 'regress_app_1';
SELECT domev.emit('e', 'x') IS NOT NULL;
RESET app.tenant;
SELECT mapping, payload FROM domev.outbox WHERE mapping IS NOT NULL ORDER BY recorded_at;

-- the outbox under row security of its own: who emits is not hindered, as it is the extension's owner who writes
ALTER TABLE domev.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE domev.outbox_default ENABLE ROW LEVEL SECURITY;
TRUNCATE domev.outbox;
SET ROLE regress_app_1;
SELECT domev.emit('f', 'with row security on the outbox') IS NOT NULL;
RESET ROLE;
SELECT count(*) FROM domev.outbox;
ALTER TABLE domev.outbox DISABLE ROW LEVEL SECURITY;
ALTER TABLE domev.outbox_default DISABLE ROW LEVEL SECURITY;

-- whatever fails, the error says neither payload nor headers, in no part of it
CREATE TABLE said (what text, error text);
CREATE FUNCTION say(what text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	m text; d text; h text; c text;
BEGIN
	EXECUTE statement USING '{"card": "4111-1111"}'::jsonb, 'secret-4111-1111', '{"h": "4111-1111"}'::jsonb;
	SET CONSTRAINTS ALL IMMEDIATE;
	INSERT INTO said VALUES (what, 'no error');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT, c = PG_EXCEPTION_CONTEXT;
	INSERT INTO said VALUES (what, concat_ws(E'\n', SQLSTATE, m, d, h, c));
END $$;
CREATE FUNCTION mapper.fails(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	CASE (e).aggregate_id
		WHEN 'divide' THEN PERFORM 1 / 0;
		WHEN 'both' THEN RETURN domev.make_integration_event('x', (e).payload, data => 'x');
		WHEN 'type' THEN RETURN domev.make_integration_event(NULL, (e).payload);
		WHEN 'topic' THEN RETURN domev.make_integration_event('x', (e).payload, topic => 'none');
		WHEN 'headers' THEN RETURN domev.make_integration_event('x', headers => jsonb_build_object('a', (e).payload));
		WHEN 'key' THEN RETURN domev.make_integration_event('x', (e).payload, key => repeat('4111-1111', 200));
		WHEN 'produces' THEN RETURN domev.make_integration_event('y', (e).payload);
		WHEN 'size' THEN RETURN domev.make_integration_event('x', jsonb_build_object('a', repeat('4111-1111', 10000)));
		ELSE PERFORM * FROM domev.message_key;
	END CASE;
	RETURN NULL;
END $$;
ALTER FUNCTION mapper.fails OWNER TO regress_mapper;
SELECT domev.create_event_type('n', 'a'), domev.create_event_type('l', 'a');
GRANT INSERT ON domev_event.n, domev_event.l TO regress_mapper;
SELECT domev.create_mapping('n', 'n', 'mapper.fails', 't', produces => '{x}'),
	domev.create_mapping('l', 'l', 'mapper.fails', 't', timing => 'deferred', produces => '{x}');
SET domev.max_event_size = '10kB';
SELECT count(say(type || ' ' || what, format('SELECT domev.emit(%L, %L, $1, headers => $3)', type, what)))
FROM unnest('{n,l}'::text[]) AS type, unnest('{divide,both,type,topic,headers,key,produces,size,rights}'::text[]) AS what;
RESET domev.max_event_size;
SELECT say('no JSON', $$SELECT domev.emit('e', 'x', '{"card": "4111-1111", }'::text)$$), say('no type', $$SELECT domev.emit('none', 'x', $1)$$), say('empty id', $$SELECT domev.emit('e', '', $1)$$), say('long id', $$SELECT domev.emit('e', repeat($2, 100), $1)$$),
	say('header', $$SELECT domev.emit('e', 'x', $1, headers => jsonb_build_object('h', $1))$$), say('context', $$SELECT set_config('domev.context', jsonb_build_object('h', $1)::text, true)$$),
	say('context that is no JSON', $$SELECT set_config('domev.context', '{"h": "' || $2, true)$$), say('read only', $$SELECT set_config('transaction_read_only', 'on', true), domev.emit('e', 'x', $1)$$),
	say('time', $$SELECT domev.emit('e', 'x', $1, occurred_at => 'infinity')$$), say('guard', $$SELECT set_config('domev.aggregate_guard', 'error', true), domev.emit('f', 'x', $1), domev.emit('f', 'y', $1)$$);
-- (PostgreSQL says the values of settings, and what is no JSON: payloads that are sent as text, with an error in them, are in its context)
SELECT what FROM said WHERE error ~ '4111' OR error = 'no error';
SELECT what, split_part(error, E'\n', 1) AS state FROM said ORDER BY what COLLATE "C";

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP SCHEMA mapper CASCADE;
DROP TABLE customers, said;
DROP FUNCTION say;
DROP OWNED BY regress_mapper, regress_free, regress_app_1, regress_app_2;
DROP ROLE regress_mapper, regress_free, regress_app_1, regress_app_2;
