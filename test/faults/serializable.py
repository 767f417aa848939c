"""Do serializable transactions fail more often (40001) when they emit?

The same transactions, which read others' rows and change their own (write skew: real conflicts), are run without domev and with each way
of emitting, in turns, and their serialization failures are counted.  Two instruments:

stepped   one thread steps eight sessions through a schedule that only the seed decides.  Whatever emits is a part of a step that is
          there anyway, so that all variants run interleaved in the same way: a difference can only come from a dependency.
loaded    pgbench, eight clients at full speed, many turns of each.  Here a transaction that takes longer may meet more others; "an INSERT" shows
          how much that is.  A machine that has other work to do decides nothing by it.

The goal is at most one percentage point more than without.  What has dependencies of its own is measured apart and has no goal: a
mapping that reads the application's tables, a table of the application's that all insert into and nobody reads.

To be run by serializable.sh.  The exit status is 1 if a goal was missed.
"""

import argparse
import os
import random
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

from server import Server  # noqa: E402  pylint: disable=wrong-import-position
import psycopg2  # noqa: E402  pylint: disable=wrong-import-position

DATABASE = "serializable"
SESSIONS = 8
ACCOUNTS = 8  # of each session
LIMIT = 1.0  # percentage points
LOADED_TURNS = 6  # of each variant in a round, as chance has a hand in it

SETUP = f"""
ALTER DATABASE {DATABASE} SET enable_seqscan = off;
ALTER DATABASE {DATABASE} SET client_min_messages = error;
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 10);
CREATE TABLE captured (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 10);
CREATE TABLE plain_outbox (id bigserial PRIMARY KEY, payload jsonb);
CREATE UNLOGGED TABLE prices (id int PRIMARY KEY, price int);
INSERT INTO accounts SELECT i, 100 FROM generate_series(0, {SESSIONS * ACCOUNTS - 1}) AS i;
INSERT INTO captured TABLE accounts;
INSERT INTO prices SELECT i, i FROM generate_series(1, 100) AS i;
CREATE FUNCTION public.computes(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('computed', (e).payload)).*; END;
CREATE FUNCTION public.fails(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('computed', to_jsonb(1 / ((e).payload->>'zero')::int))).*; END;
CREATE FUNCTION public.reads_constants(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('priced', to_jsonb(p.price))).* FROM public.prices AS p WHERE p.id = 1; END;
CREATE FUNCTION public.reads_accounts(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('balance', to_jsonb(a.balance))).* FROM public.accounts AS a
        WHERE a.id = ((e).payload->>'further')::int; END;
CREATE SEQUENCE ids;
SELECT pg_create_logical_replication_slot('serializable', 'domev');
SELECT domev.create_topic('rows', 'internal'), domev.create_topic('out'), domev.create_topic('wal', 'internal', 'wal'), domev.create_topic('unused');
SELECT domev.create_event_type(t, 'account', 'rows') FROM unnest('{{row, mapped, constants, reads, failing, deferred}}'::text[]) AS t;
SELECT domev.create_event_type('wal', 'account', 'wal'), domev.create_event_type('unused', 'other');
SELECT domev.create_mapping('mapped', 'mapped', 'public.computes', 'out'), domev.create_mapping('constants', 'constants', 'public.reads_constants', 'out'),
    domev.create_mapping('reads', 'reads', 'public.reads_accounts', 'out'), domev.create_mapping('failing', 'failing', 'public.fails', 'out', on_error => 'record'),
    domev.create_mapping('deferred', 'deferred', 'public.computes', 'out', timing => 'deferred'),
    domev.create_capture('account', 'captured', 'update', 'id', 'row');
SELECT count(domev.emit('row', i, event_id => lpad(to_hex(i * 100000), 32, '0')::uuid)) FROM generate_series(0, {SESSIONS * ACCOUNTS - 1}) AS i;
"""

PAYLOAD = """jsonb_build_object('further', {further}, 'zero', 0, 'text', 'a payload of an ordinary length, as orders and accounts have it')"""


class Variant:  # pylint: disable=too-few-public-methods
    """A way of emitting: the statement that does it (None: nothing), the table that is changed, and whether there is a goal."""

    def __init__(self, name, statement=None, table="accounts", goal=True, writer=0):
        self.name, self.statement, self.table, self.goal, self.writer = name, statement, table, goal, writer


def emit(event_type, event_id=""):
    return f"SELECT domev.emit('{event_type}', {{own}}, {PAYLOAD}{event_id})"


GIVEN_ID = ", event_id => gen_random_uuid()"
# Every second one was claimed before; all in a few pages of the index, as those of version 7 of one time are.
REPEATED_ID = f""", event_id => lpad(to_hex(CASE WHEN {{further}} % 2 = 0 THEN {{further}} * 100000 ELSE nextval('ids') * 7919 % 6400000 + 1 END), 32, '0')::uuid"""
# Between transactions of a serializable writer of the registry: so many steps (stepped), milliseconds (loaded).
RARELY, OFTEN = 1000, 30

