"""Publishes the events of a slot to Kafka, by librdkafka; README.md has the reasons."""

import json
import os
import select
import struct
import sys
import time
from collections import deque

from confluent_kafka import KafkaException, Producer
from psycopg import Error, pq
from psycopg.conninfo import make_conninfo

QUEUE = 2000  # events on their way, and
QUEUE_BYTES = 64 << 20  # theirs; then the stream is not read. librdkafka's own queue takes 1 GB
REPORT = 1  # seconds between status updates
POLL = 0.02  # seconds between looks at what Kafka has answered

PRODUCER = {
    "enable.idempotence": True,  # with it acks=all, and the order in a partition outlives retries
    "enable.gapless.guarantee": True,
    "message.timeout.ms": 0,  # no event is given up
    "partitioner": "murmur2_random",  # the partitions that Kafka's own clients choose
    "linger.ms": 5,
}
HEADERS = {"content-type": "application/cloudevents+json; charset=UTF-8"}


class Event:
    def __init__(self, position, size):
        self.position = position
        self.size = size
        self.stored = False


def end(reason):
    """At once: what is still in the producer's queue must not go out behind what was not stored."""
    print(reason, file=sys.stderr, flush=True)
    os._exit(1)


class Slot:
    """What a slot has sent, and how much of it is safe."""

    def __init__(self, connection, slot):
        self.stream = pq.PGconn.connect(make_conninfo(connection, replication="database").encode())
        if self.stream.status == pq.ConnStatus.OK:
            self.stream.exec_(f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0'.encode())
        if self.stream.transaction_status != pq.TransactionStatus.ACTIVE:
            sys.exit(f'slot "{slot}": {self.stream.get_error_message()}')
        self.queue = deque()  # received, not known to be safe
        self.size = 0  # of these, in bytes
        self.left = False  # libpq may have more, of which the socket does not tell
        self.safe = 0  # all before this position is safe

    def is_full(self):
        return len(self.queue) >= QUEUE or self.size >= QUEUE_BYTES

    def read(self):
        """Takes what has come; returns it as pairs of an event and its bytes."""
        if not self.is_full():  # else libpq would keep all that the server has
            self.stream.consume_input()
        self.left = True
        while not self.is_full():
            length, data = self.stream.get_copy_data(1)
            if length < 0:
                raise Error(f"the stream has ended: {self.stream.get_error_message()}")
            if length == 0:
                self.left = False
                return
            kind, position = struct.unpack_from("!cQ", data)
            if kind == b"w":
                self.queue.append(Event(position, length))
                self.size += length
                yield self.queue[-1], bytes(data[25:])
            elif not self.queue:  # a keepalive, and nothing received is unpublished
                self.safe = max(self.safe, position)
                if data[17]:
                    self.acknowledge()

    def settle(self):
        """What is stored and has no gap before it is safe."""
        while self.queue and self.queue[0].stored:
            event = self.queue.popleft()
            self.size -= event.size
            self.safe = max(self.safe, event.position)

    def acknowledge(self):
        """Written, flushed and applied; the time, which nobody reads; no reply wanted."""
        self.stream.put_copy_data(struct.pack("!cQQQQ?", b"r", self.safe, self.safe, self.safe, 0, False))
        self.stream.flush()


def produce(producer, event, data):
    def answered(error, _message):
        if error:
            end(f"not stored: {error}")
        event.stored = True

    attributes = json.loads(data)
    producer.produce(attributes["topic"], value=data, key=attributes["partitionkey"], headers=HEADERS, on_delivery=answered)


def say(error):
    print(f"kafka: {error}", file=sys.stderr, flush=True)
    if error.fatal():
        end("the producer can do no more")


def run(slot, producer):
    acknowledged, reported_at = 0, 0.0
    while True:
        select.select([] if slot.is_full() else [slot.stream.socket], [], [], POLL if slot.queue or slot.left else REPORT)
        for event, data in slot.read():
            produce(producer, event, data)
        producer.poll(0)  # calls answered()
        slot.settle()
        if slot.safe > acknowledged or time.monotonic() > reported_at + REPORT:
            slot.acknowledge()
            acknowledged, reported_at = slot.safe, time.monotonic()


try:
    run(Slot(os.environ["DOMEV_CONNECTION"], os.environ["DOMEV_SLOT"]),
        Producer({**PRODUCER, "bootstrap.servers": os.environ["DOMEV_BROKER"], "error_cb": say}))
except (Error, KafkaException) as e:
    end(e)
