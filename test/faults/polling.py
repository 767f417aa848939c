"""Is nothing passed over by domev.poll, whatever order transactions commit in?

Writers, each a thread with a connection, raise events in transactions that wait at random places for random times, use savepoints, are rolled
back, or prepared and committed later by another one.  Each writes what it raised into a ledger, in the same transaction.  Meanwhile read:

  batch   polls, keeps and acknowledges in one transaction
  steps   polls, keeps, and acknowledges in transactions of their own, and at times not at all, as if it had died
  time    remembers the last recorded_at, as one would by hand: the negative control, which has to lose events

Then ledger and readers are compared.  To be run by polling.sh.  The exit status is 0 if all is right.
"""

import argparse
import os
import random
import sys
import threading
import time

import psycopg2

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "bench"))

from server import Server  # noqa: E402  pylint: disable=wrong-import-position

DATABASE = "polling"
PATIENCE = 1800  # seconds for the readers to be done when the writers are

SETUP = """
CREATE EXTENSION domev;
SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
SELECT domev.create_consumer('batch', now()), domev.create_consumer('steps', now());
CREATE TABLE ledger (id uuid);
CREATE TABLE batch (n bigint GENERATED ALWAYS AS IDENTITY, id uuid, position text);
CREATE TABLE steps (LIKE batch INCLUDING IDENTITY);
CREATE TABLE time (LIKE batch INCLUDING IDENTITY);
"""

EMIT = "INSERT INTO ledger SELECT domev.emit('e', %s, jsonb_build_object('n', n)) FROM generate_series(1, %s) AS n"

# Name of the check, and a query for what is wrong with a reader.
CHECKS = {
    "lost": "SELECT id FROM ledger EXCEPT SELECT id FROM {reader}",
    "made up": "SELECT id FROM {reader} EXCEPT SELECT id FROM ledger",
    "out of the order of positions": "SELECT n FROM (SELECT n, position, lag(position) OVER (ORDER BY n) AS before FROM {reader}) AS r WHERE position < before",
    "twice": "SELECT id FROM {reader} GROUP BY id HAVING count(*) > 1",
}


class BusyServer(Server):
    """With autovacuum, as a server has it."""

    def settings(self):
        settings = super().settings()
        settings.update({"autovacuum": "on", "autovacuum_naptime": "5s", "max_connections": "200", "max_prepared_transactions": "100", "wal_level": "replica",
                         "synchronous_commit": "off", "max_wal_size": "4GB"})
        return settings


class Actor(threading.Thread):
    """With a connection of its own; an error ends it, and all."""

    def __init__(self, stage, name):
        super().__init__(daemon=True, name=name)
        self.stage = stage
        self.random = random.Random(f"{stage.seed}/{name}")
        self.connection = stage.server.connect(DATABASE)
        self.cursor = self.connection.cursor()

    def run(self):
        try:
            self.perform()
        except Exception as error:  # pylint: disable=broad-except
            self.stage.failures.append(f"{self.name}: {type(error).__name__}: {error}")
            self.stage.over.set()
        self.connection.close()

    def perform(self):
        raise NotImplementedError


class Writer(Actor):
    def perform(self):
        count = 0
        while not self.stage.over.is_set() and self.stage.take():
            count += 1
            self.transaction(f"{self.name}-{count}")

    def wait(self):
        """Mostly not at all, seldom for long: so that some transactions begin to write before many others, and end behind them."""
        chance = self.random.random()
        if chance < 0.1:
            time.sleep(self.random.random() * (1.0 if chance < 0.002 else 0.05))

    def transaction(self, name):
        rng = self.random
        raised = 0
        self.cursor.execute("BEGIN")
        if rng.random() < 0.2:
            self.cursor.execute("SELECT pg_current_xact_id()")  # an id long before the first event
            self.wait()
        for part in range(rng.randint(1, 3)):
            size = rng.randint(1, 15)
            savepoint = rng.random()
            if savepoint < 0.3:
                self.cursor.execute("SAVEPOINT s")
            self.cursor.execute(EMIT, (f"{name}-{part}", size))
            if savepoint < 0.1:
                self.cursor.execute("ROLLBACK TO s")
                size = 0
            raised += size
            self.wait()
        end = rng.random()
        if end < 0.05:
            self.cursor.execute("ROLLBACK")
            raised = 0
        elif end < 0.08:
            self.cursor.execute(f"PREPARE TRANSACTION '{name}'")
            self.wait()
            end = rng.choice(("COMMIT", "COMMIT", "ROLLBACK"))
            self.cursor.execute(f"{end} PREPARED '{name}'")
            raised = 0 if end == "ROLLBACK" else raised
        else:
            self.cursor.execute("COMMIT")
        self.stage.give(raised)


