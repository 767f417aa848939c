"""How long does an event take from the commit to the client's hands?

A writer commits 1,000 transactions a second, each with one event: 330 bytes of JSON, and its number.  It takes the time right before it
sends COMMIT; a reader, a process of its own, takes the time when it has the event.  The clock is the machine's monotonic one,
which all processes share.  The ways take turns, and only the slot of the one that is measured exists:

  domev, table storage    domev.emit; the plugin domev
  domev, WAL storage      the same
  test_decoding           INSERT into a hand-written outbox; the plugin test_decoding
  polling                 the same INSERT; the reader takes and deletes what is there, FOR UPDATE SKIP LOCKED, every 100 ms

The readers of slots are one and the same program but for the plugin.  A reader has a test_decoding event when it has the line of its
row, before that of the commit.
"""

import json
import os
import select
import statistics
import subprocess
import sys
import time

import psycopg2
from psycopg2.extras import LogicalReplicationConnection

from measure import OUTBOX_SQL, PAYLOAD, alternate, make_row

TITLE = "Latency from the commit to the client"

DATABASE = "bench_latency"
SLOT = "bench_latency"
TPS = 1_000
SECONDS = {"trial": 1, "short": 2, "long": 10}  # of one measurement
WARM_UP = 0.2  # the share of a measurement's events that do not count
POLL = 0.1  # seconds between two polls
BATCH = 1_000  # rows of one poll
PATIENCE = 30  # seconds that a reader waits for the next event
GOAL = 1.2

DOMEV = "domev"
DOMEV_WAL = "domev, WAL storage"
TEST_DECODING = "test_decoding"
POLLING = "polling reader"

INSERT = """INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload)
    VALUES ('order', %(number)s, 'order.placed', jsonb_set(%(payload)s, '{number}', %(number)s::jsonb))"""
EMIT = "SELECT domev.emit('{event_type}', %(number)s, jsonb_set(%(payload)s, '{{number}}', %(number)s::jsonb))"

# name -> (what the writer runs, the reader's plugin)
WAYS = {
    DOMEV: (EMIT.format(event_type="order.placed"), "domev"),
    DOMEV_WAL: (EMIT.format(event_type="order.placed.wal"), "domev"),
    TEST_DECODING: (INSERT, "test_decoding"),
    POLLING: (INSERT, None),
}

SETUP_SQL = """
    SELECT domev.create_topic('orders', scope => 'internal');
    SELECT domev.create_topic('orders.wal', scope => 'internal', storage => 'wal');
    SELECT domev.create_event_type('order.placed', 'order', topic => 'orders');
    SELECT domev.create_event_type('order.placed.wal', 'order', topic => 'orders.wal');
    CREATE INDEX ON outbox (created_at);"""

POLL_SQL = f"""DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY created_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED)
    RETURNING payload::text"""


def run(server, size, rounds):
    """Goal 10."""
    events = TPS * SECONDS[size]
    ways = [name for name in WAYS if name != TEST_DECODING or server.has_plugin("test_decoding")]
    server.create_database(DATABASE)
    try:
        server.run(DATABASE, OUTBOX_SQL + SETUP_SQL)
        figures = alternate({name: lambda name=name: _measure(server, name, events) for name in ways}, rounds, warm_up=0)
    finally:
        server.drop_database(DATABASE)
    return _rows(figures)


def _measure(server, name, events):
    """(p50, p99) of a way, in milliseconds."""
    statement, plugin = WAYS[name]
    server.run(DATABASE, "TRUNCATE outbox, domev.outbox; CHECKPOINT;")
    if plugin:
        server.value(DATABASE, "SELECT pg_create_logical_replication_slot(%s, %s)::text", (SLOT, plugin))
    connection = server.connect(DATABASE)
    reader = _start("read_slot" if plugin else "read_table", connection.dsn, events)
    try:
        reader.stdout.readline()  # it is listening
        writer = _start("write", connection.dsn, events, statement)
        arrived, sent = _result(reader), _result(writer)
    finally:
        reader.kill()
        reader.wait()
        connection.close()
        if plugin:
            _drop_slot(server)
    tps = (events - 1) / (max(sent.values()) - min(sent.values())) * 1e9
    if tps < 0.98 * TPS:
        print(f"{name}: the writer made {tps:.0f} transactions a second only", flush=True)
    waited = sorted((arrived[number] - sent[number]) / 1e6 for number in sent if int(number) >= WARM_UP * events)
    return statistics.median(waited), waited[int(0.99 * len(waited))]


