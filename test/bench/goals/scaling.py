"""What does it take as events, shards and databases grow in number?  There are no goals here: these are the figures of doc/scaling.md.

WAL is counted in bytes, which are the same on each run.  What a walsender takes is its CPU time, from the kernel's account of the process
when the last of the WAL has been sent: the other processes of the machine do not count in it, though they do in its caches.  How many
events a publisher hands on is a matter of waiting: the stand-in for a broker takes a millisecond for each answer.
"""

import contextlib
import glob
import os
import sys
import time

from measure import OUTBOX_SQL, PAYLOAD, alternate, make_row
from recording import Recording, wait_for

TITLE = "Scaling"

DATABASE = "bench_scaling"
OTHER = "bench_scaling_other"
SHARDS = 4
BROKER_DELAY = 0.001  # seconds
SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

SIZES = {  # events whose WAL is counted; events, rows and updates that are decoded; events that are published
    "trial": (2_000, 2_000, 200),
    "short": (5_000, 30_000, 1_000),
    "long": (20_000, 100_000, 4_000),
}
CHECKPOINTS = 1_000  # so many transactions from one to the next, where there are checkpoints
TABLE_ROWS = 200_000
SEGMENT = 16 * 1024 * 1024

SETUP_SQL = f"""
    CREATE FUNCTION mapping(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
        BEGIN ATOMIC SELECT (domev.make_integration_event('shop.placed', (e).payload)).*; END;
    SELECT domev.create_topic('rows', scope => 'internal'), domev.create_topic('messages', scope => 'internal', storage => 'wal'),
        domev.create_topic('shop.rows'), domev.create_topic('shop.messages', storage => 'wal');
    SELECT domev.create_event_type('row', 'order', topic => 'rows'), domev.create_event_type('message', 'order', topic => 'messages'),
        domev.create_event_type('row, mapped', 'order', topic => 'rows'),
        domev.create_event_type('message, mapped', 'order', topic => 'messages'),
        domev.create_event_type('only mapped to a row', 'order', journal => false),
        domev.create_event_type('only mapped to a message', 'order', journal => false);
    SELECT domev.create_mapping(e, e, 'public.mapping', topic => t) FROM (VALUES ('row, mapped', 'shop.rows'),
        ('message, mapped', 'shop.messages'), ('only mapped to a row', 'shop.rows'), ('only mapped to a message', 'shop.messages')) AS v (e, t);
    CREATE TABLE foreign_rows (id int PRIMARY KEY, changes int, content text) WITH (fillfactor = 90);
    INSERT INTO foreign_rows SELECT i, 0, repeat('x', 200) FROM generate_series(1, {TABLE_ROWS}) AS i;
    CREATE TABLE loaded_rows (id bigint, content text);
    {OUTBOX_SQL}
    INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload)
        SELECT 'order', i, 'placed', '{PAYLOAD}' FROM generate_series(1, 100000) AS i;"""


def run(server, size, rounds):
    counted, decoded, published = SIZES[size]
    for database in (DATABASE, OTHER):
        server.create_database(database)
    server.run(DATABASE, SETUP_SQL)
    try:
        return [
            *wal_of_events(server, counted),
            *shards(server, decoded, rounds),
            *foreign_changes(server, decoded, rounds),
            *publishers(server, published, min(rounds, 3)),
            *acknowledgements(server, 10 * published, min(rounds, 3)),
        ]
    finally:
        for database in (DATABASE, OTHER):
            server.drop_database(database)


# Bytes of WAL


def emits(event_type):
    return f"PERFORM domev.emit('{event_type}', n, '{PAYLOAD}'::jsonb)"


BY_HAND = f"INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload) SELECT 'order', n, 'placed', '{PAYLOAD}'"


