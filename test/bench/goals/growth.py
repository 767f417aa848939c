"""What becomes of domev's costs when there is much of something (goal 9, but for the writers)?

10,000 event types with a mapping each; a transaction of 1,000,000 events; a walsender that has sent 10,000,000.
"""

import threading

from measure import PAYLOAD, Row, alternate, make_row, summary, timed_sql
from recording import Recording, receiver, wait_for

TITLE = "Growth"

DATABASE = "bench_growth"
PER_TRANSACTION = 100
WARM_UP = 8  # runs of each mapping: after some, PostgreSQL makes its plan anew, for all runs to come
CHUNK = 500_000  # events that a table holds before it is emptied

# event types; emits of one measurement over all of them; events in one transaction, and in transactions of 100 beside it; events that a
# walsender has sent when its memory is looked at first, and those sent then
SIZES = {
    "trial": (200, 2_000, 20_000, 5_000, 20_000),
    "short": (10_000, 20_000, 1_000_000, 50_000, 500_000),
    "long": (10_000, 100_000, 1_000_000, 50_000, 10_000_000),
}

EMIT_SQL = """DO $$
    BEGIN
        FOR i IN 0..{transactions} - 1 LOOP
            PERFORM domev.emit('bench.type.' || mod(i * {events} + n, {types}), n, '{payload}'::jsonb) FROM generate_series(1, {events}) AS n;
            COMMIT;
        END LOOP;
    END $$"""

TYPES_SQL = """
    SELECT domev.create_topic('bench');
    DO $$
    BEGIN
        FOR i IN 0..{last} LOOP
            EXECUTE format($function${function}$function$, i);
            PERFORM domev.create_event_type('bench.type.' || i, 'order');
            PERFORM domev.create_mapping('bench.mapping.' || i, 'bench.type.' || i, 'public.map_' || i, topic => 'bench');
            IF i % 1000 = 0 THEN
                COMMIT; -- each type makes a view, and holds locks on it
            END IF;
        END LOOP;
    END $$;
    VACUUM ANALYZE;"""

C_FUNCTION = """CREATE FUNCTION map_%s(domev.domain_event) RETURNS domev.integration_event STABLE STRICT LANGUAGE C
    AS 'bench_mapping', 'bench_map'"""
SQL_FUNCTION = """CREATE FUNCTION map_%s(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('bench.v1', (e).payload)).*; END"""


PLUGINS = {"domev": ("domev", {}), "pgoutput": ("pgoutput", {"proto_version": "1", "publication_names": "bench"})}


def run(server, size, rounds):
    types, emits, large, first, rest = SIZES[size]
    languages = {"SQL": SQL_FUNCTION, **({"C": C_FUNCTION} if server.has_plugin("bench_mapping") else {})}
    result = [row_of_types(server, language, function, types, emits, rounds) for language, function in languages.items()]
    server.create_database(DATABASE)
    try:
        server.run(DATABASE, """SELECT domev.create_topic('bench', scope => 'internal');
            SELECT domev.create_event_type('bench.type.0', 'order', topic => 'bench');
            CREATE PUBLICATION bench FOR TABLE domev.outbox WITH (publish = 'insert', publish_via_partition_root);""")
        return result + rows_of_large_transaction(server, large, min(rounds, 3)) + [row_of_memory(server, first, rest)]
    finally:
        server.drop_database(DATABASE)


# Event types and mappings


def row_of_types(server, language, function, many, emits, rounds):
    """Each of many types in turn, beside the only one of another database, and beside one of the many."""
    cursors = {}
    try:
        for database, types in (("bench_growth_one", 1), ("bench_growth_many", many)):
            server.create_database(database)
            server.run(database, TYPES_SQL.format(last=types - 1, function=function))
            cursors[types] = server.connect(database).cursor()
            emit(cursors[types], types, max(WARM_UP * types, emits))
        samples = alternate({
            "each in turn": lambda: emit(cursors[many], many, emits),
            "the only one": lambda: emit(cursors[1], 1, emits),
            "one of them": lambda: emit(cursors[many], 1, emits),
        }, rounds)
    finally:
        for cursor in cursors.values():
            cursor.connection.close()
        server.drop_database("bench_growth_one")
        server.drop_database("bench_growth_many")
    return make_row("9", f"emit with {many:,} event types, each with a mapping in {language}", "µs/event", samples,
                    "each in turn", "the only one", limit=1.10, note=f"transactions of {PER_TRANSACTION}; each mapping has a function of its own")


# A large transaction


