"""Who does what at the same time?  Threads, each with a connection of its own, until the time is over.

Emitters emit in every way, each transaction for one aggregate; the registry's writer creates, changes and drops what they use and what they do
not; the others vacuum, rewrite and repartition domev's tables, map again what failed, read the slot, and watch which locks emitters hold.
What each may be refused is said here; anything else the server's log tells is a failure of the test.
"""

import random
import threading
import time
import uuid

import psycopg2

from concurrency_ledger import AGGREGATES, DATABASE, IDS, READ_SLOT, RESULTS

# The errors that an actor may meet, and how they begin.  Emitters: to be tried again; an event type that is dropped at this moment.
# Autovacuum, which has no name, makes way for whoever wants its table.
EXPECTED = {"emitter": {"40001": "", "42704": 'event type "v" does not exist'}, "": {"57014": "canceling autovacuum task"}}


def is_expected(kind, code, message):
    return code in EXPECTED.get(kind, {}) and message.startswith(EXPECTED[kind][code])


class Actor(threading.Thread):
    """Does one act after the other.  The server knows it by its kind."""

    kind = None
    pause = 0.0  # at most so many seconds between acts

    def __init__(self, stage, number=0):
        super().__init__(daemon=True)
        self.stage = stage
        self.rng = random.Random(f"{stage.seed}/{self.kind}/{number}")
        self.acts = 0
        self.refused = {}
        self.longest = 0.0, ""
        self.failure = None
        self.connection = stage.server.connect(DATABASE, options=f"-c application_name={self.kind}")
        self.cursor = self.connection.cursor()

    def run(self):
        try:
            while not self.stage.over.is_set():
                try:
                    self.act()
                    self.acts += 1
                except psycopg2.Error as error:
                    self.refuse(error)
                if self.pause:
                    self.stage.over.wait(self.rng.random() * self.pause)
            self.end()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = f"{type(error).__name__}: {error}"
            self.stage.over.set()
        self.connection.close()

    def refuse(self, error):
        if not is_expected(self.kind, error.pgcode, error.diag.message_primary or ""):
            raise error
        self.refused[error.pgcode] = self.refused.get(error.pgcode, 0) + 1
        self.cursor.execute("ROLLBACK")

    def act(self):
        raise NotImplementedError

    def end(self):
        """When the time is over."""

    def timed(self, sql):
        start = time.monotonic()
        self.cursor.execute(sql)
        self.longest = max(self.longest, (time.monotonic() - start, sql))


class Emitter(Actor):
    """A transaction emits one to five times and at times changes its aggregate.  An id that others may take as well comes first: it may have to
    wait for the other transaction, and must hold nothing meanwhile that this one waits for."""

    kind = "emitter"
    levels = ("READ COMMITTED",) * 6 + ("REPEATABLE READ", "SERIALIZABLE")

    def act(self):
        rng = self.rng
        aggregate = rng.randint(1, AGGREGATES)
        kinds = [rng.choice(("row", "wal", "imm", "def", "rec", "v", "v")) for _ in range(rng.randint(1, 4))]
        self.cursor.execute(f"BEGIN ISOLATION LEVEL {rng.choice(self.levels)}")
        if rng.random() < 0.2:
            self.emit("id", aggregate, uuid.UUID(int=rng.randint(1, IDS)))
        if rng.random() < 0.3:
            self.cursor.execute("UPDATE aggregates SET ver = ver + 1 WHERE id = %s", (aggregate,))
        for number, kind in enumerate(kinds):
            if rng.random() < 0.1:
                self.cursor.execute("SAVEPOINT s")
                self.emit(rng.choice(("row", "wal", "imm", "def")), aggregate)
                self.cursor.execute("ROLLBACK TO s")
            self.emit(kind, aggregate, many=rng.choice((1, 1, 1, 3)) if number == 0 else 1)
        self.cursor.execute("ROLLBACK" if rng.random() < 0.05 else "COMMIT")

    def emit(self, kind, aggregate, event_id=None, many=1):
        self.cursor.execute("INSERT INTO ledger SELECT domev.emit(%s, %s, jsonb_build_object('n', n), event_id => %s), %s FROM generate_series(1, %s) AS n",
                            (kind, aggregate, event_id and str(event_id), kind, many))


