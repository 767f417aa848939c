"""What does it take to decode events (goals 5, 6 and 7)?

All plugins decode the same WAL, and it is read in two ways.  "Received": the time of a pg_recvlogical that writes to /dev/null, from its
start to its end.  That is what a publisher has, but how fast two processes take turns is up to the system's scheduler, and it is not
the same in each run.  "By SQL": the time of pg_logical_slot_peek_binary_changes, one process, which is steadier and has less in it
that is not the plugin's.  What a plugin delivers is looked at once, before anything is timed: all events, or there is no figure.
"""

from measure import PAYLOAD, Row, alternate, make_row, summary
from recording import Recording

TITLE = "Decoding"

DATABASE = "bench_decode"
EVENT_TYPE = "bench.placed"  # is once in each event, whatever the plugin makes of it, and nowhere else
PER_TRANSACTION = 200

SIZES = {  # events, many in a transaction; events with a transaction each; foreign rows in one transaction
    "trial": (10_000, 1_000, 300_000),  # as many as it takes that they are streamed
    "short": (200_000, 40_000, 300_000),
    "long": (400_000, 40_000, 300_000),
}

SETUP_SQL = f"""
    SELECT domev.create_topic('bench.rows', scope => 'internal');
    SELECT domev.create_topic('bench.messages', scope => 'internal', storage => 'wal');
    SELECT domev.create_event_type('{EVENT_TYPE}', 'order', topic => 'bench.rows');
    CREATE PUBLICATION bench FOR TABLE domev.outbox WITH (publish = 'insert', publish_via_partition_root);
    CREATE TABLE foreign_rows (id bigint, content text);"""

# The plugins with options that their users would give.  wal2json's first format is its default, and faster than its second.
DOMEV = ("domev", {})
PGOUTPUT = ("pgoutput", {"proto_version": "1", "publication_names": "bench"})
PGOUTPUT_MESSAGES = ("pgoutput", {**PGOUTPUT[1], "messages": "true"})
PGOUTPUT_STREAMED = ("pgoutput", {**PGOUTPUT_MESSAGES[1], "proto_version": "2", "streaming": "on"})
WAL2JSON = ("wal2json", {})
WAL2JSON_FILTERED = ("wal2json", {"add-tables": "domev.*"})
TEST_DECODING = ("test_decoding", {})
DECODERBUFS = ("decoderbufs", {})
NOTHING = ("bench_nothing", {})
THROUGH = ("bench_through", {})


def run(server, size, rounds):
    events, single, foreign = SIZES[size]
    server.create_database(DATABASE)
    server.run(DATABASE, SETUP_SQL)
    try:
        return [
            *rows_of_table(server, "5", events, PER_TRANSACTION, rounds),
            *rows_of_table(server, "5b", single, 1, rounds),
            *rows_of_messages(server, events, rounds),
            *rows_of_foreign(server, foreign, rounds),
        ]
    finally:
        server.drop_database(DATABASE)


# Goals


def rows_of_table(server, goal, events, per_transaction, rounds):
    """Goal 5: events that are rows of the outbox."""
    plugins = {"domev": DOMEV, "pgoutput": PGOUTPUT, "wal2json": WAL2JSON_FILTERED, "test_decoding": TEST_DECODING,
               "decoderbufs": DECODERBUFS, "nothing sent (floor)": NOTHING}
    title = f"decode {events:,} outbox rows, {per_transaction} per transaction"
    with Recording(server, DATABASE) as recording:
        emit(server, events, per_transaction)
        recording.finish()
        result = compare(recording, goal, title, events, plugins, "pgoutput", 1.0, rounds)
    server.run(DATABASE, "TRUNCATE domev.outbox")
    return result


