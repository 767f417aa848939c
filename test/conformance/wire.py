"""How does one talk to a PostgreSQL server with nothing but sockets?

As much of the protocol as the kit and its publishers need: trust authentication, simple queries, COPY BOTH, and the messages
of streaming replication.
"""

import socket
import struct
import time
from urllib.parse import urlsplit

EPOCH = 946684800  # 2000-01-01, from which the server counts microseconds


class Error(Exception):
    """What the server refused."""

    def __init__(self, fields):
        self.code = fields.get("C", "")
        super().__init__(f"{fields.get('M', 'error')} ({self.code})")


class Gone(Exception):
    """The connection is over."""


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(number):
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def parse_uri(uri):
    parts = urlsplit(uri)
    return {"host": parts.hostname, "port": parts.port or 5432, "user": parts.username, "database": parts.path.lstrip("/")}


def _fields(body):
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}


def _row(body):
    """The values of a row, as text."""
    values, at = [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        length = struct.unpack_from("!i", body, at)[0]
        at += 4
        values.append(None if length < 0 else body[at:at + length].decode())
        at += max(length, 0)
    return tuple(values)


class Connection:
    def __init__(self, host, port, user, database, replication=False, timeout=60):
        self._buffer = bytearray()
        try:
            self.socket = socket.create_connection((host, port), timeout=timeout)
        except OSError as e:
            raise Gone(str(e)) from e
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._log_in(user, database, replication)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def _log_in(self, user, database, replication):
        settings = {"user": user, "database": database, "client_encoding": "UTF8", "application_name": "conformance"}
        if replication:
            settings["replication"] = "database"
        body = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in settings.items()) + b"\0"
        self._send(struct.pack("!II", len(body) + 8, 196608) + body)
        while True:
            kind, body = self._message()
            if kind == b"E":
                raise Error(_fields(body))
            if kind == b"R" and body != b"\0\0\0\0":
                raise Gone("the server wants a password")
            if kind == b"Z":
                return

    def _send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as e:
            raise Gone(str(e)) from e

    def _fill(self):
        try:
            data = self.socket.recv(1 << 16)
        except OSError as e:
            raise Gone(str(e)) from e
        if not data:
            raise Gone("the server closed the connection")
        self._buffer += data

    def _parsed(self):
        """The next message that is wholly here, or None."""
        if len(self._buffer) < 5:
            return None
        length = struct.unpack_from("!I", self._buffer, 1)[0] + 1
        if len(self._buffer) < length:
            return None
        message = bytes(self._buffer[:1]), bytes(self._buffer[5:length])
        del self._buffer[:length]
        return message

    def _message(self):
        while True:
            message = self._parsed()
            if message is not None:
                return message
            self._fill()

    def query(self, sql):
        """Runs statements; returns the rows of all of them."""
        self._send(b"Q" + struct.pack("!I", len(sql.encode()) + 5) + sql.encode() + b"\0")
        rows, error = [], None
        while True:
            kind, body = self._message()
            if kind == b"D":
                rows.append(_row(body))
            elif kind == b"E":
                error = Error(_fields(body))
                if error.code.startswith("57P"):  # shut down, terminated: nothing will follow
                    raise Gone(str(error))
            elif kind == b"Z":
                if error:
                    raise error
                return rows

    def value(self, sql):
        return self.query(sql)[0][0]

    # Streaming replication

    def start_replication(self, slot, position, options):
        listed = ", ".join(f"\"{name}\" '{value}'" for name, value in options.items())
        sql = f'START_REPLICATION SLOT "{slot}" LOGICAL {lsn_text(position)}' + (f" ({listed})" if listed else "")
        self._send(b"Q" + struct.pack("!I", len(sql.encode()) + 5) + sql.encode() + b"\0")
        while True:
            kind, body = self._message()
            if kind == b"E":
                raise Error(_fields(body))
            if kind == b"W":
                return

    def received(self, wait=False):
        """What there is of the stream: ('data', LSN of the header, bytes) and ('keepalive', end of WAL, reply wanted)."""
        if wait:  # there is something to read
            self._fill()
        found = []
        while True:
            message = self._parsed()
            if message is None:
                return found
            kind, body = message
            if kind == b"E":
                raise Error(_fields(body))
            if kind == b"c":
                raise Gone("the server ended the stream")
            if kind != b"d":
                continue
            if body[:1] == b"w":
                found.append(("data", struct.unpack_from("!Q", body, 1)[0], body[25:]))
            elif body[:1] == b"k":
                found.append(("keepalive", struct.unpack_from("!Q", body, 1)[0], body[17] == 1))

    def acknowledge(self, position):
        now = int((time.time() - EPOCH) * 1000000)
        body = b"r" + struct.pack("!QQQQ", position, position, position, now) + b"\0"
        self._send(b"d" + struct.pack("!I", len(body) + 4) + body)
