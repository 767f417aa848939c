#!/usr/bin/env python3
"""Does the stream of events agree with the ledger, whatever breaks?  Runs cycles of load, faults and judgement; README.md has more.

The last lines are the figures; the exit status is 0 only if nothing was lost, made up, out of order, split, or repeated with other bytes.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter

sys.dont_write_bytecode = True

import faults  # noqa: E402
import workload  # noqa: E402
from cluster import SLOT, Cluster  # noqa: E402
from judge import Figures, Judge  # noqa: E402
from server import free_port  # noqa: E402

DRAIN = 60  # seconds that the rest of the events may take
MEMORIES = ("64kB", "64kB", "1MB", "64MB")  # of decoding: transactions are streamed, or not


def parse_arguments():
    parser = argparse.ArgumentParser(description="Load, faults, and what the ledger says of it.")
    parser.add_argument("--bindir", required=True, help="the programs of PostgreSQL")
    parser.add_argument("--folder", required=True, help="where to make the cluster; must not exist")
    parser.add_argument("--disks", help="a folder with two small file systems, wal and spill; without it disks are not filled")
    parser.add_argument("--port", type=int, default=free_port())
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="the number of the first cycle, to play one again")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)))
    parser.add_argument("--fault", action="append", choices=list(faults.ALL), help="only this one, in each cycle; may be repeated")
    parser.add_argument("--seconds", type=float, default=1.0, help="of load in each cycle")
    parser.add_argument("--early", action="store_true", help="with a consumer that acknowledges too early")
    parser.add_argument("--plugin-folder", help="where to load the output plugin from")
    parser.add_argument("--until-wrong", action="store_true", help="ends after the first cycle that is wrong")
    return parser.parse_args()


class Stage:
    """The cluster, the consumer, and what came of them so far."""

    def __init__(self, options):
        self.options = options
        os.mkdir(options.folder, 0o700)
        self.cluster = Cluster(options.bindir, options.folder, options.port, options.disks)
        self.consumer = faults.ConsumerProcess(options.port, options.folder, options.seed, options.early)
        self.faults = faults.Faults(self)
        self.rng = self.load = self.judge = None
        self.done = Counter()     # faults that took place
        self.missed = Counter()   # and those for which there was nothing to break, or that are not possible here
        self.refused = Counter()  # what the server answered to the writers
        self.retained = 0         # most WAL that the slot kept

    def open(self):
        configuration = subprocess.run(["sh", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "make-conf.sh"), self.options.bindir],
                                       stdout=subprocess.PIPE, text=True, check=True).stdout
        if self.options.plugin_folder:  # for the output plugin alone: the SQL functions name theirs with its folder
            configuration += f"dynamic_library_path = '{self.options.plugin_folder}:$libdir'\n"
        self.cluster.make(configuration)
        self.cluster.start()
        self.cluster.make_database()
        with self.cluster.connect() as connection:
            connection.query(workload.SCHEMA)
        with self.cluster.connect() as connection:  # another session: it loads the plugin, from wherever that is
            connection.query(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'domev')")
        self.judge = Judge(self.cluster.positions()[1])
        self.consumer.start()

    def close(self):
        if self.consumer.process is not None:
            self.consumer.kill()
        self.faults.go_on()
        self.cluster.close()

    # A cycle

    def cycle(self, number):
        """Returns (what was broken, figures, seconds until drained)."""
        self.rng = random.Random(f"{self.options.seed}/{number}")
        names = self.choose()
        self.set_memory(self.rng.choice(MEMORIES))
        self.load = workload.Load(self.cluster, f"cycle-{number}", self.rng)
        self.load.start()
        said = self.break_things(names)
        self.load.over.set()
        self.faults.heal()
        healed = time.monotonic()
        self.load.end()
        self.refused.update(self.load.errors)
        self.cluster.wait_until_up()
        workload.clear_up(self.cluster, self.rng)
        self.drain(names)
        return said, self.judge_cycle(), time.monotonic() - healed

    def choose(self):
        if self.options.fault:
            return [self.rng.choice(self.options.fault)]
        if self.rng.random() < 0.25:
            return []
        return self.rng.choices(list(faults.ALL), k=self.rng.choice((1, 1, 2, 3)))

    def set_memory(self, size):
        self.cluster.query(f"ALTER SYSTEM SET logical_decoding_work_mem = '{size}'")
        self.cluster.query("SELECT pg_reload_conf()")

    def break_things(self, names):
        """At random times of the load.  Returns what became of it, in words."""
        end, said = time.monotonic() + self.options.seconds, []
        for n, name in enumerate(names):
            time.sleep(max(end - time.monotonic(), 0.2) * self.rng.random() / (len(names) - n))
            self.cluster.wait_until_up()
            possible = self.options.disks or name not in faults.NEED_DISKS
            done = possible and faults.ALL[name](self.faults)
            (self.done if done else self.missed)[name] += 1
            said.append(name if done else f"{name} ({'without effect' if possible else 'skipped'})")
        time.sleep(max(end - time.monotonic(), 0))
        return said

    def drain(self, names):
        """Waits until the slot is where the WAL ended."""
        # What a checkpoint writes lets the slot save its position; else it goes back to where it was many cycles ago at each crash.
        if "spill-full" in names or self.rng.random() < 0.5:
            self.cluster.query("CHECKPOINT")
        self.cluster.query("SELECT pg_logical_emit_message(true, 'flush', '')")  # with all that writers did not wait for
        end = self.note_retained()
        deadline = time.monotonic() + DRAIN
        while self.cluster.positions()[1] < end:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not drained in {DRAIN} s: {self.cluster.end_of_log()}")
            time.sleep(0.01)

    def note_retained(self):
        end, _, restart = self.cluster.positions()
        self.retained = max(self.retained, end - restart)
        return end

    def judge_cycle(self):
        _, confirmed, restart = self.cluster.positions()
        figures = self.judge.check(workload.read_ledger(self.cluster), self.consumer.files, confirmed, restart)
        workload.forget(self.cluster)
        return figures


def print_cycle(number, said, figures, drained, seconds, complaints):
    print(f"cycle {number:<4} {', '.join(said) or 'no faults':<44} {figures.events:>6} events, {figures.repeats:>5} repeats, lost {figures.lost}, "
          f"phantom {figures.phantom}, order {figures.order}, split {figures.split}, broken {figures.broken}, acknowledged {figures.acknowledged}, "
          f"drained {drained:.1f} s, {seconds:.1f} s", flush=True)
    for complaint in complaints[:10]:
        print(f"    {complaint}")


def print_figures(stage, figures, cycles, drained, wrong):
    log = stage.cluster.log_since(0)
    print(f"""
