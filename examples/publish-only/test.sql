-- After the page's blocks: three views were emitted, and one rolled back.
CREATE TEMP VIEW received AS
SELECT n, data::jsonb AS e FROM pg_logical_slot_peek_changes('publisher', NULL, NULL) WITH ORDINALITY AS s (lsn, xid, data, n);

SELECT CASE WHEN (array_agg((e->>'type') || ' ' || (e->>'subject') ORDER BY n) =
		'{article.viewed tea,sponsors.article-viewed.v1 tea,article.viewed rain,article.viewed tea,sponsors.article-viewed.v1 tea}')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the slot delivers what was committed, in order'
FROM received;
SELECT CASE WHEN (NOT bool_or(e::text ~ 'bob'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - not what was rolled back'
FROM received;
SELECT CASE WHEN (bool_and(e->'data' = '{"title": "How to make tea"}' AND e->>'partitionkey' = 'Cup & Co'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the sponsor is told the title, ordered by sponsor, and no reader'
FROM received WHERE e->>'topic' = 'sponsors.views';

-- No row anywhere: in no table of this database that is not the catalog or the articles.
CREATE TEMP TABLE counted (relation text, rows bigint);
DO $$
DECLARE
	r regclass;
	n bigint;
BEGIN
	FOR r IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'domev'::regnamespace
		AND relname NOT IN ('topics', 'event_types', 'mappings', 'source', 'message_key')
	LOOP
		EXECUTE format('SELECT count(*) FROM %s', r) INTO n;
		INSERT INTO counted VALUES (r, n);
	END LOOP;
END $$;
SELECT CASE WHEN (count(*) >= 4 AND sum(rows) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - no table of domev has a row but the registry'
FROM counted;

DO $$ BEGIN PERFORM pg_stat_force_next_flush(); END $$;
BEGIN;
SELECT CASE WHEN (domev.emit('article.viewed', 'tea') IS NOT NULL)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - an event of WAL storage is emitted';
SELECT CASE WHEN (coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) = 0)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - and its transaction has written no row'
FROM pg_stat_xact_all_tables;
COMMIT;

-- That count can tell: with table storage it is not 0.
SELECT CASE WHEN (domev.alter_topic('reading', storage => 'table')::text = '')
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - the topic gets table storage';
DO $$ BEGIN PERFORM pg_stat_force_next_flush(); END $$;
BEGIN;
SELECT CASE WHEN (domev.emit('article.viewed', 'rain') IS NOT NULL)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - an event of table storage is emitted';
SELECT CASE WHEN (coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) = 1)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - and its transaction has written one'
FROM pg_stat_xact_all_tables;
COMMIT;
