"""What did the broker get, and what did it say?  A stand-in for a broker.  How it speaks with publishers is in speech.py.

A policy is a function of (id of the event, how often it came before); it returns what becomes of the event.
"""

import json
import socket
import threading

from peer import holders

OK = "ok"
NO = "no"
HOLD = "hold"  # no answer, until the policy changes
DROP = "drop"  # the connection is closed; the event is not safe
DROP_SAFE = "drop, safe"  # the connection is closed; the event is safe, but nobody was told

SETTLING = 60  # seconds for the connections of a dead publisher to end, on a machine that does much else


class Delivery:
    """One arrival of one event."""
    __slots__ = ("run", "id", "raw", "accepted")

    def __init__(self, run, id, raw, accepted):
        self.run = run  # which start of the publisher it came from
        self.id = id
        self.raw = raw  # the bytes; None if only the id was told
        self.accepted = accepted


def id_of(line):
    """The id in an event's JSON, of one that is replayed behind the replay's; what is no event has none."""
    try:
        event = json.loads(line)
        if not isinstance(event, dict) or not isinstance(event.get("id"), str):
            return None
        return f"{event['replayid']}/{event['id']}" if "replayid" in event else event["id"]
    except ValueError:
        return None


def accept_all(_id, _before):
    return OK


class Broker:
    def __init__(self, file, speak):
        self._speak = speak
        self._file = open(file, "ab", buffering=0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._policy = accept_all
        self._delay = None  # a function that returns seconds
        self._hurry = threading.Event()  # no delays, nothing held: the publisher is dead
        self._open = []  # connections: the other ends' ports
        self._accepted = 0  # of them
        self._held = {}  # id: how many connections hold it
        self._came = {}  # id: how often
        self._safe = set()
        self.run = 0
        self.deliveries = []
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        self._listener.close()
        self._file.close()

    # What scenarios ask

    def set_policy(self, policy=accept_all, delay=None):
        with self._changed:
            self._policy, self._delay = policy, delay
            self._changed.notify_all()

    def came(self, id):
        with self._changed:
            return self._came.get(id, 0)

    def is_safe(self, id):
        with self._changed:
            return id in self._safe

    def is_held(self, id):
        with self._changed:
            return self._held.get(id, 0) > 0

    def progress(self):
        with self._changed:
            return len(self._safe)

    def settle(self, run):
        """Waits until all that a dead publisher sent is dealt with; what comes from now on is of another run.  Returns what is wrong."""
        self._hurry.set()
        with self._changed:
            self._changed.notify_all()
            before = self._accepted
        # Connections are accepted in their order: when ours is, all of the dead are.
        with socket.create_connection(("127.0.0.1", self.port)):
            with self._changed:
                quiet = self._changed.wait_for(lambda: self._accepted > before, SETTLING)
        with self._changed:
            quiet = quiet and self._changed.wait_for(lambda: not self._open, SETTLING)
            self.run = run
            wrong = "" if quiet else self._described()
        self._hurry.clear()
        return wrong

    def _described(self):
        if not self._open:
            return f"for {SETTLING} s the kit itself could not connect to its broker"
        ends = "; ".join(f"port {port}: {', '.join(holders(self.port, port)) or 'nobody'}" for port in self._open)
        return f"something holds connections to the broker after the publisher's process group was killed ({ends})"

    # Connections

    def _listen(self):
        while True:
            try:
                connection, (_, port) = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._open.append(port)
                self._accepted += 1
                self._changed.notify_all()
            threading.Thread(target=self._serve, args=(connection, port), daemon=True).start()

    def _serve(self, connection, port):
        try:
            with connection:
                self._speak(connection, self._take)
        except OSError:
            pass
        finally:
            with self._changed:
                self._open.remove(port)
                self._changed.notify_all()

    def _take(self, *events):
        """Deals with an event, or with several that are stored together or not at all; returns whether they are accepted, or None: the
        connection is to be closed."""
        if self._delay and not self._hurry.is_set():
            self._hurry.wait(self._delay())
        answers = [self._decide(id_of(event)) for event in events]
        if None in answers:
            return None
        accepted = all(answer in (OK, DROP_SAFE) for answer in answers)
        with self._changed:
            for event in events:
                id = id_of(event)
                self._came[id] = self._came.get(id, 0) + 1
                self.deliveries.append(Delivery(self.run, id, event, accepted))
                if accepted:
                    self._safe.add(id)
                    self._file.write(event + b"\n")
            self._changed.notify_all()
        return accepted if all(answer in (OK, NO) for answer in answers) else None

    def _decide(self, id):
        """What becomes of an event; None: the publisher died before it was known."""
        with self._changed:
            policy = self._policy
            answer = policy(id, self._came.get(id, 0))
            if answer != HOLD:
                return answer
            self._held[id] = self._held.get(id, 0) + 1
            try:
                while answer == HOLD:
                    if self._hurry.is_set():
                        return None
                    self._changed.wait_for(lambda: self._policy is not policy or self._hurry.is_set())
                    policy = self._policy
                    answer = policy(id, self._came.get(id, 0))
            finally:
                self._held[id] -= 1
            return None if self._hurry.is_set() else answer
