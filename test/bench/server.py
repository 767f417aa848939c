"""How does the bench get a PostgreSQL server?  It makes a cluster of its own, with the same settings for all that is compared.

The server is run by whoever runs the bench or, if that is root, by the user postgres.  Clients connect through a socket in the
cluster's folder; nothing listens on the network.
"""

import contextlib
import glob
import os
import pwd
import re
import subprocess
import tempfile

import psycopg2

# Where a load may run; any other is left to the kernel.
ONE_CORE = "one core"
CORE_EACH = "a core each"

SERVER_USER = "postgres"  # runs the server if root starts the bench

# fsync is off so that what is measured is the work and not the disk.  Nothing may checkpoint or vacuum in the middle of a measurement.
SETTINGS = {
    "listen_addresses": "",
    "wal_level": "logical",
    "fsync": "off",
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "16GB",
    "min_wal_size": "1GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "50",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
    "max_prepared_transactions": "10",
    "timezone": "UTC",
}

PLUGINS = ("pgoutput", "test_decoding", "domev", "wal2json", "decoderbufs")  # and the bench's own


class Server:
    """A cluster in FOLDER/data, with its socket and its log in FOLDER.  start() makes it if it is not there."""

    def __init__(self, bindir, folder, port=5600):
        self.bindir = bindir
        self.folder = os.path.abspath(folder)
        self.socket_dir = self.folder
        self.port = port
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "server.log")
        self.version_text = self.program("postgres", "--version").strip()
        self.version = int(re.search(r"\) (\d+)", self.version_text).group(1))

    # The cluster

    def start(self):
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self._make()
        self.program("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "120", "start")
        return self

    def stop(self):
        self.program("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def _make(self):
        os.makedirs(self.folder, exist_ok=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam(SERVER_USER)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.program("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            for name, value in self.settings().items():
                file.write(f"{name} = '{value}'\n")

    def settings(self):
        """What is written to postgresql.conf.  Older minor releases do not know the list of plugins, and refuse to start with it."""
        settings = dict(SETTINGS, port=str(self.port), unix_socket_directories=self.socket_dir)
        if "output_plugin_libraries" in self.program("postgres", "--describe-config"):
            built = [os.path.basename(path)[:-3] for path in sorted(glob.glob(os.path.join(self.pkglibdir(), "bench_*.so")))]
            settings["output_plugin_libraries"] = ", ".join([*PLUGINS, *built])
        return settings

    def program(self, name, *arguments, stdin=None):
        """Runs a program of this PostgreSQL, as the server's user; returns what it prints, raises with its message if it fails."""
        # In a file and not in a pipe: a server that pg_ctl starts would keep the pipe open.
        with tempfile.TemporaryFile("w+") as output:
            result = subprocess.run([os.path.join(self.bindir, name), *arguments], input=stdin, stdout=output, stderr=subprocess.STDOUT,
                                    text=True, cwd="/", **self._identity())
            output.seek(0)
            text = output.read()
        if result.returncode != 0:
            raise RuntimeError(f"{name} failed: {text[-4000:]}")
        return text

    def start_program(self, name, *arguments):
        """A program of this PostgreSQL that goes on, as the server's user; whoever starts it ends it."""
        return self.start_command(os.path.join(self.bindir, name), *arguments)

    def start_command(self, *command, environment=None):
        """The same for any program."""
        with open(os.path.join(self.folder, "programs.log"), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                    env={**os.environ, **(environment or {})}, **self._identity())

    def _identity(self):
        """Arguments of subprocess that leave root."""
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam(SERVER_USER)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def pkglibdir(self):
        """From the server itself: pg_config belongs to another package."""
        text = self.program("pg_config", "--pkglibdir") if os.path.exists(os.path.join(self.bindir, "pg_config")) else ""
        return text.strip() or self.value("postgres", "SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'")

    # Databases

    def create_database(self, name):
        """A new one with domev; what has that name is dropped first."""
        self.drop_database(name)
        self.run("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        self.run(name, "CREATE EXTENSION domev")

    def drop_database(self, name):
        """With its slots, and whoever is connected."""
        if self.value("postgres", "SELECT count(*) FROM pg_database WHERE datname = %s", (name,)) == 0:
            return
        self.run("postgres", f"""
            SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE database = '{name}' AND active_pid IS NOT NULL;
            SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{name}';
            DROP DATABASE {name} WITH (FORCE);""")

    def connect(self, database, **kwargs):
        """A psycopg2 connection with autocommit on; keyword arguments go to psycopg2.connect, say options or connection_factory."""
        connection = psycopg2.connect(host=self.socket_dir, port=self.port, user="postgres", dbname=database, **kwargs)
        if "connection_factory" not in kwargs:  # those of replication do so by themselves
            connection.autocommit = True
        return connection

    def run(self, database, sql):
        """Statements, each in a transaction of its own unless they say otherwise, by one connection (psql); returns what they print."""
        return self.program("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.socket_dir, "-p", str(self.port),
                            "-U", "postgres", "-d", database, "-f", "-", stdin=sql)

    def value(self, database, sql, arguments=None):
        """The first column of the first row."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, arguments)
                return cursor.fetchone()[0]
        finally:
            connection.close()

    def has_extension(self, name):
        return self.value("postgres", "SELECT count(*) FROM pg_available_extensions WHERE name = %s", (name,)) > 0

    def has_plugin(self, name):
        """Is there a library of that name?"""
        return os.path.exists(os.path.join(self.pkglibdir(), name + ".so"))

    # Load

    def pgbench(self, database, script_text, clients=1, seconds=5):
        """Transactions per second of a script (without the time to connect)."""
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(script_text)
            script.flush()
            os.chmod(script.name, 0o644)
            text = self.program("pgbench", "-n", "-M", "prepared", "-T", str(seconds), "-c", str(clients), "-j", str(clients), "-f", script.name,
                                "-h", self.socket_dir, "-p", str(self.port), "-U", "postgres", database)
        if re.search(r"number of failed transactions: [1-9]|ERROR|FATAL", text):
            raise RuntimeError(f"pgbench had failures: {text[-4000:]}")
        return float(re.search(r"^tps = ([0-9.]+)", text, re.MULTILINE).group(1))

    @contextlib.contextmanager
    def placed(self, load):
        """Keeps what is started in here, programs and backends, on the cores that the load is to use (why: goals/transactions.py)."""
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
            postmaster = int(file.readline())
        before = {process: os.sched_getaffinity(process) for process in (0, postmaster)}
        cores = sorted(before[0] & before[postmaster])
        if load == ONE_CORE:
            places = {0: {cores[-1]}, postmaster: {cores[-1]}}
        elif load == CORE_EACH:
            places = {0: {cores[0]}, postmaster: {cores[-1]}}
        else:
            places = before
        try:
            for process, place in places.items():
                os.sched_setaffinity(process, place)
            yield
        finally:
            for process, place in before.items():
                os.sched_setaffinity(process, place)

    # Memory

    def backend_memory(self, pid):
        """{'VmHWM': most it ever had, 'RssAnon': what is its own now}, in kB.  The first counts the shared buffers it has touched."""
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        return {name: int(lines[name].split()[0]) for name in ("VmHWM", "RssAnon")}