def wal_of_events(server, events):
    """Without full pages of the WAL, so that only what belongs to the event is counted."""
    kinds = ("row", "message", "row, mapped", "message, mapped", "only mapped to a row", "only mapped to a message")
    title = "WAL per emit of 330 bytes of payload, without full pages"
    result = []
    with without_full_pages(server):
        for per_transaction in (1, 100):
            samples = {kind: [wal_per_event(server, emits(kind), events, per_transaction)] for kind in kinds}
            result.append(make_row("", f"{title}, {per_transaction} in a transaction", "bytes", samples, "row", ""))
        by_hand = wal_per_event(server, BY_HAND, events, 1)
        result[0].figures["hand-written INSERT"] = make_row("", "", "bytes", {"": [by_hand]}, "", "").figures[""]
    return [*result, wal_with_full_pages(server, events)]


def wal_with_full_pages(server, events):
    """With checkpoints: a page is written to the WAL in full when it is first changed after one.  Last come a btree that a user adds,
    and no index at all."""
    def figure(statement=emits("row")):
        return [wal_per_event(server, statement, events, 1, CHECKPOINTS)]

    samples = {"row": figure(), "message": figure(emits("message")), "hand-written INSERT": figure(BY_HAND)}
    index = server.value(DATABASE, "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'domev.outbox'::regclass")
    server.run(DATABASE, "CREATE INDEX added ON domev.outbox (aggregate_id, event_id)")
    samples["row, and a btree of (aggregate_id, event_id)"] = figure()
    server.run(DATABASE, f"DROP INDEX domev.added, {index}")
    samples["row, without the BRIN index"] = figure()
    server.create_database(DATABASE)
    server.run(DATABASE, SETUP_SQL)
    return make_row("", f"the same with full pages, 1 in a transaction and a checkpoint every {CHECKPOINTS:,}", "bytes", samples, "row", "")


@contextlib.contextmanager
def without_full_pages(server):
    try:
        set_full_pages(server, "off")
        yield
    finally:
        set_full_pages(server, "on")


def set_full_pages(server, value):
    """The process that makes checkpoints is the one that switches: once it has made one, it has."""
    server.run("postgres", f"ALTER SYSTEM SET full_page_writes = {value}")
    server.run("postgres", "SELECT pg_reload_conf()")
    wait_for(lambda: server.value("postgres", "SHOW full_page_writes") == value)
    server.run("postgres", "CHECKPOINT")