class Registrar(Actor):
    """Changes the registry, one transaction an act, of which some are rolled back, and some are open for a while."""

    kind = "registrar"
    pause = 0.02

    def __init__(self, stage, number=0):
        super().__init__(stage, number)
        self.there = {"type", "mappings"}  # what of "v" there is
        self.made = 0

    def act(self):
        statements, after = self.choose()
        committed = self.rng.random() < 0.8
        self.cursor.execute("BEGIN ISOLATION LEVEL SERIALIZABLE" if self.rng.random() < 0.1 else "BEGIN")
        for statement in statements:
            self.timed(statement)
        if self.rng.random() < 0.2:
            self.stage.over.wait(self.rng.random() * 0.2)
        self.cursor.execute("COMMIT" if committed else "ROLLBACK")
        if committed:
            self.there = after

    def choose(self):
        """(statements, what of "v" is there after them)."""
        acts = [self.switch_off, self.switch_function, self.switch_topics, self.describe, self.make_more, self.replace_function, self.give_function, self.alter_capture]
        if "mappings" in self.there:
            acts += [self.drop_mappings, self.drop_type] + [self.switch_function] * 5
        elif "type" in self.there:
            return self.create_mappings()
        else:
            return self.create_type()
        return self.rng.choice(acts)()

    def both(self, arguments):
        return [f"SELECT domev.alter_mapping('v a', {arguments}), domev.alter_mapping('v b', {arguments})"]

    def switch_function(self):
        return self.both(f"function => 'public.v_{self.rng.choice(('old', 'new'))}'"), self.there

    def switch_off(self):
        return self.both(f"enabled => {self.rng.choice(('true', 'true', 'false'))}"), self.there

    def switch_topics(self):
        return [f"SELECT domev.alter_topic('v.out', storage => '{self.rng.choice(('table', 'wal'))}', scope => '{self.rng.choice(('internal', 'external'))}')",
                f"SELECT domev.alter_event_type('v', topic => '{self.rng.choice(('rows', 'wal'))}')"], self.there

    def drop_mappings(self):
        return ["SELECT domev.drop_mapping('v a'), domev.drop_mapping('v b')"], {"type"}

    def create_mappings(self):
        function = self.rng.choice(("old", "new"))
        return [f"SELECT domev.create_mapping('v {name}', 'v', 'public.v_{function}', 'v.out')" for name in "ab"], {"type", "mappings"}

    def drop_type(self):
        return self.drop_mappings()[0] + ["SELECT domev.drop_event_type('v')", "SELECT domev.drop_topic('v.out')"], set()

    def create_type(self):
        storage = self.rng.choice(("table", "wal"))
        return [f"SELECT domev.create_topic('v.out', storage => '{storage}'), domev.create_event_type('v', 'a', 'rows')"] + self.create_mappings()[0], {"type", "mappings"}

    def describe(self):
        text = str(self.rng.random())
        return [f"SELECT domev.alter_topic('rows', description => '{text}'), domev.alter_event_type('imm', description => '{text}'),"
                f" domev.alter_mapping('def', description => '{text}'), domev.set_source('/{text}')"], self.there

    def make_more(self):
        self.made += 1
        name = f"more.{self.made}"
        drop = f"SELECT domev.drop_mapping('{name}'), domev.drop_event_type('{name}'), domev.drop_topic('{name}')"
        make = f"SELECT domev.create_topic('{name}'), domev.create_event_type('{name}', 'a', 'rows'), domev.create_mapping('{name}', '{name}', 'public.computes', '{name}')"
        return [make, drop] if self.rng.random() < 0.5 else [make], self.there

    def replace_function(self):
        """In one transaction: nobody sees that it is not there."""
        old = "FUNCTION public.v_old(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC SELECT (domev.make_integration_event('old')).*; END"
        return self.rng.choice(([f"CREATE OR REPLACE {old}"], ["DROP FUNCTION public.v_old", f"CREATE {old}"])), self.there

    def give_function(self):
        return ["ALTER FUNCTION public.v_new OWNER TO concurrency_other", "ALTER FUNCTION public.v_new OWNER TO CURRENT_USER"], self.there

    def alter_capture(self):
        return [f"SELECT domev.alter_capture('captured', description => '{self.rng.random()}')"], self.there


