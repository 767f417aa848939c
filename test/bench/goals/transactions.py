"""What does an outbox cost the application's transactions, and is it the same with more writers?

One transaction is BEGIN; UPDATE of one order of 100,000, by its key; END.  It is run by pgbench, with prepared statements, in each
of these ways, which take turns.  Each has a table of orders of its own, so that the dead rows of one do not slow another:

  no outbox            nothing else
  application INSERT   the application inserts into a hand-written outbox, before END
  PL/pgSQL INSERT      a row trigger does
  PL/pgSQL message     a row trigger calls pg_logical_emit_message
  PgQ trigger          pgq.logutriga
  domev ...            a capture, and an SQL mapping that makes one integration event

pgbench and its backend take turns, so where they run decides what is seen.  On one core (the kernel is told to keep them there) a
transaction takes the time of their work.  On a core each, one sleeps while the other works, and has to be woken up: in the virtual machine
that this was written on, no outbox made 6,000 TPS then and 25,000 on one core, and an outbox looked cheaper.  Left alone, the kernel did
the one or the other, as it came.  So both are measured, and the goal is asked of both.  More writers than one run on all cores; they
leave nothing idle, and are compared with the one writer that does not either.

All but PgQ's trigger read the order's customer for what they send; that one sends the row, as its users have it.  With a journal,
domev keeps the domain event besides.
"""

import os

from measure import OUTBOX_SQL, alternate, make_row
from server import CORE_EACH, ONE_CORE

TITLE = "Transactions per second with an outbox"

DATABASE = "bench_transactions"
ORDERS = 100_000
CUSTOMERS = 1_000
SECONDS = {"trial": 1, "short": 1, "long": 5}  # of one measurement

NONE = "no outbox"
APPLICATION = "application INSERT"
TRIGGER_INSERT = "PL/pgSQL INSERT"
TRIGGER_MESSAGE = "PL/pgSQL message"
PGQ = "PgQ trigger"
# name -> (the topic's storage, is the domain event kept in the journal?)
DOMEV = {
    "domev table": ("table", False),
    "domev table, journal": ("table", True),
    "domev WAL": ("wal", False),
    "domev WAL, journal": ("wal", True),
}
GOALS = {"table": 0.90, "wal": 0.95}

# Each peer, and the way of domev that does the most similar thing.
BESIDE = (("domev table", APPLICATION), ("domev table", TRIGGER_INSERT), ("domev table", PGQ), ("domev WAL", TRIGGER_MESSAGE))

NOTE = ("BEGIN; UPDATE; END for all, one writer, pgbench -M prepared, pgbench and its backend on one core. The application's INSERT is a "
        "statement more between BEGIN and END.")
NOTE_EACH = "Where this is slower than one core, it is presumably by the waking up of the other core, which was not measured by itself."

# Who writes, and where.
WRITERS = {ONE_CORE: 1, CORE_EACH: 1, "2 writers": 2, "8 writers": 8}
MORE_WRITERS = ("2 writers", "8 writers")
WITH_MORE_WRITERS = (NONE, "domev table", "domev WAL")

CUSTOMERS_SQL = f"""
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, country text NOT NULL);
    INSERT INTO customers SELECT i, 'Customer ' || i, 'DK' FROM generate_series(1, {CUSTOMERS}) AS i;
    VACUUM ANALYZE customers;"""

# Room for the new version of a row in its own page: total is in no index, so the updates are HOT.
ORDERS_SQL = f"""
    CREATE TABLE {{orders}} (id int PRIMARY KEY, customer int NOT NULL, status text NOT NULL, total numeric NOT NULL, note text NOT NULL)
        WITH (fillfactor = 70);
    INSERT INTO {{orders}} SELECT i, 1 + i % {CUSTOMERS}, 'placed', i, repeat('x', 40) FROM generate_series(1, {ORDERS}) AS i;
    VACUUM ANALYZE {{orders}};"""

HAND_WRITTEN_SQL = OUTBOX_SQL.replace("CREATE TABLE outbox", "CREATE TABLE {outbox}")

APPLICATION_INSERT = """INSERT INTO {outbox} (aggregate_type, aggregate_id, event_type, payload)
    SELECT 'order', o.id::text, 'shop.order-changed.v1',
        jsonb_build_object('order', o.id, 'total', o.total, 'customer', c.name, 'country', c.country)
    FROM {orders} AS o JOIN customers AS c ON c.id = o.customer WHERE o.id = :id;
"""

