"""What does raising an event cost, in time and in WAL?

One backend raises n events of 330 bytes of JSON.  Table storage is compared with the INSERT into an outbox that an application would
write (goal 1), WAL storage with the bare message of an event that is finished already (goal 2), both also by the WAL they write
(goal 8).  Every measurement begins with empty tables and after a checkpoint, so that none pays for what another left.  An outbox that
is in use is not empty, though, and an index over random ids feels that: so goal 1 is also asked of tables that hold a million events.
There as many events as are measured come between the checkpoint and the measurement, as the full pages that such an index writes after
a checkpoint would be counted for too few events.
"""

import json

from measure import OUTBOX_SQL, PAYLOAD, alternate, make_row, timed_sql

TITLE = "Raising events"
DATABASE = "bench_emit"
EVENTS = {"trial": 5_000, "short": 50000, "long": 200000}  # one measurement
HELD = 1_000_000  # events of an outbox in use

SETUP_SQL = OUTBOX_SQL + f"""
SELECT domev.create_topic('orders', scope => 'internal');
SELECT domev.create_topic('orders.wal', scope => 'internal', storage => 'wal');
SELECT domev.create_event_type('order.placed', 'order', topic => 'orders');
SELECT domev.create_event_type('order.placed.wal', 'order', topic => 'orders.wal');
CREATE TABLE document (body text NOT NULL);
INSERT INTO document VALUES ('{PAYLOAD}');
"""

DOMEV = "domev.emit"
DOMEV_WAL = "domev.emit, WAL storage"
INSERT = "hand-written INSERT"
MESSAGE = "bare message"
BUILT = "message built in SQL"
PGQ = "PgQ insert_event"

# n events in one statement.
ONE_STATEMENT = {
    DOMEV: f"SELECT count(domev.emit('order.placed', n::text, '{PAYLOAD}'::jsonb)) FROM generate_series(1, %(events)s) AS n",
    INSERT: f"""INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload)
        SELECT 'order', n::text, 'order.placed', '{PAYLOAD}'::jsonb FROM generate_series(1, %(events)s) AS n""",
    PGQ: f"SELECT count(pgq.insert_event('bench', 'order.placed', '{PAYLOAD}')) FROM generate_series(1, %(events)s) AS n",
}

# The same with a payload that comes as text, and has to be parsed or checked for each event.
FROM_TEXT = {
    DOMEV: """SELECT count(domev.emit('order.placed', n::text, body::json))
        FROM document, generate_series(1, %(events)s) AS n""",
    INSERT: """INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload)
        SELECT 'order', n::text, 'order.placed', body::jsonb FROM document, generate_series(1, %(events)s) AS n""",
}

# A statement per event, as code that handles one aggregate at a time has it.
LOOP = {
    DOMEV: f"PERFORM domev.emit('order.placed', n::text, '{PAYLOAD}'::jsonb)",
    INSERT: f"""INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload)
        VALUES ('order', n::text, 'order.placed', '{PAYLOAD}'::jsonb)""",
    PGQ: f"PERFORM pgq.insert_event('bench', 'order.placed', '{PAYLOAD}')",
}

WAL = {
    DOMEV_WAL: f"SELECT count(domev.emit('order.placed.wal', n::text, '{PAYLOAD}'::jsonb)) FROM generate_series(1, %(events)s) AS n",
    MESSAGE: "SELECT count(pg_logical_emit_message(true, 'outbox', %(event)s::text)) FROM generate_series(1, %(events)s) AS n",
    BUILT: f"""SELECT count(pg_logical_emit_message(true, 'outbox', jsonb_build_object('specversion', '1.0', 'id', gen_random_uuid(),
            'type', 'order.placed', 'source', '/shop', 'subject', n::text, 'time', to_jsonb(now()), 'datacontenttype', 'application/json',
            'topic', 'orders', 'partitionkey', n::text, 'aggregatetype', 'order', 'data', '{PAYLOAD}'::jsonb)::text))
        FROM generate_series(1, %(events)s) AS n""",
}


def run(server, size, rounds):
    server.create_database(DATABASE)
    try:
        server.run(DATABASE, SETUP_SQL)
        bench = Bench(server, EVENTS[size], 2 * rounds + 1)  # they are short ones
        return [bench.filled_row(), *bench.table_rows(), *bench.wal_rows(), *bench.byte_rows()]
    finally:
        server.drop_database(DATABASE)


