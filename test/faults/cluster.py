"""Which server is broken?  A throw-away cluster that may be killed, filled up and started again, and always comes back.

Its pg_wal, and what logical decoding spills to, are on small file systems of their own if there are any (run.sh mounts them): a ballast
file fills one up.
"""

import os
import signal
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance"))

import wire  # noqa: E402

HOST = "127.0.0.1"
DATABASE = "ledger"
SLOT = "ledger"
PATIENCE = 60  # seconds for the server to come up, or to answer

# Many checkpoints, small files, no recycling of them: so that positions are saved, WAL is removed, and a full disk is felt at once.
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_sender_timeout = '1s'
checkpoint_timeout = '30s'
max_wal_size = '32MB'
min_wal_size = '2MB'
wal_recycle = off
shared_buffers = '32MB'
log_min_error_statement = 'fatal'
log_checkpoints = off
"""


class Cluster:
    def __init__(self, bindir, folder, port, disks=None):
        self.bindir = bindir
        self.folder = folder
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "server.log")
        self.port = port
        self.disks = disks  # with a folder "wal" and a folder "spill", each a small file system
        self.database = "postgres"  # until there is ours
        self.process = None
        self._kept = None

    def make(self, configuration):
        arguments = ["-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"]
        if self.disks:
            arguments += ["-X", os.path.join(self.disks, "wal", "pg_wal")]
        subprocess.run([os.path.join(self.bindir, "initdb"), *arguments], stdout=subprocess.DEVNULL, check=True, cwd=self.folder)
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="ascii") as file:
            file.write(configuration + CONFIGURATION)
        if self.disks:
            os.rmdir(os.path.join(self.data, "pg_replslot"))
            for link in "pg_replslot", "base/pgsql_tmp":
                place = os.path.join(self.disks, "spill", os.path.basename(link))
                os.mkdir(place, 0o700)
                os.symlink(place, os.path.join(self.data, link))

    def make_database(self):
        self.query(f"CREATE DATABASE {DATABASE}")
        self.database = DATABASE
        self.forget_connection()

    # Up and down

    def start(self):
        """Again and again: for a while after the postmaster was killed, what it has left behind is in the way."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with open(self.log, "ab") as log:
                # A child of ours, so that it leaves no zombie whose number would look like a server that runs.
                self.process = subprocess.Popen([os.path.join(self.bindir, "postgres"), "-D", self.data, "-p", str(self.port)],
                                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
            while self.process.poll() is None and time.monotonic() < deadline:
                if self.answers():
                    return
                time.sleep(0.02)
        raise RuntimeError(f"the server does not start: {self.end_of_log()}")

    def signal_postmaster(self, number):
        """Sends it, and waits for its end."""
        self.forget_connection()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the server does not stop: {self.end_of_log()}") from None

    def close(self):
        if self.process is not None:
            self.signal_postmaster(signal.SIGQUIT)

    def answers(self):
        try:
            self.query("SELECT 1")
            return True
        except (wire.Gone, wire.Error):
            return False

    def wait_until_up(self):
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None:
                self.start()
            elif time.monotonic() > deadline:
                raise RuntimeError(f"the server does not come up again: {self.end_of_log()}")
            time.sleep(0.02)

    # Questions

    def connect(self, user="postgres"):
        return wire.Connection(HOST, self.port, user, self.database)

    def forget_connection(self):
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    def query(self, sql):
        """By a connection that is kept; wire.Gone if the server is not there."""
        try:
            if self._kept is None:
                self._kept = self.connect()
            return self._kept.query(sql)
        except wire.Gone:
            self.forget_connection()
            raise

    def positions(self):
        """(end of the WAL that is flushed, what the slot takes for safe, from where it would read again)."""
        row = self.query(f"SELECT pg_current_wal_flush_lsn(), confirmed_flush_lsn, restart_lsn FROM pg_replication_slots WHERE slot_name = '{SLOT}'")[0]
        return tuple(wire.lsn(value) for value in row)

    def log_size(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def log_since(self, size):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            file.seek(size)
            return file.read()

    def end_of_log(self, lines=20):
        return "\n" + "\n".join(self.log_since(0).splitlines()[-lines:])

    # Full disks

    def ballast(self, disk, leave):
        """Fills a disk but for so many bytes."""
        with open(os.path.join(self.disks, disk, "ballast"), "wb") as file:
            for _ in range(100):
                room = os.statvfs(os.path.join(self.disks, disk))
                try:
                    os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_frsize - leave, 1))
                    break
                except OSError:  # the server was faster, and may have filled it up itself
                    pass

    def drop_ballast(self):
        for disk in ("wal", "spill") if self.disks else ():
            path = os.path.join(self.disks, disk, "ballast")
            if os.path.exists(path):
                os.unlink(path)