class Reader(Actor):
    """Until the writers are done, and there is nothing more."""

    def perform(self):
        while True:
            is_last = self.stage.written.is_set()
            if not self.read() and is_last:
                break

    def read(self):
        raise NotImplementedError


class Batch(Reader):
    def read(self):
        self.cursor.execute("BEGIN")
        self.cursor.execute("WITH p AS (INSERT INTO batch (id, position) SELECT event_id, position FROM domev.poll('batch', %s) RETURNING position)"
                            " SELECT domev.ack('batch', max(position)) FROM p", (self.random.choice((10, 100, 1000, 5000)),))
        moved = self.cursor.fetchone()[0]
        self.cursor.execute("COMMIT")
        return moved


class Steps(Reader):
    def read(self):
        self.cursor.execute("SELECT event_id, position FROM domev.poll('steps', %s)", (self.random.choice((100, 1000, 5000)),))
        rows = self.cursor.fetchall()
        if not rows:
            return False
        cut = len(rows) if self.random.random() < 0.9 else self.random.randint(0, len(rows))
        if cut:  # what is behind the cut was polled, and is not done
            self.cursor.execute("INSERT INTO steps (id, position) SELECT * FROM unnest(%s::uuid[], %s::text[])", ([row[0] for row in rows[:cut]], [row[1] for row in rows[:cut]]))
            self.cursor.execute("SELECT domev.ack('steps', %s)", (rows[cut - 1][1],))
        return True


class ByTime(Reader):
    last = "-infinity"

    def read(self):
        self.cursor.execute("WITH o AS (INSERT INTO time (id, position) SELECT event_id, recorded_at::text FROM domev.outbox WHERE recorded_at > %s RETURNING position)"
                            " SELECT max(position::timestamptz)::text FROM o", (self.last,))
        last = self.cursor.fetchone()[0]
        self.last = last or self.last
        self.stage.written.wait(0.2)
        return last is not None


class Stage:
    def __init__(self, server, seed, events):
        self.server = server
        self.seed = seed
        self.left = events
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.written = threading.Event()
        self.failures = []

    def take(self):
        return self.left > 0

    def give(self, raised):
        with self.lock:
            self.left -= raised


def parse_arguments():
    parser = argparse.ArgumentParser(description="Writers with random delays, and readers that must not miss an event.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument("--bindir", required=True, help="the programs of the PostgreSQL to use")
    parser.add_argument("--folder", required=True, help="for the cluster; a short path, as a socket is made in it")
    parser.add_argument("--port", type=int, default=5653, help="names the socket; nothing listens on the network")
    return parser.parse_args()


def perform(stage, count):
    """Returns how long writing took, and how much longer the readers."""
    writers = [Writer(stage, f"writer {number}") for number in range(count)]
    readers = [Batch(stage, "batch"), Steps(stage, "steps"), ByTime(stage, "time")]
    start = time.monotonic()
    for actor in [*readers, *writers]:
        actor.start()
    for writer in writers:
        writer.join()
    written = time.monotonic()
    stage.written.set()
    for reader in readers:
        reader.join(PATIENCE)
        if reader.is_alive():
            stage.failures.append(f"{reader.name} is not done after {PATIENCE} s")
    return written - start, time.monotonic() - written


def check(server):
    """Prints what was found; returns how much of it is wrong."""
    bad = 0
    with server.connect(DATABASE) as connection, connection.cursor() as cursor:
        for reader in ("batch", "steps", "time"):
            found = {}
            for name, query in CHECKS.items():
                cursor.execute(f"SELECT count(*) FROM ({query.format(reader=reader)}) AS q")
                found[name] = cursor.fetchone()[0]
            cursor.execute(f"SELECT count(*) FROM {reader}")
            print(f"  {reader}: {cursor.fetchone()[0]} read; {', '.join(f'{name} {count}' for name, count in found.items())}", flush=True)
            bad += found["lost"] == 0 if reader == "time" else sum(found.values())
    return bad


def main():
    arguments = parse_arguments()
    server = BusyServer(arguments.bindir, arguments.folder, arguments.port).start()
    try:
        server.drop_database(DATABASE)
        server.run("postgres", f"CREATE DATABASE {DATABASE} TEMPLATE template0")
        server.run(DATABASE, SETUP)
        stage = Stage(server, arguments.seed, arguments.events)
        print(f"seed {arguments.seed}; {arguments.writers} writers, {arguments.events} events; {server.version_text}", flush=True)
        writing, reading = perform(stage, arguments.writers)
        for failure in stage.failures:
            print(f"  FAILED: {failure}")
        events = server.value(DATABASE, "SELECT count(*) FROM ledger")
        print(f"  {events} events written in {writing:.0f} s ({events / writing:.0f} per second), read {reading:.1f} s later")
        bad = len(stage.failures) + check(server)
    finally:
        server.stop()
    print(f"\n{'nothing' if not bad else bad} wrong (the reader by time has to lose events)")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
