"""What can go wrong?  Each scenario is a function that plays on a stage."""

import threading
import time

import wire
from broker import DROP, DROP_SAFE, HOLD, NO, OK, accept_all
from server import wait_until
from stage import PATIENCE, Skipped

LONG = 3  # seconds, more than wal_sender_timeout


def worst_moment(stage, _cycles):
    """A transaction that emitted early commits late; the publisher dies when the broker has it but has not said so."""
    stage.begin(needs_broker=True)
    for events, answered in (1, 0), (3, 1), (3, 2):
        late = _LateTransaction(stage, events)
        held = late.ids[answered:]
        stage.broker.set_policy(lambda id, _before, held=held: HOLD if id in held else OK)
        late.commit()
        end = stage.end_of_last()
        # The first of them; but a broker that keeps the order of keys only may get a later one first, and nothing more on that connection.
        if not wait_until(lambda held=held: any(map(stage.broker.is_held, held)), PATIENCE):
            stage.complaints.append("an event of a transaction that committed late did not come")
        stage.let_keepalives_flow(end)
        stage.must_not_be_confirmed(end, f"a transaction of {events}, of which {answered} are answered,")
        stage.kill()
        stage.broker.set_policy()
        stage.start()
    stage.finish()


class _LateTransaction:
    """A transaction that is open while another one is emitted, committed, published, and acknowledged if that comes to pass."""

    def __init__(self, stage, events):
        self.connection = stage.cluster.connect()
        self.connection.query("BEGIN")
        self.ids = stage.emit_in(self.connection, events, "late")
        early = stage.emit()
        if not wait_until(lambda: stage.is_published(early), PATIENCE):
            stage.complaints.append("a transaction was not published while another one was open")
        end = stage.end_of_last()
        wait_until(lambda: stage.cluster.confirmed() >= end, 5)

    def commit(self):
        self.connection.query("COMMIT")
        self.connection.close()


def kills(stage, cycles):
    """The publisher is killed at random moments, under load."""
    stage.begin()
    stage.broker.set_policy(accept_all, lambda: stage.rng.uniform(0, 0.004))  # so that something is on its way when it dies
    stage.start_load(prepared=True)
    for _ in range(cycles):
        if stage.rng.random() < 0.75:  # else it may die before it could do anything
            stage.wait_for_progress()
        time.sleep(stage.rng.uniform(0, 0.4))  # any moment is as good as another
        stage.restart()
    stage.wait_for_progress()
    stage.finish()


def restarts(stage, cycles):
    """The server is restarted, crashes, and loses or ends the walsender, under load."""
    stage.begin()
    stage.start_load()
    kinds = []
    for _ in range(max(cycles, 4)):
        if not kinds:
            kinds = stage.rng.sample(["fast", "immediate", "terminate", "kill"], 4)
        stage.wait_for_progress()
        time.sleep(stage.rng.uniform(0, 0.3))
        _disturb_server(stage.cluster, kinds.pop())
    stage.wait_for_progress()
    stage.finish()


def _disturb_server(cluster, kind):
    if kind == "kill":
        # Without a walsender, of a publisher that asks in SQL, there is nothing to kill; its next moment will do for others.
        wait_until(cluster.kill_walsender, 5)
    elif kind == "terminate":
        cluster.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
    else:
        cluster.stop(kind)
        cluster.start()


def slow(stage, _cycles):
    """The broker takes its time over answers, once longer than the server waits for a sign of life."""
    stage.begin(needs_broker=True)
    stalled = threading.Event()

    def slowly():
        return stage.rng.uniform(0, 0.02)

    def stall_once():
        if stalled.is_set():
            return 0
        stalled.set()
        return LONG

    stage.broker.set_policy(accept_all, slowly)
    stage.start_load(writers=2, pause=0.03)
    stage.wait_for_progress(20)
    stage.broker.set_policy(accept_all, stall_once)
    stage.wait_for_progress(20)
    stage.broker.set_policy(accept_all, slowly)
    stage.wait_for_progress(10)
    stage.restart()
    stage.wait_for_progress(10)
    stage.finish()


