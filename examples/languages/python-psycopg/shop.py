"""How does a service with psycopg place an order with its event?  In one transaction, which is tried again when PostgreSQL says so."""
import json
import os
from decimal import Decimal
from uuid import UUID

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure
from psycopg.types.json import Jsonb


def transaction(connection, context, work):
    """Runs work(connection) in one transaction; it may run several times.  The context becomes headers of each of its events."""
    for attempt in range(1, 6):
        try:
            with connection.transaction():
                # true: SET LOCAL, gone at the end of the transaction, whoever uses the connection then
                connection.execute("SELECT set_config('domev.context', %s, true)", [json.dumps(context)])
                return work(connection)
        except (SerializationFailure, DeadlockDetected):
            if attempt == 5:
                raise


def place_order(connection, customer, total):
    order, = connection.execute("INSERT INTO orders (customer, total) VALUES (%s, %s) RETURNING id", [customer, total]).fetchone()
    # The payload is made in SQL, as json.dumps takes no Decimal, and 63.10 is to stay 63.10.
    connection.execute("SELECT domev.emit('order.placed', %s, jsonb_build_object('customer', %s, 'total', %s), aggregate_version => 1)",
                       [order, customer, total])
    return order


def cancel_order(connection, command, order, reason):
    """May be asked for again with the same id: the UPDATE changes nothing then, nor does emit."""
    connection.execute("UPDATE orders SET status = 'cancelled' WHERE id = %s", [order])
    return connection.execute("SELECT domev.emit('order.cancelled', %s, %s, event_id => %s)",
                              [order, Jsonb({"reason": reason}), command]).fetchone()[0]


def main():
    ann = {"user": "ann", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with psycopg.connect(os.environ["SHOP_URL"], autocommit=True) as connection:
        order = transaction(connection, ann, lambda c: place_order(c, 7, Decimal("63.10")))
        print("placed", order)

        command = UUID("0199a3c4-7d11-7abc-8def-000000000042")  # the client's, made before it first asked
        for _ in range(2):
            print("cancelled by", transaction(connection, ann, lambda c: cancel_order(c, command, order, "too late")))

        def declined(c):
            place_order(c, 8, Decimal("12.50"))
            raise ValueError("payment was declined")
        try:
            transaction(connection, ann, declined)
        except ValueError as error:
            print("not placed:", error)


if __name__ == "__main__":
    main()
