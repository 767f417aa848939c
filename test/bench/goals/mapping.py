"""What does a mapping cost by itself, in SQL, in PL/pgSQL and in C?

All three make one integration event of an order: two members of its payload, and one that is added; no table is read.  An event
type has 1, 2 or 5 such mappings.  The time that they add is that of an emit with them, less that of an emit without any in the same
round.  Part of it is to keep the results, a row of the outbox each, which costs the same whatever the mapping is written in; the goal
is about the rest: the run, and what is made and checked of its result.  What a row of such an event costs is measured in the same round, by
emits that keep one and emits that keep none.  The transactions per second are of pgbench, one emit each, on one core (why: transactions.py).
"""

import json
import statistics

from measure import PAYLOAD, alternate, make_row, timed_sql
from server import ONE_CORE

TITLE = "Mappings"

DATABASE = "bench_mapping"
LIBRARY = "bench_mapping"
EVENTS = {"trial": 1_000, "short": 5_000, "long": 50_000}  # one measurement
SECONDS = {"trial": 1, "short": 1, "long": 5}  # of pgbench
GOAL = 0.3

LANGUAGES = {"C": "bench_map_c", "PL/pgSQL": "bench_map_plpgsql", "SQL": "bench_map_sql"}
COUNTS = (1, 2, 5)
TPS_COUNTS = (0, 1, 5)
NONE = "none"
KEPT = "none, of a result's payload"
NOT_KEPT = "the same, and no row"
RESULT = '{"order": "4711", "state": "placed", "total": 63.10}'  # the payload of what the mappings make

# The forms that README.md and examples/c-mapping recommend.
FUNCTIONS_SQL = """
    CREATE FUNCTION bench_map_sql(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC
        SELECT (domev.make_integration_event('bench.order-placed.v1',
            jsonb_build_object('order', (e).payload->'order', 'total', (e).payload->'total', 'state', 'placed'))).*;
    END;
    CREATE FUNCTION bench_map_plpgsql(e domev.domain_event) RETURNS domev.integration_event STABLE LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        RETURN domev.make_integration_event('bench.order-placed.v1',
            jsonb_build_object('order', e.payload->'order', 'total', e.payload->'total', 'state', 'placed'));
    END $$;
    SELECT domev.create_topic('bench');"""

C_FUNCTION_SQL = """
    CREATE FUNCTION bench_map_c(domev.domain_event) RETURNS domev.integration_event STABLE STRICT LANGUAGE C
        AS '{library}', 'bench_map';"""

EVENT_TYPE_SQL = """
    SELECT domev.create_event_type('{event_type}', 'order');
    SELECT domev.create_mapping('{event_type}-' || i, '{event_type}', 'public.{function}', topic => 'bench') FROM generate_series(1, {count}) AS i;"""


