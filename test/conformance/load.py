"""What does the application do meanwhile?  Writers that emit at random, all ways that a transaction can go."""

import random
import threading
import time

import wire

AGGREGATES = 20


class Load:
    def __init__(self, cluster, seed, event_types, writers=4, pause=0.01, prepared=False):
        self.cluster = cluster
        self.event_types = event_types
        self.pause = pause  # seconds between two transactions of a writer, about
        self.prepared = prepared  # with transactions that are prepared
        self.complaints = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n, random.Random(f"{seed}/writer {n}"))) for n in range(writers)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number, rng):
        count = 0
        while not self._stop.is_set():
            try:
                with self.cluster.connect() as c:
                    if number % 2:  # what such a commit loses in a crash was not published either
                        c.query("SET synchronous_commit = off")
                    while not self._stop.wait(rng.expovariate(1 / self.pause)):
                        count += 1
                        self._transaction(c, rng, f"p{number}.{count}")
            except wire.Gone:  # the server was stopped; whether the last transaction is committed, the ledger knows
                self._stop.wait(0.1)
            except wire.Error as e:
                if not str(e).endswith(("(57P03)", "(40P01)", "(57P01)", "(57P02)")):
                    self.complaints.append(f"a writer failed: {e}")
                    return

    def _transaction(self, c, rng, gid):
        end = "ROLLBACK" if rng.random() < 0.1 else "COMMIT"
        kind = rng.choices(["one", "some", "savepoints", "open", "large", "many", "prepared"], [50, 20, 15, 10, 3, 1, 2])[0]
        if kind == "one":
            c.query(f"BEGIN; {self._emit(rng)}; {end}")
        elif kind == "some":
            c.query(f"BEGIN; {self._emit_some(rng, rng.randint(2, 6))}; {end}")
        elif kind == "savepoints":
            c.query(f"BEGIN; {self._emit_with_savepoints(rng)}; {end}")
        elif kind == "open":  # emits early, commits late
            c.query(f"BEGIN; {self._emit_some(rng, 2)}")
            time.sleep(rng.uniform(0, 0.1))
            c.query(end)
        elif kind == "large":
            c.query(f"BEGIN; {self._emit(rng, size=rng.choice([2000, 20000, 200000]))}; {end}")
        elif kind == "many":
            type = rng.choice(self.event_types)
            c.query(f"BEGIN; SELECT count(kit.happen('{type}', 'many')) FROM generate_series(1, {rng.randint(50, 200)}); {end}")
        elif self.prepared:
            c.query(f"BEGIN; {self._emit_some(rng, 2)}; PREPARE TRANSACTION '{gid}'")
            time.sleep(rng.uniform(0, 0.05))
            c.query(f"{end} PREPARED '{gid}'")

    def _emit(self, rng, aggregate=None, size=10):
        if aggregate is None:
            aggregate = rng.randrange(AGGREGATES)
        return f"SELECT kit.happen('{rng.choice(self.event_types)}', 'a{aggregate}', {size})"

    def _emit_some(self, rng, number):
        # in the order of the aggregates, so that writers do not deadlock
        return "; ".join(self._emit(rng, a) for a in sorted(rng.choices(range(AGGREGATES), k=number)))

    def _emit_with_savepoints(self, rng):
        low, middle, high = sorted(rng.sample(range(AGGREGATES), 3))
        return (f"{self._emit(rng, low)}; SAVEPOINT s; {self._emit(rng, middle)}; SAVEPOINT t; {self._emit(rng, middle)}; "
                f"{rng.choice(['ROLLBACK TO t', 'RELEASE t'])}; {rng.choice(['ROLLBACK TO s', 'RELEASE s'])}; {self._emit(rng, high)}")
