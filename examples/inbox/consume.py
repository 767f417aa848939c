"""Makes shipments of another database's orders: polls the shop, handles each event in the warehouse; README.md has the reasons."""

import json
import os
import time

import psycopg2

shop = psycopg2.connect(os.environ["SHOP"])
shop.autocommit = True
warehouse = psycopg2.connect(os.environ["WAREHOUSE"])


def handle(event):
    """In one transaction: that it was received, what is done, and what is said of it."""
    with warehouse, warehouse.cursor() as cursor:
        cursor.execute("SELECT domev.receive('warehouse', %s, %s)", (event["id"], event["source"]))
        if not cursor.fetchone()[0]:
            return  # it was handled before
        cursor.execute("SELECT set_config('domev.context', %s, true)", (json.dumps({"causationid": event["id"]}),))
        cursor.execute("INSERT INTO shipments (order_id, city) VALUES (%s, %s) RETURNING id", (event["subject"], event["data"]["city"]))
        cursor.execute("SELECT domev.emit('shipment.planned', %s, %s)", (cursor.fetchone()[0], json.dumps({"order": event["subject"]})))


with shop.cursor() as reader:
    while True:
        reader.execute("SELECT position, event FROM domev.poll('warehouse')")
        events = reader.fetchall()
        for _, event in events:
            handle(event)
        if events:
            reader.execute("SELECT domev.ack('warehouse', %s)", (events[-1][0],))
        else:
            time.sleep(1)
