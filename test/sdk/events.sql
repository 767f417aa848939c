-- Which events could a format get wrong?  Those at the edges of what domev lets pass.
CREATE EXTENSION domev;
SELECT domev.create_topic('row', 'internal'), domev.create_topic('wal', 'internal', 'wal'), domev.create_topic('out'), domev.create_topic('out.wal', storage => 'wal');
SELECT domev.create_event_type('plain', 'a', 'row'), domev.create_event_type('plain.wal', 'a', 'wal'), domev.create_event_type('mapped', 'a');
CREATE VIEW storages AS SELECT unnest(ARRAY['plain', 'plain.wal']) AS type;

-- payloads: all kinds of JSON, and characters that need an escape or several bytes
CREATE TABLE payloads (n int GENERATED ALWAYS AS IDENTITY, payload jsonb);
INSERT INTO payloads (payload) VALUES
	(NULL), ('null'), ('true'), ('false'), ('0'), ('-0.000'), ('63.10'), ('12345678901234567890'), ('1.23456789012345678901234567890'), ('1e300'), ('1e-300'),
	('""'), ('"text"'), ('"{\"a\": 1}"'), ('"\"\\\/\b\f\n\r\t\u0001\u001f\u007f\u0080\u2028\u2029"'), ('"\u00e9\u65e5\ufffd\ufffe\ud83d\ude00"'),
	('[]'), ('{}'), ('[[[]]]'), ('{"": ""}'), ('{"\"": {"}": "]"}}'), ('{"specversion": "0.3", "id": 1, "data": {"data": null}, "data_base64": "!"}'),
	('[1, "a", null, {"b": [true, false]}]'), (to_jsonb(repeat('x', 125))), (to_jsonb(repeat('x', 126))), (to_jsonb(repeat('é', 8192))),
	(to_jsonb(repeat('x', 300000))), ((repeat('[', 500) || repeat(']', 500))::jsonb);
SELECT count(domev.emit(type, 'payload ' || n, payload)) FROM payloads, storages;

