"""Which values of Python does domev.emit take from psycopg?  Prints a row for each, as the table of the README has it."""
import json
import os
from datetime import date, datetime, timezone  # pylint: disable=unused-import
from decimal import Decimal
from uuid import UUID

import psycopg
from psycopg.types.json import Json, Jsonb

VIEW = 'domev_event."order.placed"'
# What the value is given as: the column in which it is kept, and the statement that takes it.
GIVEN = {
    "id": ("aggregate_id", "SELECT domev.emit('order.placed', %s)"),
    "payload": ("payload", "SELECT domev.emit('order.placed', 42, %s)"),
    "in jsonb_build_object": ("payload->'it'", "SELECT domev.emit('order.placed', 42, jsonb_build_object('it', %s))"),
    "headers": ("headers", "SELECT domev.emit('order.placed', 42, '{}', headers => %s)"),
    "event_id": ("event_id", "SELECT domev.emit('order.placed', 42, event_id => %s)"),
    "occurred_at": ("occurred_at AT TIME ZONE 'UTC'", "SELECT domev.emit('order.placed', 42, occurred_at => %s)"),
}
TRIED = {
    "id": ["42", "2**40", "'A-42'", "UUID('0199a3c4-7d11-7abc-8def-000000000042')", "Decimal(42)", "2**70", "b'A-42'"],
    "payload": ["Jsonb({'total': 63.10})", "Json({'total': 63.10})", "'{\"total\": 63.10}'", "json.dumps({'total': 63.10})",
                "Jsonb({'total': str(Decimal('63.10'))})", "{'total': 63.10}", "[63.10]", "b'{}'", "None", "Jsonb(None)"],
    "in jsonb_build_object": ["Decimal('63.10')", "7", "date(2026, 11, 26)", "True", "'web'", "None"],
    "headers": ["Jsonb({'channel': 'web'})", "'{\"channel\": \"web\"}'", "None"],
    "event_id": ["UUID('0199a3c4-7d11-7abc-8def-0000000000aa')", "'0199a3c4-7d11-7abc-8def-0000000000ab'"],
    "occurred_at": ["datetime(2026, 11, 26, 12, tzinfo=timezone.utc)", "datetime(2026, 11, 26, 12)", "None"],
}


def outcome(connection, column, statement, value):
    """What is kept of the event, or the error."""
    try:
        event, = connection.execute(statement, [value]).fetchone()
    except psycopg.Error as error:
        return error.sqlstate or type(error).__name__
    return connection.execute(f"SELECT coalesce(({column})::text, 'NULL') FROM {VIEW} WHERE event_id = %s", [event]).fetchone()[0]


def many(connection):
    """Rows for the ways to emit many events."""
    def events():
        return connection.execute(f"SELECT count(*) FROM {VIEW}").fetchone()[0]
    emit = "SELECT domev.emit('order.placed', %s, %s)"
    before = events()
    for order in range(100):
        connection.execute(emit, [order, "{}"])
    prepared, = connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%emit%'").fetchone()
    yield "100 × execute", f"{events() - before} events, {prepared} prepared statement"
    before = events()
    with connection.pipeline():
        for order in range(100):
            connection.execute(emit, [order, "{}"])
    yield "100 × execute in pipeline()", f"{events() - before} events"
    before = events()
    with connection.cursor() as cursor:
        cursor.executemany(emit, [(order, "{}") for order in range(100)])
    yield "executemany, 100", f"{events() - before} events"


def main():
    with psycopg.connect(os.environ["SHOP_URL"], autocommit=True) as connection:
        connection.execute("SET timezone = 'Asia/Tokyo'")
        for what, values in TRIED.items():
            for value in values:
                kept = outcome(connection, *GIVEN[what], eval(value))  # pylint: disable=eval-used
                print(f"| {what} | `{value}` | {kept} |")
        for way, seen in many(connection):
            print(f"| many | {way} | {seen} |")


if __name__ == "__main__":
    main()
