"""What happens in the database?  Writers change aggregates, raise events, and write down in the same transaction what they raised.

That table, the ledger, is the truth: a writer that lost its connection in COMMIT need not know how it ended.  The lock on the aggregate's row
makes the order of its versions the order of the commits.
"""

import random
import threading
import zlib

from cluster import wire

AGGREGATES = 16
WRITERS = 4
BIG = 5000  # domain events of a large transaction: as many are mapped

# Events of the first kind are rows that become messages, of the second messages that become rows; those of the third become messages at commit.
KINDS = ("ledger.row", "ledger.message", "ledger.late")
MAPPED = "ledger.mapped"

# Nobody is more than need be: who writes may raise events, who maps may publish, and who consumes may read.
WRITER, MAPPER, CONSUMER = "writer", "mapper", "consumer"
SCHEMA = f"""
CREATE EXTENSION domev;
CREATE ROLE {WRITER} LOGIN;
CREATE ROLE {MAPPER};
CREATE ROLE {CONSUMER} LOGIN REPLICATION;
SELECT domev.create_topic('ledger.rows', scope => 'internal');
SELECT domev.create_topic('ledger.messages', scope => 'internal', storage => 'wal');
SELECT domev.create_topic('ledger.out-rows');
SELECT domev.create_topic('ledger.out-messages', storage => 'wal');
SELECT domev.create_event_type('ledger.row', 'aggregate', topic => 'ledger.rows');
SELECT domev.create_event_type('ledger.message', 'aggregate', topic => 'ledger.messages');
SELECT domev.create_event_type('ledger.late', 'aggregate', topic => 'ledger.rows');
CREATE TABLE aggregates (id int PRIMARY KEY, ver bigint NOT NULL DEFAULT 0);
INSERT INTO aggregates SELECT generate_series(1, {AGGREGATES});
CREATE TABLE ledger (aggregate int, ver bigint, n int, total int, kind text, id uuid, crc bigint);
CREATE FUNCTION mapped(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
BEGIN ATOMIC
    SELECT (domev.make_integration_event('{MAPPED}', jsonb_build_object('n', (e).payload -> 'n', 'ver', a.ver,
        'filler', (e).payload -> 'filler'))).*
    FROM aggregates AS a WHERE a.id = (e).aggregate_id::int;
END;
ALTER FUNCTION mapped(domev.domain_event) OWNER TO {MAPPER};
GRANT SELECT, UPDATE ON aggregates TO {WRITER};
GRANT INSERT ON ledger TO {WRITER};
GRANT SELECT ON aggregates TO {MAPPER};
GRANT INSERT ON {", ".join(f'domev_event."{kind}"' for kind in KINDS)} TO {WRITER}, {MAPPER};
GRANT INSERT ON domev_topic."ledger.out-rows", domev_topic."ledger.out-messages" TO {MAPPER};
GRANT SELECT ON ALL TABLES IN SCHEMA domev_topic TO {CONSUMER};
SELECT domev.create_mapping('row', 'ledger.row', 'public.mapped', topic => 'ledger.out-messages');
SELECT domev.create_mapping('message', 'ledger.message', 'public.mapped', topic => 'ledger.out-rows');
SELECT domev.create_mapping('late', 'ledger.late', 'public.mapped', topic => 'ledger.out-messages', timing => 'deferred');
"""

# What PostgreSQL compresses badly, so that large payloads are stored out of line.
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
FILLER = "".join(random.Random(1).choices(LETTERS, k=2 * 65536))


def change(aggregate):
    return f"UPDATE aggregates SET ver = ver + 1 WHERE id = {aggregate} RETURNING ver"


def happen(aggregate, first, last, total, filler):
    """The events from first to last, of so many in the transaction, each with its row of the ledger."""
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    return f"""INSERT INTO ledger SELECT id, ver, n, {total}, kind,
        domev.emit(kind, id, jsonb_build_object('n', n, 'total', {total}, 'ver', ver, 'filler', '{filler}'), aggregate_version => ver), {zlib.crc32(filler.encode())}
        FROM (SELECT a.id, a.ver, n, (ARRAY[{kinds}])[1 + n % {len(KINDS)}] AS kind
            FROM aggregates AS a, generate_series({first}, {last}) AS n WHERE a.id = {aggregate} ORDER BY n OFFSET 0) AS e"""


def some_filler(rng, most):
    size = int(most * rng.random() ** 6)
    start = rng.randrange(65536)
    return FILLER[start:start + size]


