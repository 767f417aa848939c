"""Publishes domev's WAL messages from a slot of PostgreSQL's own plugin, pgoutput, with psycopg2; README.md has the reasons."""

import os
import select
import socket
import struct
import time

import psycopg2
from psycopg2.extras import LogicalReplicationConnection

connection = psycopg2.connect(os.environ["DOMEV_CONNECTION"], connection_factory=LogicalReplicationConnection)
stream = connection.cursor()
stream.start_replication(slot_name=os.environ["DOMEV_SLOT"], decode=False, status_interval=1, options={
    "proto_version": "1", "publication_names": os.environ["DOMEV_PUBLICATION"], "messages": "true"})
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


def parse_message(message):
    """What a Message of pgoutput says: type, flags, LSN, prefix, zero, length, content."""
    transactional = message[1] & 1
    prefix, rest = message[10:].split(b"\0", 1)
    length, = struct.unpack_from("!i", rest)
    return transactional, prefix, rest[4:4 + length]


events = []  # of the transaction that is being received
while True:
    message = stream.read_message()
    if message is None:
        select.select([stream], [], [], 1)
        continue
    kind = message.payload[:1]
    if kind == b"M":
        transactional, prefix, content = parse_message(message.payload)
        if not transactional:  # a heartbeat: it comes between transactions, and all that are before it are published
            stream.send_feedback(flush_lsn=message.data_start)
        elif prefix.startswith(b"domev/"):
            events.append(content)
    elif kind == b"C":  # type, flags, LSN of the commit record, LSN of the transaction's end, time
        end_lsn, = struct.unpack_from("!Q", message.payload, 10)
        for event in events:
            publish(event)
        events = []
        stream.send_feedback(flush_lsn=end_lsn)
