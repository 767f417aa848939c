"""How does an idempotent Kafka producer speak with the stand-in for a broker?

As much of Kafka's protocol as librdkafka needs to publish: one broker, three partitions for each topic that is asked for, batches
without compression.  A batch is stored as a whole or not at all, and only if its sequence number is the next one of its producer.
"""

import itertools
import struct
import threading

PRODUCE, FETCH, METADATA, API_VERSIONS, INIT_PRODUCER_ID = 0, 1, 3, 18, 22
VERSIONS = {PRODUCE: (3, 7), FETCH: (4, 4), METADATA: (4, 4), API_VERSIONS: (0, 0), INIT_PRODUCER_ID: (0, 0)}
NOT_ENOUGH_REPLICAS, UNSUPPORTED_VERSION, OUT_OF_ORDER_SEQUENCE_NUMBER = 19, 35, 45
PARTITIONS = 3


class Reader:
    """Takes values off the front of bytes."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack("!" + form, self.take(struct.calcsize("!" + form)))[0]

    def string(self):
        size = self.number("h")
        return None if size < 0 else self.take(size).decode()

    def array(self, item):
        return [item() for _ in range(self.number("i"))]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)
            shift += 7


def string(text):
    return struct.pack("!h", len(text)) + text.encode()


def array(items):
    items = list(items)
    return struct.pack("!i", len(items)) + b"".join(items)


class Batch:
    """The records of one partition in one request."""

    def __init__(self, records):
        reader = Reader(records)
        reader.take(43)
        self.producer, self.epoch, self.sequence, self.count = struct.unpack("!qhii", reader.take(18))
        self.values = [self._value(Reader(reader.take(reader.varint()))) for _ in range(self.count)]

    @staticmethod
    def _value(record):
        record.take(1)  # attributes
        record.varint()  # time
        record.varint()  # offset
        record.take(max(record.varint(), 0))  # key
        return record.take(max(record.varint(), 0))


class Protocol:
    def __init__(self):
        self._lock = threading.Lock()
        self._producers = itertools.count(1)
        self._next = {}  # sequence number, by producer, epoch, topic and partition

    def __call__(self, connection, take):
        port = connection.getsockname()[1]
        with connection.makefile("rb") as requests:
            while True:
                size = requests.read(4)
                request = Reader(requests.read(struct.unpack("!i", size)[0])) if len(size) == 4 else None
                if request is None:
                    return
                api, version, correlation = struct.unpack("!hhi", request.take(8))
                request.string()  # the client's name
                answer = self._answer(request, api, version, port, take)
                if answer is None:
                    return
                connection.sendall(struct.pack("!ii", len(answer) + 4, correlation) + answer)

    def _answer(self, request, api, version, port, take):
        if api == API_VERSIONS:  # in the oldest form, whatever was asked for: it tells what else may be asked
            versions = array(struct.pack("!hhh", key, *range) for key, range in VERSIONS.items())
            return struct.pack("!h", UNSUPPORTED_VERSION if version else 0) + versions
        if api == METADATA:
            return self._metadata(request, port)
        if api == INIT_PRODUCER_ID:
            return struct.pack("!ihqh", 0, 0, next(self._producers), 0)
        if api == PRODUCE:
            return self._produce(request, version, take)
        return None

    @staticmethod
    def _metadata(request, port):
        topics = request.array(request.string)
        one = struct.pack("!ii", 1, 1)
        partitions = array(struct.pack("!hii", 0, n, 1) + one + one for n in range(PARTITIONS))
        broker = struct.pack("!i", 1) + string("127.0.0.1") + struct.pack("!ih", port, -1)
        return (struct.pack("!i", 0) + array([broker]) + string("kit") + struct.pack("!i", 1)
                + array(struct.pack("!h", 0) + string(topic) + b"\0" + partitions for topic in topics))

    def _produce(self, request, version, take):
        request.string()  # the transaction
        request.take(6)  # acks, timeout
        topics = request.array(lambda: (request.string(), request.array(
            lambda: (request.number("i"), request.take(request.number("i"))))))
        answers = []
        for topic, partitions in topics:
            errors = [(partition, self._store(topic, partition, Batch(records), take)) for partition, records in partitions]
            if any(error is None for _, error in errors):
                return None
            tail = struct.pack("!qqq" if version >= 5 else "!qq", 0, -1, *([0] if version >= 5 else []))
            answers.append(string(topic) + array(struct.pack("!ih", partition, error) + tail for partition, error in errors))
        return array(answers) + struct.pack("!i", 0)

    def _store(self, topic, partition, batch, take):
        """An error number, 0 for none; or None: there is to be no answer."""
        producer = (batch.producer, batch.epoch, topic, partition)
        with self._lock:
            expected = self._next.get(producer, 0)
        if batch.sequence < expected:
            return 0  # stored already
        if batch.sequence > expected:
            return OUT_OF_ORDER_SEQUENCE_NUMBER
        accepted = take(*batch.values)
        if accepted:
            with self._lock:
                self._next[producer] = expected + batch.count
        return None if accepted is None else 0 if accepted else NOT_ENOUGH_REPLICAS
