"""How is the same WAL decoded again and again?  A slot is made before it is written and never moves; each reading gets a copy of it.

So all plugins decode the same records from the same position.  There are two ways to read, as they are two for users: a client of
replication (pg_recvlogical), and the SQL functions.
"""

import contextlib
import os
import time

from measure import timed, timed_sql


class Recording:
    """WAL that is kept from where the "with" begins to finish()."""

    def __init__(self, server, database, name="bench"):
        self.server = server
        self.database = database
        self.base, self.copy = name + "_base", name + "_copy"  # slots
        self.end = None
        self.statistics = None  # of what was received last: [bytes spilled to disk, transactions streamed]
        self.rows = None  # of the last result of the SQL function

    def __enter__(self):
        self._sql("SELECT pg_create_logical_replication_slot(%s, 'domev')", (self.base,))
        return self

    def __exit__(self, *unused):
        self._sql("SELECT pg_drop_replication_slot(%s)", (self.base,))

    def finish(self):
        """All up to here has to be read.  What follows is a commit that takes every walsender past this position."""
        self.end = self._sql("SELECT pg_current_wal_insert_lsn()")
        self._sql("SELECT txid_current()")

    def receive(self, plugin, options, target="/dev/null"):
        """The seconds that pg_recvlogical takes, from its start to its end."""
        arguments = [*receiver(self.server, self.database, self.copy, options), "--endpos", self.end, "-f", target]
        self._copy_slot(plugin)
        try:
            seconds = timed(self.server.program, "pg_recvlogical", *arguments)
            self.statistics = self._get_statistics()
        finally:
            self._drop_slot()
        return seconds

    def query(self, plugin, options):
        """The seconds that the SQL function takes, with what it returns kept in memory and looked at by nobody."""
        given = [text for pair in options.items() for text in pair]
        connection = self.server.connect(self.database)
        try:
            self._copy_slot(plugin)
            cursor = connection.cursor()
            cursor.execute("SET work_mem = '2000MB'")
            seconds = timed_sql(cursor, "SELECT count(*) FROM pg_logical_slot_peek_binary_changes(%s, %s, NULL, VARIADIC %s::text[])",
                                (self.copy, self.end, given))
            self.rows = cursor.fetchone()[0]
            return seconds
        finally:
            connection.close()
            self._drop_slot()

    def received(self, plugin, options):
        """All bytes that a client gets."""
        file = os.path.join(self.server.folder, "received")
        try:
            self.receive(plugin, options, file)
            with open(file, "rb") as content:
                return content.read()
        finally:
            if os.path.exists(file):
                os.unlink(file)

    @contextlib.contextmanager
    def copied(self, plugin):
        """A copy of the slot, for whoever reads it in another way."""
        self._copy_slot(plugin)
        try:
            yield
        finally:
            self._drop_slot()

    def _copy_slot(self, plugin):
        self._sql("SELECT pg_copy_logical_replication_slot(%s, %s, false, %s)", (self.base, self.copy, plugin))

    def _drop_slot(self):
        """Whoever read it has left, or is about to."""
        wait_for(lambda: self._sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s AND active", (self.copy,)) == 0)
        self._sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (self.copy,))

    def _get_statistics(self):
        """A walsender says them when a transaction ends, or itself; before that there are none."""
        return wait_for(lambda: self._sql("""SELECT ARRAY[spill_bytes, stream_txns] FROM pg_stat_replication_slots
            WHERE slot_name = %s AND total_txns > 0""", (self.copy,)))

    def _sql(self, sql, arguments=None):
        """The first column of the first row, None if there is no row."""
        connection = self.server.connect(self.database)
        try:
            cursor = connection.cursor()
            cursor.execute(sql, arguments)
            row = cursor.fetchone()
            return row and row[0]
        finally:
            connection.close()


def receiver(server, database, slot, options):
    """Arguments of pg_recvlogical."""
    given = [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]
    return ["-h", server.socket_dir, "-p", str(server.port), "-U", "postgres", "-d", database, "-S", slot, "--start", "--no-loop", *given]


def wait_for(condition, seconds=30):
    """Asks until the answer is something; returns it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise RuntimeError("waited in vain")