def run(server, size, rounds):
    """Goal 4."""
    server.create_database(DATABASE)
    try:
        languages = _languages(server)
        types = _register(server, languages)
        connection = server.connect(DATABASE)
        cursor = connection.cursor()
        _check(cursor, languages)
        times = alternate({name: _time(cursor, event_type, EVENTS[size], RESULT if name[0] in (KEPT, NOT_KEPT) else PAYLOAD)
                           for name, event_type in types.items()}, 2 * rounds)
        tps = alternate({name: _tps(server, event_type, SECONDS[size]) for name, event_type in types.items()
                         if name[1] in TPS_COUNTS and name[0] not in (KEPT, NOT_KEPT)}, (rounds + 1) // 2, warm_up=0)
        connection.close()
    finally:
        server.drop_database(DATABASE)
    return _rows_of_times(times, languages) + _rows_of_tps(tps, languages)


def _languages(server):
    """Those that there are: C needs the bench's library."""
    server.run(DATABASE, FUNCTIONS_SQL)
    if not server.has_plugin(LIBRARY):
        return [language for language in LANGUAGES if language != "C"]
    server.run(DATABASE, C_FUNCTION_SQL.format(library=LIBRARY))
    return list(LANGUAGES)


def _register(server, languages):
    """Makes an event type for each language and count, and three without mappings; returns (language, count) -> its name."""
    types = {(NONE, 0): "order.placed", (KEPT, 0): "order.kept", (NOT_KEPT, 0): "order.dropped"}
    for language in languages:
        for count in COUNTS:
            types[language, count] = f"order.placed.{LANGUAGES[language]}.{count}"
    for (language, count), event_type in types.items():
        server.run(DATABASE, EVENT_TYPE_SQL.format(event_type=event_type, count=count, function=LANGUAGES.get(language, "")))
    server.run(DATABASE, f"SELECT domev.alter_event_type('{types[NOT_KEPT, 0]}', journal => false)")
    return types


def _check(cursor, languages):
    """Do all languages make the same of an event?"""
    for language in languages:
        function = LANGUAGES[language]
        cursor.execute("SELECT event_type, payload FROM domev.preview(%s, '4711', %s::jsonb) WHERE mapping IS NOT NULL",
                       (f"order.placed.{function}.2", PAYLOAD))
        found = cursor.fetchall()
        if found != 2 * [("bench.order-placed.v1", json.loads(RESULT))]:
            raise RuntimeError(f"{function} makes {found}")


def _time(cursor, event_type, events, payload):
    """A callable that returns the microseconds of an emit, of many in one statement."""
    sql = f"SELECT count(domev.emit('{event_type}', i::text, '{payload}'::jsonb)) FROM generate_series(1, {events}) AS i"

    def measure():
        cursor.execute("TRUNCATE domev.outbox")
        cursor.execute("CHECKPOINT")
        return timed_sql(cursor, sql) / events * 1e6

    return measure


def _tps(server, event_type, seconds):
    """A callable that returns the transactions per second, of one emit each."""
    script = f"\\set id random(1, 100000)\nSELECT domev.emit('{event_type}', :id, '{PAYLOAD}'::jsonb);\n"

    def measure():
        server.run(DATABASE, "TRUNCATE domev.outbox; CHECKPOINT;")
        with server.placed(ONE_CORE):
            return server.pgbench(DATABASE, script, seconds=seconds)

    return measure


def _rows_of_times(times, languages):
    """The figures are those of all mappings of an event."""
    ours, limit = ("C", GOAL) if "C" in languages else ("SQL", None)
    row = _less(times[KEPT, 0], times[NOT_KEPT, 0])
    added, by_itself = [], []
    for part, count in zip("abc", COUNTS):
        costs = {language: _less(times[language, count], times[NONE, 0]) for language in languages}
        bare = {language: _less(cost, [count * value for value in row]) for language, cost in costs.items()}
        title = f"{count} mapping{'s' if count > 1 else ''} per event"
        by_itself.append(make_row("4" + part, f"{title}, by {'itself' if count == 1 else 'themselves'}", "µs", bare, ours, "PL/pgSQL",
                                  limit=limit, plot="mappings"))
        added.append(make_row("", f"{title}: time added to the emit", "µs", costs, ours, "PL/pgSQL"))
    by_itself[0].note = f"less the row of a result, {statistics.median(row):.1f} µs; an emit without a mapping takes {statistics.median(times[NONE, 0]):.1f} µs"
    return by_itself + added


def _less(ours, other):
    return [a - b for a, b in zip(ours, other, strict=True)]


def _rows_of_tps(tps, languages):
    rows = []
    for count in TPS_COUNTS[1:]:
        figures = {language: tps[language, count] for language in languages}
        figures["no mapping"] = tps[NONE, 0]
        title = f"{count} mapping{'s' if count > 1 else ''} per event: TPS of one emit"
        rows.append(make_row("", title, "tps", figures, languages[0], "no mapping", at_most=False))
    return rows
