#!/usr/bin/env python3
"""Would the judge see it?  Shows it small streams with one thing wrong in each; the exit status is 0 only if it names that, and nothing else."""

import json
import sys
import tempfile
import uuid
import zlib
from dataclasses import asdict

sys.dont_write_bytecode = True

from consumer import frame  # noqa: E402
from judge import Judge  # noqa: E402
from workload import KINDS, MAPPED  # noqa: E402

FILLER = "filler"
RESULTS = "lost", "phantom", "order", "split", "broken", "acknowledged", "repeats"


def row(aggregate, ver, n, total, kind):
    id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{aggregate}.{ver}.{n}"))
    return aggregate, ver, n, total, kind, id, zlib.crc32(FILLER.encode())


ROW, MESSAGE, LATE = KINDS
# Three transactions: one whose last domain event is mapped at once, one whose first is mapped at COMMIT, and the next one of the first aggregate.
LEDGER = [row("1", 1, 1, 2, ROW), row("1", 1, 2, 2, MESSAGE), row("1", 2, 1, 1, ROW), row("2", 1, 1, 2, LATE), row("2", 1, 2, 2, ROW)]
D, M = False, True


def transaction(commit, events):
    """As it is sent: events are pairs of a row and whether it is the mapped one."""
    sent = []
    for index, (row, mapped) in enumerate(events):
        id = str(uuid.uuid5(uuid.UUID(row[5]), "mapped")) if mapped else row[5]
        event = {"id": id, "type": MAPPED if mapped else row[4], "subject": row[0], "sequence": f"{commit:016X}.{index:08X}",
                 "data": {"n": row[2], "ver": row[1], "filler": FILLER}}
        if mapped:
            event["causationid"] = row[5]
        if index == len(events) - 1:
            event["endoftransaction"] = True
        sent.append(event)
    return sent


ONE = transaction(100, [(LEDGER[0], D), (LEDGER[0], M), (LEDGER[1], D), (LEDGER[1], M)])
TWO = transaction(200, [(LEDGER[3], D), (LEDGER[4], D), (LEDGER[4], M), (LEDGER[3], M)])
THREE = transaction(300, [(LEDGER[2], D), (LEDGER[2], M)])
STRANGER = transaction(250, [(row("3", 1, 1, 1, ROW), D)])


def changed(events, at, **attributes):
    return [dict(event, **attributes) if n == at else event for n, event in enumerate(events)]


def early(commit, events):
    """The same transaction with another commit."""
    return [dict(event, sequence=f"{commit:016X}.{event['sequence'].split('.')[1]}") for event in events]


# name: (streams, what it is)
CASES = {
    "all is well": ([ONE + TWO + THREE], {}),
    "cut, and again from the start": ([ONE + TWO[:2], ONE + TWO, TWO + THREE], {"repeats": 10}),
    "a transaction is missing": ([ONE + THREE], {"lost": 4}),
    "its last event is missing": ([ONE[:3] + TWO + THREE], {"lost": 1, "split": 2}),
    "one inside is missing, unseen": ([ONE + [TWO[0], dict(TWO[2], sequence=TWO[1]["sequence"]), dict(TWO[3], sequence=TWO[2]["sequence"])] + THREE],
                                      {"lost": 1, "split": 1}),
    "of a transaction that is not in the ledger": ([ONE + TWO + STRANGER + THREE], {"phantom": 1}),
    "another content": ([ONE + TWO + changed(THREE, 1, data={"n": 1, "ver": 2, "filler": "f"})], {"phantom": 1, "lost": 1, "split": 1}),
    "another type": ([ONE + TWO + changed(THREE, 1, type="domev.unpublishable")], {"phantom": 1, "lost": 1, "split": 1}),
    "transactions swapped": ([TWO + ONE + THREE], {"order": 5}),
    "versions swapped": ([early(50, THREE) + ONE + TWO], {"order": 1}),
    "events of a transaction swapped": ([transaction(100, [(LEDGER[1], D), (LEDGER[1], M), (LEDGER[0], D), (LEDGER[0], M)]) + TWO + THREE],
                                        {"order": 1}),
    "another transaction inside": ([ONE[:2] + TWO + ONE[2:] + THREE], {"split": 2, "order": 3}),
    "begins in the middle": ([ONE + TWO[:2], TWO[2:] + THREE], {"split": 1}),
    "the end is not marked": ([ONE + changed(TWO, 3, endoftransaction=False) + THREE], {"split": 2}),
    "other bytes": ([ONE, changed(ONE, 1, time="now") + TWO + THREE], {"broken": 1, "repeats": 4}),
    "another id": ([ONE, changed(ONE, 1, id=str(uuid.UUID(int=1))) + TWO + THREE], {"broken": 1, "order": 1, "repeats": 3, "split": 1}),
}


def judge(streams, acknowledged=(), confirmed=0):
    """acknowledged: the positions, in the end of the last stream."""
    with tempfile.NamedTemporaryFile() as file:
        for stream in streams:
            file.write(frame(b"S", 0))
            for event in stream:
                file.write(frame(b"E", int(event["sequence"].split(".")[0], 16) + 1, json.dumps(event).encode()))
        for position in acknowledged:
            file.write(frame(b"A", position))
        file.write(frame(b"E", 0, b"torn")[:-1])
        file.flush()
        return Judge(0).check(LEDGER, [file.name], confirmed, 0)


def came_again():
    """After the slot has saved a position behind them."""
    it, figures = Judge(0), None
    for floor in 0, 150:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"".join([frame(b"S", 0), *(frame(b"E", 1, json.dumps(event).encode()) for event in ONE)]))
            file.flush()
            figures = it.check(LEDGER[:2] if not floor else [], [file.name], 0, 150)
    return figures


def main():
    results = {name: (judge(streams), wanted) for name, (streams, wanted) in CASES.items()}
    results["acknowledged, and not in the ledger"] = judge([ONE + TWO + STRANGER + THREE], [301]), {"phantom": 1, "acknowledged": 1}
    results["the slot is ahead"] = judge([ONE + TWO + THREE], [301], 302), {"acknowledged": 1}
    results["from before a saved position"] = came_again(), {"acknowledged": 4}
    wrong = 0
    for name, (figures, wanted) in results.items():
        found = {key: value for key, value in asdict(figures).items() if key in RESULTS and value}
        if found != wanted:
            print(f"{name}: should be {wanted}, is {found}")
            wrong += 1
    print(f"judge: {len(results) - wrong} cases told right, {wrong} wrong")
    sys.exit(bool(wrong))


main()
