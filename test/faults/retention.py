"""Does retention lose events, or repeat them, or hold up writers, while many are written and streamed?

Writers emit small events, a hundred in a transaction; pg_recvlogical streams them, and acknowledges; domev.maintain() runs each second.  A period is an
hour at least, so partitions of a few seconds are made by hand, as maintain makes them, and are old after some more.

Each writer counts its events: who reads them sees at once which is missing, or comes again.  What is reported of the writers is the longest
time that one of their transactions took, with maintain and, for comparison, while it did nothing.

To be run by retention.sh.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

from server import Server  # noqa: E402  pylint: disable=wrong-import-position

DATABASE = "retention"
BATCH = 100  # events of a transaction
SPAN = 5     # seconds of a partition
KEEP = 10    # seconds
AHEAD = 12   # partitions

SETUP = f"""
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
SELECT pg_create_logical_replication_slot('s', 'domev');
SELECT domev.set_retention(keep => '{KEEP} seconds');
CREATE TABLE took (writer int, at timestamptz, ms float8);
CREATE PROCEDURE write(writer int, events bigint) LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
BEGIN
    FOR n IN 0 .. events - 1 BY {BATCH} LOOP
        start := clock_timestamp();
        PERFORM domev.emit('e', writer, jsonb_build_object('i', n + i)) FROM generate_series(0, {BATCH} - 1) AS i;
        COMMIT;
        INSERT INTO took VALUES (writer, start, 1000 * extract(epoch FROM clock_timestamp() - start));
    END LOOP;
END $$;
CREATE SEQUENCE partitions;
CREATE FUNCTION make_ahead() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
    until timestamptz := clock_timestamp() + {AHEAD} * interval '{SPAN} seconds';
    name text;
BEGIN
    SELECT coalesce(max(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''(.*)''\\)')::timestamptz), date_trunc('second', clock_timestamp()) + interval '1 second')
        INTO start FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'domev.outbox'::regclass AND c.relname LIKE 'span_%';
    WHILE start < until LOOP
        name := 'domev.span_' || nextval('partitions');
        EXECUTE format('CREATE TABLE %s (LIKE domev.outbox)', name);
        EXECUTE format('ALTER TABLE domev.outbox ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', name, start, start + interval '{SPAN} seconds');
        EXECUTE format('ALTER EXTENSION domev ADD TABLE %s', name);
        start := start + interval '{SPAN} seconds';
    END LOOP;
END $$;
SELECT make_ahead();
"""


class Reader:
    """Reads the stream; knows of each writer which event comes next."""

    def __init__(self, server, writers):
        self.next = [0] * writers
        self.lost = self.twice = self.received = 0
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [os.path.join(server.bindir, "pg_recvlogical"), "-h", server.socket_dir, "-p", str(server.port), "-U", "postgres", "-d", DATABASE,
             "-S", "s", "--start", "--no-loop", "-f", "-", "-F", "1", "-s", "1"], stdout=subprocess.PIPE, cwd="/")
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            writer, i = int(event["subject"]), event["data"]["i"]
            self.received += 1
            self.lost += max(i - self.next[writer], 0)
            self.twice += i < self.next[writer]
            self.next[writer] = max(i + 1, self.next[writer])

    def finish(self, events, patience=600):
        deadline = time.monotonic() + patience
        while sum(self.next) < events and time.monotonic() < deadline and self.process.poll() is None:
            time.sleep(0.1)
        self.process.terminate()
        self.thread.join()
        self.lost += events - sum(self.next)


def maintain(server, counts):
    """Once, as cron would, after what makes partitions by hand; counts what it did."""
    server.run(DATABASE, "SELECT make_ahead()")
    start = time.monotonic()
    for line in server.run(DATABASE, "CHECKPOINT; SELECT action || ' ' || object FROM domev.maintain()").splitlines():
        action = line.split(" ")[0]
        counts[action] = counts.get(action, 0) + 1
    counts["longest"] = max(counts.get("longest", 0), time.monotonic() - start)


def run(server, arguments):
    per_writer = arguments.events // arguments.writers // BATCH * BATCH
    reader = Reader(server, arguments.writers)
    start = time.monotonic()
    writers = [subprocess.Popen([os.path.join(server.bindir, "psql"), "-X", "-q", "-h", server.socket_dir, "-p", str(server.port), "-U", "postgres",
                                 "-d", DATABASE, "-c", f"CALL write({writer}, {per_writer})"], cwd="/") for writer in range(arguments.writers)]
    counts, largest, turns = {}, 0, 0
    while any(writer.poll() is None for writer in writers):
        time.sleep(1)
        if turns % 60 < 50:  # and ten seconds of sixty without it, for comparison
            maintain(server, counts)
            server.run(DATABASE, "CREATE TABLE IF NOT EXISTS maintained (at timestamptz); INSERT INTO maintained VALUES (clock_timestamp())")
        turns += 1
        largest = max(largest, float(server.value(DATABASE, "SELECT sum(pg_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'domev.outbox'::regclass")))
    written = time.monotonic() - start
    reader.finish(per_writer * arguments.writers)
    received = time.monotonic() - start
    for _ in range(2 * (KEEP + SPAN)):
        time.sleep(1)
        maintain(server, counts)
    report(server, per_writer * arguments.writers, reader, counts, largest, written, received)
    return reader.lost + reader.twice + (counts.get("dropped", 0) == 0) + any(writer.returncode for writer in writers)


def report(server, events, reader, counts, largest, written, received):
    print(f"{server.version_text}: {events} events, written in {written:.0f} s, received in {received:.0f} s")
    print(f"lost {reader.lost}, twice {reader.twice}, received {reader.received}")
    print(f"partitions dropped {counts.get('dropped', 0)}, times kept for the slot {counts.get('kept', 0)}, times postponed {counts.get('postponed', 0)}")
    print(f"the outbox at its largest {largest / 1e6:.0f} MB; rows that are left {server.value(DATABASE, 'SELECT count(*) FROM domev.outbox')}")
    for what, condition in (("beside maintain", ""), ("without it", "NOT ")):
        row = server.run(DATABASE, f"""SELECT count(*), percentile_cont('{{0.5,0.99,0.999,1}}'::float8[]) WITHIN GROUP (ORDER BY ms)::numeric(9,1)[] FROM took
            WHERE {condition}EXISTS (SELECT FROM maintained AS m WHERE m.at BETWEEN took.at - interval '1.5 seconds' AND took.at + interval '1.5 seconds')""").strip()
        print(f"transactions of {BATCH} events {what}: number | ms, median, 99 %, 99.9 %, longest: {row}")
    print(f"longest call of maintain, with a checkpoint before it: {counts.get('longest', 0):.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Does retention lose events, or repeat them, or hold up writers?")
    parser.add_argument("--events", type=int, default=10_000_000, help="in all (default: 10000000)")
    parser.add_argument("--writers", type=int, default=2, help="(default: 2)")
    parser.add_argument("--bindir", required=True, help="the programs of the PostgreSQL to use")
    parser.add_argument("--folder", required=True, help="for the cluster; a short path, as a socket is made in it")
    parser.add_argument("--port", type=int, default=5652, help="names the socket; nothing listens on the network")
    arguments = parser.parse_args()
    server = Server(arguments.bindir, arguments.folder, arguments.port).start()
    try:
        server.create_database(DATABASE)
        server.run(DATABASE, SETUP)
        wrong = run(server, arguments)
    finally:
        server.stop()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
