"""Is what a broker holds what was committed?  Arguments: the ledger (lines "id|aggregate|version") and what was read from the broker, in
its order, an event a line.  Prints what it counts; ends with status 0 only if nothing is lost, too much or out of order.
"""

import json
import sys


def judge(ledger, events):
    committed = {id: (aggregate, int(version)) for id, aggregate, version in (line.split("|") for line in ledger)}
    versions, seen, repeats, wrong_order, phantoms, differing = {}, {}, 0, 0, set(), 0
    for line in events:
        event = json.loads(line)
        id = event["id"]
        if id in seen:  # a repeat comes behind its first arrival: it changes no order
            repeats += 1
            differing += seen[id] != line
            continue
        seen[id] = line
        if id not in committed:
            phantoms.add(id)
            continue
        aggregate, version = committed[id]
        wrong_order += event["subject"] != aggregate or version < versions.get(aggregate, 0)
        versions[aggregate] = version
    return {"committed": len(committed), "lost": len(set(committed) - set(seen)), "never committed": len(phantoms),
            "out of order in their key": wrong_order, "repeats that differ": differing, "repeats": repeats}


def main():
    with open(sys.argv[1], encoding="utf-8") as ledger, open(sys.argv[2], encoding="utf-8") as events:
        counts = judge(ledger.read().splitlines(), events.read().splitlines())
    print(", ".join(f"{number} {what}" for what, number in counts.items()))
    faults = sum(counts.values()) - counts["committed"] - counts["repeats"]
    sys.exit(0 if counts["committed"] and not faults else 1)


main()