class Housekeeper(Actor):
    """Vacuums and rewrites domev's tables, and moves the outbox's partitions along."""

    kind = "housekeeper"
    pause = 0.3
    small = ("topics", "event_types", "mappings", "source", "message_key", "idempotency", "failed_mapping", "remapped", "deferred")

    def __init__(self, stage, number=0):
        super().__init__(stage, number)
        self.partitions = []

    def act(self):
        table = f"domev.{self.rng.choice(self.small)}"
        acts = [lambda: self.timed("VACUUM domev.outbox"), lambda: self.timed(f"VACUUM ANALYZE {table}"), lambda: self.timed(f"VACUUM FULL {table}"),
                lambda: self.timed(f"REINDEX TABLE {table}"), lambda: self.timed(f"REINDEX TABLE CONCURRENTLY {table}"), lambda: self.timed("ANALYZE"),
                lambda: self.timed("CHECKPOINT"), self.attach, self.detach]
        self.rng.choice(acts)()

    def attach(self):
        """A partition for soon, of which the default one has no rows yet.  Not too soon: for a row that waits for the default one while the
        partition that it belongs to is attached PostgreSQL raises an error (23514), for any INSERT."""
        name = f"outbox_part_{self.acts}"
        self.cursor.execute("SELECT greatest(date_trunc('second', clock_timestamp()) + '30 s', %s::timestamptz)", (self.partitions[-1][1] if self.partitions else None,))
        start = self.cursor.fetchone()[0]
        self.cursor.execute("SELECT %s::timestamptz + '2 s'", (start,))
        end = self.cursor.fetchone()[0]
        self.cursor.execute(f"CREATE TABLE {name} (LIKE domev.outbox INCLUDING INDEXES)")
        self.timed(f"ALTER TABLE domev.outbox ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")
        self.partitions.append((name, end))

    def detach(self):
        """The oldest one, of whatever time, with events that nobody has read yet."""
        if self.partitions:
            name, _ = self.partitions.pop(0)
            self.timed(f"ALTER TABLE domev.outbox DETACH PARTITION {name}")
            self.timed(f"DROP TABLE {name}")


class Remapper(Actor):
    """Lets the mapping "rec" fail for a while, and maps again what it failed."""

    kind = "remapper"
    pause = 0.3

    def act(self):
        choice = self.rng.random()
        if choice < 0.3:
            self.cursor.execute("UPDATE works SET one = %s", (self.rng.randint(0, 1),))
        elif choice < 0.6:
            self.timed("SELECT count(*) FROM domev.remap('rec')")
        elif choice < 0.8:
            self.timed("SELECT count(*) FROM domev.remap('rec', since => clock_timestamp() - interval '3 s')")
        else:
            self.timed("SELECT domev.purge_failed('1 day')")


class Reader(Actor):
    """Reads the slot into a file, until there is nothing more."""

    kind = "reader"
    pause = 0.1

    def __init__(self, stage, number=0):
        super().__init__(stage, number)
        self.file = open(stage.received, "w", encoding="utf-8")  # pylint: disable=consider-using-with
        self.count = 0

    def act(self):
        self.cursor.execute(READ_SLOT)
        rows = self.cursor.fetchall()
        for row in rows:
            self.file.write("\t".join("\\N" if value is None else value for value in row) + "\n")
        self.count += len(rows)
        return len(rows)


class Looker(Actor):
    """Previews and traces what others emit."""

    kind = "looker"
    pause = 0.2

    def act(self):
        self.cursor.execute(f"SELECT count(*) FROM domev.preview('{self.rng.choice(list(RESULTS))}', 1)")
        self.cursor.execute("SELECT count(*) FROM ledger AS l, domev.trace(l.id) WHERE l.ctid = '(0,1)'")


class Warden(Actor):
    """Looks for locks of emitters that are more than what an INSERT takes, on relations of whomever."""

    kind = "warden"
    pause = 0.05

    def __init__(self, stage, number=0):
        super().__init__(stage, number)
        self.found = {}
        self.waits = 0

    def act(self):
        self.cursor.execute("""SELECT l.locktype, coalesce(l.relation::regclass::text, l.classid::regclass::text), l.mode
            FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
            WHERE a.application_name = 'emitter' AND (l.locktype = 'relation' AND l.mode NOT IN ('AccessShareLock', 'RowExclusiveLock', 'SIReadLock')
                OR l.locktype = 'object' AND l.mode <> 'AccessShareLock')""")
        for row in self.cursor.fetchall():
            self.found[row] = self.found.get(row, 0) + 1
