-- What is kept, and for how long: settings, partitions ahead of time, what goes when it is old and read, and what is left alone.
CREATE EXTENSION domev;
SET timezone = 'Asia/Kolkata'; -- partitions are made in UTC, and bounds are written in no session's style
SET datestyle = 'German';
CREATE VIEW ahead AS SELECT c.relname, substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''(.*)''\) TO') AS lower, substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''(.*)''\)') AS upper
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'domev.outbox'::regclass AND c.relname ~ '^outbox_p';
CREATE FUNCTION ahead(period interval, unit text, OUT partitions bigint, OUT future boolean, OUT gapless boolean, OUT aligned boolean, OUT long boolean, OUT named boolean) LANGUAGE sql
	SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
	SELECT count(*), bool_and(lower::timestamptz BETWEEN now() AND now() + (1 + 4) * period), count(*) = count(DISTINCT lower) AND count(*) FILTER (WHERE lower IN (SELECT upper FROM ahead)) = count(*) - 1,
		bool_and(date_trunc(unit, lower::timestamptz) = lower::timestamptz), bool_and(lower::timestamptz + period = upper::timestamptz),
		bool_and(relname = 'outbox_p' || to_char(lower::timestamptz, CASE WHEN unit = 'hour' AND extract(hour FROM lower::timestamptz) <> 0 THEN 'YYYYMMDD_HH24' ELSE 'YYYYMMDD' END)) FROM ahead
$$;
CREATE PROCEDURE start_anew() LANGUAGE plpgsql AS $$ DECLARE p text; BEGIN
	FOR p IN SELECT relname FROM ahead LOOP EXECUTE format('ALTER EXTENSION domev DROP TABLE domev.%I', p); EXECUTE format('DROP TABLE domev.%I', p); END LOOP;
END $$;

-- the defaults are there from the first time on; a second time there is nothing to do
SELECT * FROM domev.retention;
SELECT action, object ~ '^domev.outbox_p\d{8}$' AS named, detail ~ '^from \d{4}-\d\d-\d\d 00:00:00\+00 to \d{4}-\d\d-\d\d 00:00:00\+00$' AS said FROM domev.maintain();
SELECT * FROM domev.maintain();
SELECT * FROM domev.retention;
SELECT * FROM ahead('1 day', 'day');
-- a partition is as the default one, but that it has no rows, and of the extension
SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'domev') AND objid IN (SELECT ('domev.' || relname)::regclass FROM ahead);
SELECT a.attname, a.atttypid::regtype, a.attcollation, a.attnotnull FROM pg_attribute AS a WHERE a.attrelid = 'domev.outbox_default'::regclass AND a.attnum > 0
EXCEPT SELECT a.attname, a.atttypid::regtype, a.attcollation, a.attnotnull FROM pg_attribute AS a WHERE a.attrelid = (SELECT max('domev.' || relname)::regclass FROM ahead);
SELECT count(DISTINCT c.relam) AS access_methods, count(DISTINCT c.relowner) AS owners, bool_and(obj_description(c.oid) LIKE 'the events recorded from %') AS comments FROM pg_class AS c JOIN ahead USING (relname);
SELECT count(*) FROM pg_inherits WHERE inhparent = 'domev.outbox_recorded_at_xact_id'::regclass;
SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'c' AND conrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'domev.outbox'::regclass);

-- other periods
CALL start_anew();
SELECT domev.set_retention(period => '1 hour', ahead => 4);
SELECT count(*) FROM domev.maintain();
SELECT * FROM ahead('1 hour', 'hour');
CALL start_anew();
SELECT domev.set_retention(period => '7 days');
SELECT count(*) FROM domev.maintain();
SELECT * FROM ahead('1 week', 'week');
CALL start_anew();
SELECT domev.set_retention('3 months');
SELECT count(*) FROM domev.maintain();
SELECT * FROM ahead('3 months', 'quarter');
-- another period fills up what there is nothing for yet
SELECT domev.set_retention('1 day', ahead => 3);
SELECT count(*) <= 3 AS up_to_three FROM domev.maintain();
SELECT count(*) FROM domev.maintain();
-- a partition of somebody's has all of the future, from some time in the midst of a day on: up to that
CALL start_anew();
CREATE TABLE of_somebody PARTITION OF domev.outbox FOR VALUES FROM ('01.01.2100 05:06:07.89+00') TO (MAXVALUE);
SELECT domev.set_retention('1 year', ahead => 1000);
-- so many at once, the rest the next time
SELECT count(*) FROM domev.maintain();
SELECT count(*) > 0 AS more FROM domev.maintain();
SELECT relname, upper::timestamptz - lower::timestamptz AS long FROM ahead WHERE relname ~ '^outbox_p(2099|2100)' ORDER BY relname;
DROP TABLE of_somebody;
CALL start_anew();
SELECT domev.set_retention(reset => '{period,ahead}');

