#!/usr/bin/env python3
"""Is every failed allocation an error and nothing more?

Sweep: each operation of domev is run again and again; first its first allocation fails, then its second, and so on until it succeeds.
Nothing but "out of memory" may come of it, and afterwards the same session does what it always did: when the error has ended the
transaction, when it was rolled back to a savepoint, and when PL/pgSQL has caught it.
At the end the slot must have exactly what was committed, no file may be left, and no server process may have died.  What PostgreSQL
itself does not stand is spared (fail/domev_fail.c); control.py shows that without domev.
"""

import argparse
import os
import subprocess
import sys
import time

import psycopg2

from failing import DATABASE, Server

OUT_OF_MEMORY = "53200"
KEPT = 64 * 1024  # what domev may have more of in a session, in bytes, after hundreds or thousands of failures

# name -> statements that can be run again and again.  What emits a message puts its id into the ledger.
OPERATIONS = {
    "emit a row": ["SELECT domev.emit('row', 'a', '{\"n\": [1, \"x\", null]}'::jsonb, headers => '{\"h\": \"x\"}')"],
    "emit a message": ["INSERT INTO ledger SELECT domev.emit('message', 'b', '{\"n\": 1}'::text)"],
    "emit for mappings": ["SELECT domev.emit('mapped', 4711, '{\"n\": 1}'::jsonb, aggregate_version => 3)"],
    "emit for a mapping that fails": ["SELECT domev.emit('failing', 'c', '{}'::jsonb)"],
    "emit once": ["SELECT domev.emit('row', 'd', '{}'::jsonb, event_id => gen_random_uuid())"],
    "emit for the commit": ["SELECT domev.emit('later', 'e', '{\"n\": 2}'::jsonb)", "SET CONSTRAINTS ALL IMMEDIATE"],
    "emit and remember": ["SET LOCAL domev.keep_emitted = on", "SET LOCAL domev.aggregate_guard = 'error'",
                          "SELECT domev.emit('row', 'f', '{}'::jsonb)", "SELECT domev.emitted_in_transaction()"],
    "emit much": ["SELECT domev.emit('row', 'g', to_jsonb(repeat('x', 3000000)))"],
    "capture": ["INSERT INTO captured VALUES (1, 1.5, 'x')", "UPDATE captured SET v = v + 1", "DELETE FROM captured"],
    "preview": ["SELECT * FROM domev.preview('mapped', 'h', '{}'::jsonb)"],
    # of one failure, whatever the operations before have left
    "remap": ["DELETE FROM domev.failed_mapping WHERE event_id <> (SELECT event_id FROM domev.failed_mapping WHERE mapping = 'c' LIMIT 1)",
              "SELECT * FROM domev.remap('c')"],
    "trace": ["SELECT count(*) FROM (SELECT domev.trace(event_id) FROM domev.failed_mapping LIMIT 3) AS t"],
    "heartbeat, purge": ["SELECT domev.heartbeat()", "SELECT domev.purge_failed('1 day')"],
    "register": ["SELECT domev.create_topic('t.new')", "SELECT domev.alter_topic('t.new', description => 'd')",
                 "SELECT domev.create_event_type('e.new', 'thing', journal => true)",
                 "SELECT domev.create_mapping('m.new', 'e.new', 'public.map_sql', 't.new', produces => '{a,b}')",
                 "SELECT domev.alter_mapping('m.new', enabled => false)", "SELECT domev.drop_mapping('m.new')",
                 "SELECT domev.drop_event_type('e.new')", "SELECT domev.drop_topic('t.new')"],
    "register a capture": ["SELECT domev.create_capture('new', 'owned', 'insert', 'id', 'row', condition => 'id > 3')",
                           "SELECT domev.alter_capture('new', enabled => false)", "SELECT * FROM domev.captures",
                           "SELECT domev.drop_capture('new')"],
    "decode": ["SELECT count(*) FROM pg_logical_slot_peek_changes('small', NULL, NULL)"],
    "decode for some": ["SELECT count(*) FROM pg_logical_slot_peek_changes('small', NULL, NULL, 'scope', 'external', 'topics', 'o*,r*', 'shard', '0/2')"],
    "decode as protobuf": ["SELECT count(*) FROM pg_logical_slot_peek_binary_changes('small', NULL, NULL, 'format', 'protobuf')"],
    "decode a large transaction": ["SELECT count(*) FROM pg_logical_slot_peek_changes('large', NULL, NULL)"],
}

