-- domev.doctor: each check is seen fine and not; what is the server's is in t/026_doctor.pl.
CREATE EXTENSION domev;
\set VERBOSITY terse
-- all checks, in their order
SELECT check_name FROM domev.doctor();
CREATE FUNCTION diagnose(VARIADIC checks text[]) RETURNS TABLE (check_name text, status text, what text) LANGUAGE sql AS
	$$ SELECT d.check_name, d.status, d.what FROM domev.doctor() AS d WHERE d.check_name = ANY (checks) $$;
-- a fresh database has nothing wrong, but for what the server's owner might do
SELECT check_name, status FROM domev.doctor() WHERE status <> 'ok';

--
-- Slots.
--
SELECT diagnose('slot_missing', 'wal_topics', 'slot_inactive', 'slot_limit');
SELECT domev.create_topic('rows', 'internal');
SELECT diagnose('slot_missing', 'wal_topics');
SELECT domev.create_topic('messages', 'internal', 'wal');
SELECT diagnose('slot_missing', 'wal_topics');
SELECT slot_name FROM pg_create_logical_replication_slot('doctor_slot', 'domev');
SELECT check_name, status, regexp_replace(what, ' since .*', '') AS what FROM diagnose('slot_missing', 'wal_topics', 'slot_inactive', 'slot_limit');
SELECT count(*) FROM pg_logical_emit_message(false, 'not of domev', repeat('x', 10000));
SELECT domev.heartbeat() IS NOT NULL AS flushed;
SELECT regexp_replace(what, 'is .* behind', 'is ... behind') AS what FROM domev.doctor(5000) WHERE check_name = 'slot_lagging';
SELECT status, what FROM domev.doctor(1000000000) WHERE check_name = 'slot_lagging';
SELECT status, what FROM domev.doctor(NULL) WHERE check_name = 'slot_lagging';
-- the view
SELECT slot_name, plugin, active, active_pid, lag_bytes > 10000 AS lags, retained_bytes >= lag_bytes AS retains, safe_wal_size, wal_status,
	invalidation_reason, coalesce(failover, false) AS failover, coalesce(synced, false) AS synced FROM domev.publishers;
SELECT (confirmed_age >= '0 s' AND inactive_since <= now()) = (current_setting('server_version_num')::int >= 170000) AS ages_are_known FROM domev.publishers
	WHERE current_setting('server_version_num')::int >= 170000
UNION ALL SELECT confirmed_age IS NULL FROM domev.publishers WHERE current_setting('server_version_num')::int < 170000;
-- others' slots are no publishers
SELECT slot_name FROM pg_create_logical_replication_slot('doctor_other', 'test_decoding');
SELECT slot_name FROM pg_create_logical_replication_slot('doctor_pgoutput', 'pgoutput');
SELECT slot_name, plugin FROM domev.publishers ORDER BY 1;
SELECT pg_drop_replication_slot('doctor_slot'), pg_drop_replication_slot('doctor_other'), pg_drop_replication_slot('doctor_pgoutput');
SELECT domev.drop_topic('messages');

--
-- Roles.
--
CREATE ROLE regress_doctor_sender REPLICATION;
SELECT diagnose('temp_file_limit');
ALTER ROLE regress_doctor_sender SET temp_file_limit = '1GB';
SELECT diagnose('temp_file_limit');
ALTER ROLE regress_doctor_sender SET temp_file_limit = -1;
SELECT diagnose('temp_file_limit');
DROP ROLE regress_doctor_sender;
SELECT diagnose('emit_message');
SELECT hint AS revoke FROM domev.doctor() WHERE check_name = 'emit_message' \gset
SELECT regexp_replace(:'revoke', '^.*(REVOKE .*)\.$', '\1') AS revoke \gset
:revoke;
SELECT diagnose('emit_message');
SELECT regexp_replace(:'revoke', '^REVOKE (.*) FROM ', 'GRANT \1 TO ') AS grant \gset
:grant;

--
-- The registry.
--
CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
	BEGIN ATOMIC SELECT (domev.make_integration_event('i', jsonb_build_object('inverse', 1 / (e.payload->>'n')::int))).*; END;