seed {stage.options.seed}: {cycles} cycles, {wrong} of them wrong
events {figures.events}
lost {figures.lost}
phantom {figures.phantom}
order {figures.order}
split {figures.split}
duplicates {figures.repeats} before, {figures.broken} after dedupe by id ({figures.repeated} transactions came again; broken repeats {figures.broken})
acknowledged {figures.acknowledged} (acknowledged and not in the ledger, or a position that did not last)
drained in at most {max(drained):.1f} s, {sum(drained) / len(drained):.1f} s on average
at most {stage.retained / 1e6:.1f} MB of WAL retained
faults: {', '.join(f'{name} {count}' for name, count in sorted(stage.done.items())) or 'none'}
without effect, or skipped: {', '.join(f'{name} {count}' for name, count in sorted(stage.missed.items())) or 'none'}
the server's log: {len(re.findall('was not properly shut down', log))} recoveries, {log.count('No space left on device')} times no space, \
{log.count('due to replication timeout')} walsenders timed out
refused to writers: {', '.join(f'{text} {count}' for text, count in stage.refused.most_common()) or 'nothing'}""")


def run(stage, options):
    total, drained, wrong = Figures(), [], 0
    try:
        for number in range(options.first, options.first + options.cycles):
            started = time.monotonic()
            said, figures, seconds = stage.cycle(number)
            print_cycle(number, said, figures, seconds, time.monotonic() - started, stage.judge.complaints)
            total += figures
            drained.append(seconds)
            wrong += not figures.clean()
            if wrong and options.until_wrong:
                break
    finally:  # also of a run that was ended, or broke down
        if drained:
            print_figures(stage, total, len(drained), drained, wrong)
    return not wrong


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped
    print(f"seed {options.seed}, {options.cycles} cycles from number {options.first} on", flush=True)
    if not options.disks:
        print(f"skipped: {', '.join(faults.NEED_DISKS)}, as no small file systems can be mounted here")
    stage = Stage(options)
    try:
        stage.open()
        clean = run(stage, options)
    finally:
        stage.close()
    sys.exit(0 if clean else 1)


main()