class Bench:
    """One backend, so that all its caches are warm, and what it is to raise."""

    def __init__(self, server, events, rounds):
        self.rounds = rounds
        self.has_pgq = server.has_extension("pgq")
        if self.has_pgq:
            # Its ticker, which makes batches for consumers, has no part in raising events.
            server.run(DATABASE, "CREATE EXTENSION pgq; SELECT pgq.create_queue('bench')")
        self.has_seal = has_seal(server)
        self.cursor = server.connect(DATABASE).cursor()
        self.arguments = {"events": events, "event": finished_event(server)}

    def prepare(self):
        """Empty tables, and recycled WAL."""
        self.cursor.execute("TRUNCATE outbox, domev.outbox")
        if self.has_pgq:
            self.cursor.execute("SELECT string_agg(format('pgq.%I', relname), ', ') FROM pg_class "
                                "WHERE relname ~ '^event_[0-9]+_[0-9]+$' AND relkind = 'r'")
            self.cursor.execute("TRUNCATE " + self.cursor.fetchone()[0])
        self.cursor.execute("CHECKPOINT")

    def microseconds(self, sql):
        """Of one event."""
        self.prepare()
        return timed_sql(self.cursor, sql, self.arguments) * 1e6 / self.arguments["events"]

    def microseconds_in_use(self, sql):
        """The same, with tables as they are."""
        self.cursor.execute("CHECKPOINT")
        self.cursor.execute(sql, self.arguments)
        return timed_sql(self.cursor, sql, self.arguments) * 1e6 / self.arguments["events"]

    def wal_bytes(self, sql):
        """Of one event."""
        self.prepare()
        self.cursor.execute("SELECT pg_current_wal_insert_lsn()")
        before = self.cursor.fetchone()[0]
        self.cursor.execute(sql, self.arguments)
        self.cursor.execute("SELECT pg_current_wal_insert_lsn() - %s", (before,))
        return float(self.cursor.fetchone()[0]) / self.arguments["events"]

    def compare(self, statements, figure, rounds=None):
        """What alternate returns, for statements (name -> SQL) of peers that are there."""
        present = {name: sql for name, sql in statements.items() if name != PGQ or self.has_pgq}
        return alternate({name: lambda sql=sql: figure(sql) for name, sql in present.items()}, rounds or self.rounds)

    def filled_row(self):
        pair = {name: ONE_STATEMENT[name] for name in (DOMEV, INSERT)}
        self.prepare()
        for sql in pair.values():
            self.cursor.execute(sql, {"events": HELD})
        samples = self.compare(pair, self.microseconds_in_use)
        return make_row("1a", f"emit, table storage, into an outbox of {HELD:,} events, one statement of many events", "µs", samples,
                        DOMEV, INSERT, 0.50, plot="emit")

    def table_rows(self):
        together = self.compare(ONE_STATEMENT, self.microseconds)
        from_text = self.compare(FROM_TEXT, self.microseconds)
        loop = self.compare({name: in_loop(sql, self.arguments["events"]) for name, sql in LOOP.items()}, self.microseconds)
        return [make_row("1b", "emit, table storage, into an empty outbox, one statement of many events", "µs", together, DOMEV, INSERT, 0.50, plot="emit",
                         note="the payload is one jsonb value, ready for the INSERT to be copied; emit makes text of it each time"),
                make_row("", "emit, table storage, payload given as text", "µs", from_text, DOMEV, INSERT, plot="emit",
                         note="it is kept as json here, which is checked, and by the INSERT as jsonb, which is parsed"),
                make_row("", "emit, table storage, a statement per event in a PL/pgSQL loop", "µs", loop, DOMEV, INSERT, plot="emit")]

    def wal_rows(self):
        variants = {name: lambda sql=sql: self.microseconds(sql) for name, sql in WAL.items()}
        if self.has_seal:
            variants["MAC"] = self.seal_microseconds
        samples = alternate(variants, self.rounds)
        pick = lambda *names: {name: samples[name] for name in names}
        rows = [make_row("2", "emit, WAL storage, one statement of many events", "µs", pick(DOMEV_WAL, MESSAGE), DOMEV_WAL, MESSAGE, 2.0,
                         plot="emit", note="the bare message is one text, finished before: the same event each time, with nothing to build or check"),
                make_row("", "emit, WAL storage, beside a message that SQL builds", "µs", pick(DOMEV_WAL, BUILT), DOMEV_WAL, BUILT, plot="emit")]
        if self.has_seal:
            rows.append(make_row("", "the MAC of one event, as a part of its emit", "µs", pick("MAC", DOMEV_WAL), "MAC", DOMEV_WAL,
                                 note="contained in every figure of WAL storage"))
        return rows

    def seal_microseconds(self):
        """Of the MAC of one event; domev's own function in a loop."""
        return timed_sql(self.cursor, "SELECT bench_seal(%(event)s, %(events)s)", self.arguments) * 1e6 / self.arguments["events"]

    def byte_rows(self):
        table = self.compare(ONE_STATEMENT, self.wal_bytes, 3)  # they hardly differ
        messages = self.compare({name: WAL[name] for name in (DOMEV_WAL, MESSAGE)}, self.wal_bytes, 3)
        size = len(self.arguments["event"])
        return [make_row("8a", "WAL per event of 330 bytes of payload, table storage", "bytes", table, DOMEV, INSERT, 1.0,
                         note="into empty tables: without the full pages that a large index of random ids writes after each checkpoint"),
                make_row("8b", "WAL per event of 330 bytes of payload, WAL storage", "bytes", messages, DOMEV_WAL, MESSAGE, 1.1,
                         note=f"the finished CloudEvent has {size} bytes")]


def in_loop(statement, events):
    """PL/pgSQL that runs a statement once an event.  DO takes no parameters."""
    return f"DO $$ BEGIN FOR n IN 1..{events} LOOP {statement}; END LOOP; END $$"


def has_seal(server):
    """Is there the bench's own function that computes MACs?"""
    try:
        server.run(DATABASE, "CREATE FUNCTION bench_seal(text, int) RETURNS void AS 'bench_floor' LANGUAGE C STRICT;"
                             "SELECT bench_seal('{', 1)")
    except RuntimeError as error:
        print(f"no figure for the MAC: {str(error).strip()}", flush=True)
        return False
    return True


def finished_event(server):
    """The CloudEvent that domev sends, without what is known at its commit only: what a user's own message could hold."""
    connection = server.connect(DATABASE)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT pg_create_logical_replication_slot('bench_emit', 'domev')")
        cursor.execute("SELECT domev.emit('order.placed.wal', '4711', %s::jsonb)", (PAYLOAD,))
        cursor.execute("SELECT data FROM pg_logical_slot_get_changes('bench_emit', NULL, NULL)")
        sent = cursor.fetchone()[0]
        cursor.execute("SELECT pg_drop_replication_slot('bench_emit')")
    finally:
        connection.close()
    event = sent[:sent.index(',"sequence":')] + "}"
    assert json.loads(event)["data"] == json.loads(PAYLOAD)
    return event
