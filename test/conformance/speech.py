"""How does a publisher speak with the stand-in for a broker?

Each way is a function of (connection, take), which returns when the connection is to be closed.  take(event...) tells whether the
events are accepted, all or none, or None: there is no answer, and the connection is to be closed.
"""

import json
from typing import Callable, NamedTuple

import kafka


def speak_lines(connection, take):
    """One event a line, one answer a line."""
    with connection.makefile("rb") as lines:
        for line in lines:
            accepted = take(line[:-1]) if line.endswith(b"\n") else None
            if accepted is None:
                return
            connection.sendall(b"ok\n" if accepted else b"no\n")


def speak_nats(connection, take):
    """As much of NATS as a publisher to JetStream needs.  Each event is judged by itself: nothing is left out for its Nats-Msg-Id, and
    Nats-Expected-Last-Msg-Id is not looked at, so that events behind a refused one are accepted."""
    connection.sendall(b'INFO {"server_id":"kit","version":"2.9.10","proto":1,"headers":true,"jetstream":true,"max_payload":67108864}\r\n')
    subscriptions = {}
    with connection.makefile("rb") as lines:
        for line in lines:
            verb, *arguments = line.decode().split() or [""]
            if verb == "PING":
                connection.sendall(b"PONG\r\n")
            elif verb == "SUB":
                subscriptions[arguments[0].rstrip("*>")] = arguments[-1]
            elif verb in ("PUB", "HPUB"):
                headers = int(arguments[-2]) if verb == "HPUB" else 0
                event = lines.read(int(arguments[-1]) + 2)[headers:]
                accepted = take(event[:-2]) if event.endswith(b"\r\n") else None
                if accepted is None:
                    return
                reply_to = arguments[1:-2] if verb == "HPUB" else arguments[1:-1]
                for subject in reply_to:  # none: a publisher that does not want to know
                    connection.sendall(_nats_reply(subject, subscriptions, accepted))


def _nats_reply(subject, subscriptions, accepted):
    answer = {"stream": "KIT", "seq": 1} if accepted else {"error": {"code": 503, "err_code": 10077, "description": "refused by the kit"}}
    data = json.dumps(answer).encode()
    sid = next(sid for prefix, sid in subscriptions.items() if subject.startswith(prefix))
    return f"MSG {subject} {sid} {len(data)}\r\n".encode() + data + b"\r\n"


class Speech(NamedTuple):
    speak: Callable
    keeps: str = "commits"  # what order: that of the commits, or only that of "keys"
    batches: bool = False  # several events are stored together or not at all


SPEECHES = {"lines": Speech(speak_lines), "nats": Speech(speak_nats), "kafka": Speech(kafka.Protocol(), keeps="keys", batches=True)}