TRIGGER_INSERT_SQL = """
    CREATE FUNCTION {orders}_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO {outbox} (aggregate_type, aggregate_id, event_type, payload)
        SELECT 'order', NEW.id::text, 'shop.order-changed.v1',
            jsonb_build_object('order', NEW.id, 'total', NEW.total, 'customer', c.name, 'country', c.country)
        FROM customers AS c WHERE c.id = NEW.customer;
        RETURN NULL;
    END $$;"""

TRIGGER_MESSAGE_SQL = """
    CREATE FUNCTION {orders}_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_logical_emit_message(true, 'outbox', jsonb_build_object('id', gen_random_uuid(), 'type', 'shop.order-changed.v1',
            'aggregatetype', 'order', 'aggregateid', NEW.id::text, 'time', now(),
            'data', jsonb_build_object('order', NEW.id, 'total', NEW.total, 'customer', c.name, 'country', c.country))::text)
        FROM customers AS c WHERE c.id = NEW.customer;
        RETURN NULL;
    END $$;"""

TRIGGER_SQL = "CREATE TRIGGER changed AFTER UPDATE ON {orders} FOR EACH ROW EXECUTE FUNCTION {orders}_changed();"

PGQ_SQL = """
    CREATE EXTENSION pgq;
    SELECT pgq.create_queue('bench');
    CREATE TRIGGER changed AFTER UPDATE ON {orders} FOR EACH ROW EXECUTE FUNCTION pgq.logutriga('bench');"""

MAPPING_SQL = """
    SELECT domev.create_topic('bench.table', storage => 'table');
    SELECT domev.create_topic('bench.wal', storage => 'wal');
    CREATE FUNCTION order_changed_v1(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC
        SELECT (domev.make_integration_event('shop.order-changed.v1', jsonb_build_object('order', (e).aggregate_id,
            'total', (e).payload #> '{after,total}', 'customer', c.name, 'country', c.country))).*
        FROM customers AS c WHERE c.id = ((e).payload #>> '{after,customer}')::int;
    END;"""

CAPTURE_SQL = """
    SELECT domev.create_event_type('{orders}.changed', 'order', journal => {journal});
    SELECT domev.create_mapping('{orders}-v1', '{orders}.changed', 'public.order_changed_v1', topic => 'bench.{storage}');
    SELECT domev.create_capture('{orders}', '{orders}', 'update', 'id', '{orders}.changed', columns => '{{customer,total}}');"""

SCRIPT = f"""\\set id random(1, {ORDERS})
\\set more random(1, 1000)
BEGIN;
UPDATE {{orders}} SET total = total + :more WHERE id = :id;
{{insert}}END;
"""


def run(server, size, rounds):
    """Goal 3, and the writers of goal 9."""
    server.create_database(DATABASE)
    try:
        server.run(DATABASE, CUSTOMERS_SQL + MAPPING_SQL)
        variants = {}
        for number, name in enumerate(_ways(server)):
            measure = _prepare(server, name, number)
            for load in _loads(name):
                variants[name, load] = lambda measure=measure, load=load: measure(load, SECONDS[size])
        samples = alternate(variants, rounds, warm_up=0)
        return _rows_of_ways(samples) + _rows_of_writers(samples)
    finally:
        server.drop_database(DATABASE)


def _ways(server):
    ways = [NONE, APPLICATION, TRIGGER_INSERT, TRIGGER_MESSAGE]
    if server.has_extension("pgq"):
        ways.append(PGQ)
    return ways + list(DOMEV)


def _loads(name):
    """The loads that a way is measured under."""
    loads = [ONE_CORE]
    if (name in DOMEV or name == NONE) and len(os.sched_getaffinity(0)) > 1:
        loads.append(CORE_EACH)
    return loads + [load for load in MORE_WRITERS if name in WITH_MORE_WRITERS]


def _prepare(server, name, number):
    """Makes what a way needs, and warms it up; returns a function of a load and seconds that returns its TPS."""
    names = {"orders": f"orders_{number}", "outbox": f"outbox_{number}"}
    server.run(DATABASE, (ORDERS_SQL + _way_sql(name)).format(**names))
    script = SCRIPT.format(orders=names["orders"], insert=APPLICATION_INSERT.format(**names) if name == APPLICATION else "")
    # As the server itself would do, but not in the middle of a measurement.  In this order: VACUUM writes the full pages of the table
    # that the checkpoint asks for.
    tidy = "CHECKPOINT;" + "".join(f"VACUUM {table};" for table in _tables(name, **names))

    def measure(load, seconds):
        server.run(DATABASE, tidy)
        with server.placed(load):
            return server.pgbench(DATABASE, script, clients=WRITERS[load], seconds=seconds)

    measure(ONE_CORE, seconds=1)
    _check(server, name, **names)
    return measure


