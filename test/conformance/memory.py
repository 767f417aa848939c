"""Is the slot where the publisher left it?

A slot that was made again, moved by somebody else, or is of another server, begins behind events that nobody published, and does not say so.
So the reference remembers where it has moved the slot to, and compares; it never starts from that position.
"""

import json
import os

import wire


class Refused(Exception):
    """The publisher must not go on: somebody has to look."""


class Memory:
    """The slot's last position that the publisher knows, and of which server it is; in a file of the working directory."""

    path = "acknowledged"

    def __init__(self):
        self.system = self.timeline = None
        self.position = 0
        try:
            with open(self.path, encoding="ascii") as file:
                self.system, self.timeline, self.position = json.load(file)
        except FileNotFoundError:
            pass  # the first start: wherever the slot begins

    def keep(self, position):
        """To be called before the server is told: what is remembered may be ahead of the slot, but not behind it."""
        self.position = position
        with open(self.path + ".new", "w", encoding="ascii") as file:
            json.dump([self.system, self.timeline, self.position], file)
        os.replace(self.path + ".new", self.path)

    def compare(self, slot, system, timeline, confirmed):
        """Takes over where the slot is, or refuses.  confirmed: its position, None if there is no such slot."""
        known = wire.lsn_text(self.position)
        advice = f"; when you know what is missing, remove {os.path.abspath(self.path)}"
        if confirmed is None:
            raise Refused(f'there is no slot "{slot}": gap possible from {known} on; it is not made here, as a new one begins later')
        if self.system is not None and system != self.system:
            raise Refused(f'slot "{slot}" is of another server, {system}, not {self.system}: gap possible from {known} of that one on{advice}')
        if self.system is not None and confirmed > self.position:
            raise Refused(f'slot "{slot}" is at {wire.lsn_text(confirmed)}, but was left at {known}: gap possible between{advice}')
        if self.timeline not in (None, timeline):
            print(f"timeline {timeline}, not {self.timeline}: going on where the slot is, at {wire.lsn_text(confirmed)}, not at {known}", flush=True)
        self.system, self.timeline = system, timeline
        self.keep(confirmed)