SELECT diagnose('dead_end', 'view_missing', 'mapping_disabled', 'mapping_function', 'failed_mappings', 'source');
SELECT domev.create_topic('out'), domev.create_event_type('kept', 'a'), domev.create_event_type('published', 'a', 'rows', journal => false),
	domev.create_event_type('mapped', 'a', journal => false), domev.create_mapping('m', 'mapped', 'public.m', 'out', on_error => 'record');
SELECT diagnose('dead_end', 'mapping_disabled', 'mapping_function');
SELECT domev.alter_mapping('m', enabled => false);
SELECT diagnose('dead_end', 'mapping_disabled');
SELECT domev.alter_mapping('m', enabled => true);
DROP VIEW domev_topic.out;
SELECT diagnose('view_missing');
SELECT domev.alter_topic('out', description => 'made anew');
SELECT diagnose('view_missing', 'mapping_function');
-- functions of mappings
ALTER FUNCTION m RENAME TO n;
SELECT diagnose('mapping_function');
ALTER FUNCTION n RENAME TO m;
CREATE ROLE regress_doctor_other;
GRANT CREATE ON SCHEMA public TO regress_doctor_other;
ALTER FUNCTION m OWNER TO regress_doctor_other;
SELECT check_name, status, regexp_replace(what, 'role "(?!regress_)[^"]*"', 'role ...') AS what FROM diagnose('mapping_function');
SELECT domev.alter_mapping('m', function => 'public.m');
GRANT INSERT ON domev_event.mapped, domev_topic.out TO regress_doctor_other;
SELECT domev.alter_mapping('m', function => 'public.m');
SELECT diagnose('mapping_function');
REVOKE INSERT ON domev_topic.out FROM regress_doctor_other;
SELECT diagnose('mapping_function');
GRANT INSERT ON domev_topic.out TO regress_doctor_other;
ALTER FUNCTION m SECURITY DEFINER;
SELECT diagnose('mapping_function');
ALTER FUNCTION m SECURITY INVOKER;
-- failures
SELECT count(domev.emit('mapped', i::text, '{"n": 0}')) FROM generate_series(1, 3) AS i;
SELECT check_name, status, regexp_replace(what, 'since .*', 'since ...') AS what FROM diagnose('failed_mappings');
SELECT domev.purge_failed('0');
SELECT diagnose('failed_mappings');
-- a copy of another database
UPDATE domev.source SET source = '/other' WHERE initial;
SELECT diagnose('source');
SELECT domev.set_source('/shop');
SELECT diagnose('source');

