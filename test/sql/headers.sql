-- Headers: of emit, of the setting domev.context and of mappings; which wins, what removes, what is refused.
CREATE EXTENSION domev;
CREATE FUNCTION public.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('i', '{}', headers => (e).payload)).*; END;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_mapping('m', 'e', 'public.m', topic => 't');
CREATE VIEW kept AS SELECT aggregate_id, mapping, headers, causation_id FROM domev.outbox ORDER BY recorded_at;

-- context, emit and mapping; null removes what is inherited; in a transaction without context nothing is left of it
BEGIN;
SET LOCAL domev.context = '{"user": "ann", "tenant": "acme", "trace": "c"}';
SELECT domev.emit('e', 'context') IS NOT NULL;
SELECT domev.emit('e', 'emit wins', headers => '{"trace": "e", "retry": true}') IS NOT NULL;
SELECT domev.emit('e', 'mapping wins', '{"trace": "m", "n": -2147483648, "b": false}', headers => '{"trace": "e", "n": 2147483647}') IS NOT NULL;
SELECT domev.emit('e', 'emit removes', headers => '{"trace": null, "user": null}') IS NOT NULL;
SELECT domev.emit('e', 'mapping removes', '{"trace": null, "user": null, "tenant": null}') IS NOT NULL;
COMMIT;
SELECT domev.emit('e', 'none') IS NOT NULL;
SELECT domev.emit('e', 'empty', headers => '{}') IS NOT NULL;
SELECT set_config('domev.context', '{"user": "bob"}', false);
SELECT domev.emit('e', 'session') IS NOT NULL;
SELECT set_config('domev.context', '', false);
SELECT domev.emit('e', 'session over') IS NOT NULL;
SELECT aggregate_id, mapping, headers FROM kept;
TRUNCATE domev.outbox;

-- set in a subtransaction, gone with it
BEGIN;
SET LOCAL domev.context = '{"a": "1"}';
SAVEPOINT s;
SET LOCAL domev.context = '{"a": "2"}';
SELECT domev.emit('e', 'inner') IS NOT NULL;
ROLLBACK TO s;
SELECT domev.emit('e', 'outer') IS NOT NULL;
COMMIT;
SELECT aggregate_id, mapping, headers FROM kept;
TRUNCATE domev.outbox;

-- causationid: of a domain event from emit or context; of an integration event always its domain event
BEGIN;
SET LOCAL domev.context = '{"causationid": "11111111-1111-1111-1111-111111111111"}';
SELECT domev.emit('e', 'from context') AS id1 \gset
SELECT domev.emit('e', 'from emit', headers => '{"causationid": "22222222-2222-2222-2222-222222222222", "x": "y"}') AS id2 \gset
SELECT domev.emit('e', 'removed', headers => '{"causationid": null}') AS id3 \gset
COMMIT;
SELECT aggregate_id, mapping, headers, CASE WHEN causation_id IN (:'id1', :'id2', :'id3') THEN 'its domain event' ELSE causation_id::text END AS causation FROM kept;
TRUNCATE domev.outbox;

-- refused in emit
SELECT domev.emit('e', 'x', headers => '[]');
SELECT domev.emit('e', 'x', headers => '"a"');
SELECT domev.emit('e', 'x', headers => '{"Trace": "x"}');
SELECT domev.emit('e', 'x', headers => '{"trace_id": "x"}');
SELECT domev.emit('e', 'x', headers => '{"": "x"}');
SELECT domev.emit('e', 'x', headers => jsonb_build_object(repeat('x', 64), '1'));
SELECT domev.emit('e', 'x', headers => jsonb_build_object(repeat('x', 63), '1')) IS NOT NULL;
SELECT domev.emit('e', 'x', headers => '{"a": {"b": 1}}');
SELECT domev.emit('e', 'x', headers => '{"a": [1]}');
SELECT domev.emit('e', 'x', headers => '{"a": 1.5}');
SELECT domev.emit('e', 'x', headers => '{"a": 1.0}');
SELECT domev.emit('e', 'x', headers => '{"a": 2147483648}');
SELECT domev.emit('e', 'x', headers => '{"a": "line\nbreak"}');
SELECT domev.emit('e', 'x', headers => '{"a": "\u0085"}');
SELECT domev.emit('e', 'x', headers => '{"causationid": "not-a-uuid"}');
SELECT domev.emit('e', 'x', headers => '{"causationid": 1}');
-- every reserved name
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY '{specversion,id,source,type,subject,time,datacontenttype,dataschema,data,topic,partitionkey,sequence,endoftransaction,aggregatetype,aggregateversion,mac,replayid,originaltype}'::text[] LOOP
		BEGIN
			PERFORM domev.emit('e', 'x', headers => jsonb_build_object(name, 'x'));
			RAISE NOTICE '% was accepted', name;
		EXCEPTION WHEN invalid_parameter_value THEN
			NULL;
		END;
	END LOOP;
END $$;
-- refused from a mapping, causationid too
SELECT domev.emit('e', 'x', '{"Bad": 1}');
SELECT domev.emit('e', 'x', '{"causationid": "11111111-1111-1111-1111-111111111111"}');

-- refused at SET
SET domev.context = '{"a": ';
SET domev.context = '[]';
SET domev.context = '{"type": "x"}';
SET domev.context = '{"a": 1.5}';
SELECT set_config('domev.context', '{"A": 1}', true);
SHOW domev.context;

-- in a session that has not loaded the library, refused at the first emit, and by nothing else
\c -
SET domev.context = '{"a": ';
LOAD 'domev';
DO $$
BEGIN
	PERFORM set_config(name, 'on', false) FROM pg_settings WHERE name IN ('debug_parallel_query', 'force_parallel_mode');
	PERFORM count(*) FROM pg_class;
END $$;
SELECT domev.emit('e', 'x');
SET domev.context = '{"a": 1}';
SELECT domev.emit('e', 'x') IS NOT NULL;
\c -
SET domev.context = '{"late": true}';
SELECT domev.emit('e', 'set before loading') IS NOT NULL;
SELECT aggregate_id, mapping, headers FROM kept WHERE aggregate_id = 'set before loading';

SET client_min_messages = warning;
DROP VIEW kept;
DROP EXTENSION domev CASCADE;
