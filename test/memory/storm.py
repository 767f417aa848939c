#!/usr/bin/env python3
"""Does a server stay whole whose sessions are cancelled, terminated and out of memory at any moment?

emit   sessions emit, capture, map, defer and record; others cancel and terminate them, and of their allocations some fail
send   walsenders send a transaction that fills a spool's file, and many small ones; they are cancelled and terminated meanwhile

What is done is drawn by chance from a seed, which is printed.  Then: the same server must be there, no process of it may have died of
a signal, no temporary or spilled file may be left, the slots must be free, and have exactly what was committed.
"""

import argparse
import os
import random
import sys
import threading
import time

import psycopg2
import psycopg2.extras

from failing import DATABASE, Server
from failures import LARGE, OPERATIONS, Problems, judge

WRITERS = 3
EXPECTED = {"53200", "57014", "57P01"}  # out of memory, cancelled, terminated
# A session that ends may not get to say why.  Others register the same names and capture the same rows; a savepoint may be of another aggregate.
OF_OTHERS = {"lost", "23505", "42710", "42704", "40P01", "23000"}
WRITES = [OPERATIONS[name] for name in ("emit a row", "emit a message", "emit for mappings", "emit for a mapping that fails", "emit once",
                                        "emit for the commit", "emit and remember", "capture", "preview", "register")]
# In one statement each, so that there is something to interrupt.
WRITES += [["SELECT count(domev.emit('mapped', i, '{\"n\": 1}'::jsonb)) FROM generate_series(1, 200) AS i"],
           ["INSERT INTO ledger SELECT domev.emit('message', i, '{}'::jsonb) FROM generate_series(1, 200) AS i"],
           ["SELECT count(domev.emit('later', i, '{}'::jsonb)) FROM generate_series(1, 100) AS i"]]


class Writer(threading.Thread):
    """Transactions one after the other, some with a savepoint, in sessions that may end at any time."""

    def __init__(self, server, seed, settings, over):
        super().__init__(daemon=True)
        self.server, self.settings, self.over = server, settings, over
        self.chance = random.Random(seed)
        self.pid = None
        self.counts = {}
        self.strange = []

    def run(self):
        while not self.over.is_set():
            try:
                connection = self.server.connect(DATABASE)
                self.work(connection)
            except psycopg2.Error as error:
                self.count(error)
                self.over.wait(0.01)

    def work(self, connection):
        cursor = connection.cursor()
        cursor.execute("LOAD 'domev'; LOAD 'plpgsql'")  # a library whose start fails in the middle cannot be started again in the session (control.py)
        cursor.execute(f"SET domev_fail.seed = {self.chance.randrange(1, 2**31)}")
        cursor.execute("; ".join(f"SET domev_fail.{name} = {value}" for name, value in self.settings.items()) or "SELECT 1")
        self.pid = connection.get_backend_pid()
        while not self.over.is_set() and not connection.closed:
            try:
                self.transaction(cursor)
                self.counts["committed"] = self.counts.get("committed", 0) + 1
            except psycopg2.Error as error:
                self.count(error)
                if not connection.closed:
                    self.roll_back(cursor)
        self.pid = None
        connection.close()

    def roll_back(self, cursor):
        """What cancels may come late, and hit this."""
        for _ in range(5):
            try:
                cursor.execute("ROLLBACK")
                return
            except psycopg2.Error as error:
                self.count(error)
                if cursor.connection.closed:
                    return

    def transaction(self, cursor):
        cursor.execute("BEGIN")
        for sql in self.chance.choice(WRITES):
            cursor.execute(sql)
        if self.chance.random() < 0.5:
            self.savepoint(cursor)
        cursor.execute("COMMIT" if self.chance.random() < 0.9 else "ROLLBACK")

    def savepoint(self, cursor):
        cursor.execute("SAVEPOINT s")
        try:
            for sql in self.chance.choice(WRITES):
                cursor.execute(sql)
        except psycopg2.Error as error:
            self.count(error)
            if cursor.connection.closed:
                raise
            cursor.execute("ROLLBACK TO s")

    def count(self, error):
        code = error.pgcode or "lost"
        self.counts[code] = self.counts.get(code, 0) + 1
        if code not in EXPECTED | OF_OTHERS:
            self.strange.append(f"writer: {code} {str(error).strip()[:200]}")


def interrupt(cursor, chance, pid):
    cursor.execute(f"SELECT pg_{chance.choice(('cancel', 'terminate'))}_backend(%s)", (pid,))


