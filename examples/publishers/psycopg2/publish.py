"""Publishes the events of a slot with psycopg2; README.md has the reasons."""

import os
import select
import socket
import time

import psycopg2
from psycopg2.extras import LogicalReplicationConnection

connection = psycopg2.connect(os.environ["DOMEV_CONNECTION"], connection_factory=LogicalReplicationConnection)
stream = connection.cursor()
shard = os.environ.get("DOMEV_SHARD")
stream.start_replication(slot_name=os.environ["DOMEV_SLOT"], options={"shard": shard} if shard else None, decode=False, status_interval=1)
broker = None


def publish(event):
    """Returns when the broker has the event."""
    global broker
    line = ""
    while line != "ok\n":
        try:
            broker = broker or socket.create_connection(os.environ["DOMEV_BROKER"].split(":"))
            broker.sendall(event + b"\n")
            while not select.select([broker], [], [], 1)[0]:
                stream.send_feedback(force=True)  # still here: else the server ends the connection
            line = broker.makefile().readline()
        except OSError:
            line = ""
        if not line:  # no connection: whether the broker has the event is not known
            broker = None
            time.sleep(0.1)


while True:
    message = stream.read_message()
    if message is None:
        select.select([stream], [], [], 1)
        continue
    publish(message.payload)
    stream.send_feedback(flush_lsn=message.data_start)
