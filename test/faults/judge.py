"""What is wrong with what arrived?  Compares the consumer's files with the ledger.

lost: in the ledger, and never arrived.  phantom: arrived, and not in the ledger so.  order: not in the order of commits, or not in that of the
transaction.  split: a transaction in parts, or with other events between, or not all of it.  broken: a repeat with other bytes, or the same
event under another id.  acknowledged: what was acknowledged and is not in the ledger; what came again from before a position that the slot had
saved; a slot ahead of all that was acknowledged.
"""

import hashlib
import json
import zlib
from dataclasses import dataclass, fields

from consumer import frames
from workload import KINDS, MAPPED

LATE = KINDS[2]


@dataclass
class Figures:
    events: int = 0     # distinct ones that arrived
    lost: int = 0
    phantom: int = 0
    order: int = 0
    split: int = 0
    broken: int = 0
    acknowledged: int = 0
    repeats: int = 0    # arrivals of events that had arrived before
    repeated: int = 0   # transactions that arrived again, as a whole or in part

    def __add__(self, other):
        return Figures(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def clean(self):
        return not (self.lost or self.phantom or self.order or self.split or self.broken or self.acknowledged)


class Arrival:
    """An event as it came; raises an exception if it cannot be one of ours."""

    __slots__ = ("id", "key", "commit", "index", "last", "content", "aggregate", "digest")

    def __init__(self, raw):
        event = json.loads(raw)
        mapped = event["type"] == MAPPED
        if not mapped and event["type"] not in KINDS:
            raise ValueError(f"type {event['type']}")
        self.id = event["id"]
        self.key = (event["causationid"] if mapped else self.id), mapped
        commit, index = event["sequence"].split(".")
        self.commit, self.index = int(commit, 16), int(index, 16)
        self.last = event.get("endoftransaction", False)
        data = event["data"]
        self.aggregate = event["subject"]
        self.content = self.aggregate, data["ver"], data["n"], zlib.crc32(data["filler"].encode())
        self.digest = hashlib.blake2b(raw, digest_size=8).digest()


class Expected:
    """{(id of the domain event, mapped): (aggregate, ver, n, crc)} and where in its transaction each event is to be."""

    def __init__(self, rows):
        self.content, self.place, self.size = {}, {}, {}
        transactions = {}
        for row in rows:
            transactions.setdefault(row[:2], []).append(row)
        for transaction, its_rows in transactions.items():
            self._add(transaction, its_rows)

    def _add(self, transaction, rows):
        if [row[2] for row in rows] != list(range(1, rows[0][3] + 1)):
            raise RuntimeError(f"the ledger itself lacks rows of {transaction}")
        at_once = [(row[5], mapped) for row in rows for mapped in (False, True) if not (mapped and row[4] == LATE)]
        at_commit = [(row[5], True) for row in rows if row[4] == LATE]
        for row in rows:
            for mapped in False, True:
                self.content[row[5], mapped] = row[0], row[1], row[2], row[6]
        for place, key in enumerate(at_once + at_commit):
            self.place[key] = place
        self.size[transaction] = 2 * len(rows)


class Judge:
    def __init__(self, confirmed):
        self._read = {}         # by file: up to where
        self._known = {}        # by id: (digest, commit) of what has arrived and may arrive again
        self._highest = -1, 0   # commit and index of the last event that arrived for the first time
        self._versions = {}     # by aggregate: of its last event that did
        self._safe = confirmed  # the highest position that was acknowledged
        self._floor = 0         # commits before it are never sent again
        self.complaints = []
        # of the cycle
        self._expected = self._seen = self._transactions = None

    def complain(self, what, arrival):
        self.complaints.append(f"{what}: " + (f"{arrival.id} {arrival.content} at {arrival.commit:X}.{arrival.index}" if isinstance(arrival, Arrival)
                                              else str(arrival)[:300]))

    def check(self, rows, files, confirmed, floor):
        """rows: the ledger of the cycle, which is drained; floor: from where the slot would read again."""
        self.complaints = []
        self._expected = Expected(rows)
        self._seen, self._transactions = set(), {}
        figures = Figures()
        for file in files:
            for stream in self._streams(file):
                self._check_stream(stream, figures)
                for arrival, acknowledged in stream:
                    self._check_arrival(arrival, acknowledged, figures)
        self._check_transactions(figures)
        for key in self._expected.content.keys() - self._seen:
            figures.lost += 1
            self.complain("lost", (key, self._expected.content[key]))
        figures.events = len(self._seen)
        self._check_position(confirmed, figures)
        self._forget(floor)
        return figures

    def _streams(self, file):
        """Lists of (event, was acknowledged), one per connection."""
        with open(file, "rb") as f:
            f.seek(self._read.get(file, 0))
            found, end = frames(f.read())
        self._read[file] = self._read.get(file, 0) + end
        streams, waiting = [[]], []
        for kind, position, data in found:
            if kind == b"S":
                streams.append([])
                waiting = []
            elif kind == b"E":
                waiting.append(len(streams[-1]))
                streams[-1].append([self._parse(data), False, position])
            else:
                self._safe = max(self._safe, position)
                self._mark_acknowledged(streams[-1], waiting, position)
        return [[(arrival, acknowledged) for arrival, acknowledged, _ in stream] for stream in streams]

    def _parse(self, raw):
        try:
            return Arrival(raw)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            return f"{e!r} in {raw[:200]!r}"

    @staticmethod
    def _mark_acknowledged(stream, waiting, position):
        """A position acknowledges whole transactions: those whose last event has it, or one before."""
        done = 0
        for n, at in enumerate(waiting):
            arrival, _, its_position = stream[at]
            if not isinstance(arrival, Arrival) or (arrival.last and its_position <= position):
                done = n + 1
        for at in waiting[:done]:
            stream[at][1] = True
        del waiting[:done]

    def _check_stream(self, stream, figures):
        """Before repeats are left out: whole transactions, one after the other; only the last one may be cut."""
        before = None
        for arrival in (arrival for arrival, _ in stream if isinstance(arrival, Arrival)):
            if before is not None and arrival.commit == before.commit:
                whole = arrival.index == before.index + 1 and not before.last
            else:
                whole = arrival.index == 0 and (before is None or before.last)
            if before is not None and arrival.commit < before.commit:
                figures.order += 1
                self.complain("order in a stream", arrival)
            if not whole:
                figures.split += 1
                self.complain("split in a stream", arrival)
            before = arrival

    def _check_arrival(self, arrival, acknowledged, figures):
        if not isinstance(arrival, Arrival):
            self._phantom(arrival, acknowledged, figures)
        elif arrival.id in self._known:
            figures.repeats += 1
            figures.repeated += arrival.index == 0
            if self._known[arrival.id][0] != arrival.digest:
                figures.broken += 1
                self.complain("other bytes", arrival)
        elif arrival.commit < self._floor:
            figures.acknowledged += 1
            self.complain("came again from before a saved position", arrival)
        else:
            self._known[arrival.id] = arrival.digest, arrival.commit
            self._check_first(arrival, acknowledged, figures)

    def _phantom(self, arrival, acknowledged, figures):
        figures.phantom += 1
        figures.acknowledged += acknowledged
        self.complain("phantom", arrival)

    def _check_first(self, arrival, acknowledged, figures):
        if self._expected.content.get(arrival.key) != arrival.content:
            self._phantom(arrival, acknowledged, figures)
            return
        if arrival.key in self._seen:
            figures.broken += 1
            self.complain("the same under another id", arrival)
        self._seen.add(arrival.key)
        if (arrival.commit, arrival.index) <= self._highest or arrival.content[1] < self._versions.get(arrival.content[0], 0):
            figures.order += 1
            self.complain("order", arrival)
        self._highest = max(self._highest, (arrival.commit, arrival.index))
        self._versions[arrival.content[0]] = arrival.content[1]
        self._transactions.setdefault(arrival.commit, []).append(arrival)

    def _check_transactions(self, figures):
        """Repeats left out: n of N are there, in their order, and the last one says so."""
        for arrivals in self._transactions.values():
            transactions = {arrival.content[:2] for arrival in arrivals}
            places = [self._expected.place[arrival.key] for arrival in arrivals]
            if len(transactions) > 1 or len(arrivals) != self._expected.size[arrivals[0].content[:2]] or \
                    [arrival for arrival in arrivals if arrival.last] != arrivals[-1:]:
                figures.split += 1
                self.complain("split", arrivals[-1])
            elif [arrival.index for arrival in arrivals] != places or places != sorted(places):
                figures.order += 1
                self.complain("order in a transaction", arrivals[0])

    def _check_position(self, confirmed, figures):
        if confirmed > self._safe:
            figures.acknowledged += 1
            self.complain("the slot is ahead of what was acknowledged", f"{confirmed:X}")

    def _forget(self, floor):
        self._floor = max(self._floor, floor)
        self._known = {id: known for id, known in self._known.items() if known[1] >= self._floor}
