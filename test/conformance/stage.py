"""Where does a scenario play?  A fresh cluster, a broker, the publisher, and what everybody asks them."""

import os
import time

import wire
from broker import Broker, accept_all
from checker import Figures, Ledger, check, check_replay
from load import Load
from program import Program, PublishedFile
from server import PUBLICATION, SLOT, DATABASE, wait_until

EVENT_TYPES = {"domev": ["kit.row", "kit.message"], "pgoutput": ["kit.message"]}
REPLAY = "kit"  # the name for which events are replayed
PATIENCE = 60  # seconds for whatever a publisher has to do
REFUSAL = 10  # seconds in which a publisher that does not end would have done what it must not


class Skipped(Exception):
    """This scenario cannot be played with this publisher."""


class Stuck(Exception):
    """The scenario cannot go on."""


class Stage:
    def __init__(self, kit, name, rng):
        self.kit = kit
        self.rng = rng
        self.folder = os.path.join(kit.folder, name)
        self.event_types = EVENT_TYPES[kit.plugin]
        self.complaints = []
        self.notes = []
        self.figures = Figures()
        self.uses_broker = None  # not known before the first event
        self.run = 0
        self.checked = 0  # deliveries of clusters that are gone
        self.safe_before = set()
        self.replays = {}  # by id: the ids of their events
        self.load = None
        self.broker = self.program = None
        self.cluster = kit.template.copy(self.folder)
        self.cluster.start()
        try:
            self.cluster.make_truth()
            self.cluster.make_slot(kit.plugin)
            path = os.path.join(self.folder, "published")
            self.broker = Broker(path, kit.speech.speak)
            self.file = PublishedFile(path)
            self.program = Program(kit.command, os.path.join(self.folder, "home"), self._environment(path))
        except BaseException:
            self.close()
            raise

    def _environment(self, path):
        environment = dict(self.kit.environment)
        environment["DOMEV_CONNECTION"] = f"postgresql://postgres@127.0.0.1:{self.cluster.port}/{DATABASE}"
        environment["DOMEV_SLOT"] = SLOT
        environment["DOMEV_BROKER"] = f"127.0.0.1:{self.broker.port}"
        environment["DOMEV_PUBLISHED"] = path
        environment["DOMEV_REPLAY"] = REPLAY
        if self.kit.plugin == "pgoutput":
            environment["DOMEV_PUBLICATION"] = PUBLICATION
        return environment

    def close(self):
        if self.load:
            self.load.stop()
        if self.program:
            self.program.close()
        if self.cluster.running:
            self.cluster.stop("immediate")
        if self.broker:
            self.broker.close()

    # The publisher

    def begin(self, needs_broker=False):
        """Starts the publisher, and finds out by a first event whether it uses the broker."""
        self.program.start()
        first = self.emit()
        if not wait_until(lambda: self.broker.is_safe(first) or self._in_file(first), PATIENCE):
            raise Stuck(f"the publisher published nothing in {PATIENCE} s")
        self.uses_broker = self.broker.is_safe(first)
        if needs_broker and not self.uses_broker:
            raise Skipped("the publisher does not use the broker")

    def _in_file(self, id):
        if self.broker.progress():
            return False  # the broker writes it then
        self.file.read()
        return id in self.file.ids

    def is_published(self, id):
        return self.broker.is_safe(id) if self.uses_broker else self._in_file(id)

    def progress(self):
        """How many events are published so far."""
        if self.uses_broker:
            return self.broker.progress()
        self.file.read()
        return len(self.file.ids)

    def wait_for_progress(self, events=1):
        target = self.progress() + events
        if not wait_until(lambda: self.progress() >= target, PATIENCE):
            raise Stuck(f"the publisher published nothing more in {PATIENCE} s")

    def kill(self):
        self.program.kill()
        self.run += 1
        wrong = self.broker.settle(self.run)
        if wrong:
            self.complaints.append(wrong)
        if self.uses_broker is False:
            self.file.end_run(self.run)

    def next_run(self):
        """What comes from now on is of another server, though the publisher may live on."""
        self.run += 1
        if self.uses_broker:
            self.broker.run = self.run
        else:
            self.file.end_run(self.run)

    def start(self):
        self.program.start()

    def restart(self):
        self.kill()
        self.start()

    def is_refused(self, went_on=lambda: False):
        """Starts the publisher where it must not go on, and kills it; whether it did not."""
        before, ends, said = self.progress(), self.program.ends, self.program.said()
        self.start()
        wait_until(lambda: self.program.said() > said or self.progress() > before or went_on(), PATIENCE)
        # One that ended for a reason of its own would go on at one of the next starts.
        wait_until(lambda: self.progress() > before or went_on() or self.program.ends >= ends + 3, REFUSAL)
        self.kill()
        if self.progress() > before or went_on():
            return False
        if self.program.said() == said:
            self.complaints.append("the publisher does not say why it does not go on")
        lines = [line for line in self.program.end_of_log().splitlines() if line.strip()]
        self.notes.append("the publisher says: " + ([line for line in lines if f'"{SLOT}"' in line] or lines or ["nothing"])[-1])
        return True

    def is_known_lost(self, ids):
        """What nobody can publish any more, and somebody has been told of."""
        self.safe_before |= set(ids)

    # The application

    def emit(self, aggregate="alone"):
        """One event in a transaction of its own."""
        return self.cluster.value(f"SELECT kit.happen('{self.event_types[-1]}', '{aggregate}')")

    def emit_in(self, connection, number, aggregate):
        """Events in a transaction that is open."""
        types = self.event_types
        return [connection.value(f"SELECT kit.happen('{types[n % len(types)]}', '{aggregate}')") for n in range(number)]

    def start_load(self, **how):
        self.load = Load(self.cluster, self.rng.random(), self.event_types, **how).start()

    def stop_load(self):
        load, self.load = self.load, None
        load.stop()
        self.complaints += load.complaints

    # Replays

    def replay(self):
        """Of all events that have rows, for the name that the publisher was told."""
        ids = [id for (id,) in self.cluster.query("SELECT event_id FROM domev.outbox WHERE topic IS NOT NULL ORDER BY recorded_at, event_id")]
        id = self.cluster.value(f"SET client_min_messages = warning; CALL domev.replay('{REPLAY}')")
        self.replays[id] = ids

    def drain_replays(self):
        """Waits until the last event of each replay is published."""
        for replay, ids in self.replays.items():
            if not wait_until(lambda last=f"{replay}/{ids[-1]}": self.is_published(last), PATIENCE):
                self.complaints.append(f"not all of a replay is published after {PATIENCE} s; does the publisher give the option replay?")
                return

    # The slot

    def end_of_last(self):
        """Where the last transaction with events ends."""
        ends = self.cluster.end_of_transactions()
        return ends[-1][1] if ends else 0

    def drain(self):
        """Waits until the publisher has acknowledged all events."""
        end = self.end_of_last()
        if not wait_until(lambda: self.cluster.confirmed() >= end, PATIENCE, pause=0.05):
            self.complaints.append(f"not all is acknowledged after {PATIENCE} s: {wire.lsn_text(self.cluster.confirmed())} of {wire.lsn_text(end)}")

    def must_not_be_confirmed(self, end, what):
        confirmed = self.cluster.confirmed()
        if confirmed >= end:
            self.complaints.append(f"{what} is acknowledged ({wire.lsn_text(end)}; the slot is at {wire.lsn_text(confirmed)})")

    def let_keepalives_flow(self, beyond):
        """Another database is busy until the publisher has heard of WAL beyond a position, and answered, more than once.

        One that does not listen while it waits for the broker loses its connection instead; that is no fault."""
        replies, walsenders = set(), set()
        started, gone_since = time.monotonic(), None
        while len(replies) < 3:
            self.cluster.make_noise(20)
            walsender = self.cluster.walsender()
            now = time.monotonic()
            if walsender is None:
                gone_since = gone_since or now
                if now > gone_since + 3:
                    return
            else:
                gone_since = None
                walsenders.add(walsender[0])
                if walsender[1] > beyond:
                    replies.add(walsender[2])
                # It would be over without replies, whatever time the client writes on them.
                if now > started + 5:
                    return
            time.sleep(0.1)

    # The end

    def check(self):
        """Compares what arrived since the last check with the ledger of the present cluster."""
        if not self.uses_broker:
            self.file.read()
        deliveries = self.broker.deliveries if self.uses_broker else self.file.deliveries
        ledger = Ledger(self.cluster.ledger(), self.cluster.end_of_transactions())
        arrived = deliveries[self.checked:]
        replayed = [d for d in arrived if d.id and "/" in d.id]
        own = [d for d in arrived if d not in replayed] if replayed else arrived
        self.figures += check(ledger, own, self.safe_before, self.kit.speech.keeps)
        for replay, ids in self.replays.items():
            self.figures += check_replay(replay, ids, replayed)
        self.safe_before |= {d.id for d in deliveries if d.accepted}
        self.checked = len(deliveries)

    def heal(self):
        self.broker.set_policy(accept_all)
        for (gid,) in self.cluster.query("SELECT gid FROM pg_prepared_xacts"):
            self.cluster.query(f"COMMIT PREPARED '{gid}'")

    def finish(self, stuck=False):
        if self.load:
            self.stop_load()
        self.heal()
        if not stuck:
            self.drain()
            self.drain_replays()
        self.kill()
        self.check()
        self.complaints += self.file.complaints
