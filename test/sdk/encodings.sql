-- What becomes of events in a database that is not UTF-8?  Every character here is in LATIN1 and in EUC_JP, or is ASCII.
SET client_encoding = 'UTF8';
CREATE EXTENSION domev;
SELECT domev.create_topic('row', 'internal'), domev.create_topic('out', storage => 'wal'), domev.create_event_type('e', 'a', 'row'), domev.create_event_type('größe', 'aä', 'row');
CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event((e).aggregate_type, (e).payload, key => 'schlüssel', headers => (e).headers)).*; END;
SELECT domev.create_mapping('m', 'e', 'public.m', topic => 'out'), domev.create_mapping('übersetzt', 'größe', 'public.m', topic => 'out');
SELECT domev.emit(type, 'café', '{"näme": "ü\u00ff \u0041 \"\\"}', '{"user": "José"}') FROM unnest(ARRAY['e', 'größe']) AS type;
SELECT domev.emit('e', 'x', to_jsonb(repeat('é', 5000)));

-- refused where the encoding lacks the characters
SELECT domev.emit('e', '日本', '["語"]', '{"h": "語"}');

-- only SQL_ASCII takes bytes that are no text; such an event is sent as "domev.unpublishable"
INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, occurred_at)
	VALUES ('00000000-0000-0000-0000-000000000001', now(), pg_current_xact_id(), 'row', E'bad \xe9', 'a', 'x', now()),
		('00000000-0000-0000-0000-000000000002', now(), pg_current_xact_id(), 'row', 'readable type', 'a', E'bad \xe9', now());