def rows_of_messages(server, events, rounds):
    """Goal 6: events that are WAL messages."""
    plugins = {"domev": DOMEV, "passed through (floor)": THROUGH, "pgoutput": PGOUTPUT_MESSAGES, "wal2json": WAL2JSON,
               "test_decoding": TEST_DECODING}
    title = f"decode {events:,} WAL events, {PER_TRANSACTION} per transaction"
    server.run(DATABASE, f"SELECT domev.alter_event_type('{EVENT_TYPE}', topic => 'bench.messages', journal => false)")
    with Recording(server, DATABASE) as recording:
        emit(server, events, PER_TRANSACTION)
        recording.finish()
        return compare(recording, "6", title, events, plugins, "passed through (floor)", 1.25, rounds)


def rows_of_foreign(server, rows, rounds):
    """Goal 7: a large transaction of rows that are no events, and one event at its end."""
    floor = "streamed away (floor)"
    plugins = {"domev": DOMEV, floor: NOTHING, "pgoutput, streaming": PGOUTPUT_STREAMED, "wal2json": WAL2JSON_FILTERED}
    title = f"{rows:,} foreign rows in one transaction"
    with Recording(server, DATABASE) as recording:
        server.run(DATABASE, f"""BEGIN;
            INSERT INTO foreign_rows SELECT i, repeat(md5(i::text), 3) FROM generate_series(1, {rows}) AS i;
            SELECT domev.emit('{EVENT_TYPE}', 1, '{PAYLOAD}'::jsonb);
            COMMIT;""")
        recording.finish()
        plugins = installed(server, plugins)
        statistics = {}
        for name, plugin in plugins.items():
            check(recording, name, plugin, 1)
            statistics[name] = recording.statistics
        samples = alternate(readers(recording.receive, plugins), rounds, warm_up=0)
    if not statistics["domev"][1]:
        raise RuntimeError("domev's transaction was not streamed")
    spilled = {name: summary([spill_bytes / 1e6]) for name, (spill_bytes, _) in statistics.items()}
    return [
        make_row("7", f"{title}: received", "s", samples, "domev", floor if floor in plugins else "", limit=1.2),
        Row("7", f"{title}: spilled to disk", "MB", "domev", "", spilled["domev"]["median"], None, 0.0, figures=spilled,
            note="the figure itself, not a ratio, from pg_stat_replication_slots"),
    ]


# Parts of them


def emit(server, events, per_transaction):
    server.run(DATABASE, f"""DO $$
        BEGIN
            FOR i IN 1..{events // per_transaction} LOOP
                PERFORM domev.emit('{EVENT_TYPE}', n, '{PAYLOAD}'::jsonb) FROM generate_series(1, {per_transaction}) AS n;
                COMMIT;
            END LOOP;
        END $$""")


def compare(recording, goal, title, events, plugins, peer, limit, rounds):
    """A row for each way of reading."""
    plugins = installed(recording.server, plugins)
    peer = peer if peer in plugins else ""
    sizes = {name: check(recording, name, plugin, events) for name, plugin in plugins.items()}
    note = "bytes received per event: " + ", ".join(f"{name} {size / events:,.0f}" for name, size in sizes.items() if size)
    result = []
    for way, read, note_of_way in (("received", recording.receive, note), ("by SQL", recording.query, "")):
        samples = alternate(readers(read, plugins), rounds, warm_up=0 if way == "received" else 1)  # the check has warmed up
        samples = {name: [1e6 * seconds / events for seconds in values] for name, values in samples.items()}
        result.append(make_row(goal, f"{title}: {way}", "µs/event", samples, "domev", peer, limit=limit, note=note_of_way, plot="decode"))
    return result


def installed(server, plugins):
    return {name: plugin for name, plugin in plugins.items() if server.has_plugin(plugin[0])}


def readers(read, plugins):
    """What alternate wants."""
    return {name: lambda plugin=plugin: read(*plugin) for name, plugin in plugins.items()}


def check(recording, name, plugin, events):
    """Are all events received, or none where nothing is sent?  Returns how many bytes."""
    content = recording.received(*plugin)
    found, expected = content.count(EVENT_TYPE.encode()), 0 if plugin == NOTHING else events
    if found != expected:
        raise RuntimeError(f"{name} delivered {found} events, not {expected}")
    return len(content)
