-- The options of the output plugin: each filters, and what is wrong with one is said by its name.
CREATE EXTENSION domev;
SELECT domev.create_topic('in.orders', 'internal'), domev.create_topic('out.orders'), domev.create_topic('out.bills'), domev.create_topic('out.wal', storage => 'wal');
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN NEXT domev.make_integration_event('shop.order-placed', '1', 'out.orders');
	RETURN NEXT domev.make_integration_event('shop.100% "odd", a_b', '2', 'out.bills');
	RETURN NEXT domev.make_integration_event('shop.100% "odd", a_b', '3', 'out.wal');
	RETURN NEXT domev.make_integration_event('shop.ä', '4', 'out.wal');
END $$;
SELECT domev.create_event_type('order.placed', 'order', 'in.orders'), domev.create_mapping('m', 'order.placed', 'public.m');
SELECT pg_create_logical_replication_slot('options', 'domev') IS NOT NULL;
SELECT domev.emit('order.placed', 'x') IS NOT NULL;
CREATE FUNCTION sent(VARIADIC options text[]) RETURNS TABLE (event text) LANGUAGE sql AS $$
	SELECT concat_ws(' ', e->>'topic', e->>'type', right(e->>'sequence', 1), e->>'endoftransaction')
	FROM (SELECT data::jsonb AS e FROM pg_logical_slot_peek_changes('options', NULL, NULL, VARIADIC options)) AS p $$;

-- what they select; the index in "sequence" is the same for all, the end is that of what is sent
SELECT * FROM sent('format', 'cloudevents');
SELECT * FROM sent('topics', 'out.orders');
SELECT * FROM sent('topics', 'out.*');
SELECT * FROM sent('topics', 'in.orders , out.b?lls');
SELECT * FROM sent('topics', 'out_orders');
SELECT * FROM sent('topics', 'out.order');
SELECT * FROM sent('event_types', 'order.*');
SELECT * FROM sent('event_types', 'shop.100% "odd"\, a_b');
SELECT * FROM sent('event_types', 'shop.100%*,*ä');
SELECT * FROM sent('event_types', 'shop.?');
SELECT * FROM sent('event_types', 'shop.\*');
SELECT * FROM sent('scope', 'internal');
SELECT * FROM sent('scope', 'external');
SELECT * FROM sent('scope', 'external', 'topics', '*.orders', 'event_types', 'shop.*', 'origin', 'any');
SELECT * FROM sent('scope', 'internal', 'topics', 'out.*');

-- the scope is the topic's as of the event, also when it changes between events
SELECT count(*) FROM pg_logical_slot_get_changes('options', NULL, NULL);
SELECT domev.create_topic('changing'), domev.alter_mapping('m', enabled => false);
CREATE FUNCTION public.c(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC SELECT (domev.make_integration_event((e).aggregate_id)).*; END;
SELECT domev.create_mapping('c', 'order.placed', 'public.c', 'changing');
SELECT domev.emit('order.placed', 'while external') IS NOT NULL;
BEGIN;
SELECT domev.alter_topic('changing', scope => 'internal');
SELECT domev.emit('order.placed', 'while internal') IS NOT NULL;
COMMIT;
BEGIN;
SELECT domev.emit('order.placed', 'still internal') IS NOT NULL;
SELECT domev.alter_topic('changing', scope => 'external');
SELECT domev.emit('order.placed', 'external again') IS NOT NULL;
SELECT domev.create_topic('new'), domev.alter_mapping('c', topic => 'new');
SELECT domev.emit('order.placed', 'new topic') IS NOT NULL;
SELECT domev.drop_mapping('c'), domev.drop_topic('new');
COMMIT;
SELECT * FROM sent('scope', 'external');

-- errors
SELECT * FROM sent('shard', '4/4');
SELECT * FROM sent('shard', '0/0');
SELECT * FROM sent('shard', '-1/4');
SELECT * FROM sent('shard', '0/1025');
SELECT * FROM sent('shard', '1');
SELECT * FROM sent('shard', '/');
SELECT * FROM sent('shard', '0/4 ');
SELECT * FROM sent('shard', '0/99999999999');
SELECT * FROM sent('shard', '0x0/4');
SELECT * FROM sent('shard', '0/2', 'shard', '1/2');
SELECT * FROM sent('Format', 'cloudevents');
-- a binary format is not for the text function
SELECT * FROM sent('format', 'protobuf');
SELECT * FROM sent('format', '');
SELECT * FROM sent('scope', 'public');
SELECT * FROM sent('origin', 'local');
SELECT * FROM sent('topics', '');
SELECT * FROM sent('topics', 'a,,b');
SELECT * FROM sent('topics', 'a,');
SELECT * FROM sent('topics', 'a\');
SELECT * FROM sent('topics', repeat('x', 256));
SELECT * FROM sent('event_types', ' ');
SELECT * FROM sent('topics', 'a', 'topics', 'b');
SELECT * FROM sent('topics', NULL);
SELECT * FROM sent('topics');
-- none of which has spoilt the slot
SELECT count(*) FROM sent('topics', '*');

SELECT pg_drop_replication_slot('options');
SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP FUNCTION sent;
