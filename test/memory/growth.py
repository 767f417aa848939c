#!/usr/bin/env python3
"""Does a process that runs long take more and more memory?

walsender  has sent 1,000,000 events, then 10,000,000
emits      one backend emits 10,000,000 events; the mapping of one in ten fails, half of those recorded, half rolled back to a savepoint
calls      one backend reads a slot by SQL 100,000 times, peek and get

What is compared is RssAnon of /proc/PID/status: what the process has for itself, without shared buffers.  What PostgreSQL says of its
memory contexts is reported beside it.  For a server of the usual build; one with assertions keeps memory in another way.
"""

import argparse
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

from goals import growth  # noqa: E402
from measure import PAYLOAD  # noqa: E402
from recording import wait_for  # noqa: E402
from server import Server  # noqa: E402

DATABASE = growth.DATABASE  # the one that growth.Client reads

SIZES = {"short": {"first": 50_000, "events": 500_000, "emits": 200_000, "calls": 5_000},
         "long": {"first": 1_000_000, "events": 10_000_000, "emits": 10_000_000, "calls": 100_000}}

SCHEMA = """
    SELECT domev.create_topic('bench', scope => 'internal'), domev.create_topic('messages', 'internal', 'wal');
    SELECT domev.create_event_type('bench.type.0', 'order', topic => 'bench'), domev.create_event_type('message', 'order', 'messages', journal => false),
        domev.create_event_type('recorded', 'order'), domev.create_event_type('aborted', 'order');
    CREATE FUNCTION map_nine_of_ten(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF e.aggregate_version % 10 = 0 THEN
                RAISE 'not this one';
            END IF;
            RETURN NEXT domev.make_integration_event('bench.v1', e.payload);
        END $$;
    SELECT domev.create_mapping('recorded', 'recorded', 'public.map_nine_of_ten', 'bench', on_error => 'record'),
        domev.create_mapping('aborted', 'aborted', 'public.map_nine_of_ten', 'bench');"""

# Of 500 pairs, in ten transactions.
PAIRS = 500
EMITS = f"""DO $do$
    BEGIN
        FOR i IN 0..{PAIRS - 1} LOOP
            PERFORM domev.emit('recorded', i, '{PAYLOAD}'::jsonb, aggregate_version => i);
            BEGIN
                PERFORM domev.emit('aborted', i, '{PAYLOAD}'::jsonb, aggregate_version => i);
            EXCEPTION WHEN raise_exception THEN
                NULL;
            END;
            IF i % 50 = 49 THEN
                COMMIT;
            END IF;
        END LOOP;
    END $do$"""

CONTEXTS = """SELECT coalesce(sum(total_bytes), 0), coalesce(sum(total_bytes) FILTER (WHERE name LIKE 'domev%'), 0),
    sum(total_bytes) FILTER (WHERE name = 'CacheMemoryContext') FROM pg_backend_memory_contexts"""


class Growth:
    """Figures of one process: first and greatest RssAnon, in kB, and what its contexts have, in bytes."""

    def __init__(self, title, limit):
        self.title, self.limit = title, limit
        self.own, self.contexts = [], []

    def add(self, own, contexts=None):
        self.own.append(own)
        if contexts:
            self.contexts.append([int(n) for n in contexts])

    def report(self):
        """Prints the figures; True if the process stayed within the limit."""
        grown = (max(self.own[1:]) - self.own[0]) / 1024
        print(f"{self.title}: RssAnon {self.own[0] / 1024:.2f} MB, then at most {max(self.own[1:]) / 1024:.2f} MB, at the end {self.own[-1] / 1024:.2f} MB: "
              f"{grown:+.2f} MB, allowed {self.limit:+.1f} MB: {'met' if grown <= self.limit else 'MISSED'}")
        if self.contexts:
            first, last = self.contexts[0], self.contexts[-1]
            print("    memory contexts, kB: " + ", ".join(f"{name} {a / 1024:.0f} -> {b / 1024:.0f}" for name, a, b in
                                                         zip(("all", "domev's", "CacheMemoryContext"), first, last)), flush=True)
        return grown <= self.limit


def contexts_in_log(server, pid):
    """Of another process, by pg_log_backend_memory_contexts: [all, domev's, CacheMemoryContext]."""
    start = os.path.getsize(server.log)
    server.value("postgres", "SELECT pg_log_backend_memory_contexts(%s)", (pid,))

    def read():
        with open(server.log, encoding="utf-8", errors="replace") as file:
            file.seek(start)
            text = file.read()
        return text if "Grand total:" in text else None

    text = wait_for(read)
    sizes = [(name, int(size)) for name, size in re.findall(r"level: \d+; ([^:]+): (\d+) total", text)]
    return [int(re.search(r"Grand total: (\d+) bytes", text).group(1)), sum(size for name, size in sizes if name.startswith("domev")),
            sum(size for name, size in sizes if name == "CacheMemoryContext")]