--
-- Captures.
--
CREATE TABLE t (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE t_here PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
SELECT domev.create_capture('c', 't', 'insert', 'id', 'kept');
SELECT diagnose('capture_disabled', 'capture_bypassed', 'capture_table', 'capture_broken');
SELECT domev.alter_capture('c', enabled => false);
SELECT diagnose('capture_disabled');
SELECT domev.alter_capture('c', enabled => true);
ALTER TABLE t_here ENABLE REPLICA TRIGGER domev_c;
SELECT diagnose('capture_disabled');
ALTER TABLE t_here ENABLE TRIGGER domev_c;
SET session_replication_role = replica;
SELECT diagnose('capture_bypassed');
RESET session_replication_role;
ALTER ROLE regress_doctor_other SET session_replication_role = replica;
SELECT diagnose('capture_bypassed');
ALTER ROLE regress_doctor_other RESET session_replication_role;
ALTER TABLE t_here SET UNLOGGED;
SELECT diagnose('capture_table');
ALTER TABLE t_here SET LOGGED;
CREATE FOREIGN DATA WRAPPER regress_doctor;
CREATE SERVER regress_doctor FOREIGN DATA WRAPPER regress_doctor;
CREATE FOREIGN TABLE t_there PARTITION OF t FOR VALUES FROM ('2027-01-01') TO ('2028-01-01') SERVER regress_doctor;
SELECT diagnose('capture_table');
DROP FOREIGN DATA WRAPPER regress_doctor CASCADE;
CREATE TRIGGER by_hand AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION domev.capture_change('this', 'is none');
SELECT diagnose('capture_broken');
DROP TRIGGER by_hand ON t;
BEGIN;
DELETE FROM domev.event_types WHERE event_type = 'kept';
SELECT diagnose('capture_broken');
ROLLBACK;
SELECT diagnose('capture_disabled', 'capture_bypassed', 'capture_table', 'capture_broken');

--
-- The outbox.
--
SELECT diagnose('partitions', 'outbox_partition', 'deferred');
CREATE TABLE domev.outbox_past PARTITION OF domev.outbox FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
SELECT diagnose('partitions');
SELECT relation, since AT TIME ZONE 'UTC' AS since, until AT TIME ZONE 'UTC' AS until FROM domev.outbox_partitions;
CREATE UNLOGGED TABLE domev.outbox_now PARTITION OF domev.outbox FOR VALUES FROM ('2022-01-01') TO (MAXVALUE);
SELECT diagnose('partitions', 'outbox_partition');
SELECT relation, until FROM domev.outbox_partitions WHERE until = 'infinity';
DROP TABLE domev.outbox_past, domev.outbox_now;
-- what waits for this transaction's end is as it should be
SELECT domev.alter_mapping('m', timing => 'deferred');
BEGIN;
SELECT domev.emit('mapped', '1', '{"n": 1}') IS NOT NULL AS emitted;
SELECT diagnose('deferred');
COMMIT;
ALTER TABLE domev.deferred DISABLE TRIGGER map_deferred;
SELECT domev.emit('mapped', '1', '{"n": 1}') IS NOT NULL AS emitted;
SELECT diagnose('deferred');
ALTER TABLE domev.deferred ENABLE ALWAYS TRIGGER map_deferred;
DELETE FROM domev.deferred;
SELECT diagnose('deferred');

--
-- Whoever asks.
--
UPDATE pg_extension SET extversion = '0.0' WHERE extname = 'domev';
SELECT check_name, status, regexp_replace(what, 'library of version .*', 'library of version ...') AS what FROM diagnose('version');
BEGIN READ ONLY;
SELECT count(*) > 30 AS all, count(*) FILTER (WHERE status = 'unknown') AS unknown FROM domev.doctor();
COMMIT;
GRANT INSERT ON domev_event.mapped TO regress_doctor_other;
SELECT domev.alter_mapping('m', timing => 'immediate');
SELECT domev.emit('mapped', '1', '{"n": 0}') IS NOT NULL AS emitted;
SET ROLE regress_doctor_other;
SELECT check_name, status FROM domev.doctor() WHERE check_name IN ('failed_mappings', 'deferred', 'capture_broken', 'mapping_function', 'wal_level') ORDER BY 1;
SELECT count(*) FROM domev.failed_mapping;
SELECT count(*) FROM domev.publishers;
SELECT count(*) >= 0 AS readable FROM domev.mapping_stats;
SELECT domev.reset_mapping_stats();
RESET ROLE;
-- the search_path has no say
CREATE SCHEMA regress_doctor_trap;
CREATE FUNCTION regress_doctor_trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
SET search_path = regress_doctor_trap, pg_catalog;
SELECT check_name, what FROM domev.doctor() WHERE what = 'trapped';
RESET search_path;
DROP SCHEMA regress_doctor_trap CASCADE;
-- a check that fails is unknown, and the others are looked at
ALTER VIEW domev.capture_problems RENAME COLUMN what TO what_else;
ALTER VIEW domev.capture_problems RENAME TO gone;
SELECT check_name, status, what FROM domev.doctor() WHERE status = 'unknown';
ALTER VIEW domev.gone RENAME TO capture_problems;
ALTER VIEW domev.capture_problems RENAME COLUMN what_else TO what;
SELECT count(*) FROM domev.doctor() WHERE status = 'unknown';

SET client_min_messages = warning;
DROP TABLE t;
DROP EXTENSION domev CASCADE;
DROP OWNED BY regress_doctor_other CASCADE;
DROP ROLE regress_doctor_other;
DROP FUNCTION diagnose;
