#!/usr/bin/env python3
"""Which failures are PostgreSQL's own?

The same as failures.py, with nothing of domev: what domev_fail spares, and what storm.py leaves out, is shown to fail in a database
without domev.  Trouble is what is expected here: exit status 0 means that each of the cases has ended the server, or has left a session
that does not work any more.
"""

import argparse
import re
import sys

import psycopg2

from failing import DATABASE, Server
from failures import Sweep

# More than test_decoding keeps in memory, so that it is streamed: a subtransaction with values that are out of line.
STREAMED = """CREATE TABLE plain (n int, t text); CREATE EXTENSION IF NOT EXISTS plpgsql;
    SELECT pg_create_logical_replication_slot('test', 'test_decoding');
    BEGIN; SAVEPOINT s; INSERT INTO plain SELECT i, string_agg(md5(j::text), '') FROM generate_series(1, 4) AS i, generate_series(1, 5000) AS j GROUP BY i;
    COMMIT;"""

BLOCKS = """DO $do$ BEGIN BEGIN BEGIN RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END;
    EXCEPTION WHEN out_of_memory THEN NULL; END; END $do$"""

# name -> (statements, way, what is not spared)
CASES = {
    "a lock that is taken again after a savepoint": (["SELECT count(*) FROM plain WHERE n < 0"], "by_savepoint", "LockAcquireExtended"),
    "statistics of a table met in a session that ends": (["SELECT count(*) FROM plain WHERE n < 0"], "by_transaction", "pgstat_get_entry_ref"),
    "an exception block in an exception block": ([BLOCKS], "by_transaction", "BeginInternalSubTransaction"),
    "an exception block that cannot copy its error": ([BLOCKS], "by_transaction", "CopyErrorData"),
    "a library that is loaded again": (["LOAD 'plpgsql'"], "by_repetition", ""),
    "decoding by test_decoding, streamed": (["SELECT count(*) FROM pg_logical_slot_peek_changes('test', NULL, NULL, 'stream-changes', '1')"],
                                            "by_transaction", ""),
}


class Control(Sweep):
    """Without domev; whatever is not in the memory of an error may fail."""

    not_spared = ""

    def connect(self, **kwargs):
        super().connect(**kwargs)
        self.execute(f"SET domev_fail.anywhere = on; SET domev_fail.not_spared = '{self.not_spared}'")

    def by_savepoint(self, statements, n, state):
        self.execute("BEGIN")
        self.execute("SAVEPOINT s")
        self.execute(f"SET domev_fail.nth = {n}")
        if not self.attempt(statements, state):
            self.execute("ROLLBACK TO s")
        self.execute("SET domev_fail.nth = 0")
        self.must([*statements, "COMMIT"], state + ", afterwards")


    def by_repetition(self, statements, n, state):
        self.execute(f"SET domev_fail.nth = {n}")
        self.attempt(statements, state)
        self.execute("SET domev_fail.nth = 0")
        self.must(statements, state + ", afterwards")


def try_case(server, statements, way, not_spared):
    """The first n that does harm, with what the log or the session says; None if there is none."""
    control = Control(server, "palloc")
    control.not_spared = not_spared
    control.connect()
    n, position, before = 1, len(server.signs()), 0
    while True:
        if way != "by_savepoint":
            control.renew()
        if not control.one(statements, getattr(control, way), n, f"{n}"):
            return None
        lost = [problem for problem in control.problems[before:] if re.search("closed the connection|FATAL|XX000", problem)]
        if lost or control.crashes:
            return n, (server.signs()[position:] or lost)[0]
        n += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg", default="/opt/pg-assert15", help="a PostgreSQL that build.sh made")
    parser.add_argument("--port", type=int, default=5644)
    parser.add_argument("--folder", default="/tmp/h-memory-control")
    arguments = parser.parse_args()
    server = Server(arguments.pg + "/bin", arguments.folder, arguments.port, preload=False).start()
    missed = 0
    try:
        server.drop_database(DATABASE)
        server.run("postgres", f"CREATE DATABASE {DATABASE} TEMPLATE template0")
        server.run(DATABASE, STREAMED)
        for name, case in CASES.items():
            result = try_case(server, *case)
            print(f"{name}: " + (f"allocation {result[0]}: {result[1]}" if result else "nothing happened"), flush=True)
            missed += result is None
        return 1 if missed else 0
    finally:
        try:
            server.stop()
        except (RuntimeError, psycopg2.Error):  # a crash came last
            pass


if __name__ == "__main__":
    sys.exit(main())
