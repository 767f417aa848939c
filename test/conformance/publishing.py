"""How does a publisher acknowledge?  The reference, and the ways in which the wrong ones differ from it.

Events are queued as they are received and sent to the broker in batches.  The queue loses an event only at its left end, and
only when the broker has accepted it: what left the queue is the contiguous prefix that is safe, and its last position is what
may be acknowledged.
"""

import os
import select
import socket
import struct
import sys
import time
from collections import deque

import wire
from memory import Memory, Refused

BATCH = 50
PAUSE = 0.1  # seconds before what was refused is sent again
REPORT = 0.5  # seconds between acknowledgements that nobody asked for


class Event:
    __slots__ = ("position", "line", "accepted")

    def __init__(self, position, line):
        self.position = position
        self.line = line
        self.accepted = False


class Broker:
    """The connection to the broker, and the batch that is on its way."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.address = host, int(port)
        self.socket = None
        self.batch = deque()  # sent, not answered
        self.to_send = b""
        self.answers = b""

    def busy(self):
        return bool(self.batch)

    def publish(self, events):
        if self.socket is None:
            self.socket = socket.create_connection(self.address)
            self.socket.setblocking(False)
        self.batch = deque(events)
        self.to_send = b"".join(event.line + b"\n" for event in events)

    def write(self):
        self.to_send = self.to_send[self.socket.send(self.to_send):]

    def read(self):
        """Takes answers; returns the events that they are for, with whether they were accepted."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise OSError("the broker closed the connection")
        *lines, self.answers = (self.answers + data).split(b"\n")
        return [(self.batch.popleft(), line == b"ok") for line in lines]

    def lost(self):
        """Which of the unanswered events are safe is unknown: all of them are to be published again."""
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self.batch.clear()
        self.to_send = self.answers = b""


class Publisher:
    def __init__(self, environment):
        self.server = wire.Connection(**wire.parse_uri(environment["DOMEV_CONNECTION"]), replication=True)
        self.slot = environment["DOMEV_SLOT"]
        self.publication = environment.get("DOMEV_PUBLICATION")
        self.replay = environment.get("DOMEV_REPLAY")
        self.broker = Broker(environment["DOMEV_BROKER"])
        self.memory = Memory()
        self.queue = deque()  # received, not known to be safe
        self.safe = 0  # what may be acknowledged
        self.acknowledged = 0
        self.reported_at = 0.0
        self.paused_until = 0.0

    # What the wrong ones do otherwise

    def check_slot(self):
        """Nothing may have been skipped since this publisher, or the one before it, moved the slot."""
        system, timeline = self.server.query("IDENTIFY_SYSTEM")[0][:2]
        self.memory.compare(self.slot, system, timeline, self.slot_position())

    def start_position(self):
        """0/0: the slot knows better than anybody where to go on."""
        return 0

    def on_received(self, event):
        self.queue.append(event)

    def on_answered(self, event, accepted):
        event.accepted = accepted
        while self.queue and self.queue[0].accepted:
            self.safe = max(self.safe, self.queue.popleft().position)

    # The stream

    def slot_position(self):
        rows = self.server.query(f"SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{self.slot}'")
        return wire.lsn(rows[0][0]) if rows else None

    def options(self):
        return {"replay": self.replay} if self.replay else {}

    def on_data(self, position, data):
        self.on_received(Event(position, data))

    def on_end_of_wal(self, position):
        """All before this position was received.  It is safe only if nothing received is unpublished."""
        if not self.queue:
            self.safe = max(self.safe, position)

    def read_stream(self, wait):
        for kind, position, rest in self.server.received(wait):
            if kind == "data":
                self.on_data(position, rest)
            else:
                self.on_end_of_wal(position)
                if rest:
                    self.acknowledge()

    def acknowledge(self):
        if self.safe > self.memory.position:
            self.memory.keep(self.safe)
        self.server.acknowledge(self.safe)
        self.acknowledged = self.safe
        self.reported_at = time.monotonic()

    # The broker

    def feed_broker(self):
        """Sends the next batch: the events at the left end of the queue that are not accepted."""
        if self.broker.busy() or time.monotonic() < self.paused_until:
            return
        batch = []
        for event in self.queue:
            if not event.accepted:
                batch.append(event)
                if len(batch) == BATCH:
                    break
        if batch:
            self.broker.publish(batch)

    def read_answers(self):
        for event, accepted in self.broker.read():
            if not accepted:
                self.pause()
            self.on_answered(event, accepted)

    def pause(self):
        self.paused_until = time.monotonic() + PAUSE

    def talk_to_broker(self, readable, writable):
        try:
            if writable:
                self.broker.write()
            if readable:
                self.read_answers()
            self.feed_broker()
        except OSError:
            self.broker.lost()
            self.pause()

    def run(self):
        self.check_slot()
        self.server.start_replication(self.slot, self.start_position(), self.options())
        self.read_stream(wait=False)  # what came with the answer
        while True:
            broker = [self.broker.socket] if self.broker.socket else []
            readable, writable, _ = select.select(
                [self.server.socket] + broker, broker if self.broker.to_send else [], [], PAUSE)
            if self.server.socket in readable:
                self.read_stream(wait=True)
            self.talk_to_broker(bool(broker) and broker[0] in readable, bool(writable))
            if self.safe > self.acknowledged or time.monotonic() > self.reported_at + REPORT:
                self.acknowledge()


class PgoutputPublisher(Publisher):
    """The same from pgoutput's messages: the position of a transaction is known at its end."""

    def options(self):
        return {"proto_version": "1", "publication_names": self.publication, "messages": "true"}

    def on_data(self, position, data):
        kind = data[:1]
        if kind == b"M":
            transactional = data[1] & 1
            prefix, rest = data[10:].split(b"\0", 1)
            if transactional and prefix.startswith(b"domev/"):
                self.on_received(Event(0, rest[4:4 + struct.unpack_from("!I", rest)[0]]))
            elif not transactional:
                self.on_end_of_wal(position)
        elif kind == b"C":
            if self.queue and not self.queue[-1].position:
                self.queue[-1].position = position
            self.on_end_of_wal(position)


class AcknowledgesEarly(Publisher):
    """Wrong: to have received an event is not to have published it."""

    def on_received(self, event):
        super().on_received(event)
        self.safe = max(self.safe, event.position)


class AcknowledgesBatch(Publisher):
    """Wrong: an accepted event says nothing of a refused one before it in the batch."""

    def on_answered(self, event, accepted):
        super().on_answered(event, accepted)
        if accepted:
            self.safe = max(self.safe, event.position)


class StartsFromOwnPosition(Publisher):
    """Wrong: a position of one's own outlives the server that it was of."""

    def check_slot(self):
        pass

    def start_position(self):
        return self.memory.position


class MakesSlot(Publisher):
    """Wrong: a new slot begins when it is made, and what was committed before is not in it."""

    def check_slot(self):
        if self.slot_position() is None:
            self.server.query(f"SELECT pg_create_logical_replication_slot('{self.slot}', 'domev')")


class Forgets(Publisher):
    """Wrong where slots may be made again under their name: it cannot tell."""

    def check_slot(self):
        pass


def main(publisher):
    try:
        publisher(os.environ).run()
    except (wire.Error, wire.Gone, Refused) as e:
        sys.exit(f"{publisher.__name__}: {e}")  # it is started again
