"""Does any call make domev fail in a way that it does not document?  Random calls on a server of the fuzzer's own, judged by oracle.py.

To be run by run.sh.  The calls are those of episodes; each starts from the same state (world.sql) and follows from the seed and its
number alone, so that --episode plays one again.  At the end are controls: failures that are made must be found.  The exit status is
0 if there was none but those.
"""

import argparse
import os
import random
import re
import sys
import time

import psycopg2
import psycopg2.extras

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

import calls  # noqa: E402  pylint: disable=wrong-import-position
import oracle  # noqa: E402  pylint: disable=wrong-import-position
import stream  # noqa: E402  pylint: disable=wrong-import-position
from server import Server  # noqa: E402  pylint: disable=wrong-import-position

# JSON, times and intervals stay text: Python cannot read all that PostgreSQL can write.
psycopg2.extras.register_default_json(globally=True, loads=str)
psycopg2.extras.register_default_jsonb(globally=True, loads=str)
psycopg2.extensions.register_type(psycopg2.extensions.new_type((1082, 1114, 1184, 1186), "TIME", lambda value, cursor: value))

EPISODE = 2000   # calls
TIMEOUT = 120    # seconds, after which a statement hangs
ROLES = {"postgres": 0.6, "fuzz_app": 0.3, "fuzz_plain": 0.1}
SHOWN = 5        # failures of a kind
BEGINS = ("BEGIN", "BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN READ ONLY",
          "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE")
STRANGE_LOG = re.compile(r"PANIC|terminated by signal|TRAP:|AddressSanitizer|LeakSanitizer|runtime error:")

# What must be found; 22012 as well: it is documented nowhere.
CONTROL = """
    CREATE OR REPLACE FUNCTION domev.fuzz_control(code text DEFAULT 'XX000') RETURNS void LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = CASE WHEN code = 'XX000' THEN code ELSE '22012' END; END $$;
    ALTER EXTENSION domev ADD FUNCTION domev.fuzz_control(text)"""


class FuzzServer(Server):
    def settings(self):
        settings = dict(super().settings())
        settings.update({
            "shared_buffers": "128MB", "max_wal_size": "2GB", "min_wal_size": "256MB", "autovacuum": "on", "max_stack_depth": "2MB",
            # the postmaster's messages, not the errors of a million calls
            "log_min_messages": "log", "log_min_error_statement": "panic", "log_checkpoints": "off", "log_connections": "off",
            "log_replication_commands": "off", "log_line_prefix": "%e ",
        })
        return settings

    def connect_as(self, user, **kwargs):
        connection = psycopg2.connect(host=self.socket_dir, port=self.port, user=user, dbname="postgres",
                                      options=f"-c statement_timeout={TIMEOUT}s -c lock_timeout={TIMEOUT // 2}s -c client_min_messages=error", **kwargs)
        if not kwargs:
            connection.autocommit = True
        return connection


class Failures:
    """Counts failures by kind and prints the first of each, with all that it takes to play them again."""

    def __init__(self, seed, quiet=False):
        self.seed = seed
        self.quiet = quiet
        self.kinds = {}

    def add(self, where, kind, statement, message, history=()):
        count = self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if self.quiet or count > SHOWN:
            return
        print(f"\nFAILED {kind[0]}: {kind[1]}\n  {message}\n  seed {self.seed}, {where}\n  {cut(statement)}", flush=True)
        for line in history[-12:]:
            print(f"    after {cut(line, 300)}", flush=True)

    def total(self):
        return sum(self.kinds.values())


def cut(text, size=2000):
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= size else f"{text[:size]} ... ({len(text)} characters)"