def rows_of_large_transaction(server, events, rounds):
    """Its time per event, beside that of events in small transactions: to emit, and to decode."""
    many, few = f"{events:,} in one", f"{PER_TRANSACTION} in each"
    title = f"transaction of {events:,} events, beside those of {PER_TRANSACTION}"
    connection = server.connect(DATABASE)
    cursor = connection.cursor()
    samples = alternate({many: lambda: emit(cursor, 1, events, events), few: lambda: emit(cursor, 1, events)}, rounds, warm_up=0)
    result = [make_row("9", f"{title}: emit", "µs/event", samples, many, few, limit=1.20)]
    with Recording(server, DATABASE, "bench_large") as large:
        emit(cursor, 1, events, events)
        large.finish()
        with Recording(server, DATABASE, "bench_small") as small:
            emit(cursor, 1, events)
            small.finish()
            for recording in (large, small):
                found = recording.received(*PLUGINS["domev"]).count(b'"specversion"')
                if found != events:
                    raise RuntimeError(f"{found} of {events} events were received")
            samples = alternate({f"{name}, {which}": lambda recording=recording, plugin=plugin: decode(recording, events, plugin)
                                 for name, plugin in PLUGINS.items() for which, recording in ((many, large), (few, small))}, rounds, warm_up=0)
    connection.close()
    result.append(make_row("9", f"{title}: received", "µs/event", samples, f"domev, {many}", f"domev, {few}", limit=1.20,
                           note="PostgreSQL decodes the large one in pieces while it is in progress; pgoutput, as it is by default, has it spilled to disk"))
    return result


def emit(cursor, types, events, per_transaction=PER_TRANSACTION):
    """Microseconds per event."""
    cursor.execute("TRUNCATE domev.outbox")
    sql = EMIT_SQL.format(transactions=events // per_transaction, events=per_transaction, types=types, payload=PAYLOAD)
    return 1e6 * timed_sql(cursor, sql) / events


def decode(recording, events, plugin):
    """Microseconds per event."""
    return 1e6 * recording.receive(*plugin) / events


# A walsender


def row_of_memory(server, first, rest):
    """How much of its own memory a walsender takes more, when it has sent much more.  Two at the same time, one of each plugin."""
    connection = server.connect(DATABASE)
    cursor = connection.cursor()
    clients = {name: Client(server, cursor, name, plugin) for name, plugin in PLUGINS.items()}
    try:
        memory = {name: [] for name in clients}
        for events in [first, *[min(CHUNK, rest - done) for done in range(0, rest, CHUNK)]]:
            emit(cursor, 1, events)
            for name, client in clients.items():
                client.catch_up()
                memory[name].append(client.memory())
    finally:
        for client in clients.values():
            client.end()
        connection.close()
    growth = {name: (max(values[1:]) - values[0]) / 1024 for name, values in of("RssAnon", memory).items()}
    notes = [f"{name} from {own[0] / 1024:.1f} MB, VmHWM by {(peak[-1] - peak[0]) / 1024:.1f} MB"
             for name, own, peak in zip(memory, of("RssAnon", memory).values(), of("VmHWM", memory).values())]
    return Row("9", f"memory of a walsender that sends {rest:,} events after {first:,}", "MB", "domev", "", growth["domev"], None, 2.0,
               figures={name: summary([megabytes]) for name, megabytes in growth.items()},
               note="the growth itself, not a ratio, of RssAnon: " + "; ".join(notes) + " (it counts the shared buffers that were touched)")


def of(kind, memory):
    return {name: [value[kind] for value in values] for name, values in memory.items()}


class Client:
    """A pg_recvlogical that goes on receiving until end()."""

    def __init__(self, server, cursor, name, plugin):
        self.cursor = cursor
        self.slot = "bench_memory_" + name
        self.server = server
        self.pid = None
        cursor.execute("SELECT pg_create_logical_replication_slot(%s, %s)", (self.slot, plugin[0]))
        self.thread = threading.Thread(target=self._receive, args=(plugin[1],), daemon=True)
        self.thread.start()

    def _receive(self, options):
        try:
            self.server.program("pg_recvlogical", *receiver(self.server, DATABASE, self.slot, options), "-f", "/dev/null")
        except RuntimeError:  # its walsender was terminated
            pass

    def _value(self, sql):
        self.cursor.execute(sql, (self.slot,))
        row = self.cursor.fetchone()
        return row and row[0]

    def catch_up(self):
        """Until it was sent all that there is now."""
        self.pid = wait_for(lambda: self._value("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"))
        self.cursor.execute("SELECT pg_current_wal_lsn()")
        end = self.cursor.fetchone()[0]
        wait_for(lambda: self._value(f"""SELECT sent_lsn >= '{end}' FROM pg_stat_replication AS r
            JOIN pg_replication_slots AS s ON r.pid = s.active_pid WHERE s.slot_name = %s"""), seconds=120)

    def memory(self):
        """In kB."""
        return self.server.backend_memory(self.pid)

    def end(self):
        self._value("SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = %s AND active_pid IS NOT NULL")
        self.thread.join(30)
        self._value("SELECT pg_drop_replication_slot(%s)")