-- what an administrator has added to the table is in new partitions; what others would be granted is not
ALTER TABLE domev.outbox ADD more text, ADD CONSTRAINT short CHECK (length(more) < 10);
CREATE ROLE regress_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA domev GRANT ALL ON TABLES TO regress_reader, PUBLIC;
CREATE ACCESS METHOD other_heap TYPE TABLE HANDLER heap_tableam_handler;
SET default_table_access_method = 'other_heap';
SET default_tablespace = 'pg_global';
SELECT count(*) FROM domev.maintain();
RESET default_table_access_method;
RESET default_tablespace;
SELECT DISTINCT amname, reltablespace FROM pg_class AS c JOIN ahead USING (relname) JOIN pg_am AS a ON a.oid = c.relam;
DROP ACCESS METHOD other_heap;
SELECT has_table_privilege('regress_reader', 'domev.' || relname, 'SELECT') AS reads, has_table_privilege('regress_reader', 'domev.' || relname, 'INSERT') AS writes FROM ahead;
ALTER DEFAULT PRIVILEGES IN SCHEMA domev REVOKE ALL ON TABLES FROM regress_reader, PUBLIC;
SELECT count(*) FROM pg_constraint WHERE conname = 'short' AND conrelid IN (SELECT ('domev.' || relname)::regclass FROM ahead);

-- who has EXECUTE, and nobody else; settings of the session are as before
SET ROLE regress_reader;
\set VERBOSITY terse
SELECT domev.set_retention('1 day');
SELECT * FROM domev.maintain();
\set VERBOSITY default
SELECT ahead FROM domev.retention;
RESET ROLE;
GRANT EXECUTE ON FUNCTION domev.maintain(interval, integer), domev.set_retention(interval, interval, interval, integer, interval, interval, interval, text[]) TO regress_reader;
CALL start_anew();
SET ROLE regress_reader;
SET lock_timeout = '7s';
SELECT domev.set_retention(ahead => 1, keep => '1 year', max_keep => '1000 years', failed_keep => '90 days');
SELECT action FROM domev.maintain('50 ms');
SELECT current_user, current_setting('lock_timeout') AS lock_timeout, current_setting('search_path') AS search_path, current_setting('enable_seqscan') AS enable_seqscan;
RESET lock_timeout;
RESET ROLE;
SELECT period, keep, max_keep, ahead, idempotency_keep, failed_keep, inbox_keep FROM domev.retention;

-- values that are refused change nothing
SELECT domev.set_retention(period => '1 day 30 minutes');
SELECT domev.set_retention(period => '0');
SELECT domev.set_retention(period => '1 month 1 day');
SELECT domev.set_retention(period => '2 years');
SELECT domev.set_retention(period => '1 day -1 hour');
SELECT domev.set_retention(ahead => 0);
SELECT domev.set_retention(ahead => 1001);
SELECT domev.set_retention(keep => '-1 day');
SELECT domev.set_retention(failed_keep => '1001 years');
SELECT domev.set_retention(keep => '3 days', max_keep => '2 days');
SELECT domev.set_retention(reset => '{keep}');
SELECT domev.set_retention(reset => '{max_keep,kept}');
SELECT domev.maintain(NULL);
SELECT domev.maintain('1 microsecond');
SELECT domev.maintain('2 minutes');
SELECT domev.maintain('1 month');
SELECT domev.maintain(max_rows => NULL);
SELECT domev.maintain(max_rows => -1);
BEGIN READ ONLY;
SELECT domev.maintain();
ROLLBACK;
SELECT period, keep, max_keep, ahead, idempotency_keep, failed_keep, inbox_keep FROM domev.retention;
SELECT domev.set_retention(reset => '{period,keep,max_keep,ahead,idempotency_keep,failed_keep,inbox_keep}');
SELECT period, keep, max_keep, ahead, idempotency_keep, failed_keep, inbox_keep FROM domev.retention;

DROP FUNCTION ahead;
DROP VIEW ahead;
DROP EXTENSION domev;
DROP PROCEDURE start_anew;
DROP ROLE regress_reader;