class Episode:
    """EPISODE calls by three sessions in turns, each with transactions of its own."""

    def __init__(self, fuzzer, number, size, only=None):
        self.fuzzer = fuzzer
        self.server = fuzzer.server
        self.number = number
        self.size = size
        self.random = random.Random(f"{fuzzer.seed}/{number}")
        self.step = 0
        self.history = []    # of the present transaction
        self.savepoints = 0
        self.refusals = 0    # of options
        self.sessions = {}
        self.judge = self.server.connect_as("postgres")
        self.prepare(only)

    def prepare(self, only):
        fuzzer = self.fuzzer
        functions = fuzzer.functions()
        fuzzer.oracle = oracle.Oracle(functions)
        self.calls = calls.Calls(self.random.random(), functions, fuzzer.settings, fuzzer.options, only)
        self.calls.genuine = fuzzer.sealed
        self.calls.views = self.rows("""
            SELECT format('%I.%I', n.nspname, c.relname), ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
                ARRAY(SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0)
            FROM pg_class AS c JOIN pg_namespace AS n ON c.relnamespace = n.oid WHERE c.relkind = 'v' AND n.nspname IN ('domev_topic', 'domev_event') ORDER BY 1""")
        self.calls.views = [(name, tuple(zip(names, types))) for name, names, types in self.calls.views]

    def rows(self, sql):
        with self.judge.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def run(self):
        role = "postgres"
        while self.step < self.size:
            session = self.session(role)
            if session.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE:
                self.history, self.savepoints = [], 0
                role = self.random.choices(list(ROLES), list(ROLES.values()))[0]
                session = self.session(role)
            self.play(session, role)
        for session in self.sessions.values():
            session.close()
        self.sessions = {}
        self.read_slot()
        self.judge.close()

    def session(self, role):
        if role not in self.sessions or self.sessions[role].closed:
            self.sessions[role] = self.server.connect_as(role)
        return self.sessions[role]

    def play(self, session, role):
        status = session.info.transaction_status
        statement = self.control(status)
        if statement is None:
            if role == "postgres" and status == psycopg2.extensions.TRANSACTION_STATUS_IDLE and self.random.random() < 0.01:
                self.start_replication()
                return
            statement = self.calls.next()
            self.step += 1
            self.fuzzer.count(statement)
        self.execute(session, role, statement)

    def control(self, status):
        """A statement that begins, ends or divides a transaction; None: a call is next."""
        rng = self.random
        if status == psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            return self.other(rng.choice(BEGINS)) if rng.random() < 0.15 else None
        chance = rng.random()
        if status == psycopg2.extensions.TRANSACTION_STATUS_INERROR:
            if chance < 0.03:
                return None
            return self.other(f"ROLLBACK TO fuzz_{rng.randrange(self.savepoints) + 1}" if self.savepoints and chance < 0.7 else "ROLLBACK")
        if chance < 0.10:
            return self.other("COMMIT", commit=True)
        if chance < 0.12:
            return self.other("PREPARE TRANSACTION 'fuzz'", commit=True)
        if chance < 0.17:
            return self.other("ROLLBACK")
        if chance < 0.27:
            self.savepoints += 1
            return self.other(f"SAVEPOINT fuzz_{self.savepoints}")
        if chance < 0.33 and self.savepoints:
            return self.other(f"{rng.choice(('ROLLBACK TO', 'RELEASE'))} fuzz_{rng.randrange(self.savepoints) + 1}")
        if chance < 0.35:
            return self.other("SET CONSTRAINTS ALL IMMEDIATE", commit=True)
        return None

    def other(self, sql, commit=False):
        about = tuple(function.signature for function in self.calls.functions if function.name == "map_deferred") if commit else ()
        return calls.Statement(sql, about, ("statement", "mapping") if commit else ("statement",), (), "control")

    def execute(self, session, role, statement):
        started = time.monotonic()
        try:
            with session.cursor() as cursor:
                cursor.execute(statement.sql.encode("utf-8", "surrogateescape"))
                rows = cursor.fetchall() if cursor.description else []
            self.fuzzer.succeeded(statement)
            if statement.kind == "option":
                self.check_events(statement, rows)
        except psycopg2.Error as error:
            self.judge_error(session, role, statement, error)
        except UnicodeDecodeError as error:  # text that is none got into the database
            self.failed(statement, "bytes that are no UTF-8", str(error))
        self.fuzzer.slowest = max(self.fuzzer.slowest, (time.monotonic() - started, cut(statement.sql, 200)))
        self.history.append(statement.sql)
        if statement.sql.startswith("PREPARE TRANSACTION"):
            self.end_prepared()

    def end_prepared(self):
        for gid, in self.rows("SELECT gid FROM pg_prepared_xacts WHERE gid = 'fuzz'"):
            self.execute(self.judge, "postgres", self.other(f"{self.random.choice(('COMMIT', 'ROLLBACK'))} PREPARED '{gid}'"))

    def judge_error(self, session, role, statement, error):
        if session.closed or error.pgcode is None:
            self.failed(statement, "no SQLSTATE: the connection is lost", str(error))
            session.close()
            self.fuzzer.wait_for_server()
            self.judge = self.server.connect_as("postgres")
        elif not self.fuzzer.oracle.accepts(statement, error.pgcode, role == "postgres", lambda: self.raised_alone(statement)):
            self.failed(statement, error.pgcode, str(error).splitlines()[0] + f" (as {role})")
        elif statement.kind == "option" and error.pgcode != "25P02":
            self.refusals += 1
            if self.refusals % 10 == 0:
                self.use_slot(statement)

    def raised_alone(self, statement):
        codes = set()
        for value, kind in statement.arguments:
            try:
                with self.judge.cursor() as cursor:
                    cursor.execute(f"SELECT ({value})::{kind}".encode("utf-8", "surrogateescape"))
            except psycopg2.Error as error:
                codes.add(error.pgcode)
        return codes

    def failed(self, statement, what, message):
        subject = statement.about[0] if statement.about else statement.kind
        self.fuzzer.failures.add(f"episode {self.number}, call {self.step}", (what, subject), statement.sql, message, self.history)

    # Slots

    def check_events(self, statement, rows):
        try:
            self.fuzzer.read += len(rows)
            for data, in rows:
                if "binary" not in statement.sql:
                    stream.check_json(data)
                elif bytes(data[:1]) == b"{":
                    stream.check_json(bytes(data).decode("utf-8"))
                else:
                    stream.check_protobuf(data)
        except (stream.Broken, UnicodeDecodeError) as error:
            self.failed(statement, "what the slot gave", str(error))

    def use_slot(self, statement):
        """After an error the slot must be as usable as ever."""
        try:
            self.rows("SELECT data FROM pg_logical_slot_peek_changes('fuzz', NULL, 1)")
        except psycopg2.Error as error:
            self.failed(statement, "the slot afterwards", str(error))

    def read_slot(self):
        """All that was written must be decoded, without an error; and what domev sealed serves the next episodes to be damaged."""
        statement = calls.Statement("reading the slot at the end", kind="slot")
        try:
            with self.judge.cursor() as cursor:
                for event in stream.check_slot(cursor, "fuzz"):
                    self.fuzzer.events += 1
                    self.fuzzer.unpublishable += event["type"] == "domev.unpublishable"
                    if event.get("subject", "").startswith("sealed "):
                        raise stream.Broken("a message that was written again was sent: " + event["id"])
        except (psycopg2.Error, stream.Broken, UnicodeDecodeError) as error:
            self.failed(statement, getattr(error, "pgcode", None) or "what the slot gave", str(error)[:1000])

    def start_replication(self):
        """The options as a client of the replication protocol gives them."""
        command = self.calls.start_command()
        if command is None:
            return
        statement = calls.Statement(command, ("option",), (), (), "start")
        self.step += 1
        self.fuzzer.count(statement)
        connection = self.server.connect_as("postgres", connection_factory=psycopg2.extras.LogicalReplicationConnection)
        try:
            connection.cursor().start_replication_expert(command)
            self.fuzzer.succeeded(statement)
        except psycopg2.Error as error:
            if error.pgcode not in self.fuzzer.oracle.scopes["option"]:
                self.failed(statement, error.pgcode or "no SQLSTATE: the connection is lost", str(error))
        connection.close()
        while self.rows("SELECT count(*) FROM pg_replication_slots WHERE active")[0][0]:
            time.sleep(0.001)


