"""What is wrong with what was published?  Compares the arrivals of events with the ledger.

The ledger is a table that each event's own transaction wrote to; the order of its transactions is what the server's own output
plugin says.  Neither comes from domev or from the publisher.
"""

import json
from collections import Counter
from dataclasses import dataclass, fields


@dataclass
class Figures:
    events: int = 0
    lost: int = 0
    phantom: int = 0
    out_of_order: int = 0
    split: int = 0
    duplicates: int = 0
    differing: int = 0
    overtaken: int = 0

    def __add__(self, other):
        return Figures(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def clean(self):
        return not (self.lost or self.phantom or self.out_of_order or self.split or self.differing)


class Ledger:
    """The events that happened, in the order of publication."""

    def __init__(self, rows, transactions):
        rank = {xid: n for n, (xid, _end) in enumerate(transactions)}
        missing = {xid for _id, _aggregate, _version, xid in rows} - set(rank)
        if missing:
            raise RuntimeError(f"the kit's own slot does not know transactions {missing}")
        ordered = sorted(rows, key=lambda row: rank[row[3]])  # stable: the order of emission within each
        self.place = {}  # id: position in all
        self.transaction = {}  # id: xid
        self.key = {}  # id: (aggregate, version)
        self.first = {}  # xid: place of its first event
        self.last = {}
        for place, (id, aggregate, version, xid) in enumerate(ordered):
            self.place[id] = place
            self.transaction[id] = xid
            self.key[id] = aggregate, version
            self.first.setdefault(xid, place)
            self.last[xid] = place


def attributes(delivery):
    """What the plugin tells of the position of an event; nothing, if only ids are known or the plugin is another one."""
    if delivery.raw is None:
        return None, None
    event = json.loads(delivery.raw)
    return event.get("sequence"), event.get("endoftransaction", False)


def topic_of(delivery):
    return None if delivery.raw is None else json.loads(delivery.raw).get("topic")


def first_arrivals(ledger, deliveries):
    seen = set()
    for delivery in deliveries:
        if delivery.id in ledger.place and delivery.id not in seen:
            seen.add(delivery.id)
            yield delivery


def count_out_of_order(ledger, deliveries):
    """Repeats left out, events come in the order of commits, those of a key in the order of its versions."""
    wrong, highest, sequence, versions = 0, -1, "", {}
    for delivery in first_arrivals(ledger, deliveries):
        place = ledger.place[delivery.id]
        aggregate, version = ledger.key[delivery.id]
        own = attributes(delivery)[0] or sequence + "+"
        if place < highest or version < versions.get(aggregate, 0) or own <= sequence:
            wrong += 1
        highest = max(highest, place)
        versions[aggregate] = max(version, versions.get(aggregate, 0))
        sequence = max(sequence, own) if attributes(delivery)[0] else sequence
    return wrong


def count_out_of_order_in_keys(ledger, deliveries):
    """Repeats left out, the events of a key come in the order of its versions, in each topic."""
    wrong, versions = 0, {}
    for delivery in first_arrivals(ledger, deliveries):
        aggregate, version = ledger.key[delivery.id]
        key = aggregate, topic_of(delivery)
        wrong += version < versions.get(key, 0)
        versions[key] = max(version, versions.get(key, 0))
    return wrong


def count_split(ledger, deliveries):
    """Transactions that a start of the publisher did not get whole: from their first event on, without a gap, and with the
    marks that the plugin makes.  Only the last one may lack its end."""
    split = set()
    runs = {}
    for delivery in deliveries:
        runs.setdefault(delivery.run, []).append(delivery)
    for of_run in runs.values():
        before = None
        for delivery in first_arrivals(ledger, of_run):
            place, xid = ledger.place[delivery.id], ledger.transaction[delivery.id]
            if before is not None and before[1] == xid:
                whole = place == before[0] + 1
            else:
                whole = place == ledger.first[xid]
                if before is not None and before[0] != ledger.last[before[1]]:
                    split.add(before[1])
            if not whole:
                split.add(xid)
            before = place, xid
    return len(split | wrongly_marked(ledger, deliveries))


def wrongly_marked(ledger, deliveries):
    """Transactions whose events disagree on their commit position, or whose end is marked elsewhere."""
    wrong, positions = set(), {}
    for delivery in deliveries:
        if delivery.id not in ledger.place:
            continue
        xid = ledger.transaction[delivery.id]
        sequence, ended = attributes(delivery)
        if sequence is None:
            continue
        commit = sequence.split(".")[0]
        if positions.setdefault(xid, commit) != commit or ended != (ledger.place[delivery.id] == ledger.last[xid]):
            wrong.add(xid)
    return wrong


def count_differing(deliveries):
    bytes_of = {}
    for delivery in deliveries:
        if delivery.id is not None and delivery.raw is not None:
            bytes_of.setdefault(delivery.id, set()).add(delivery.raw)
    return sum(len(versions) > 1 for versions in bytes_of.values())


def count_overtaken(ledger, deliveries):
    """Events that the broker accepted before it accepted an earlier one of the same key: after refusals, if lines are pipelined."""
    overtaken, versions = 0, {}
    for delivery in first_arrivals(ledger, [d for d in deliveries if d.accepted]):
        aggregate, version = ledger.key[delivery.id]
        overtaken += version < versions.get(aggregate, 0)
        versions[aggregate] = max(version, versions.get(aggregate, 0))
    return overtaken


def check_replay(replay, ids, deliveries):
    """ids: of the events of a replay, in their order; deliveries: all arrivals of replayed events."""
    expected = [f"{replay}/{id}" for id in ids]
    place = {id: n for n, id in enumerate(expected)}
    of_it = [d for d in deliveries if d.id.startswith(f"{replay}/")]
    out_of_order, highest = 0, -1
    for id in dict.fromkeys(d.id for d in of_it if d.id in place):
        out_of_order += place[id] < highest
        highest = max(highest, place[id])
    accepted = Counter(d.id for d in of_it if d.accepted and d.id in place)
    return Figures(
        events=len(expected),
        lost=len(set(expected) - set(accepted)),
        phantom=len({d.id for d in of_it} - set(expected)),
        out_of_order=out_of_order,
        duplicates=sum(accepted.values()) - len(accepted),
        differing=count_differing(of_it))


def check(ledger, deliveries, safe_before=frozenset(), keeps="commits"):
    """deliveries: all arrivals, in their order; safe_before: what was published of this ledger before them; keeps: the order of what
    the broker keeps, "commits" or only "keys"."""
    whole = keeps == "commits"
    accepted = Counter(d.id for d in deliveries if d.accepted and d.id in ledger.place)
    return Figures(
        events=len(ledger.place),
        lost=len(set(ledger.place) - set(accepted) - set(safe_before)),
        phantom=len({d.id or d.raw for d in deliveries if d.id not in ledger.place}),
        out_of_order=(count_out_of_order if whole else count_out_of_order_in_keys)(ledger, deliveries),
        split=count_split(ledger, deliveries) if whole else len(wrongly_marked(ledger, deliveries)),
        duplicates=sum(accepted.values()) - len(accepted),
        differing=count_differing(deliveries),
        overtaken=(count_overtaken(ledger, deliveries) if whole
                   else count_out_of_order_in_keys(ledger, [d for d in deliveries if d.accepted])))
