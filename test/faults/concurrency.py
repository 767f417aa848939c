"""Do emitters, those who change the registry, and those who keep house get into each other's way?  For some minutes all of them at once.

There must be no deadlock (in the server's log, in pg_stat_database), no error but those that concurrency_actors.py expects, no lock of an emitter
that is more than an INSERT's, and nothing lost, twice, or mapped by a registry that never was (concurrency_ledger.py).

To be run by concurrency.sh.  The exit status is 0 if all that holds.
"""

import argparse
import collections
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "bench"))

import concurrency_actors as actors  # noqa: E402  pylint: disable=wrong-import-position
import concurrency_ledger as ledger  # noqa: E402  pylint: disable=wrong-import-position
from server import Server  # noqa: E402  pylint: disable=wrong-import-position

PATIENCE = 120  # seconds that an actor may take for its last act


class BusyServer(Server):
    """With autovacuum, and a log that tells each error's SQLSTATE and whose it is."""

    def settings(self):
        settings = super().settings()
        settings.update({"autovacuum": "on", "autovacuum_naptime": "1s", "log_line_prefix": "%m [%p] %a %e ", "deadlock_timeout": "200ms",
                         "lock_timeout": "60s", "checkpoint_timeout": "1min", "max_wal_size": "2GB", "shared_buffers": "128MB",
                         "max_connections": "200", "log_checkpoints": "off", "log_autovacuum_min_duration": "-1"})
        return settings


class Stage:  # pylint: disable=too-few-public-methods
    """What the actors share."""

    def __init__(self, server, seed):
        self.server = server
        self.seed = seed
        self.over = threading.Event()
        self.received = os.path.join(server.folder, "received.tsv")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Emitters, registry, housekeeping, all at once.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--writers", type=int, default=16, help="that emit (default: 16)")
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument("--bindir", required=True, help="the programs of the PostgreSQL to use")
    parser.add_argument("--folder", required=True, help="for the cluster; a short path, as a socket is made in it")
    parser.add_argument("--port", type=int, default=5652, help="names the socket; nothing listens on the network")
    return parser.parse_args()


def perform(stage, arguments):
    """Runs all until the time is over; returns the actors."""
    cast = [actors.Emitter(stage, number) for number in range(arguments.writers)]
    cast += [actors.Registrar(stage), actors.Housekeeper(stage), actors.Remapper(stage, 0), actors.Remapper(stage, 1), actors.Looker(stage), actors.Warden(stage)]
    reader = actors.Reader(stage)
    for actor in [*cast, reader]:
        actor.start()
    stage.over.wait(arguments.minutes * 60)
    stage.over.set()
    for actor in [*cast, reader]:
        actor.join(PATIENCE)
    return cast, reader


def settle(stage, reader):
    """Maps what is still failed, and reads the rest of the slot."""
    stage.server.run(ledger.DATABASE, "UPDATE works SET one = 1; SELECT count(*) FROM domev.remap('rec')")
    last = actors.Reader.__new__(actors.Reader)
    last.cursor = stage.server.connect(ledger.DATABASE).cursor()
    last.file, last.count = reader.file, reader.count
    while last.act():
        pass
    reader.file.close()
    return last.count


def check_ledger(stage):
    """How many of the checks found something."""
    bad = 0
    with stage.server.connect(ledger.DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(ledger.RECEIVED)
        with open(stage.received, encoding="utf-8") as file:
            cursor.copy_expert(ledger.COPY_RECEIVED, file)
        cursor.execute(ledger.INDEX_RECEIVED)
        for name, query in ledger.CHECKS.items():
            cursor.execute(query)
            found = cursor.fetchall()
            bad += bool(found)
            print(f"  {name}: {len(found)}{', such as ' + str(found[:3]) if found else ''}", flush=True)
        cursor.execute("SELECT kind, count(*), count(DISTINCT id) FROM ledger GROUP BY kind ORDER BY kind")
        print("  in the ledger (and different ids): " + ", ".join(f"{kind} {count} ({ids})" for kind, count, ids in cursor.fetchall()))
    return bad


def check_log(server):
    """Counts errors by who met them; returns how many are not expected."""
    errors, unexpected = collections.Counter(), {}
    crashes = 0
    with open(server.log, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"\S+ \S+ \S+ \[\d+\] (.*) ([0-9A-Z]{5}) (ERROR|FATAL|PANIC): +(.*)", line)
            if match:
                errors[match.group(1), match.group(2)] += 1
                if not actors.is_expected(match.group(1), match.group(2), match.group(4)):
                    unexpected.setdefault(match.groups(), 0)
                    unexpected[match.groups()] += 1
            crashes += "terminated by signal" in line or "TRAP:" in line
    print(f"  errors in the server's log: {', '.join(f'{who} {code} {count}' for (who, code), count in sorted(errors.items())) or 'none'}")
    for found, count in list(unexpected.items())[:20]:
        print(f"  NOT EXPECTED: {' '.join(found)} ({count} times)")
    print(f"  crashes: {crashes}")
    return sum(unexpected.values()) + crashes


def report(stage, cast, count, minutes):
    """Prints what came of it; returns how much of it is wrong."""
    bad = 0
    emitters = [actor for actor in cast if actor.kind == "emitter"]
    refused = sum((collections.Counter(actor.refused) for actor in emitters), collections.Counter())
    print(f"{sum(actor.acts for actor in emitters)} transactions of emitters ({sum(actor.acts for actor in emitters) / minutes / 60:.0f} per second), "
          f"refused {dict(refused)}; {count} events received")
    for actor in cast:
        if actor.kind not in ("emitter", "warden", "looker"):
            print(f"  {actor.kind}: {actor.acts} acts, refused {actor.refused}, longest {actor.longest[0]:.2f} s: {actor.longest[1][:100]}")
        if actor.failure:
            bad += 1
            print(f"  FAILED: {actor.kind}: {actor.failure}")
    warden = cast[-1]
    print(f"  locks of emitters, looked at {warden.acts} times, more than an INSERT's: {warden.found or 'none'}")
    deadlocks = stage.server.value("postgres", "SELECT deadlocks FROM pg_stat_database WHERE datname = %s", (ledger.DATABASE,))
    print(f"  deadlocks: {deadlocks}")
    bad += bool(warden.found) + deadlocks + check_log(stage.server)
    return bad


def main():
    arguments = parse_arguments()
    server = BusyServer(arguments.bindir, arguments.folder, arguments.port).start()
    try:
        server.drop_database(ledger.DATABASE)
        server.run("postgres", f"CREATE DATABASE {ledger.DATABASE} TEMPLATE template0")
        server.run("postgres", "CREATE ROLE concurrency_other")
        server.run(ledger.DATABASE, ledger.SETUP)
        server.run(ledger.DATABASE, ledger.MAKE_SLOT)
        stage = Stage(server, arguments.seed)
        print(f"seed {arguments.seed}; {arguments.writers} emitters, {arguments.minutes:g} minutes; {server.version_text}", flush=True)
        cast, reader = perform(stage, arguments)
        bad = bool(reader.failure)
        if reader.failure:
            print(f"  FAILED: reader: {reader.failure}")
        bad += report(stage, cast, settle(stage, reader), arguments.minutes)
        bad += check_ledger(stage)
    finally:
        server.stop()
    print(f"\n{'nothing' if not bad else bad} wrong")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