# What those of "decode" read: a few of each kind; and a transaction that is streamed, with a savepoint that is rolled back, and with more
# than spools have in memory.  No large value is of a subtransaction that lives: PostgreSQL does not stand an error then (control.py).
SMALL = """SELECT pg_create_logical_replication_slot('small', 'domev'); SELECT domev.emit('failing', 'z', '{}'::jsonb);
    BEGIN; SELECT domev.emit('row', 'a', '{"n": 1}'::jsonb), domev.emit('mapped', 'b', '{}'::jsonb); INSERT INTO plain VALUES (1, 'x');
    INSERT INTO ledger SELECT domev.emit('message', 'c', '{}'::jsonb); COMMIT;
    SELECT pg_logical_emit_message(true, 'domev:rows', 'forged');"""
LARGE = """SELECT pg_create_logical_replication_slot('large', 'domev');
    BEGIN; SELECT domev.emit('row', 'before', '{}'::jsonb); SAVEPOINT s;
    INSERT INTO plain SELECT i, repeat('x', 100) FROM generate_series(1, 1000) AS i;
    SELECT domev.emit('row', 'undone', '{}'::jsonb); ROLLBACK TO s; RELEASE s;
    SELECT count(domev.emit('row', 'r' || i, to_jsonb(repeat('y', 300000)))) FROM generate_series(1, 5) AS i;
    INSERT INTO ledger SELECT domev.emit('message', 'm', to_jsonb(repeat('z', 200000))); COMMIT;"""


class Problems(list):
    """Says each at once, as long as there are few."""

    def append(self, problem):
        super().append(problem)
        if len(self) <= 40:
            print("PROBLEM", problem, flush=True)