def emit(server, seed, interrupts, settings):
    """Returns problems."""
    over = threading.Event()
    writers = [Writer(server, seed + i, settings, over) for i in range(WRITERS)]
    chance = random.Random(seed)
    cursor = server.connect(DATABASE).cursor()
    for writer in writers:
        writer.start()
    for _ in range(interrupts):
        time.sleep(chance.uniform(0, 0.03))
        pid = chance.choice(writers).pid
        if pid is not None:
            interrupt(cursor, chance, pid)
    over.set()
    for writer in writers:
        writer.join(60)
    cursor.connection.close()
    counts = {}
    for writer in writers:
        for code, count in writer.counts.items():
            counts[code] = counts.get(code, 0) + count
    print(f"emit: {interrupts} interrupts; " + ", ".join(f"{code}: {counts[code]}" for code in sorted(counts)), flush=True)
    problems = Problems()
    for text in (text for writer in writers for text in writer.strange):
        problems.append(text)
    return problems


# Sending


class Reader(threading.Thread):
    """Reads a slot from its beginning and never says that it has, until it is interrupted."""

    def __init__(self, server, slot, options):
        super().__init__(daemon=True)
        # Keeps the socket's buffers from taking all that there is.
        self.connection = server.connect(DATABASE, connection_factory=psycopg2.extras.LogicalReplicationConnection)
        self.slot, self.options = slot, options
        self.received = 0
        self.first = threading.Event()  # received, or over
        self.error = None

    def run(self):
        try:
            cursor = self.connection.cursor()
            cursor.start_replication(slot_name=self.slot, decode=False, options=self.options, status_interval=600)
            cursor.consume_stream(self.take)
        except psycopg2.Error as error:
            self.error = error
        self.first.set()

    def take(self, message):
        self.received += 1
        self.first.set()


def send(server, seed, interrupts):
    """Returns problems."""
    server.run(DATABASE, LARGE)
    server.run(DATABASE, "SELECT count(domev.emit('row', i, '{}'::jsonb)) FROM generate_series(1, 20000) AS i")
    total = server.value(DATABASE, "SELECT count(*) FROM pg_logical_slot_peek_changes('large', NULL, NULL)")
    chance, problems = random.Random(seed), Problems()
    cursor = server.connect(DATABASE).cursor()
    counts = {"before the first event": 0, "in between": 0, "after the last": 0}
    for _ in range(interrupts):
        reader = Reader(server, "large", chance.choice(({}, {"format": "protobuf"}, {"topics": "r*"})))
        pid = reader.connection.get_backend_pid()
        reader.start()
        if chance.random() < 0.7:
            reader.first.wait(5)
            time.sleep(0.05 * chance.random())
        else:
            time.sleep(0.1 * chance.random())
        interrupt(cursor, chance, pid)
        reader.join(20)
        counts["before the first event" if reader.received == 0 else "in between" if reader.received < total else "after the last"] += 1
        if reader.is_alive() or reader.error is None:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
        elif reader.error.pgcode not in EXPECTED | {None}:
            problems.append(f"walsender: {reader.error.pgcode} {str(reader.error).strip()[:200]}")
        reader.connection.close()
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    cursor.execute("SELECT count(*) FROM pg_logical_slot_peek_changes('large', NULL, NULL)")
    again = cursor.fetchone()[0]
    cursor.connection.close()
    print(f"send: {interrupts} interrupts; " + ", ".join(f"{name}: {n}" for name, n in counts.items()) + f"; events before {total}, after {again}", flush=True)
    if again != total:
        problems.append("the slot has not what it had")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg", default="/opt/pg-assert15", help="a PostgreSQL that build.sh made")
    parser.add_argument("--port", type=int, default=5643)
    parser.add_argument("--folder", default="/tmp/h-memory-storm")
    parser.add_argument("--interrupts", type=int, default=1000, help="of each of the two")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=("emit", "send"))
    parser.add_argument("--layer", choices=("palloc", "malloc"), default="malloc")
    parser.add_argument("--one-in", type=int, default=0, help="of so many allocations of a writer one fails; 0: none")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    server = Server(os.path.join(arguments.pg, "bin"), arguments.folder, arguments.port, preload=arguments.layer == "malloc").start()
    try:
        server.make_database()
        postmaster, problems = server.postmaster(), Problems()
        settings = {"layer": arguments.layer, "one_in": arguments.one_in} if arguments.one_in else {}
        if arguments.only != "send":
            problems += emit(server, arguments.seed, arguments.interrupts, settings)
        if arguments.only != "emit":
            problems += send(server, arguments.seed, arguments.interrupts)
        wrong = judge(server, postmaster, problems)
        print(f"{wrong} problems")
        return 1 if wrong else 0
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
