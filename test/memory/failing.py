"""Which server can be made to fail?  The bench's, with the library domev_fail, and a database with something of everything in it."""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

import server as bench_server  # noqa: E402

DATABASE = "failing"
SLOT = "kept"  # what it has at the end is compared with what was committed

# What a server's log says if it has died or has not given something back.
SIGNS = re.compile(r"TRAP:|PANIC:|problem in alloc set|detected write past chunk|terminated by signal|(?:reference|refcount|file|snapshot|lock) leak"
                   r"|still referenced|abnormal database system shutdown|runtime error:")

SCHEMA = """
    CREATE EXTENSION domev;
    SELECT domev.create_topic('rows', 'internal'), domev.create_topic('messages', 'internal', 'wal'), domev.create_topic('out');
    SELECT domev.create_event_type('row', 'thing', 'rows'), domev.create_event_type('message', 'thing', 'messages', journal => false),
        domev.create_event_type('mapped', 'thing'), domev.create_event_type('failing', 'thing'), domev.create_event_type('later', 'thing');
    CREATE FUNCTION map_sql(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
        BEGIN ATOMIC SELECT (domev.make_integration_event('mapped.v1', (e).payload, headers => '{"a": "b"}')).*; END;
    CREATE FUNCTION map_plpgsql(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            RETURN NEXT domev.make_integration_event('mapped.v2', e.payload);
            RETURN NEXT domev.make_integration_event('mapped.v3', NULL, data => '\\x00ff', content_type => 'a/b');
        END $$;
    CREATE FUNCTION map_not(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$ BEGIN RAISE 'never'; EXCEPTION WHEN raise_exception THEN RAISE; END $$;
    SELECT domev.create_mapping('a', 'mapped', 'public.map_sql', 'out'),
        domev.create_mapping('b', 'mapped', 'public.map_plpgsql', 'out', on_error => 'record'),
        domev.create_mapping('c', 'failing', 'public.map_not', 'out', on_error => 'record'),
        domev.create_mapping('d', 'later', 'public.map_sql', 'out', timing => 'deferred'),
        domev.create_mapping('e', 'later', 'public.map_not', 'out', timing => 'deferred', on_error => 'record');
    CREATE TABLE captured (id int PRIMARY KEY, v numeric, t text);
    SELECT domev.create_capture('capture', 'captured', 'insert', 'id', 'row'),
        domev.create_capture('changes', 'captured', 'update', 'id', 'mapped', columns => '{v}');
    CREATE TABLE ledger (id uuid);
    CREATE TABLE plain (n int, t text);
    CREATE TABLE owned (id int PRIMARY KEY);
"""


class Server(bench_server.Server):
    """With domev_fail.  preload: in LD_PRELOAD as well, so that malloc can fail."""

    def __init__(self, bindir, folder, port, preload=True):
        super().__init__(bindir, folder, port)
        self.preload = preload
        self.log_start = None  # of what earlier runs have left in the log

    def settings(self):
        return dict(super().settings(), shared_preload_libraries="domev_fail", log_checkpoints="off", shared_buffers="64MB",
                    max_wal_size="1GB", min_wal_size="80MB", log_min_messages="warning", log_min_error_statement="panic",
                    restart_after_crash="off", wal_sender_timeout="60s", logical_decoding_work_mem="64kB")

    def start(self):
        """With malloc replaced in the server and in nothing else, so by a script in its place."""
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self._make()
        if self.log_start is None:
            self.log_start = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        program = os.path.join(self.folder, "postgres.sh")
        preload = f"LD_PRELOAD={self.pkglibdir()}/domev_fail.so " if self.preload else ""
        with open(program, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\nexec env {preload}{self.bindir}/postgres \"$@\"\n")
        os.chmod(program, 0o755)
        self.program("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "120", "-c", "-p", program, "start")
        return self

    def pkglibdir(self):
        return subprocess.run([os.path.join(self.bindir, "pg_config"), "--pkglibdir"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.strip()

    def make_database(self):
        self.drop_database(DATABASE)
        self.run("postgres", f"CREATE DATABASE {DATABASE} TEMPLATE template0")
        self.run(DATABASE, SCHEMA)
        self.run(DATABASE, f"SELECT pg_create_logical_replication_slot('{SLOT}', 'domev')")

    def postmaster(self):
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
            return file.readline().strip()

    # What must not be there

    def signs(self):
        """Lines of the log that say that something is broken."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            file.seek(self.log_start)
            return [line.rstrip() for line in file if SIGNS.search(line)]

    def left_files(self):
        """Temporary files, and what decoding has spilled: nobody may be at it."""
        return [path for pattern in ("base/pgsql_tmp/*", "pg_replslot/*/xid-*", "pg_replslot/*/*.spill")
                for path in glob.glob(os.path.join(self.data, pattern))]

    def differences(self):
        """Between what the slot has and what was committed: (lost, too many).  Rows are in the outbox, messages in the ledger."""
        self.run(DATABASE, "SELECT pg_logical_emit_message(true, 'flush', '')")
        return self.value(DATABASE, f"""
            WITH sent AS MATERIALIZED (SELECT (data::json->>'id')::uuid AS id FROM pg_logical_slot_peek_changes('{SLOT}', NULL, NULL)),
                 kept AS (SELECT event_id AS id FROM domev.outbox WHERE topic IS NOT NULL UNION ALL SELECT id FROM ledger),
                 lost AS (SELECT id FROM kept EXCEPT ALL SELECT id FROM sent),
                 more AS (SELECT id FROM sent EXCEPT ALL SELECT id FROM kept)
            SELECT ARRAY[(SELECT count(*) FROM sent), (SELECT count(*) FROM lost), (SELECT count(*) FROM more)]""")