class Sweep:
    """Lets one allocation after the other fail."""

    def __init__(self, server, layer, step=1):
        self.server = server
        self.layer = layer
        self.step = step
        self.failures = 0
        self.problems = Problems()
        self.connection = None
        self.crashes = 0

    def connect(self, **kwargs):
        if self.connection is not None:
            self.connection.close()
        self.connection = self.server.connect(DATABASE, **kwargs)
        self.execute(f"SET domev_fail.layer = {self.layer}")

    def renew(self):
        """A new session; the end of the last one may be what crashes."""
        try:
            self.connect()
        except psycopg2.Error:
            self.come_back()

    def come_back(self):
        """The session has ended; if the server has crashed, it is started again, as often as makes sense."""
        try:
            time.sleep(0.5)  # a server that crashes may say yes once more
            self.connect()
        except psycopg2.OperationalError:
            self.crashes += 1
            if self.crashes > 20:
                raise
            self.server.start()
            self.connect()

    def execute(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description and cursor.rowcount else None

    def failed(self):
        return int(self.execute("SHOW domev_fail.failed"))

    def attempt(self, statements, state):
        """True: they succeeded.  What is not "out of memory" is a problem."""
        try:
            for sql in statements:
                self.execute(sql)
            return True
        except psycopg2.Error as error:
            if error.pgcode != OUT_OF_MEMORY:
                self.problems.append(f"{state}: {error.pgcode} {str(error).strip()[:200]}")
            if self.connection.closed:
                self.come_back()
            return False

    def must(self, statements, state):
        if not self.attempt(statements, state):
            self.problems.append(f"{state}: what always worked did not")
            self.attempt(["ROLLBACK"], state)

    # Three ways in which an error can end

    def by_transaction(self, statements, n, state):
        self.execute(f"SET domev_fail.nth = {n}")
        self.attempt(["BEGIN", *statements, "COMMIT"], state)
        self.execute("ROLLBACK")
        self.execute("SET domev_fail.nth = 0")

    def by_savepoint(self, statements, n, state):
        self.execute("BEGIN")
        self.execute("SELECT domev.emit('row', 'first', '{}'::jsonb)")
        self.execute(f"SET domev_fail.nth = {n}")
        self.execute("SAVEPOINT s")
        if not self.attempt(statements, state):
            self.execute("ROLLBACK TO s")
        self.execute("SET domev_fail.nth = 0")
        self.must([*statements, "COMMIT"], state + ", afterwards")

    def by_block(self, statements, n, state):
        run = " ".join(f"EXECUTE $s${sql}$s$;" for sql in statements)
        self.execute(f"SET domev_fail.nth = {n}")
        self.must([f"DO $do$ BEGIN BEGIN {run} EXCEPTION WHEN out_of_memory THEN NULL; END; "
                   f"SET domev_fail.nth = 0; {run} END $do$"], state)

    def one(self, statements, way, n, state):
        """False: all allocations there are have been made."""
        session = self.connection
        try:
            before = self.failed()
            way(statements, n, state)
            return self.connection is not session or self.failed() != before
        except psycopg2.Error as error:  # of what never fails
            self.problems.append(f"{state}: {error.pgcode} {str(error).strip()[:200]}")
            self.come_back()
            return True

    def run(self, name, statements, way, fresh=False):
        """fresh: each time in a new session, which knows nothing yet.  Returns how many have failed."""
        n = 1
        self.connect()
        for _ in range(3):  # so that the caches are filled
            self.must(["BEGIN", *statements, "COMMIT"], name)
        before = self.memory()
        while True:
            if fresh:
                self.renew()
            if not self.one(statements, way, n, f"{name}, {way.__name__}{', fresh' if fresh else ''}, {n}"):
                break
            self.failures += 1
            n += self.step
        self.must(["BEGIN", *statements, "COMMIT"], name)
        if not fresh and self.memory() - before > KEPT:
            self.problems.append(f"{name}, {way.__name__}: domev has {self.memory() - before} bytes more than before")
        for path in self.server.left_files():
            self.problems.append(f"{name}, {way.__name__}: a session has left {path} open")
        return (n - 1) // self.step

    def memory(self):
        """What domev has for as long as the session lives.  PostgreSQL's own caches grow by errors in the midst of them, with any plugin."""
        return int(self.execute("SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts "
                                "WHERE parent IN ('TopMemoryContext', 'CacheMemoryContext') AND name LIKE 'domev%'"))


def sweep(server, layer, step):
    sweeper = Sweep(server, layer, step)
    server.run(DATABASE, SMALL)
    server.run(DATABASE, LARGE)
    for name, statements in OPERATIONS.items():
        start = time.monotonic()
        counts = [sweeper.run(name, statements, way) for way in (sweeper.by_transaction, sweeper.by_savepoint, sweeper.by_block)
                  if not (name.startswith("decode") and way != sweeper.by_transaction)]
        sweeper.step = 7 * step
        counts.append(sweeper.run(name, statements, sweeper.by_transaction, fresh=True))
        sweeper.step = step
        print(f"{name}: {' + '.join(map(str, counts))} failed allocations, {time.monotonic() - start:.0f} s", flush=True)
    sweeper.connection.close()
    return sweeper.failures, sweeper.problems


def sweep_walsender(server, step):
    """The same for a walsender, whose settings come with its connection."""
    problems, n, failures = Problems(), 1, 0
    end = server.value(DATABASE, "SELECT pg_current_wal_lsn()")
    arguments = [os.path.join(server.bindir, "pg_recvlogical"), "-h", server.socket_dir, "-p", str(server.port), "-U", "postgres", "-d", DATABASE,
                 "-S", "large", "--start", "--no-loop", "--endpos", str(end), "-f", "/dev/null"]
    while True:
        done = subprocess.run(arguments, env=dict(os.environ, PGOPTIONS=f"-c domev_fail.nth={n} -c domev_fail.layer=palloc"), text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode == 0:
            return failures, problems
        if "out of memory" not in done.stderr:
            problems.append(f"walsender, {n}: {done.stderr.strip()[:200]}")
            if len(problems) > 20:
                return failures, problems
        failures += 1
        n += step


def judge(server, postmaster, problems):
    """Prints what else is wrong; returns how much there is in all."""
    known = len(problems)
    server.value(DATABASE, "SELECT 1")
    if server.postmaster() != postmaster:
        problems.append("the server was restarted")
    problems += server.signs()
    problems += [f"left: {path}" for path in server.left_files()]
    active = server.value("postgres", "SELECT count(*) FROM pg_replication_slots WHERE active")
    if active:
        problems.append(f"{active} slots are still in use")
    sent, lost, more = server.differences()
    print(f"the slot has {sent} events; {lost} that were committed are missing, {more} were never committed")
    if lost or more:
        problems.append("the slot has not what was committed")
    for problem in problems[known:known + 40]:
        print("PROBLEM", problem)
    return len(problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg", default="/opt/pg-assert15", help="a PostgreSQL that build.sh made")
    parser.add_argument("--port", type=int, default=5641)
    parser.add_argument("--folder", default="/tmp/h-memory-failures")
    parser.add_argument("--layer", choices=("palloc", "malloc"), default="palloc")
    parser.add_argument("--step", type=int, default=1, help="of so many allocations one fails")
    parser.add_argument("--only", help="operations whose name has this in it")
    parser.add_argument("--start", help="the first operation, by its name")
    arguments = parser.parse_args()
    names = list(OPERATIONS)
    for name in names:
        if (arguments.only or "") not in name or names.index(name) < names.index(arguments.start or name):
            del OPERATIONS[name]
    server = Server(os.path.join(arguments.pg, "bin"), arguments.folder, arguments.port, preload=arguments.layer == "malloc").start()
    try:
        server.make_database()
        postmaster = server.postmaster()
        failures, problems = sweep(server, arguments.layer, arguments.step)
        if arguments.layer == "palloc" and "walsender".startswith(arguments.only or ""):
            more, further = sweep_walsender(server, arguments.step)
            print(f"walsender: {more} failed allocations")
            failures, problems = failures + more, [*problems, *further]
        wrong = judge(server, postmaster, problems)
        print(f"{failures} failed allocations ({arguments.layer}), {wrong} problems")
        return 1 if wrong else 0
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
