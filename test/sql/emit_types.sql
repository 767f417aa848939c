-- Each form of domev.emit takes what drivers send: typed and untyped parameters, and literals.
CREATE EXTENSION domev;
SELECT domev.create_event_type('e', 'a');

-- literals
SELECT domev.emit('e', 'lit-unknown') IS NOT NULL;
SELECT domev.emit('e', 'lit-unknown-unknown', '{"a": 1}') IS NOT NULL;
SELECT domev.emit('e', 1) IS NOT NULL;
SELECT domev.emit('e', 2, '{}') IS NOT NULL;
SELECT domev.emit('e', 3::smallint, '{}'::jsonb) IS NOT NULL;
SELECT domev.emit('e', 4::bigint, '{}'::json) IS NOT NULL;
SELECT domev.emit('e', 5000000000, '{}'::text) IS NOT NULL;
SELECT domev.emit('e', '11111111-2222-3333-4444-555555555555'::uuid) IS NOT NULL;
SELECT domev.emit('e', 'varchar'::varchar(20), '{}'::varchar) IS NOT NULL;
SELECT domev.emit('e'::varchar, 'char'::char(4), '{}'::jsonb) IS NOT NULL;
SELECT domev.emit('e', 'name'::name, '{"b": 2}'::json) IS NOT NULL;

-- typed parameters: every type of id with every type of payload
DO $$
DECLARE
	id text; payload text;
	ids jsonb := '{"text": "p-text", "varchar": "p-varchar", "smallint": "21", "integer": "22", "bigint": "23", "uuid": "11111111-2222-3333-4444-555555555556", "unknown": "p-unknown"}';
BEGIN
	FOREACH id IN ARRAY '{text,varchar,smallint,integer,bigint,uuid,unknown}'::text[] LOOP
		FOREACH payload IN ARRAY '{jsonb,json,text,varchar,unknown}'::text[] LOOP
			EXECUTE format('PREPARE p (text, %s, %s) AS SELECT domev.emit($1, $2, $3)', id, payload);
			EXECUTE format('EXECUTE p (%L, %L, %L)', 'e', ids->>id, jsonb_build_object('payload', payload, 'id', id));
			DEALLOCATE p;
		END LOOP;
		EXECUTE format('PREPARE p (text, %s) AS SELECT domev.emit($1, $2)', id);
		EXECUTE format('EXECUTE p (%L, %L)', 'e', ids->>id);
		DEALLOCATE p;
	END LOOP;
END $$;

-- parameters whose types the server has to find, as with the extended protocol
PREPARE untyped AS SELECT domev.emit($1, $2, $3);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped';
EXECUTE untyped('e', 'untyped', '{"c": 3}') \gset
PREPARE untyped2 AS SELECT domev.emit($1, $2);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped2';
EXECUTE untyped2('e', 'untyped2') \gset
PREPARE untyped_all AS SELECT domev.emit($1, $2, $3, $4, $5, $6, $7);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped_all';
EXECUTE untyped_all('e', 'untyped_all', '{"d": 4}', '{"h": "x"}', 9, '01234567-89ab-7000-8000-000000000009', '2026-01-02 03:04:05+00') \gset
PREPARE untyped_named AS SELECT domev.emit(event_type => $1, aggregate_id => $2, payload => $3, headers => $4);
EXECUTE untyped_named('e', 'untyped_named', '{}', '{}') \gset

SELECT aggregate_id, payload::text, count(*) FROM domev.outbox GROUP BY aggregate_id, payload::text ORDER BY aggregate_id COLLATE "C", payload::text COLLATE "C";

-- not JSON is an error in every form
\set VERBOSITY sqlstate
SELECT domev.emit('e', 'bad', 'nonsense');
SELECT domev.emit('e', 'bad', ''::text);
SELECT domev.emit('e', 'bad', '{"a": "\u0000"}'::json);

\set VERBOSITY default
SET client_min_messages = warning;
DEALLOCATE ALL;
DROP EXTENSION domev CASCADE;
