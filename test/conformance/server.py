"""Which server is it?  Throw-away clusters: made once as a template, copied, started, stopped, crashed, failed over."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time

import wire

DATABASE = "shop"
OTHER = "postgres"  # a database with which the publisher has nothing to do
SLOT = "publisher"
TRUTH = "kit_truth"  # of the server's own plugin: tells the kit the order of commits
PUBLICATION = "events"

CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_sender_timeout = '2s'
autovacuum_naptime = '10s'
checkpoint_timeout = '30s'
shared_buffers = '16MB'
"""

# Events come about in one way only: with their row of the ledger, in one transaction.  The lock on the aggregate's row makes
# the order of its versions the order of the commits.
SCHEMA = """
CREATE EXTENSION domev;
SELECT domev.create_topic('kit.rows', scope => 'internal');
SELECT domev.create_topic('kit.messages', scope => 'internal', storage => 'wal');
SELECT domev.create_event_type('kit.row', 'thing', topic => 'kit.rows');
SELECT domev.create_event_type('kit.message', 'thing', topic => 'kit.messages');
CREATE SCHEMA kit;
CREATE TABLE kit.aggregates (id text PRIMARY KEY, version bigint NOT NULL DEFAULT 0);
CREATE TABLE kit.ledger (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL, aggregate text NOT NULL,
    version bigint NOT NULL, xid xid NOT NULL);
CREATE FUNCTION kit.happen(event_type text, aggregate text, size int DEFAULT 10) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v bigint;
    event uuid;
BEGIN
    INSERT INTO kit.aggregates AS a VALUES (aggregate, 1) ON CONFLICT (id) DO UPDATE SET version = a.version + 1 RETURNING version INTO v;
    event := domev.emit(event_type, aggregate, jsonb_build_object('filler', repeat('x', size)), aggregate_version => v);
    INSERT INTO kit.ledger (id, aggregate, version, xid) VALUES (event, aggregate, v, pg_current_xact_id()::xid);
    RETURN event;
END $$;
CREATE PUBLICATION kit_truth FOR TABLE kit.ledger;
CREATE PUBLICATION events;
"""


_taken = []  # sockets of UDP, of which nobody else makes use: other kits see by them that a port is taken, also while no server has it


def free_port():
    """Below the ports that the system gives to clients: they would take a server's while it is restarted; above those of test/interop."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        taken = socket.socket(type=socket.SOCK_DGRAM)
        try:
            taken.bind(("127.0.0.1", port))
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
            _taken.append(taken)
            return port
        except OSError:
            taken.close()


def wait_until(condition, seconds, pause=0.02):
    """The condition's value once it is true; its last value when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(pause)