def _start(role, *arguments):
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return subprocess.Popen([sys.executable, "-m", "goals.latency", role, *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, text=True)


def _result(process):
    """What a process prints: number of an event -> nanoseconds."""
    output, _ = process.communicate(timeout=PATIENCE + 60)
    if process.returncode != 0:
        raise RuntimeError("a reader or writer failed; its message is above")
    return json.loads(output)


def _drop_slot(server):
    """The walsender may take a moment to see that its client is gone."""
    for _ in range(100):
        if not server.value(DATABASE, "SELECT bool_or(active) FROM pg_replication_slots WHERE slot_name = %s", (SLOT,)):
            break
        time.sleep(0.05)
    server.value(DATABASE, "SELECT pg_drop_replication_slot(%s)::text", (SLOT,))


def _rows(figures):
    rows = []
    for index, title in ((0, "p50"), (1, "p99")):
        samples = {name: [pair[index] for pair in pairs] for name, pairs in figures.items()}
        peer = TEST_DECODING if TEST_DECODING in samples else ""
        rows.append(make_row(f"10{'ac'[index]}", f"{title}, 1,000 transactions a second, table storage", "ms", samples, DOMEV, peer, limit=GOAL))
        pair = {name: samples[name] for name in (DOMEV_WAL, peer) if name}
        rows.append(make_row(f"10{'bd'[index]}", f"{title}, the same, WAL storage", "ms", pair, DOMEV_WAL, peer, limit=GOAL))
    rows[0].note = "From right before COMMIT is sent to when the client has the event; the median, of the rounds, of a round's p50 or p99."
    return rows


# --- What the processes do


def write(dsn, events, statement):
    """Commits an event every 1/TPS seconds; returns number -> when COMMIT was sent."""
    connection = psycopg2.connect(dsn)
    cursor = connection.cursor()
    cursor.execute("PREPARE raise (text, jsonb) AS " + statement.replace("%(number)s", "$1").replace("%(payload)s", "$2"))
    connection.commit()
    sent = {}
    start = time.monotonic() + 0.1
    for number in range(int(events)):
        time.sleep(max(0, start + number / TPS - time.monotonic()))
        cursor.execute("EXECUTE raise (%s, %s)", (str(number), PAYLOAD))
        sent[number] = time.monotonic_ns()
        connection.commit()
    return sent


def read_slot(dsn, events):
    """Returns number -> when its event was here."""
    connection = psycopg2.connect(dsn, connection_factory=LogicalReplicationConnection)
    stream = connection.cursor()
    stream.start_replication(slot_name=SLOT, decode=False, status_interval=1)
    _say_ready()
    arrived = {}
    while len(arrived) < int(events):
        message = stream.read_message()
        if message is None:
            if not select.select([stream], [], [], PATIENCE)[0]:
                raise RuntimeError(f"{len(arrived)} of {events} events came")
            continue
        now = time.monotonic_ns()
        number = _number(message.payload)
        if number is not None:
            arrived[number] = now
    return arrived


def read_table(dsn, events):
    """The same, of the hand-written outbox."""
    connection = psycopg2.connect(dsn)
    cursor = connection.cursor()
    _say_ready()
    arrived = {}
    next_poll = last = time.monotonic()
    while len(arrived) < int(events):
        cursor.execute(POLL_SQL)
        rows = cursor.fetchall()
        now = time.monotonic_ns()
        connection.commit()
        arrived.update((_number(row[0].encode()), now) for row in rows)
        last = time.monotonic() if rows else last
        if time.monotonic() - last > PATIENCE:
            raise RuntimeError(f"{len(arrived)} of {events} events came")
        next_poll += POLL
        time.sleep(max(0, next_poll - time.monotonic()))
    return arrived


def _say_ready():
    print("ready", flush=True)


def _number(text):
    """The payload's number; None if there is no event in this message."""
    _, found, rest = text.partition(b'"number": ')
    return int(rest[:rest.index(b"}")].split(b",")[0]) if found else None


if __name__ == "__main__":
    print(json.dumps({"write": write, "read_slot": read_slot, "read_table": read_table}[sys.argv[1]](*sys.argv[2:])))
