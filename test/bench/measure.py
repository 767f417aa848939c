"""How is one thing compared with another?  They take turns, in rounds, and what is compared is the figures of one round.

A machine is faster in one minute than in the next.  So nothing is measured first and its peer later: each round runs every variant
once, in an order that changes from round to round.  The ratio is the median of the rounds' ratios, its spread their least and greatest.
"""

import dataclasses
import json
import random
import statistics
import time
from typing import Optional


def _payload():
    """A JSON document of 330 bytes, as an order would have it."""
    body = {"order": "4711", "total": 0, "customer": {"id": 17, "name": "Zoe Sorensen", "country": "DK"},
            "lines": [{"sku": "A-100", "price": 19.95, "quantity": 2}, {"sku": "B-200", "price": 0, "quantity": 1}],
            "currency": "EUR", "placedat": "2026-11-24T00:57:49Z", "note": ""}
    # Python would write these without their last digit.
    text = json.dumps(body).replace('"total": 0', '"total": 63.10').replace('"price": 0,', '"price": 23.20,')
    return text[:-2] + "x" * (330 - len(text)) + text[-2:]


PAYLOAD = _payload()
assert len(PAYLOAD) == 330 and json.loads(PAYLOAD)["total"] == 63.10

# The outbox that tutorials, and Debezium's outbox router, describe.
OUTBOX_SQL = """CREATE TABLE outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregate_type text NOT NULL, aggregate_id text NOT NULL,
    event_type text NOT NULL, payload jsonb NOT NULL, headers jsonb, created_at timestamptz NOT NULL DEFAULT now());"""


@dataclasses.dataclass
class Row:
    """One line of the report."""

    goal: str  # '1', '5b'; '' if there is no goal for it, and it is shown for comparison
    title: str
    unit: str  # of the figures
    ours: str  # the name of a figure
    peer: str  # the name of the figure that ours is compared with, '' if with none
    ratio: Optional[float]  # ours to peer, None if there is no peer
    spread: Optional[tuple]  # (least, greatest) of the rounds' ratios
    limit: Optional[float]  # the goal
    at_most: bool = True  # is the goal an upper limit (time) or a lower one (TPS)?
    figures: dict = dataclasses.field(default_factory=dict)  # name -> {'median', 'low', 'high', 'values'}
    note: str = ""
    plot: str = ""  # the figure it is drawn in: 'emit', 'tps', 'decode' or 'mappings'; '' for none

    @property
    def met(self):
        """Is the goal met?  None if there is none, or nothing was measured."""
        if self.limit is None or self.ratio is None:
            return None
        return self.ratio <= self.limit if self.at_most else self.ratio >= self.limit


def alternate(variants, rounds, warm_up=1):
    """Runs each of variants (name -> callable that returns its figure) once a round; returns name -> figures, one a round.

    The figures of the first warm_up rounds are thrown away."""
    samples = {name: [] for name in variants}
    order = list(variants)
    chance = random.Random(5)
    for turn in range(-warm_up, rounds):
        chance.shuffle(order)
        for name in order:
            figure = variants[name]()
            if turn >= 0:
                samples[name].append(figure)
    return samples


def summary(values):
    """What the report says of some figures."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "values": list(values)}


def make_row(goal, title, unit, samples, ours, peer, limit=None, at_most=True, note="", plot=""):
    """A row from what alternate returned; peer may be '' if ours is compared with none."""
    ratio = spread = None
    if peer:
        ratios = [ours_value / peer_value for ours_value, peer_value in zip(samples[ours], samples[peer], strict=True)]
        ratio, spread = statistics.median(ratios), (min(ratios), max(ratios))
    figures = {name: summary(values) for name, values in samples.items() if values}
    return Row(goal, title, unit, ours, peer, ratio, spread, limit, at_most, figures, note, plot)


def timed(action, *arguments):
    """The seconds that a call takes."""
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


def timed_sql(cursor, sql, arguments=None):
    """The seconds that a statement takes, as its client sees it."""
    return timed(cursor.execute, sql, arguments)
