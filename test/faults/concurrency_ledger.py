"""What should have arrived of all that the emitters did, and did it?

In the transaction that emits, each emitter writes down the event's id and its kind.  What the slot gave is put into a table beside that ledger
at the end, and SQL compares the two.  The kinds whose registration stays have to arrive with all that they are mapped to; those of type "v",
which the registry's writer changes all the time, with both results of the old function, both of the new one, or none: never with one of each.
"""

DATABASE = "concurrency"
SLOT = "concurrency"
AGGREGATES = 40
IDS = 2000  # from which emitters take event ids, so that many are taken twice

# Kinds, and how many integration events each becomes; those of "rec" may come later, by remap.
RESULTS = {"row": 0, "wal": 0, "imm": 1, "def": 1, "rec": 1, "id": 1}

SETUP = f"""
CREATE EXTENSION domev;
CREATE TABLE ledger (id uuid, kind text);
CREATE TABLE aggregates (id int PRIMARY KEY, ver bigint NOT NULL DEFAULT 0);
INSERT INTO aggregates SELECT generate_series(1, {AGGREGATES});
CREATE TABLE works (one int); -- what the mapping "rec" divides by
INSERT INTO works VALUES (1);
CREATE FUNCTION public.reads(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('mapped', to_jsonb(a.ver))).* FROM public.aggregates AS a WHERE a.id = 1; END;
CREATE FUNCTION public.computes(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('mapped', (e).payload)).*; END;
CREATE FUNCTION public.works(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
    $$ BEGIN RETURN QUERY SELECT (domev.make_integration_event('mapped', to_jsonb(1 / w.one))).* FROM public.works AS w; END $$;
CREATE FUNCTION public.v_old(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('old')).*; END;
CREATE FUNCTION public.v_new(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    $$ BEGIN RETURN domev.make_integration_event('new'); END $$;
SELECT domev.create_topic('rows', 'internal'), domev.create_topic('wal', 'internal', 'wal'), domev.create_topic('out'), domev.create_topic('out.wal', storage => 'wal'),
    domev.create_topic('v.out');
SELECT domev.create_event_type('row', 'a', 'rows'), domev.create_event_type('wal', 'a', 'wal'), domev.create_event_type('imm', 'a', 'rows'),
    domev.create_event_type('def', 'a', 'wal'), domev.create_event_type('rec', 'a', 'rows'), domev.create_event_type('id', 'a', 'rows'),
    domev.create_event_type('captured', 'a', 'rows'), domev.create_event_type('v', 'a', 'rows');
SELECT domev.create_mapping('imm', 'imm', 'public.reads', 'out'), domev.create_mapping('def', 'def', 'public.reads', 'out.wal', timing => 'deferred'),
    domev.create_mapping('rec', 'rec', 'public.works', 'out', on_error => 'record'), domev.create_mapping('id', 'id', 'public.computes', 'out.wal'),
    domev.create_mapping('v a', 'v', 'public.v_old', 'v.out'), domev.create_mapping('v b', 'v', 'public.v_old', 'v.out'),
    domev.create_capture('captured', 'aggregates', 'update', 'id', 'captured', version_column => 'ver');
"""

# Apart, as a slot must not be made in a transaction that has written.
MAKE_SLOT = f"SELECT pg_create_logical_replication_slot('{SLOT}', 'domev')"

READ_SLOT = f"""SELECT e->>'id', e->>'causationid', e->>'type', e->>'subject', e->>'aggregateversion'
    FROM (SELECT data::jsonb AS e FROM pg_logical_slot_get_changes('{SLOT}', NULL, 20000)) AS d"""

RECEIVED = "CREATE TABLE received (n bigserial, id uuid, causation uuid, type text, subject text, version bigint)"
COPY_RECEIVED = "COPY received (id, causation, type, subject, version) FROM STDIN"
INDEX_RECEIVED = "CREATE INDEX ON received (causation); CREATE INDEX ON received (id); CREATE INDEX ON ledger (id); ANALYZE received, ledger"

# Name of the check, and a query for what is wrong, that must find nothing.
CHECKS = {
    "lost (in the ledger, not received)":
        "SELECT l.kind, l.id FROM ledger AS l WHERE NOT EXISTS (SELECT FROM received AS r WHERE r.id = l.id)",
    "phantom (received, not in the ledger)":
        "SELECT r.type, r.id FROM received AS r WHERE r.causation IS NULL AND r.type <> 'captured' AND NOT EXISTS (SELECT FROM ledger AS l WHERE l.id = r.id)",
    "of no domain event":
        "SELECT r.type, r.id FROM received AS r WHERE r.causation IS NOT NULL AND NOT EXISTS (SELECT FROM received AS d WHERE d.id = r.causation)",
    "received twice":
        "SELECT id, count(*) FROM received GROUP BY id HAVING count(*) > 1",
    "mapped too often, or not often enough":
        "SELECT l.kind, l.id, count(r.id) FROM (SELECT DISTINCT id, kind FROM ledger) AS l LEFT JOIN received AS r ON r.causation = l.id"
        " WHERE l.kind <> 'v' GROUP BY l.id, l.kind HAVING count(r.id) <> CASE l.kind "
        + " ".join(f"WHEN '{kind}' THEN {results}" for kind, results in RESULTS.items()) + " END",
    "mapped by a part of the old and a part of the new registry":
        "SELECT l.id, count(r.id), count(DISTINCT r.type) FROM ledger AS l JOIN received AS r ON r.causation = l.id"
        " WHERE l.kind = 'v' GROUP BY l.id HAVING count(r.id) <> 2 OR count(DISTINCT r.type) <> 1",
    "captured changes lost":
        "SELECT a.id, v FROM aggregates AS a, generate_series(1, a.ver) AS v"
        " WHERE NOT EXISTS (SELECT FROM received AS r WHERE r.type = 'captured' AND r.subject = a.id::text AND r.version = v)",
    "captured changes of an aggregate not in order":
        "SELECT * FROM (SELECT subject, version, lag(version) OVER (PARTITION BY subject ORDER BY n) AS before FROM received WHERE type = 'captured') AS r"
        " WHERE version <= before",
    "left in domev.deferred": "SELECT event_id FROM domev.deferred",
    "left in domev.failed_mapping": "SELECT event_id, message FROM domev.failed_mapping",
}
