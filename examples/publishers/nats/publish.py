"""Publishes the events of a slot to a NATS JetStream stream; README.md has the reasons."""

import asyncio
import json
import os
import struct
import sys
from collections import deque

import nats
from psycopg import Error, pq
from psycopg.conninfo import make_conninfo

BATCH = 200  # events on their way at a time
QUEUE = 2000  # events that may wait; then the stream is not read
PATIENCE = 2  # seconds to wait for an answer
PAUSE = 0.2  # seconds before what was not accepted is sent again
REPORT = 1  # seconds between status updates


class Event:
    def __init__(self, position, data):
        attributes = json.loads(data)
        self.position = position
        self.data = data  # passed on as received
        self.subject = "events." + attributes["topic"]
        self.id = "/".join(attributes[name] for name in ("replayid", "id") if name in attributes)
        self.accepted = False


def end(reason):
    """At once: the event loop would go on without the task that ends."""
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
        self.filled = asyncio.Event()
        self.safe = 0  # all before this position is safe
        self.listen()

    def is_full(self):
        return len(self.queue) >= QUEUE

    def listen(self):
        asyncio.get_running_loop().add_reader(self.stream.socket, self.read)
        self.read()  # of what libpq has already, the socket does not tell

    def read(self):
        try:
            if not self.is_full():  # else libpq would keep all that the server has
                self.stream.consume_input()
            while not self.is_full():
                length, data = self.stream.get_copy_data(1)
                if length < 0:
                    raise Error(f"the stream has ended: {self.stream.get_error_message()}")
                if length == 0:
                    return
                self.take(bytes(data))
            asyncio.get_running_loop().remove_reader(self.stream.socket)
        except Error as e:
            end(e)

    def take(self, message):
        kind, position = struct.unpack_from("!cQ", message)
        if kind == b"w":
            self.queue.append(Event(position, message[25:]))
            self.filled.set()
        elif not self.queue:  # a keepalive, and nothing received is unpublished
            self.safe = max(self.safe, position)
            if message[17]:
                self.acknowledge()

    def settle(self):
        """What was accepted and has no gap before it is safe."""
        while self.queue and self.queue[0].accepted:
            self.safe = max(self.safe, self.queue.popleft().position)
        if not self.queue:
            self.filled.clear()
        self.acknowledge()
        self.listen()

    def acknowledge(self):
        """Written, flushed and applied; the time, which nobody reads; no reply wanted."""
        self.stream.put_copy_data(struct.pack("!cQQQQ?", b"r", self.safe, self.safe, self.safe, 0, False))
        self.stream.flush()

    async def report(self):
        while True:
            self.acknowledge()
            await asyncio.sleep(REPORT)


def send(jetstream, batch):
    """One coroutine for each event, to be started in this order."""
    before = {}  # so that the server takes an event only behind the one before it; the first one has nothing on its way before it
    for event in batch:
        headers = {"Nats-Msg-Id": event.id, "Content-Type": "application/cloudevents+json", **before}
        yield jetstream.publish(event.subject, event.data, headers=headers)
        before = {"Nats-Expected-Last-Msg-Id": event.id}


async def publish(slot, broker):
    """Sends a batch without waiting, then waits for all answers."""
    jetstream = broker.jetstream(timeout=PATIENCE)
    while True:
        await slot.filled.wait()
        while not broker.is_connected:
            if broker.is_closed:  # for good: the client does not connect again after all errors of the server
                end(f"the connection to NATS was closed: {broker.last_error}")
            await asyncio.sleep(PAUSE)
        batch = [event for event in slot.queue if not event.accepted][:BATCH]
        answers = await asyncio.gather(*send(jetstream, batch), return_exceptions=True)
        refused = None
        for event, answer in zip(batch, answers):
            event.accepted = not isinstance(answer, BaseException)
            if not event.accepted and refused is None:
                refused = f"{event.id} was not accepted, and is sent again: {answer}"
        slot.settle()
        for event, answer in zip(batch, answers):
            if isinstance(answer, nats.errors.MaxPayloadError):
                end(f"{event.id} is larger than the server's max_payload")
        if refused:
            print(refused, file=sys.stderr, flush=True)
            await asyncio.sleep(PAUSE)


async def say(error):
    print(f"nats: {error!r}", file=sys.stderr, flush=True)


async def main():
    servers = [f"nats://{address}" for address in os.environ["DOMEV_BROKER"].split(",")]
    broker = await nats.connect(servers, max_reconnect_attempts=-1, reconnect_time_wait=PAUSE, pending_size=0, error_cb=say)
    slot = Slot(os.environ["DOMEV_CONNECTION"], os.environ["DOMEV_SLOT"])
    await asyncio.gather(slot.report(), publish(slot, broker))


try:
    asyncio.run(main())
except Error as e:
    sys.exit(str(e))