WITHOUT = Variant("without")
VARIANTS = [
    WITHOUT,
    Variant("an INSERT", f"INSERT INTO plain_outbox (payload) SELECT {PAYLOAD}", goal=False),
    Variant("emit a row", emit("row")),
    Variant("emit to the WAL", emit("wal")),
    Variant("emit, id given", emit("row", GIVEN_ID)),
    Variant("emit, id given before", emit("row", REPEATED_ID)),
    Variant("capture", table="captured"),
    Variant("immediate mapping", emit("mapped")),
    Variant("deferred mapping", emit("deferred")),
    Variant("mapping that fails, recorded", emit("failing")),
    Variant("mapping that reads what nobody writes", emit("constants")),
    Variant("mapping that reads a further account", emit("reads"), goal=False),
]
WITH_WRITER = [
    (Variant("without, registry changed now and then", writer=RARELY), Variant("emit, registry changed now and then", emit("mapped"), writer=RARELY)),
    (Variant("without, registry changed all the time", writer=OFTEN), Variant("emit, registry changed all the time", emit("mapped"), writer=OFTEN)),
]
CHANGES = [
    "SELECT domev.alter_event_type('mapped', description => '{n}')",
    "SELECT domev.alter_mapping('mapped', description => '{n}')",
    "SELECT domev.alter_topic('out', description => '{n}')",
    "SELECT domev.alter_event_type('unused', description => '{n}')",
    "SELECT domev.create_event_type('new {n}', 'other', 'rows'), domev.create_mapping('new {n}', 'new {n}', 'public.computes', 'out')",
]


class Count:  # pylint: disable=too-few-public-methods
    """Transactions that were tried, and that failed to be serializable."""

    def __init__(self):
        self.tried = self.failed = self.writers = self.writers_failed = 0

    def rate(self):
        return 100.0 * self.failed / max(self.tried, 1)


# ----------------------------------------------------------------
# Stepped
# ----------------------------------------------------------------

class Session:
    """One of the sessions; a transaction of it has three steps.  One that failed sits out what is left of it."""

    def __init__(self, server, number):
        self.number = number
        self.connection = server.connect(DATABASE)
        self.cursor = self.connection.cursor()
        self.step = 0
        self.failed = False
        self.own = self.others = self.further = None

    def choose(self, rng):
        """What the next transaction reads and writes; asked for whatever becomes of it, so that the schedule is the same."""
        self.own = self.number * ACCOUNTS + rng.randrange(ACCOUNTS)
        *self.others, self.further = [rng.randrange(SESSIONS * ACCOUNTS) for _ in range(4)]

    def go_on(self, variant, count):
        """The next step.  True: that was the last of the transaction."""
        if self.step == 0:
            count.tried += 1
            self.failed = False
        if not self.failed:
            self.failed = not self.execute(variant)
            count.failed += self.failed
        self.step = (self.step + 1) % 3
        return self.step == 0

    def execute(self, variant):
        try:
            if self.step == 0:
                self.cursor.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
                self.cursor.execute(f"SELECT sum(balance) FROM {variant.table} WHERE id = ANY(%s)", ([self.own, *self.others],))
            elif self.step == 1:
                self.cursor.execute(f"UPDATE {variant.table} SET balance = balance + 1 WHERE id = %s", (self.own,))
                if variant.statement is not None:
                    self.cursor.execute(variant.statement.format(own=self.own, further=self.further))
            else:
                self.cursor.execute("COMMIT")
            return True
        except psycopg2.errors.SerializationFailure:
            self.cursor.execute("ROLLBACK")
            return False


class Writer:
    """Changes the registry, in serializable transactions that are open for a while."""

    def __init__(self, server):
        self.cursor = server.connect(DATABASE).cursor()
        self.changes = 0
        self.open = False

    def go_on(self, count):
        try:
            if self.open:
                self.open = False
                self.cursor.execute("COMMIT")
                return
            self.changes += 1
            count.writers += 1
            self.cursor.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            self.cursor.execute(CHANGES[self.changes % len(CHANGES)].format(n=f"{os.getpid()}.{id(self)}.{self.changes}"))
            self.open = True
        except psycopg2.errors.SerializationFailure:
            count.writers_failed += 1
            self.cursor.execute("ROLLBACK")


