"""What does domev cost, beside what a user would do otherwise?  Runs the files of goals/ on a server of the bench's own, and reports.

To be run by run.sh, which brings all that it needs; alone it takes the PostgreSQL and the domev that are there.  The exit status is 0
if everything was measured, whether goals are met or not; 1 if a file of goals/ failed: the others are run all the same.
"""

import argparse
import datetime
import importlib
import os
import signal
import sys
import time
import traceback

import report
from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))
ORDER = ("emit", "mapping", "transactions", "decode", "growth", "latency")  # others come after these, by name
ON_REQUEST = ("scaling",)  # only by --only, or to see whether it runs: they compare domev with nobody
ROUNDS = {"trial": 1, "short": 5, "long": 15}
PEERS = {"extension": ("pgq",), "plugin": ("wal2json", "decoderbufs", "bench_floor")}


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measures domev beside its peers.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--short", dest="size", action="store_const", const="short", default="short", help="under ten minutes (the default)")
    size.add_argument("--trial", dest="size", action="store_const", const="trial", help="one round of few events: does it run?")
    size.add_argument("--long", dest="size", action="store_const", const="long", help="more rounds of more events")
    parser.add_argument("--only", metavar="NAME", action="append", choices=known_goals(), help="a file of goals/; may be repeated")
    parser.add_argument("--rounds", type=int, help="instead of those of the form")
    parser.add_argument("--output", metavar="FOLDER", default=os.path.join(HERE, "results"), help="for report.md, report.json and *.svg")
    parser.add_argument("--bindir", required=True, help="the programs of the PostgreSQL to use")
    parser.add_argument("--folder", required=True, help="for the cluster; a short path, as a socket is made in it")
    parser.add_argument("--port", type=int, default=5600, help="names the socket; nothing listens on the network")
    return parser.parse_args()


def known_goals():
    names = {name[:-3] for name in os.listdir(os.path.join(HERE, "goals")) if name.endswith(".py") and not name.startswith("_")}
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def known_goals_of(size):
    return [name for name in known_goals() if size == "trial" or name not in ON_REQUEST]


def missing_peers(server):
    """Names of what is not installed; its rows are left out."""
    return [name for name in PEERS["extension"] if not server.has_extension(name)] + \
        [name for name in PEERS["plugin"] if not server.has_plugin(name)]


def run_goal(server, name, size, rounds):
    """A report.Section.  Whatever goes wrong is a part of it, and not the end of the bench."""
    print(f"=== {name}", flush=True)
    start = time.monotonic()
    section = report.Section(name, name, [])
    try:
        module = importlib.import_module("goals." + name)
        section.title = module.TITLE
        server.run("postgres", "CHECKPOINT")
        section.rows = module.run(server, size, rounds)
    except Exception as error:  # pylint: disable=broad-except
        section.failure = f"{type(error).__name__}: {error}".splitlines()[0]
        section.traceback = traceback.format_exc()
        print(section.traceback, flush=True)
    section.seconds = time.monotonic() - start
    for row in section.rows:
        print("  " + report.one_line(row), flush=True)
    print(f"=== {name}: {section.seconds:.0f} s{', FAILED' if section.failure else ''}", flush=True)
    return section


def main():
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))  # by way of "finally"
    rounds = arguments.rounds or ROUNDS[arguments.size]
    os.makedirs(arguments.output, exist_ok=True)
    server = Server(arguments.bindir, arguments.folder, arguments.port).start()
    sections = []
    try:
        run = report.Run(size=arguments.size, rounds=rounds, date=datetime.datetime.now(datetime.timezone.utc),
                         settings=server.settings(), missing=missing_peers(server), versions=report.versions(server), machine=report.machine())
        for name in known_goals():
            if name in (arguments.only or known_goals_of(arguments.size)):
                sections.append(run_goal(server, name, arguments.size, rounds))
                keep_alive(server)
        report.write(arguments.output, run, sections)
    finally:
        server.stop()
    return 1 if any(section.failure for section in sections) else 0


def keep_alive(server):
    """A file that failed may have left the server down, or stopped."""
    try:
        server.value("postgres", "SELECT 1")
    except Exception:  # pylint: disable=broad-except
        try:
            server.stop()
        except RuntimeError:
            pass
        server.start()


if __name__ == "__main__":
    sys.exit(main())