def wal_per_event(server, statement, events, per_transaction, per_checkpoint=None):
    """The first ones are not counted: those of a new partition are in a range that its BRIN index summarizes, and change that."""
    server.run(DATABASE, repeated(statement, 3_000, per_transaction))
    total = 0
    for _ in range(events // (per_checkpoint or events)):
        if per_checkpoint:
            server.run(DATABASE, "CHECKPOINT")
        start = server.value(DATABASE, "SELECT pg_current_wal_insert_lsn()")
        server.run(DATABASE, repeated(statement, per_checkpoint or events, per_transaction))
        total += server.value(DATABASE, "SELECT pg_current_wal_insert_lsn() - %s", (start,))
    return float(total) / events


def repeated(statement, times, per_transaction):
    """In SQL, with commits; the statement gets its rows from the numbers n."""
    return f"""DO $$
        BEGIN
            FOR i IN 0..{times // per_transaction - 1} LOOP
                {statement} FROM generate_series(i * {per_transaction} + 1, (i + 1) * {per_transaction}) AS n;
                COMMIT;
            END LOOP;
        END $$"""


# CPU time of walsenders


def processor_time(recording, options):
    """The seconds of a processor that the walsender takes for all that was recorded."""
    server, database = recording.server, recording.database
    with recording.copied("domev"):
        given = [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]
        with started(server, "pg_recvlogical", "-d", database, "-S", recording.copy, "--start", "--no-loop", "-f", "/dev/null", *given):
            return time_when_sent(server, recording.copy, recording.end)


def processor_time_physical(recording, slot, folder):
    """The same for a walsender that only copies the WAL, as for a standby."""
    server = recording.server
    for file in glob.glob(os.path.join(folder, "*")):
        os.unlink(file)
    with started(server, "pg_receivewal", "-D", folder, "-S", slot, "--no-loop", "--no-sync"):
        return time_when_sent(server, slot, recording.end)


@contextlib.contextmanager
def started(server, name, *arguments):
    client = server.start_program(name, "-h", server.socket_dir, "-p", str(server.port), "-U", "postgres", *arguments)
    try:
        yield
    finally:
        client.terminate()
        client.wait()


def time_when_sent(server, slot, end):
    connection = server.connect("postgres")
    try:
        cursor = connection.cursor()

        def sent():
            cursor.execute("SELECT pid FROM pg_replication_slots JOIN pg_stat_replication ON pid = active_pid WHERE slot_name = %s AND sent_lsn >= %s",
                           (slot, end))
            return cursor.fetchone()

        return processor_seconds(wait_for(sent)[0])
    finally:
        connection.close()


def processor_seconds(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def shards(server, events, rounds):
    """All of the events, one of the shards, all of the shards, and none."""
    result = []
    for kind, per_transaction in (("row", 1), ("row", 100), ("message", 1)):
        with Recording(server, DATABASE) as recording:
            server.run(DATABASE, repeated(emits(kind), events, per_transaction))
            recording.finish()
            figures = {"one slot": [], f"{SHARDS} shards in sum": [], "one of them": [], "nothing sent": []}
            variants = {"one slot": {}, "nothing sent": {"topics": "none"}, **{n: {"shard": f"{n}/{SHARDS}"} for n in range(SHARDS)}}
            samples = alternate({name: lambda options=options: 1e6 * processor_time(recording, options) / events
                                 for name, options in variants.items()}, rounds, warm_up=0)
        figures["one slot"], figures["nothing sent"] = samples["one slot"], samples["nothing sent"]
        figures[f"{SHARDS} shards in sum"] = [sum(values) for values in zip(*(samples[n] for n in range(SHARDS)))]
        figures["one of them"] = [value / SHARDS for value in figures[f"{SHARDS} shards in sum"]]
        title = f"CPU of walsenders per event: a {kind}, {per_transaction} in a transaction"
        result.append(make_row("", title, "µs/event", figures, f"{SHARDS} shards in sum", "one slot"))
        server.run(DATABASE, "TRUNCATE domev.outbox")
    return result


def foreign_changes(server, changes, rounds):
    """WAL without events: read by a slot of this database, by one of another, and copied as for a standby."""
    update = f"UPDATE foreign_rows SET changes = changes + 1 WHERE id = 1 + (i::bigint * 7919) %% {TABLE_ROWS}"
    one_each = f"DO $$ BEGIN FOR i IN %s..%s LOOP {update}; COMMIT; END LOOP; END $$"
    title = f"{changes:,} updates, each a transaction"
    with without_full_pages(server):
        result = foreign(server, title, [one_each % (1, changes)], changes, rounds)
    with_checkpoints = [text for i in range(0, changes, CHECKPOINTS) for text in ("CHECKPOINT", one_each % (i + 1, i + CHECKPOINTS))]
    result += foreign(server, f"the same, with full pages and a checkpoint every {CHECKPOINTS:,}", with_checkpoints, changes, rounds)
    load = f"INSERT INTO loaded_rows SELECT i, repeat('x', 200) FROM generate_series(1, {changes}) AS i"
    return result + foreign(server, f"{changes:,} rows of 200 bytes, loaded by a transaction", [load], changes, rounds)


def foreign(server, title, statements, changes, rounds):
    folder = os.path.join(server.folder, "received_wal")
    server.start_command("mkdir", "-p", folder).wait()
    server.run("postgres", "SELECT pg_create_physical_replication_slot('bench_physical', true)")
    try:
        with Recording(server, DATABASE) as here, Recording(server, OTHER, "bench_other") as there:
            start = server.value("postgres", "SELECT pg_current_wal_insert_lsn()")
            server.run(DATABASE, ";\n".join(statements))
            for recording in (there, here):
                recording.finish()
            size = bytes_between(server, start, here.end)
            # a client of physical replication begins where the segment does
            copied = bytes_between(server, "0/0", here.end) - int(bytes_between(server, "0/0", start)) // SEGMENT * SEGMENT
            samples = alternate({"a slot of this database": lambda: processor_time(here, {}),
                                 "a slot of another database": lambda: processor_time(there, {}),
                                 "copied, as for a standby": lambda: processor_time_physical(here, "bench_physical", folder)}, rounds, warm_up=0)
    finally:
        server.run("postgres", "SELECT pg_drop_replication_slot('bench_physical')")
    speed = {name: [(copied if name.startswith("copied") else size) / 1e6 / seconds for seconds in values] for name, values in samples.items()}
    del samples["copied, as for a standby"]
    per_change = {name: [1e6 * seconds / changes for seconds in values] for name, values in samples.items()}
    ours, note = "a slot of this database", f"{size / changes:,.0f} bytes of WAL per change"
    return [make_row("", f"CPU of a walsender per change that is no event: {title}", "µs/change", per_change, ours, "", note=note),
            make_row("", f"WAL per second of CPU: {title}", "MB/s", speed, ours, "")]


def bytes_between(server, start, end):
    return float(server.value("postgres", "SELECT pg_wal_lsn_diff(%s, %s)", (end, start)))


# Publishers that wait for their broker


def publishers(server, events, rounds):
    sys.path.append(os.path.join(SOURCES, "test", "conformance"))
    samples = alternate({name: lambda count=count: published_per_second(server, count, events)
                         for name, count in (("1 publisher", 1), (f"{SHARDS} publishers", SHARDS))}, rounds, warm_up=0)
    return [make_row("", f"events published per second, one at a time, if the broker takes {1000 * BROKER_DELAY:.0f} ms", "/s", samples,
                     f"{SHARDS} publishers", "1 publisher", at_most=False)]


def build_publisher(server):
    """That of libpq."""
    folder = os.path.join(SOURCES, "examples", "publishers", "libpq")
    if server.start_command("make", "-s", "-C", server.folder, "-f", f"{folder}/Makefile", f"VPATH={folder}",
                            f"PG_CONFIG={server.bindir}/pg_config", "publish").wait() != 0:
        raise RuntimeError("the publisher of libpq cannot be built")


def acknowledgements(server, events, rounds):
    """Each is a message that the walsender wakes up for."""
    def published(_seconds):
        slot = server.value(DATABASE, "SELECT active_pid FROM pg_replication_slots WHERE active")
        return 1e6 * processor_seconds(slot) / events

    samples = alternate({"a row": lambda: publish(server, 1, events, None, published)}, rounds, warm_up=0)
    return [make_row("", "CPU of the walsender per event, if each is acknowledged by itself and at once", "µs/event", samples, "a row", "")]


def published_per_second(server, count, events):
    """From the first event that the broker has to the last: connecting and starting does not count."""
    return publish(server, count, events, lambda: BROKER_DELAY, lambda seconds: events / seconds)


def publish(server, count, events, delay, figure):
    """What figure makes of the seconds from the first event to the last."""
    from broker import Broker  # pylint: disable=import-outside-toplevel,import-error
    from speech import speak_lines  # pylint: disable=import-outside-toplevel,import-error
    build_publisher(server)
    broker = Broker(os.devnull, speak_lines)
    broker.set_policy(delay=delay)
    slots = [f"publisher_{n}" for n in range(count)]
    for slot in slots:
        server.value(DATABASE, "SELECT pg_create_logical_replication_slot(%s, 'domev')", (slot,))
    server.run(DATABASE, repeated(emits("row"), events, 1))
    environment = {"DOMEV_CONNECTION": f"host={server.socket_dir} port={server.port} user=postgres dbname={DATABASE}",
                   "DOMEV_BROKER": f"127.0.0.1:{broker.port}"}
    programs = [server.start_command(os.path.join(server.folder, "publish"),
                                     environment={**environment, "DOMEV_SLOT": slot, "DOMEV_SHARD": f"{n}/{count}"})
                for n, slot in enumerate(slots)]
    try:
        wait_for(broker.progress)
        start, had = time.monotonic(), broker.progress()
        wait_for(lambda: broker.progress() >= events, 60)
        return figure((time.monotonic() - start) * events / (events - had))
    finally:
        for program in programs:
            program.kill()
            program.wait()
        broker.close()
        wait_for(lambda: server.value(DATABASE, "SELECT count(*) = 0 FROM pg_replication_slots WHERE active"))
        server.run(DATABASE, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots; TRUNCATE domev.outbox")