def plan(rng, big):
    """The statements of a transaction up to its end, in pieces, of which some are tried and rolled back before, some in savepoints that stay."""
    aggregate = rng.randint(1, AGGREGATES)
    total = BIG if big else rng.choice((1, 1, 2, 2, 3, 5, 8, 30))
    statements, n, depth = ["BEGIN", change(aggregate)], 1, 0
    while n <= total:
        last = min(total, n + rng.randrange(total if total < 50 else total // 4))
        filler = some_filler(rng, 200 if total > 10 else 65536)
        if rng.random() < 0.15:
            statements += ["SAVEPOINT tried", happen(aggregate, n, last, total, filler), "ROLLBACK TO tried"]
        if rng.random() < 0.15:
            statements.append("SAVEPOINT kept")
            depth += 1
        statements.append(happen(aggregate, n, last, total, filler))
        if depth and rng.random() < 0.5:
            statements.append("RELEASE kept")
            depth -= 1
        n = last + 1
    return statements


class Writer(threading.Thread):
    def __init__(self, load, number, rng):
        super().__init__(daemon=True)
        self.load = load
        self.number = number
        self.rng = rng
        self.prepared = 0

    def run(self):
        connection = None
        while not self.load.over.is_set():
            try:
                if connection is None:
                    connection = self.load.cluster.connect(WRITER)
                    connection.query(f"SET lock_timeout = '200ms'; SET synchronous_commit = {'off' if self.number % 2 else 'on'}")
                self.transaction(connection)
            except wire.Gone:
                if connection is not None:
                    connection.close()
                connection = None
                self.load.over.wait(0.02)
            except wire.Error as e:
                self.load.errors.add(str(e))
                if connection is not None:
                    self.roll_back(connection)
        if connection is not None:
            connection.close()

    def roll_back(self, connection):
        try:
            connection.query("ROLLBACK")
        except (wire.Gone, wire.Error):
            pass  # the next statement finds out

    def transaction(self, connection):
        statements = plan(self.rng, self.load.big_wanted(self.rng))
        end = self.rng.random()
        if end < 0.02:
            self.prepared += 1
            name = f"'{self.load.name}-{self.number}-{self.prepared}'"
            self.send(connection, statements + [f"PREPARE TRANSACTION {name}"])
            if self.rng.random() < 0.9:  # else it is left to whoever clears up
                connection.query(f"{self.rng.choice(('COMMIT', 'COMMIT', 'ROLLBACK'))} PREPARED {name}")
        else:
            self.send(connection, statements + ["ROLLBACK" if end < 0.12 else "COMMIT"])

    def send(self, connection, statements):
        """At once, or one by one, so that faults come between them too."""
        if self.rng.random() < 0.5:
            connection.query("; ".join(statements))
        else:
            for statement in statements:
                connection.query(statement)


class Load:
    """All writers, for one cycle."""

    def __init__(self, cluster, name, rng):
        self.cluster = cluster
        self.name = name
        self.over = threading.Event()
        self.errors = set()  # what the server refused
        self._big = threading.Semaphore(int(rng.random() < 0.5))  # large transactions that are still to be
        self._writers = [Writer(self, number, random.Random(rng.random())) for number in range(WRITERS)]

    def start(self):
        for writer in self._writers:
            writer.start()

    def ask_for_big(self):
        self._big.release()

    def big_wanted(self, rng):
        return rng.random() < 0.2 and self._big.acquire(blocking=False)

    def end(self):
        self.over.set()
        for writer in self._writers:
            writer.join()


def clear_up(cluster, rng):
    """Ends the prepared transactions that a crash, or their writer, has left."""
    for gid, in cluster.query("SELECT gid FROM pg_prepared_xacts ORDER BY gid"):
        cluster.query(f"{rng.choice(('COMMIT', 'ROLLBACK'))} PREPARED '{gid}'")


def read_ledger(cluster):
    rows = cluster.query("SELECT aggregate, ver, n, total, kind, id, crc FROM ledger ORDER BY aggregate, ver, n")
    return [(aggregate, int(ver), int(n), int(total), kind, id, int(crc)) for aggregate, ver, n, total, kind, id, crc in rows]


def forget(cluster):
    """What was checked: neither the ledger nor the outbox is to grow.  It also moves the files under what may have to be decoded again."""
    cluster.query("TRUNCATE ledger, domev.outbox")