-- ids and types of aggregates: what JSON, URIs and protobuf treat in their own way
SELECT count(domev.emit(type, id)) FROM storages,
	unnest(ARRAY['0', 'null', 'true', '"', '\', '\u0041', '%', '%41', '+', '/?#[]@!$&''()*,;=<>', 'é', '日本', '😀', 'a b', ' a', repeat('x', 127), repeat('x', 128), repeat('é', 100)]) AS id;
SELECT domev.create_event_type('größe "\ 日本 😀', 'Größe "\ 日本 😀', 'row');
SELECT domev.emit('größe "\ 日本 😀', 'x');

-- headers: each type and its bounds; one at a time, as some are refused
SELECT format('SELECT domev.emit(%L, %L, headers => %L)', type, 'headers', headers) FROM storages, unnest(ARRAY[
	'{"h": ""}', '{"h": "text"}', '{"h": " "}', '{"h": "é日😀\"\\/"}', '{"h": "\t"}', '{"h": "true"}', '{"h": "1"}', '{"h": "2026-01-02T03:04:05Z"}', '{"h": "https://shop.example/é"}',
	'{"h": true}', '{"h": false}', '{"h": 0}', '{"h": -0}', '{"h": 1}', '{"h": -1}', '{"h": 127}', '{"h": 128}', '{"h": 2147483647}', '{"h": -2147483648}', '{"h": 1e3}',
	'{"h": 1.0}', '{"h": 2147483648}', '{"h": -2147483649}', '{"h": null}', '{"h": []}',
	'{"a": 1, "b": "2", "c": true, "0": "digit", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=b,c=d"}',
	'{"abcdefghij0123456789": "20 characters"}', '{"dataref": "https://shop.example/claim"}', '{"key": "k", "value": "v", "attributes": "a", "textdata": "t", "specversion1": "1.0"}']) AS headers \gexec

-- versions, causes and times, to the microsecond
SELECT count(domev.emit(type, 'version', aggregate_version => version)) FROM storages, unnest(ARRAY[0, 1, 9007199254740993, 9223372036854775807]) AS version;
SELECT count(domev.emit(type, 'cause', headers => '{"causationid": "01234567-89ab-7000-8000-00000000000f"}')) FROM storages;
SELECT count(domev.emit(type, 'time', occurred_at => time::timestamptz)) FROM storages, unnest(ARRAY['0001-01-01 00:00:00.000001Z', '0001-12-31 23:59:59.999999Z', '1582-10-10 00:00Z', '1900-02-28 12:00Z',
	'1969-12-31 23:59:59.999999Z', '1970-01-01 00:00:00Z', '1970-01-01 00:00:00.000001Z', '1999-12-31 23:59:59.5+14', '2000-02-29 00:00Z', '2038-01-19 03:14:08Z', '9999-12-31 23:59:59.999999Z']) AS time;

-- results of mappings: bytes, content types, schemas, keys
CREATE TABLE results (n int GENERATED ALWAYS AS IDENTITY, payload jsonb, data bytea, content_type text, data_schema text, headers jsonb, key text);
INSERT INTO results (payload, data, content_type, data_schema, headers, key) VALUES
	(NULL, NULL, NULL, NULL, NULL, NULL),
	(NULL, '', NULL, NULL, NULL, NULL),
	(NULL, '\x00', NULL, NULL, NULL, 'key'),
	(NULL, '\x00ff', 'application/avro', 'https://schemas.example/a%20b?v=1#top', '{"n": 7, "b": true}', 'ключ'),
	(NULL, '\x00ffee', 'application/octet-stream', 'urn:example:schema:1', NULL, '"'),
	(NULL, 'plain text', 'text/plain', NULL, NULL, NULL),
	(NULL, convert_to('zwölf 日', 'UTF8'), 'text/plain; charset=utf-8', NULL, NULL, NULL),
	(NULL, '<a/>', 'application/xml', NULL, NULL, NULL),
	(NULL, '{"a": 1}', 'application/json', NULL, NULL, NULL),
	(NULL, '"a"', 'application/json', NULL, NULL, NULL),
	(NULL, '\x0a0161', 'application/protobuf', 'https://type.googleapis.com/a.B', NULL, NULL),
	(NULL, (SELECT string_agg(decode(lpad(to_hex(i), 2, '0'), 'hex'), '' ORDER BY i) FROM generate_series(0, 255) AS i), NULL, NULL, NULL, NULL),
	(NULL, decode(repeat('00ff', 50000), 'hex'), NULL, NULL, NULL, NULL),
	('{"a": 1}', NULL, 'application/json', NULL, NULL, NULL),
	('"text"', NULL, 'application/json; charset=utf-8', 'https://schemas.example/b', NULL, NULL),
	('[1]', NULL, 'application/vnd.shop.order.v1+json', 'urn:x', NULL, NULL),
	('"text"', NULL, 'text/json', NULL, NULL, NULL),
	('"text"', NULL, 'application/vnd.shop.text+json', NULL, NULL, NULL),
	('null', NULL, 'application/cloudevents+json', NULL, NULL, NULL),
	-- a schema is named by a URI, not by a reference; a content type has a type, a subtype, and parameters with values
	('1', NULL, NULL, '/schemas/c', NULL, NULL),
	(NULL, '1', 'text / plain', NULL, NULL, NULL),
	(NULL, '1', 'text/plain; charset', NULL, NULL, NULL);
CREATE FUNCTION result(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
BEGIN ATOMIC
	SELECT (domev.make_integration_event('result', payload, topic, key, data, content_type, data_schema, headers)).*
	FROM results, unnest(ARRAY['out', 'out.wal']) AS topic WHERE n = (e).aggregate_id::int;
END;
SELECT domev.create_mapping('result', 'mapped', 'public.result');
SELECT format('SELECT domev.emit(%L, %s)', 'mapped', n) FROM results ORDER BY n \gexec

-- sources: what a URI reference can look like
SELECT format('SELECT domev.set_source(%L); SELECT domev.emit(type, %L) FROM storages', source, 'source') FROM unnest(ARRAY['/', 'shop', '//host/path', 'https://user@shop.example:8443/a/b;c=d?e=f&g=%2F#h',
	'urn:shop:orders', 'mailto:shop@shop.example', '/a%20b/%E6%97%A5', '?a', '#a', 'a:b:c', 'tag:shop.example,2026:a', '/a/../b/./c', '1a:b', 'a:b#c#d', 'http://[::1']) AS source \gexec