class Fuzzer:
    def __init__(self, server, seed):
        self.server = server
        self.seed = seed
        self.failures = Failures(seed)
        self.oracle = None
        self.settings = []
        self.options = []
        self.sealed = []  # contents of WAL messages that domev wrote
        self.made = {}    # calls by function or kind
        self.passed = {}  # of those, without an error
        self.events = 0   # read at the end of episodes
        self.read = 0     # by the calls
        self.unpublishable = 0
        self.slowest = (0, "")

    def count(self, statement):
        key = statement.about[0] if statement.kind == "function" else statement.kind
        self.made[key] = self.made.get(key, 0) + 1

    def succeeded(self, statement):
        key = statement.about[0] if statement.kind == "function" else statement.kind
        self.passed[key] = self.passed.get(key, 0) + 1

    def functions(self):
        connection = self.server.connect_as("postgres")
        with connection.cursor() as cursor:
            cursor.execute(calls.FUNCTIONS)
            functions = [calls.Function(row) for row in cursor]
        connection.close()
        return functions

    def make_world(self):
        """Afresh; what was not read of the slots goes with it."""
        self.server.run("postgres", """
            SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots;
            SELECT pg_create_logical_replication_slot('sealed', 'test_decoding');
            DO $$ DECLARE name text; BEGIN FOR name IN SELECT unnest('{fuzz_app, fuzz_plain}'::text[]) EXCEPT SELECT rolname FROM pg_roles LOOP
                EXECUTE format('CREATE ROLE %I LOGIN', name); END LOOP; END $$;""")
        self.server.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.server.socket_dir, "-p", str(self.server.port), "-U", "postgres",
                            "-o", "/dev/null", "-f", os.path.join(HERE, "world.sql"), "postgres")
        self.sealed = [line for line in self.server.run("postgres", """
            SELECT substring(data FROM 'content:(.*)$') FROM pg_logical_slot_get_changes('sealed', NULL, NULL) WHERE data LIKE 'message:%';
            SELECT pg_drop_replication_slot('sealed');
            SELECT pg_create_logical_replication_slot('fuzz', 'domev');""").encode().splitlines() if line.startswith(b"{")]
        if not self.settings:
            self.look_around()

    def look_around(self):
        connection = self.server.connect_as("postgres")
        with connection.cursor() as cursor:
            cursor.execute("SELECT domev.emit('none', 1); SELECT name FROM pg_settings WHERE name LIKE 'domev.%'")
            self.settings = [name for name, in cursor]
            try:
                cursor.execute("SELECT * FROM pg_logical_slot_peek_changes('fuzz', NULL, NULL, 'no option', '')")
            except psycopg2.Error as error:
                self.options = error.diag.message_hint.partition(": ")[2].rstrip(".").split(", ")
        connection.close()

    def wait_for_server(self):
        for _ in range(600):
            try:
                self.server.connect_as("postgres").close()
                return
            except psycopg2.OperationalError:
                time.sleep(0.1)
        raise RuntimeError("the server does not come back")

    def play(self, number, size, only=None, before=None):
        self.make_world()
        if before:
            self.server.run("postgres", before)
        Episode(self, number, size, only).run()

    def run(self, count):
        done = number = 0
        while done < count:
            size = min(EPISODE, count - done)
            self.play(number, size)
            done += size
            number += 1
            if number % 25 == 0:
                print(f"{done} calls, {self.failures.total()} failures, {self.events} events", flush=True)

    # Afterwards

    def check_log(self):
        with open(self.server.log, encoding="utf-8", errors="replace") as file:
            strange = [line.rstrip() for line in file if STRANGE_LOG.search(line)]
        for line in strange[:20]:
            self.failures.add("the server's log", ("in the server's log", line[:80]), line, "")
        return strange

    def check_reach(self):
        """A function that was never called without an error was not tried in earnest.  Trigger functions have their own kind."""
        functions = [function for function in self.functions() if not function.is_trigger]
        for name in sorted({function.name for function in functions}):
            if not any(self.passed.get(function.signature) for function in functions if function.name == name):
                self.failures.add("all episodes", ("never succeeded", name), "", "")
        for kind in ("change", "option", "start", "message", "row", "setting", "prepared"):
            if not self.passed.get(kind):
                self.failures.add("all episodes", ("never succeeded", kind), f"{self.made.get(kind, 0)} calls", "")

    def check_controls(self):
        """Can it fail?  A function that raises what it must not, a backend that dies, and a slot that gives no events."""
        control = Fuzzer(self.server, self.seed)
        control.failures.quiet = True
        control.settings, control.options = self.settings, self.options
        control.play(0, 50, only="^domev.fuzz_control", before=CONTROL)
        found = {kind[0] for kind in control.failures.kinds}
        for code in ("XX000", "22012"):
            self.expect(code in found, f"a function that raises {code}")
        self.control_of_stream()
        self.server.run("postgres", "DROP EXTENSION domev CASCADE")
        connection = self.server.connect_as("postgres")
        os.kill(connection.info.backend_pid, 11)
        self.wait_for_end(connection)
        self.wait_for_server()
        self.expect(self.will_be_found(control), "a backend that dies")

    def control_of_stream(self):
        for text in ("", "{}", '{"specversion": NaN}', '{"specversion":"1.0","id":"x"'):
            try:
                stream.check_json(text)
                self.expect(False, f"the event {text!r}")
            except stream.Broken:
                pass
        try:
            stream.check_protobuf(b"\x0a\x05x")
            self.expect(False, "an event in protobuf that is cut")
        except stream.Broken:
            pass

    def wait_for_end(self, connection):
        try:
            for _ in range(600):
                connection.cursor().execute("SELECT 1")
                time.sleep(0.1)
        except psycopg2.Error:
            pass

    def will_be_found(self, control):
        """The postmaster says so when it has noticed, which may be after a new connection."""
        for _ in range(600):
            if control.check_log():
                return True
            time.sleep(0.1)
        return False

    def expect(self, found, what):
        if not found:
            self.failures.add("the controls", ("not found", what), "", "")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Calls domev with every kind of argument.")
    parser.add_argument("--calls", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episode", type=int, help="only this one")
    parser.add_argument("--bindir", required=True, help="the programs of the PostgreSQL to use")
    parser.add_argument("--folder", required=True, help="for the cluster; a short path, as a socket is made in it")
    parser.add_argument("--port", type=int, default=5631, help="names the socket; nothing listens on the network")
    return parser.parse_args()


def report(fuzzer, started):
    made, passed = sum(fuzzer.made.values()), sum(fuzzer.passed.get(key, 0) for key in fuzzer.made)
    print(f"\n{made} calls of {len(fuzzer.made)} functions and kinds in {time.monotonic() - started:.0f} s (seed {fuzzer.seed}): {passed} without an error, "
          f"{fuzzer.read + fuzzer.events} events read, of the last {fuzzer.events} were {fuzzer.unpublishable} unpublishable; the slowest call took {fuzzer.slowest[0]:.1f} s")
    for kind, count in sorted(fuzzer.failures.kinds.items(), key=lambda item: -item[1]):
        print(f"{count} x {kind[0]}: {kind[1]}")
    print(f"{made} calls, {fuzzer.failures.total()} failures", flush=True)


def main():
    arguments = parse_arguments()
    server = FuzzServer(arguments.bindir, arguments.folder, arguments.port)
    server.start()
    fuzzer = Fuzzer(server, arguments.seed)
    started = time.monotonic()
    try:
        if arguments.episode is not None:
            fuzzer.play(arguments.episode, EPISODE)
        else:
            fuzzer.run(arguments.calls)
            if arguments.calls >= 10000:
                fuzzer.check_reach()
        fuzzer.check_log()
        report(fuzzer, started)
        before = fuzzer.failures.total()
        fuzzer.check_controls()
        print("the controls: " + ("found" if fuzzer.failures.total() == before else "not all found"), flush=True)
    finally:
        server.stop()
    return 1 if fuzzer.failures.total() else 0


if __name__ == "__main__":
    sys.exit(main())