class Cluster:
    def __init__(self, bindir, folder, port=None):
        self.bindir = bindir
        self.folder = folder
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "server.log")
        self.port = port or free_port()
        self.running = False
        self._kept = {}  # connections, by database

    def _run(self, program, *arguments):
        done = subprocess.run([os.path.join(self.bindir, program), *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=self.folder)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{self.end_of_log()}")

    def end_of_log(self, lines=15):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except OSError:
            return ""

    def make(self, configuration):
        os.makedirs(self.folder)
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
                  "--wal-segsize=1")  # MB; there is little to copy then
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="ascii") as file:
            file.write(configuration + CONFIGURATION)
        self.start()
        with self.connect("postgres") as c:
            c.query(f"CREATE DATABASE {DATABASE}")
        with self.connect() as c:
            c.query(SCHEMA)
        self.stop("fast")

    def copy(self, folder, port=None):
        """A copy of a stopped cluster."""
        other = Cluster(self.bindir, folder, port)
        os.makedirs(folder)
        shutil.copytree(self.data, other.data)
        return other

    def start(self):
        # A pipe would be inherited by the server, and never end: so a file.
        with open(self.log, "a", encoding="utf-8") as log:
            done = subprocess.run([os.path.join(self.bindir, "pg_ctl"), "-D", self.data, "-l", self.log, "-s", "-w", "-t", "60",
                                   "-o", f"-p {self.port}", "start"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(f"the server does not start: {self.end_of_log()}")
        self.running = True

    def stop(self, mode):
        while self._kept:
            self._kept.popitem()[1].close()
        if self.running:
            self._run("pg_ctl", "-D", self.data, "-s", "-w", "-t", "60", "-m", mode, "stop")
            self.running = False

    def promote_copy(self):
        """Starts the copy as a standby would go on after a failover: on a timeline of its own."""
        open(os.path.join(self.data, "recovery.signal"), "w").close()
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="ascii") as file:
            file.write("restore_command = 'false'\n")
        self.start()
        if not wait_until(lambda: self.value("SELECT NOT pg_is_in_recovery()") == "t", 30):
            raise RuntimeError("the copy was not promoted")

    def connect(self, database=DATABASE):
        return wire.Connection("127.0.0.1", self.port, "postgres", database)

    def query(self, sql, database=DATABASE):
        """By a connection that is kept: what is asked over and over would keep the machine busy with logging in."""
        if database in self._kept:
            try:
                return self._kept[database].query(sql)
            except wire.Gone:  # the server was restarted since
                self._kept.pop(database).close()
        self._kept[database] = self.connect(database)
        return self._kept[database].query(sql)

    def value(self, sql, database=DATABASE):
        return self.query(sql, database)[0][0]

    # Slots

    def make_truth(self):
        self.query(f"SELECT pg_create_logical_replication_slot('{TRUTH}', 'pgoutput')")

    def make_slot(self, plugin):
        self.query(f"SELECT pg_create_logical_replication_slot('{SLOT}', '{plugin}')")

    def drop_slot(self):
        """Once the dead publisher's walsender has left it."""
        if not wait_until(lambda: self.value(f"SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{SLOT}'") == "t", 30):
            raise RuntimeError("something reads the slot after the publisher's process group was killed")
        self.query(f"SELECT pg_drop_replication_slot('{SLOT}')")

    def has_slot(self):
        return self.value(f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{SLOT}'") != "0"

    def confirmed(self):
        return wire.lsn(self.value(f"SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{SLOT}'"))

    def walsender(self):
        """Of the publisher: (process, what was sent, when the client last replied), or None."""
        rows = self.query("SELECT s.pid, s.sent_lsn, s.reply_time FROM pg_stat_replication AS s "
                          f"JOIN pg_replication_slots AS r ON s.pid = r.active_pid WHERE r.slot_name = '{SLOT}'")
        if not rows or rows[0][1] is None:
            return None
        pid, sent, replied = rows[0]
        return int(pid), wire.lsn(sent), replied

    def kill_walsender(self):
        """SIGKILL for the publisher's walsender, if it has one: the server takes that for a crash, and starts again by itself."""
        pid = self.value(f"SELECT coalesce(active_pid, 0) FROM pg_replication_slots WHERE slot_name = '{SLOT}'")
        if pid == "0":
            return False
        before = self.checkpointer()
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            return False
        # It answers for a moment yet, and then not; or goes on, if the process was about to end by itself.
        if not wait_until(lambda: self.checkpointer() != before, 2):
            return False
        if not wait_until(lambda: self.checkpointer() not in ("", "0"), 60):
            raise RuntimeError(f"the server does not come up again: {self.end_of_log()}")
        return True

    def checkpointer(self):
        """Its process, another one after each crash; '' or '0' while the server does not work."""
        try:
            return self.value("SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE backend_type = 'checkpointer' AND NOT pg_is_in_recovery()")
        except (wire.Gone, wire.Error):
            return ""

    def end_of_transactions(self):
        """The transactions of the ledger in the order of their commits: [(xid, position of the end)]."""
        self.flush()
        rows = self.query(f"SELECT xid, lsn FROM pg_logical_slot_peek_binary_changes('{TRUTH}', NULL, NULL, 'proto_version', '1', "
                          "'publication_names', 'kit_truth') WHERE get_byte(data, 0) = ascii('C')")
        return [(xid, wire.lsn(position)) for xid, position in rows]

    def ledger(self):
        """[(id, aggregate, version, xid)] in the order in which the events were emitted."""
        rows = self.query("SELECT id, aggregate, version, xid FROM kit.ledger ORDER BY n")
        return [(id, aggregate, int(version), xid) for id, aggregate, version, xid in rows]

    def make_noise(self, times=200):
        """WAL in another database; returns where it ends."""
        self.query(f"SELECT count(pg_logical_emit_message(false, 'noise', repeat('x', 200))) FROM generate_series(1, {times})", OTHER)
        return self.flush()

    def flush(self):
        """Commits of writers that do not wait for it are flushed after this; what is not cannot be decoded.  Returns the end."""
        self.query("SELECT pg_logical_emit_message(true, 'flush', '')", OTHER)
        return wire.lsn(self.value("SELECT pg_current_wal_flush_lsn()"))
