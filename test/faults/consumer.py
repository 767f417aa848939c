"""What does the consumer keep?  A process that appends what it is sent to a file, acknowledges it by the rule, and may be killed at any time.

The file is a series of frames, kind, position, length and bytes: S, a stream has begun; E, an event; A, this position is acknowledged next.  What
has been written survives the process, so the rule is: write the events, write the A, acknowledge.
"""

import argparse
import os
import random
import select
import struct
import sys
import time

from cluster import DATABASE, HOST, SLOT, wire
from workload import CONSUMER

FRAME = struct.Struct("!cQI")
REPORT = 0.2  # seconds between acknowledgements that nobody asked for
HELD = 0.3    # seconds for which the wrong one has events that it has acknowledged and not written


def frame(kind, position, data=b""):
    return FRAME.pack(kind, position, len(data)) + data


def frames(data):
    """[(kind, position, bytes)] and where they end: the last one may be torn."""
    found, at = [], 0
    while at + FRAME.size <= len(data):
        kind, position, length = FRAME.unpack_from(data, at)
        if at + FRAME.size + length > len(data):
            break
        found.append((kind, position, data[at + FRAME.size:at + FRAME.size + length]))
        at += FRAME.size + length
    return found, at


class Consumer:
    def __init__(self, options):
        self.port = options.port
        self.rng = random.Random(options.seed)
        self.file = os.open(options.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.safe = 0
        self.reported_at = 0

    def write(self, data):
        while data:
            data = data[os.write(self.file, data):]

    def stream(self):
        with wire.Connection(HOST, self.port, CONSUMER, DATABASE, replication=True, timeout=30) as server:
            server.start_replication(SLOT, 0, {})
            self.safe = self.reported_at = 0
            self.begin()
            self.take(server, server.received())  # what came with the answer
            while True:
                readable, _, _ = select.select([server.socket], [], [], REPORT)
                self.take(server, server.received(wait=True) if readable else [])

    def begin(self):
        self.write(frame(b"S", 0))

    def take(self, server, received):
        self.write(b"".join(frame(b"E", position, rest) for kind, position, rest in received if kind == "data"))
        if self.rng.random() < 0.03:
            time.sleep(self.rng.random() * 0.02)  # written, and not acknowledged
        self.acknowledge(server, received)

    def acknowledge(self, server, received):
        """All that was received is written: so any position that was named is safe, a keepalive's too."""
        safe = max([self.safe, *(position for _, position, _ in received)])
        if safe > self.safe or time.monotonic() > self.reported_at + REPORT:
            self.safe = safe
            self.reported_at = time.monotonic()
            if safe:
                self.write(frame(b"A", safe))
                server.acknowledge(safe)

    def run(self):
        while True:
            try:
                self.stream()
            except (wire.Gone, wire.Error) as e:
                print(e, file=sys.stderr, flush=True)
                time.sleep(0.02)


class EarlyConsumer(Consumer):
    """Wrong: it acknowledges what it has received and not yet written.  Only when it is killed is that to be seen."""

    held = ()
    written_at = 0

    def begin(self):
        self.write_held()
        super().begin()

    def take(self, server, received):
        self.held += tuple(frame(b"E", position, rest) for kind, position, rest in received if kind == "data")
        # Not the end of the WAL, else the stream would look drained while something is held.
        self.acknowledge(server, [message for message in received if message[0] == "data" or not self.held])
        if time.monotonic() > self.written_at + HELD:
            self.write_held()

    def write_held(self):
        self.write(b"".join(self.held))
        self.held = ()
        self.written_at = time.monotonic()


def main():
    parser = argparse.ArgumentParser(description="Keeps events in a file; ledger.py runs it.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--early", action="store_true")
    options = parser.parse_args()
    (EarlyConsumer if options.early else Consumer)(options).run()


if __name__ == "__main__":
    main()
