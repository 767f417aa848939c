"""What is done to the server and the consumer?  One function per fault; heal() undoes what lasts."""

import os
import signal
import subprocess
import sys
import time

from cluster import SLOT, wire

SECONDS = 1.5  # that a full disk may take to be felt, a consumer to be connected


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


class Faults:
    def __init__(self, stage):
        self.stage = stage
        self.cluster = stage.cluster
        self.stopped = set()  # processes that are paused

    # Who

    def pid(self, sql):
        try:
            rows = self.cluster.query(sql)
        except (wire.Gone, wire.Error):
            return None
        return int(rows[0][0]) if rows and rows[0][0] else None

    def of_type(self, backend_type):
        return self.pid(f"SELECT pid FROM pg_stat_activity WHERE backend_type = '{backend_type}' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1")

    def walsender_pid(self):
        """Once there is one: the consumer may be about to come back."""
        wait_until(self._walsender_pid, SECONDS)
        return self._walsender_pid()

    def _walsender_pid(self):
        return self.pid(f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{SLOT}'")

    # What; each returns whether it was done

    def send(self, pid, number):
        try:
            os.kill(pid, number)
            return True
        except (ProcessLookupError, TypeError):  # TypeError: there was none
            return False

    def crash(self, pid):
        done = self.send(pid, signal.SIGKILL)
        if done:
            self.wait_for_end()
        return done

    def wait_for_end(self):
        """A process of the server has died: it answers for a moment yet, and who asks then for more is cut off."""
        wait_until(lambda: not self.cluster.answers(), SECONDS)

    def pause(self, pid):
        if not self.send(pid, signal.SIGSTOP):
            return False
        self.stopped.add(pid)
        time.sleep(2 * self.stage.rng.random())  # longer than wal_sender_timeout, or not
        self.go_on()
        return True

    def go_on(self):
        while self.stopped:
            self.send(self.stopped.pop(), signal.SIGCONT)

    def backend(self):
        return self.crash(self.of_type("client backend"))

    def walsender(self):
        return self.crash(self.walsender_pid())

    def checkpointer(self):
        return self.crash(self.of_type("checkpointer"))

    def walwriter(self):
        return self.crash(self.of_type("walwriter"))

    def consumer(self):
        self.stage.consumer.kill()
        self.stage.consumer.start()
        return True

    def pause_walsender(self):
        return self.pause(self.walsender_pid())

    def pause_consumer(self):
        return self.pause(self.stage.consumer.process.pid)

    def postmaster(self):
        return self.stop_and_start(signal.SIGKILL)

    def immediate(self):
        return self.stop_and_start(signal.SIGQUIT)

    def restart(self):
        return self.stop_and_start(signal.SIGINT)

    def stop_and_start(self, number):
        self.cluster.signal_postmaster(number)
        self.cluster.start()
        return True

    def wal_full(self):
        done = self.fill("wal", self.stage.rng.randrange(1 << 20))
        if done:
            self.wait_for_end()
        return done

    def spill_full(self):
        return self.fill("spill", self.stage.rng.randrange(1 << 18), self.stage.load.ask_for_big)

    def fill(self, disk, leave, ask=lambda: None):
        """True once the server has said so."""
        since = self.cluster.log_size()
        self.cluster.ballast(disk, leave)
        ask()
        wait_until(lambda: "No space left on device" in self.cluster.log_since(since), SECONDS)
        self.cluster.drop_ballast()
        return "No space left on device" in self.cluster.log_since(since)

    def heal(self):
        self.go_on()
        self.cluster.drop_ballast()
        self.cluster.wait_until_up()


ALL = {"backend": Faults.backend, "walsender": Faults.walsender, "consumer": Faults.consumer, "checkpointer": Faults.checkpointer,
       "walwriter": Faults.walwriter, "postmaster": Faults.postmaster, "immediate": Faults.immediate, "restart": Faults.restart,
       "pause-walsender": Faults.pause_walsender, "pause-consumer": Faults.pause_consumer, "wal-full": Faults.wal_full,
       "spill-full": Faults.spill_full}
NEED_DISKS = ("wal-full", "spill-full")


class ConsumerProcess:
    """Each start writes a file of its own."""

    def __init__(self, port, folder, seed, early):
        self.port = port
        self.folder = folder
        self.seed = seed
        self.early = early
        self.files = []
        self.process = None

    def start(self):
        self.files.append(os.path.join(self.folder, f"arrivals-{len(self.files)}"))
        open(self.files[-1], "xb").close()  # here, as it may be killed before it would
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consumer.py")
        command = [sys.executable, "-B", script, "--port", str(self.port), "--file", self.files[-1], "--seed", f"{self.seed}/{len(self.files)}"]
        with open(os.path.join(self.folder, "consumer.log"), "ab") as log:
            self.process = subprocess.Popen(command + (["--early"] if self.early else []), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()