def _way_sql(name):
    """The statements that set up a way; {orders} and {outbox} are to be filled in."""
    if name == APPLICATION:
        return HAND_WRITTEN_SQL
    if name == TRIGGER_INSERT:
        return HAND_WRITTEN_SQL + TRIGGER_INSERT_SQL + TRIGGER_SQL
    if name == TRIGGER_MESSAGE:
        return TRIGGER_MESSAGE_SQL + TRIGGER_SQL
    if name == PGQ:
        return PGQ_SQL
    if name in DOMEV:
        storage, journal = DOMEV[name]
        return CAPTURE_SQL.replace("{storage}", storage).replace("{journal}", str(journal))
    return ""


def _tables(name, orders, outbox):
    """The tables that a way writes to."""
    if name in (APPLICATION, TRIGGER_INSERT):
        return [orders, outbox]
    return [orders, "domev.outbox_default"] if name in DOMEV else [orders]


def _check(server, name, orders, outbox):
    """A way that does not do what it is measured for must not be measured: has the warm-up left its events?"""
    where = {
        APPLICATION: f"SELECT count(*) FROM {outbox} WHERE payload ? 'country'",
        TRIGGER_INSERT: f"SELECT count(*) FROM {outbox} WHERE payload ? 'country'",
        PGQ: "SELECT count(*) FROM pgq.event_template WHERE ev_data LIKE '%total=%'",
    }
    if name in DOMEV and DOMEV[name][0] == "table":
        where[name] = f"SELECT count(*) FROM domev.outbox WHERE mapping = '{orders}-v1' AND payload::jsonb ? 'country'"
    if name in where and server.value(DATABASE, where[name]) == 0:
        raise RuntimeError(f"{name}: no events")
    journal = server.value(DATABASE, f"SELECT count(*) FROM domev.outbox WHERE event_type = '{orders}.changed'")
    if (journal > 0) != (name in DOMEV and DOMEV[name][1]):
        raise RuntimeError(f"{name}: {journal} events in the journal")
    hot = server.value(DATABASE, f"SELECT n_tup_hot_upd::float8 / nullif(n_tup_upd, 0) FROM pg_stat_user_tables WHERE relname = '{orders}'")
    if hot is not None and hot < 0.99:
        raise RuntimeError(f"{name}: only {hot:.0%} of the updates are HOT")


def _rows_of_ways(samples):
    """The goals, on one core and on a core each, and then domev beside each of its peers."""
    one = {name: values for (name, load), values in samples.items() if load == ONE_CORE}
    each = {name: values for (name, load), values in samples.items() if load == CORE_EACH}
    peers = [name for name in one if name not in DOMEV and name != NONE]
    rows = [_row_of_way("3" + part, name, _pick(one, name, NONE, *(peers if part == "a" else [])), plot="tps") for part, name in zip("abcd", DOMEV)]
    rows[0].note = NOTE
    if each:
        rows += [_row_of_way("3" + part, name, _pick(each, name, NONE), place=", a core each") for part, name in zip("efgh", DOMEV)]
        rows[len(DOMEV)].note = NOTE_EACH
    for name, peer in BESIDE:
        if peer in one:
            rows.append(make_row("", f"On one core, {name} beside {peer}", "tps", _pick(one, name, peer), name, peer, at_most=False))
    return rows


def _row_of_way(goal, name, figures, place="", plot=""):
    storage, journal = DOMEV[name]
    title = f"UPDATE, captured and mapped: {storage} storage, journal {'on' if journal else 'off'}{place}"
    return make_row(goal, title, "tps", figures, name, NONE, limit=GOALS[storage], at_most=False, plot=plot)


def _rows_of_writers(samples):
    """The figures are per cent: of a round, the TPS with an outbox by the TPS without."""
    rows = []
    for name in WITH_MORE_WRITERS[1:]:
        shares = {load: _shares(samples[name, load], samples[NONE, load]) for load in WRITERS if (name, load) in samples}
        for writers in MORE_WRITERS:
            figures = {writers: shares[writers], **{f"1 writer, {load}": values for load, values in shares.items() if load not in MORE_WRITERS}}
            rows.append(make_row("9", f"{writers}: share of no outbox's TPS, {name}", "%", figures, writers, f"1 writer, {ONE_CORE}",
                                 limit=1.0, at_most=False))
    return rows


def _pick(samples, *names):
    return {name: samples[name] for name in names}


def _shares(ours, none):
    return [100 * a / b for a, b in zip(ours, none, strict=True)]