def walsender(server, size):
    """One of domev beside one of pgoutput: what both take more is PostgreSQL's."""
    connection = server.connect(DATABASE)
    cursor = connection.cursor()
    cursor.execute("CREATE PUBLICATION bench FOR TABLE domev.outbox WITH (publish = 'insert', publish_via_partition_root)")
    clients = {name: growth.Client(server, cursor, name, plugin) for name, plugin in growth.PLUGINS.items()}
    figures = {name: Growth(f"walsender of {name}, {size['first']:,} to {size['events']:,} events", 2.0) for name in clients}
    try:
        done = 0
        while done < size["events"]:
            events = min(growth.CHUNK, size["events"] - done, size["first"] - done if done < size["first"] else growth.CHUNK)
            growth.emit(cursor, 1, events)
            done += events
            for name, client in clients.items():
                client.catch_up()
                if done >= size["first"]:
                    figures[name].add(client.memory()["RssAnon"], contexts_in_log(server, client.pid))
    finally:
        for client in clients.values():
            client.end()
        connection.close()
    figures["pgoutput"].report()
    return figures["domev"].report()


def emits(server, size):
    connection = server.connect(DATABASE)
    cursor = connection.cursor()
    figure = Growth(f"backend that emits {size['emits']:,} events, of which the mapping fails for a tenth", 1.0)
    pid = connection.get_backend_pid()
    rounds = size["emits"] // (2 * PAIRS)
    for turn in range(rounds + 20):  # the first twenty fill the caches
        cursor.execute(EMITS)
        if turn == 20 or turn % max(rounds // 20, 1) == 0:
            cursor.execute("SELECT count(*) FROM domev.failed_mapping")
            assert cursor.fetchone()[0] > 0
            cursor.execute("TRUNCATE domev.outbox, domev.failed_mapping")
        if turn == 19 or turn > 19 and turn % max(rounds // 20, 1) == 0 or turn == rounds + 19:
            cursor.execute(CONTEXTS)
            figure.add(server.backend_memory(pid)["RssAnon"], cursor.fetchone())
    connection.close()
    return figure.report()


def calls(server, size, plugin="domev"):
    writer = server.connect(DATABASE).cursor()
    connection = server.connect(DATABASE)
    cursor = connection.cursor()
    writer.execute("SELECT pg_create_logical_replication_slot('calls', %s)", (plugin,))
    figure = Growth(f"backend that reads a slot of {plugin} {size['calls']:,} times", 1.0)
    pid = connection.get_backend_pid()
    for call in range(size["calls"] + 1000):  # the first thousand fill the caches
        if call % 1000 == 0:
            writer.execute("CHECKPOINT")  # lets the slot forget what it has read
            for _ in range(10):
                writer.execute(f"SELECT domev.emit('bench.type.0', 1, '{PAYLOAD}'::jsonb), domev.emit('message', 1, '{{}}'::jsonb)")
        how, limit = ("peek", "NULL") if call % 1000 < 980 else ("get", "1")
        cursor.execute(f"SELECT count(*) FROM pg_logical_slot_{how}_changes('calls', NULL, {limit})")
        assert cursor.fetchone()[0] > 0 or how == "get"
        if call >= 999 and call % max(size["calls"] // 20, 1) == 0 or call in (999, size["calls"] + 999):
            cursor.execute(CONTEXTS)
            figure.add(server.backend_memory(pid)["RssAnon"], cursor.fetchone())
    connection.close()
    writer.execute("SELECT pg_drop_replication_slot('calls')")
    writer.connection.close()
    return figure.report()


PORTIONS = {"walsender": walsender, "emits": emits, "calls": calls}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bindir", default="/usr/lib/postgresql/15/bin")
    parser.add_argument("--port", type=int, default=5642)
    parser.add_argument("--folder", default="/tmp/h-memory-growth")
    parser.add_argument("--size", choices=SIZES, default="short")
    parser.add_argument("--only", choices=PORTIONS, action="append")
    arguments = parser.parse_args()
    server = Server(arguments.bindir, arguments.folder, arguments.port).start()
    met = True
    try:
        for name in arguments.only or PORTIONS:
            server.create_database(DATABASE)
            server.run(DATABASE, SCHEMA)
            start = time.monotonic()
            met = PORTIONS[name](server, SIZES[arguments.size]) and met
            print(f"    {name} took {time.monotonic() - start:.0f} s", flush=True)
            server.drop_database(DATABASE)
    finally:
        server.stop()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