def partial_batch(stage, cycles):
    """The broker refuses events, accepts others behind them, and closes connections."""
    stage.begin(needs_broker=True)
    _refuse_in_one_batch(stage)
    stage.restart()
    # A batch of many that is stored as a whole would never get through if what came before were refused again and again.
    spared = stage.kit.speech.batches
    stage.broker.set_policy(lambda _id, before: OK if before and spared else stage.rng.choices([OK, NO, DROP, DROP_SAFE], [90, 8, 1, 1])[0])
    stage.start_load(writers=2, pause=0.03)
    for _ in range(max(cycles // 2, 2)):
        stage.wait_for_progress(40)
        stage.restart()
    stage.finish()


def _refuse_in_one_batch(stage):
    """Events that queue up behind one without an answer: of what then comes in one go, some are refused."""
    with stage.cluster.connect() as c:
        stage.broker.set_policy(lambda _id, _before: HOLD)
        plug = stage.emit("plug")
        if not wait_until(lambda: stage.broker.is_held(plug), PATIENCE):
            stage.complaints.append("an event did not come")
        first = stage.emit("first")
        end = stage.end_of_last()
        stage.emit("second")
        c.query("BEGIN")
        three = stage.emit_in(c, 3, "three")
        c.query("COMMIT")
    stage.let_keepalives_flow(end)
    refused = {first, three[1]}
    stage.broker.set_policy(lambda id, _before: NO if id in refused else OK)
    if not wait_until(lambda: stage.broker.came(first) >= 3, PATIENCE):
        stage.complaints.append("an event that was refused did not come again")
    stage.must_not_be_confirmed(end, "a transaction whose event was refused")
    stage.kill()
    stage.broker.set_policy()


def position(stage, _cycles):
    """The server is replaced by an older copy of itself: what is new there has positions that the publisher has passed."""
    stage.begin()
    _emit_many(stage, 20)
    stage.drain()
    cluster = stage.cluster
    cluster.stop("fast")
    copies = [cluster.copy(f"{stage.folder}/copy{n}", cluster.port) for n in (1, 2)]
    cluster.start()
    for copy, killed in zip(copies, (False, True)):
        passed = _go_far(stage)
        if killed:
            stage.kill()
        _fail_over(stage, copy)
        _emit_many(stage, 20)
        if stage.end_of_last() >= passed:
            raise RuntimeError("the copy is not behind what the publisher has acknowledged")
        if killed:
            stage.start()
    stage.finish()


def _emit_many(stage, number):
    return [stage.emit(f"a{n % 5}") for n in range(number)]


def _go_far(stage):
    """Acknowledged positions that the older copies will not reach; returns the last."""
    for _ in range(5):
        stage.cluster.query("SELECT pg_switch_wal()")
        _emit_many(stage, 4)
    stage.drain()
    return stage.end_of_last()


def _fail_over(stage, copy):
    stage.check()
    stage.cluster.stop("immediate")
    stage.next_run()
    stage.cluster = copy
    copy.promote_copy()


def idle(stage, _cycles):
    """The publisher's database is idle while another one is busy: the slot must move on, or the server keeps all WAL."""
    stage.begin()
    stage.drain()
    end = stage.cluster.make_noise(2000)
    alone = wait_until(lambda: stage.cluster.confirmed() >= end, 5)
    stage.notes.append("keepalives alone " + ("move the slot on" if alone else "do not move the slot on"))
    if stage.cluster.query("SELECT 1 FROM pg_proc WHERE proname = 'heartbeat' AND pronamespace = 'domev'::regnamespace"):
        end = wire.lsn(stage.cluster.value("SELECT domev.heartbeat()"))
    if not wait_until(lambda: stage.cluster.confirmed() >= end, PATIENCE):
        stage.complaints.append("the slot of an idle database does not move on")
    stage.finish()


def slot_missing(stage, _cycles):
    """The slot is not there, as after a failover to a server that had none: the publisher must say so, and not make one."""
    stage.begin()
    stage.drain()
    stage.kill()
    stage.cluster.drop_slot()
    gap = _emit_many(stage, 5)
    if stage.is_refused(went_on=stage.cluster.has_slot):
        stage.is_known_lost(gap)
    elif stage.cluster.has_slot():
        stage.complaints.append("the publisher made a slot by itself, which begins behind what it has not published")
    stage.finish(stuck=True)


def slot_made_again(stage, _cycles):
    """Somebody has made the slot again, under its name: what was committed before is not in it, and the publisher must notice."""
    stage.begin()
    stage.drain()
    stage.kill()
    stage.cluster.drop_slot()
    gap = _emit_many(stage, 5)
    stage.cluster.make_slot(stage.kit.plugin)
    _must_be_refused(stage, gap)


def other_server(stage, _cycles):
    """Another server has taken the place of the publisher's, with a slot of that name: no position says what is not in it."""
    stage.begin()
    stage.drain()
    stage.kill()
    stage.check()
    stage.cluster.stop("fast")
    stage.cluster = stage.kit.make_other(f"{stage.folder}/other", stage.cluster.port)
    stage.cluster.start()
    stage.cluster.make_truth()
    gap = _emit_many(stage, 5)
    stage.cluster.make_slot(stage.kit.plugin)
    _must_be_refused(stage, gap)


def _must_be_refused(stage, gap):
    after = _emit_many(stage, 5)
    if stage.is_refused():
        stage.is_known_lost(gap + after)
    else:
        stage.complaints.append("the publisher went on at a slot that begins behind what it has not published")
        stage.start()
        stage.drain()
    stage.finish(stuck=True)


def replay(stage, cycles):
    """All is replayed, for the name that the publisher was told, which is killed meanwhile."""
    stage.begin()
    if stage.kit.plugin != "domev":
        raise Skipped("only the plugin domev sends replays by name")
    stage.start_load()
    stage.wait_for_progress(200)
    stage.stop_load()
    stage.broker.set_policy(accept_all, lambda: stage.rng.uniform(0, 0.004))  # so that something is on its way when it dies
    for _ in range(cycles):
        stage.replay()
        time.sleep(stage.rng.uniform(0, 0.15))
        stage.restart()
    stage.finish()


ALL = {
    "worst-moment": worst_moment,
    "kills": kills,
    "restarts": restarts,
    "slow": slow,
    "partial-batch": partial_batch,
    "position": position,
    "idle": idle,
    "slot-missing": slot_missing,
}

# Only publishers that remember where they have moved the slot to can pass these: they are played when they are asked for.
FOR_MEMORY = {
    "slot-made-again": slot_made_again,
    "other-server": other_server,
}

# Only publishers that give the option replay, with the name in DOMEV_REPLAY, can pass this one.
FOR_REPLAYS = {
    "replay": replay,
}
