"""Is the publisher running?  Starts the command under test, starts it again when it ends, kills it, and reads what it wrote."""

import os
import signal
import subprocess
import threading
import uuid

from broker import Delivery, id_of

RESTART_PAUSE = 0.2  # seconds, so that a publisher that cannot start does not keep the machine busy


class PublishedFile:
    """The file of a publisher that has no use for the broker: ids, or whole events, one a line."""

    def __init__(self, path):
        self.path = path
        self.read_up_to = 0  # whole lines: what a dead publisher left of one is its own to deal with
        self.run = 0
        self.deliveries = []
        self.ids = set()
        self.complaints = []

    def read(self):
        with open(self.path, "rb") as file:
            if os.fstat(file.fileno()).st_size < self.read_up_to:
                self.complaints.append("lines were taken out of the file of published events")
                self.read_up_to = 0
            file.seek(self.read_up_to)
            data = file.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.read_up_to += len(whole)
        for line in whole.splitlines():
            if line.strip():
                self._take(line)

    def _take(self, line):
        try:
            delivery = Delivery(self.run, str(uuid.UUID(line.decode("ascii").strip())), None, True)
        except ValueError:
            delivery = Delivery(self.run, id_of(line), line, True)
        self.deliveries.append(delivery)
        self.ids.add(delivery.id)

    def end_run(self, run):
        """What comes from now on is of another run."""
        self.read()
        self.run = run


class Program:
    """The command under test."""

    def __init__(self, command, folder, environment):
        self.command = command
        self.folder = folder  # its working directory, kept from start to start
        self.environment = environment
        self.log = os.path.join(folder, "..", "publisher.log")
        self.starts = 0
        self.ends = 0  # by itself
        self._wanted = False
        self._process = None
        self._lock = threading.Condition()
        self._closed = False
        os.makedirs(folder)
        threading.Thread(target=self._watch, daemon=True).start()

    def start(self):
        with self._lock:
            self._wanted = True
            self._start()

    def _start(self):
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(["sh", "-c", self.command], cwd=self.folder, env=self.environment,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.starts += 1
        self._lock.notify_all()

    def _watch(self):
        """A publisher may end on errors; it is started again then."""
        while not self._closed:
            with self._lock:
                self._lock.wait_for(lambda: self._process or self._closed, 1)
                process = self._process
            if process is None:
                continue
            process.wait()
            with self._lock:
                if self._process is not process or not self._wanted:
                    continue
                self.ends += 1
                self._kill_group(process)  # what it may have left
                self._lock.wait_for(lambda: not self._wanted, RESTART_PAUSE)
                if self._wanted and self._process is process:
                    self._start()

    @staticmethod
    def _kill_group(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def kill(self):
        with self._lock:
            self._wanted = False
            process, self._process = self._process, None
            self._lock.notify_all()
        if process is not None:
            self._kill_group(process)
            process.wait()

    def close(self):
        self.kill()
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def said(self):
        """How much it has written to its log."""
        return os.path.getsize(self.log)

    def end_of_log(self, lines=20):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except OSError:
            return ""