def stepped(server, variant, transactions, seed, count):
    """Runs so many transactions, by the schedule of that seed."""
    rng = random.Random(seed)
    sessions = [Session(server, number) for number in range(SESSIONS)]
    writer = Writer(server)
    for session in sessions:
        session.cursor.execute(f"SELECT count(domev.emit(t, 0, {PAYLOAD.format(further=0)})) FROM domev.event_types, unnest(ARRAY[event_type]) AS t WHERE t !~ '^new'")
        session.choose(rng)
    done = steps = 0
    while done < transactions:
        session = sessions[rng.randrange(SESSIONS)]
        if session.go_on(variant, count):
            session.choose(rng)
            done += 1
        steps += 1
        if variant.writer and steps % variant.writer in (0, variant.writer // 10):
            writer.go_on(count)
    for client in [*sessions, writer]:
        client.cursor.connection.close()


# ----------------------------------------------------------------
# Loaded
# ----------------------------------------------------------------

SCRIPT = """
\\set own :client_id * {accounts} + random(0, {accounts} - 1)
\\set second random(0, {all} - 1)
\\set third random(0, {all} - 1)
\\set fourth random(0, {all} - 1)
\\set further random(0, {all} - 1)
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT sum(balance) FROM {table} WHERE id IN (:own, :second, :third, :fourth);
{change};
COMMIT;
"""


def script_of(variant):
    """Whatever emits is a part of the statement that changes the account: one more would make the transaction longer by the way to the server and back."""
    change = f"UPDATE {variant.table} SET balance = balance + 1 WHERE id = :own"
    if variant.statement:
        change = f"WITH changed AS ({change} RETURNING id) {variant.statement.format(own=':own', further=':further')} FROM changed"
    return SCRIPT.format(accounts=ACCOUNTS, all=SESSIONS * ACCOUNTS, table=variant.table, change=change)


def loaded(server, variant, transactions, seed, count):
    """Runs so many transactions by pgbench."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql", dir=server.folder) as script:
        script.write(script_of(variant))
        script.flush()
        os.chmod(script.name, 0o644)
        text = server.program("pgbench", "-n", "-M", "simple", "-c", str(SESSIONS), "-j", "2", "-t", str(transactions // SESSIONS),
                              f"--random-seed={seed}", "--max-tries=1", "--failures-detailed", "-f", script.name,
                              "-h", server.socket_dir, "-p", str(server.port), "-U", "postgres", DATABASE)
    done = int(re.search(r"transactions actually processed: (\d+)", text).group(1))
    failed = int(re.search(r"number of serialization failures: (\d+)", text).group(1))
    deadlocks = int(re.search(r"number of deadlock failures: (\d+)", text).group(1))
    if deadlocks or re.search(r"aborted", text):
        raise RuntimeError(f"pgbench had other failures: {text[-4000:]}")
    count.tried += done + failed
    count.failed += failed


# ----------------------------------------------------------------
# All of it
# ----------------------------------------------------------------

def measure(server, run, variants, arguments, turns=1):
    """{variant: Count}, all variants in turns, in every round in another order.  More turns even out what else the machine does."""
    counts = {variant: Count() for variant in variants}
    for number in range(arguments.rounds * turns):
        seed = arguments.seed + number
        for variant in random.Random(seed).sample(variants, len(variants)):
            run(server, variant, arguments.transactions, seed, counts[variant])
        server.run(DATABASE, "VACUUM")
    return counts


def report(title, counts, base, variants):
    """Prints a line for each variant; returns how many missed the goal."""
    missed = 0
    print(f"\n{title}\n  {'':44} transactions  failed %  more than without")
    for variant in variants:
        count = counts[variant]
        more = count.rate() - counts[base].rate()
        verdict = "" if variant is base or not variant.goal else "  met" if more <= LIMIT else "  MISSED"
        missed += verdict == "  MISSED"
        writers = f"  (changes of the registry: {count.writers}, failed {count.writers_failed})" if count.writers else ""
        print(f"  {variant.name:44} {count.tried:12} {count.rate():9.2f}  {'' if variant is base else format(more, '+17.2f')}{verdict}{writers}", flush=True)
    return missed


def run_stepped(server, arguments):
    missed = report("stepped: the same schedule for all", measure(server, stepped, VARIANTS, arguments), WITHOUT, VARIANTS)
    counts = measure(server, stepped, [variant for pair in WITH_WRITER for variant in pair], arguments)
    for pair in WITH_WRITER:
        missed += report("stepped, beside a serializable writer of the registry", counts, pair[0], pair)
    return missed


def parse_arguments():
    parser = argparse.ArgumentParser(description="Do serializable transactions fail more often when they emit?")
    parser.add_argument("--rounds", type=int, default=3, help="each has a seed of its own (default: 3)")
    parser.add_argument("--transactions", type=int, default=2000, help="of each variant in a round (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (default: 1)")
    parser.add_argument("--only", choices=("stepped", "loaded"), help="one of the two instruments")
    parser.add_argument("--bindir", required=True, help="the programs of the PostgreSQL to use")
    parser.add_argument("--folder", required=True, help="for the cluster; a short path, as a socket is made in it")
    parser.add_argument("--port", type=int, default=5651, help="names the socket; nothing listens on the network")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    server = Server(arguments.bindir, arguments.folder, arguments.port).start()
    missed = 0
    try:
        server.create_database(DATABASE)
        server.run(DATABASE, SETUP)
        print(f"seeds {arguments.seed} to {arguments.seed + arguments.rounds - 1}; {SESSIONS} sessions; {server.version_text}")
        if arguments.only != "loaded":
            missed += run_stepped(server, arguments)
        if arguments.only != "stepped":
            missed += report("loaded: pgbench", measure(server, loaded, VARIANTS, arguments, LOADED_TURNS), WITHOUT, VARIANTS)
    finally:
        server.stop()
    print(f"\n{missed} goals missed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
