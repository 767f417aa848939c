-- domev.receive: true the first time, false after that, in the consumer's transaction.
CREATE EXTENSION domev;
SELECT domev.create_consumer('a'), domev.create_consumer('b');
SELECT domev.receive('a', '0199a3c4-7d11-7abc-8def-00000000000A'::uuid);
SELECT domev.receive('a', '0199a3c4-7d11-7abc-8def-00000000000A'::uuid);
-- the same id as text, as domev sends it; of another consumer, or another source, it is another event
SELECT domev.receive('a', '0199a3c4-7d11-7abc-8def-00000000000a');
SELECT domev.receive('b', '0199a3c4-7d11-7abc-8def-00000000000a');
SELECT domev.receive('a', '0199a3c4-7d11-7abc-8def-00000000000a', '/shop'), domev.receive('a', '0199a3c4-7d11-7abc-8def-00000000000a', source => '/shop');
-- ids of others: strings, as they are
SELECT domev.receive('a', 'A 1'), domev.receive('a', 'a 1'), domev.receive('a', 'A 1 ');
SELECT domev.receive('a', 'A 1'), domev.receive('a', 'a 1'), domev.receive('a', 'A 1 ');
PREPARE receive AS SELECT domev.receive($1, $2);
EXECUTE receive('a', 'prepared');
EXECUTE receive('a', 'prepared');
SELECT id, domev.receive('a', id) FROM unnest('{x, y, x}'::text[]) AS id;
-- what the transaction does counts
BEGIN;
SELECT domev.receive('a', 'rolled back');
ROLLBACK;
SELECT domev.receive('a', 'rolled back');
BEGIN;
SAVEPOINT s;
SELECT domev.receive('a', 'savepoint');
ROLLBACK TO s;
SELECT domev.receive('a', 'savepoint'), domev.receive('a', 'savepoint');
COMMIT;
BEGIN;
SELECT domev.receive('a', 'prepared transaction');
PREPARE TRANSACTION 'received';
COMMIT PREPARED 'received';
SELECT domev.receive('a', 'prepared transaction');
-- the longest id, with the longest source and consumer, of bytes that do not compress
SELECT string_agg(md5(i::text), '') AS long FROM generate_series(1, 100) AS i \gset
SELECT domev.create_consumer(left(:'long', 63));
SELECT domev.receive(left(:'long', 63), left(:'long', 512), left(:'long', 2048)), domev.receive(left(:'long', 63), left(:'long', 512), left(:'long', 2048));
-- refused
SELECT domev.receive('a', left(:'long', 513));
SELECT domev.receive('a', 'x', left(:'long', 2049));
SELECT domev.receive('a', '');
SELECT domev.receive('a', E'x\n');
SELECT domev.receive(NULL, 'x');
SELECT domev.receive('a', NULL::text);
SELECT domev.receive('a', NULL::uuid);
SELECT domev.receive('a', 'x', NULL);
SELECT domev.receive('nobody', 'x');
BEGIN READ ONLY;
SELECT domev.receive('a', 'read only');
ROLLBACK;

-- a mapping receives nothing
CREATE FUNCTION receives(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = public, pg_temp AS
	$$ BEGIN PERFORM domev.receive('a', 'in a mapping'); END $$;
SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_mapping('m', 'e', 'public.receives', 't');
SELECT domev.emit('e', 1);

-- pruning: the oldest first, so many at a time
UPDATE domev.inbox SET received_at = now() - interval '40 days' WHERE consumer = 'a' AND event_id IN ('x', 'y', 'A 1');
UPDATE domev.inbox SET received_at = now() - interval '20 days' WHERE consumer = 'a' AND event_id = 'a 1';
SELECT domev.purge_inbox('30 days', 2), domev.purge_inbox('30 days', max_rows => 2), domev.purge_inbox('30 days');
SELECT domev.receive('a', 'x'), domev.receive('a', 'y'), domev.receive('a', 'A 1'), domev.receive('a', 'a 1');
SELECT domev.purge_inbox(NULL);
SELECT domev.purge_inbox('1 day', NULL);
SELECT domev.purge_inbox('1 day', 0);
\set VERBOSITY terse
SELECT domev.purge_inbox('300000 years');
\set VERBOSITY default
-- by an index
BEGIN;
SET LOCAL enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT ctid FROM domev.inbox WHERE received_at < now() - interval '1 day' ORDER BY received_at LIMIT 10;
ROLLBACK;

DROP EXTENSION domev CASCADE;
