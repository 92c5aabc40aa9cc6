"""The life cycle under every order of events: ends, kills, lost keepers, cancels, clocks, crashes between say and do."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from heliotrope.model import Flexibility, Length, Outlook, PauseBy, Plan, RunState, Slot, Workload, WorkloadKind
from heliotrope.run import lifecycle
from heliotrope.run.lifecycle import Do, Seen, Sight, Turn
from heliotrope.units import epoch_s, from_epoch

NOW = 1_800_000_000
HOUR = 3600.0
GRACE_S = 60.0
SITES = st.lists(st.sampled_from(["north", "south"]), min_size=3, max_size=3)


def workload(*, by=PauseBy.SIGNAL, max_attempts=3):
    return Workload(
        id="w",
        kind=WorkloadKind.TRAIN,
        command=("true",),
        submitted_at=from_epoch(NOW),
        length=Length.known(HOUR),
        flexibility=Flexibility(pausable=True, pause_by=by),
        max_attempts=max_attempts,
    )


def plan(*slots, sites=(), made_s=NOW):
    """Hours from NOW: (start, end), …; all of them here where no sites are said."""
    places = [*sites, *["here"] * len(slots)]
    nothing = Outlook(0, 0, 0, 0, 0, from_epoch(NOW))
    return Plan(
        workload="w",
        made_at=from_epoch(made_s),
        slots=tuple(
            Slot(place, from_epoch(NOW + a * HOUR), from_epoch(NOW + b * HOUR))
            for (a, b), place in zip(slots, places, strict=False)
        ),
        expected=nothing,
        run_now=nothing,
        alternatives=(),
        bound_g=0,
        gap=0,
        signal_kind="carbon",
    )


class Life(RuleBasedStateMachine):
    """A controller that may die between writing and acting, and an engine that obeys as a real one does."""

    @initialize(
        by=st.sampled_from(PauseBy),
        cuts=st.lists(st.integers(1, 40), min_size=2, max_size=6, unique=True),
        max_attempts=st.integers(1, 4),
        queues=st.booleans(),
        sites=SITES,
    )
    def begin(self, by, cuts, max_attempts, queues=False, sites=()):
        hours = sorted(cuts)[: len(cuts) // 2 * 2]
        self.workload = workload(by=by, max_attempts=max_attempts)
        # Only what saves its state is planned over several sites.
        sites = sites if by is PauseBy.CHECKPOINT else ()
        self.plan = plan(*zip(hours[::2], hours[1::2], strict=True), sites=sites)
        self.here = self.saved_at = ""
        self.now_s = float(NOW)
        self.state, self.slot, self.attempt = RunState.WAITING, 0, 1
        self.sight = Sight(Seen.ABSENT)
        self.stopped = self.asked = False
        self.queues = queues
        self.cancel_s = self.leave_s = None
        self.turn = Turn.GO
        self.effects = 0
        self.launched_s: list[float] = []
        self.finished = False

    def look(self):
        return lifecycle.step(
            self.state,
            self.slot,
            self.attempt,
            self.workload,
            self.plan,
            self.sight,
            self.now_s,
            cancel_s=self.cancel_s,
            grace_s=GRACE_S,
            turn=self.turn,
            leave_s=self.leave_s,
            here=self.here,
            arrived=self.saved_at in {"", self.plan.slots[self.slot].site},
        )

    @precondition(
        lambda self: (
            self.workload.flexibility.pause_by is PauseBy.CHECKPOINT
            and self.state in {RunState.WAITING, RunState.RUNNING, RunState.PAUSED}
        )
    )
    @rule(cuts=st.lists(st.integers(0, 30), min_size=2, max_size=4, unique=True), sites=SITES)
    def it_is_planned_anew(self, cuts, sites):
        """While it waits, runs or is paused: for other times, at other sites."""
        hours = [(self.now_s - NOW) / HOUR + cut for cut in sorted(cuts)[: len(cuts) // 2 * 2]]
        self.plan = plan(*zip(hours[::2], hours[1::2], strict=True), sites=sites, made_s=self.now_s)
        self.slot = 0

    @rule(turn=st.sampled_from(Turn))
    def others_come_and_go(self, turn):
        """As the controller does: what was asked to leave stays asked until it is gone."""
        self.turn = turn
        if turn is Turn.LEAVE and self.sight.seen is Seen.ALIVE and self.leave_s is None:
            self.leave_s = self.now_s

    @rule(crash=st.booleans())
    def step(self, crash):
        said = self.look()
        if self.state.ended:
            assert said.do is Do.NOTHING
            assert said.state is self.state
            return
        if said.do is Do.LAUNCH:
            assert self.sight.seen is Seen.ABSENT
            assert self.now_s >= epoch_s(self.plan.slots[said.slot].start)
            assert self.cancel_s is None
            assert self.turn is Turn.GO or self.state is RunState.STARTING
            assert self.saved_at in {"", self.plan.slots[said.slot].site}, "begun where its state is not"
            assert self.here in {"", self.plan.slots[said.slot].site}
            self.here = self.plan.slots[said.slot].site
        if said.do in {Do.PAUSE, Do.RESUME}:
            assert self.workload.flexibility.pause_by is PauseBy.SIGNAL
        if said.again:
            moved = said.state is RunState.MOVED
            # Paused, or written down as begun by one that died before it was, and planned elsewhere since: nothing lives.
            assert self.sight.seen in {Seen.GONE, Seen.EXITED} or (moved and self.sight.seen is Seen.ABSENT)
            assert moved or self.attempt < self.workload.max_attempts or said.reason == lifecycle.MADE_ROOM
            self.saved_at, self.here = self.here, ""
        left = said.state is RunState.PAUSED and said.do is Do.NOTHING and self.sight.seen is Seen.EXITED
        self.state, self.slot = said.state, said.slot
        if said.again:
            self.attempt += said.reason != lifecycle.MADE_ROOM and said.state is not RunState.MOVED
            self.leave_s = None
            self.state, self.slot = RunState.WAITING, lifecycle.slot_at(self.plan, self.now_s)
        if said.again or left:
            self.sight, self.stopped, self.asked = Sight(Seen.ABSENT), False, False
        if not crash:
            self.act(said.do)
            if said.do is not Do.LAUNCH and not self.state.ended and not said.again and not left:
                again = self.look()
                assert (again.state, again.slot) == (self.state, self.slot) or self.moves_on(again)

    def moves_on(self, again):
        """Looking twice at one instant may only go further along the plan, never back."""
        return again.slot >= self.slot and again.state is not RunState.WAITING

    def act(self, do):
        match do:
            case Do.LAUNCH:
                self.sight = Sight(Seen.QUEUED if self.queues else Seen.ALIVE)
                self.launched_s.append(self.now_s)
            case Do.CARRY:
                self.saved_at = self.plan.slots[self.slot].site
            case Do.PAUSE:
                self.stopped = True
            case Do.RESUME:
                self.stopped = False
            case Do.SAVE:
                self.stopped, self.asked = False, True
            case Do.KILL:
                self.sight = Sight(Seen.EXITED, -9)

    @rule(seconds=st.floats(0.1, 6 * HOUR))
    def time_goes_by(self, seconds):
        self.now_s += seconds

    @rule(seconds=st.floats(0.1, HOUR))
    def the_clock_goes_back(self, seconds):
        self.now_s -= seconds

    @precondition(lambda self: self.sight.seen is Seen.QUEUED)
    @rule()
    def its_turn_comes(self):
        """What is held back does not begin; what was asked to leave while it waited is taken out of the queue."""
        if self.asked:
            self.sight = Sight(Seen.EXITED, -15)
        elif not self.stopped:
            self.sight = Sight(Seen.ALIVE)

    @precondition(lambda self: self.queues and self.alive())
    @rule()
    def its_cluster_takes_it_back(self):
        self.sight = Sight(Seen.QUEUED)

    def alive(self):
        return self.sight.seen is Seen.ALIVE and not self.stopped

    @precondition(alive)
    @rule()
    def it_finishes(self):
        self.effects += 1
        self.finished = True
        self.sight = Sight(Seen.EXITED, 0)

    @precondition(alive)
    @rule(code=st.sampled_from([1, 2, -9, -11, 75, 143]))
    def it_breaks(self, code):
        self.sight = Sight(Seen.EXITED, code)

    @precondition(lambda self: self.alive() and self.asked)
    @rule(code=st.sampled_from([75, 143, -15]))
    def it_leaves_as_it_was_asked(self, code):
        self.sight = Sight(Seen.EXITED, code)

    @precondition(lambda self: self.sight.seen is Seen.ALIVE)
    @rule()
    def its_keeper_dies(self):
        self.sight = Sight(Seen.GONE)

    @precondition(lambda self: self.cancel_s is None and not self.state.ended)
    @rule()
    def somebody_cancels(self):
        self.cancel_s = self.now_s

    @invariant()
    def finished_work_is_done_once(self):
        assert self.effects <= 1

    @invariant()
    def what_was_finished_is_never_called_failed(self):
        if self.state.ended and self.finished:
            assert self.state in {RunState.DONE, RunState.CANCELLED}

    def teardown(self):
        """Left alone, with a command that finishes, every life ends."""
        if not hasattr(self, "state"):
            return
        self.turn = Turn.GO
        for _ in range(200):
            if self.state.ended:
                return
            self.step(crash=False)
            self.now_s += HOUR / 2
            if self.sight.seen is Seen.QUEUED:
                self.its_turn_comes()
            if self.alive() and (self.slot == len(self.plan.slots) - 1 or self.asked):
                self.sight = Sight(Seen.EXITED, 75 if self.asked and not self.cancel_s else 0)
        raise AssertionError(f"still {self.state} in slot {self.slot}: {self.sight}")


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def see(state, sight, now_h, *, slots=((1, 2), (5, 6)), slot=0, attempt=1, by=PauseBy.SIGNAL, **more):
    return lifecycle.step(state, slot, attempt, workload(by=by), plan(*slots), sight, NOW + now_h * HOUR, **more)


def test_it_waits_for_its_hour_and_says_until_when():
    said = see(RunState.WAITING, Sight(Seen.ABSENT), 0.5)
    assert (said.state, said.do, said.wake_s) == (RunState.WAITING, Do.NOTHING, NOW + HOUR)


def test_an_exit_code_is_failure_and_a_strangers_signal_is_not():
    failed = see(RunState.RUNNING, Sight(Seen.EXITED, 3), 1.5)
    assert (failed.state, failed.again, failed.exit_code) == (RunState.FAILED, False, 3)
    lost = see(RunState.RUNNING, Sight(Seen.EXITED, -9), 1.5)
    assert (lost.state, lost.again, lost.do) == (RunState.LOST, True, Do.REAP)
    assert see(RunState.RUNNING, Sight(Seen.EXITED, -9), 1.5, attempt=3).state is RunState.FAILED


def test_what_waits_in_a_queue_is_starting_and_can_be_cancelled_or_held():
    waits = Sight(Seen.QUEUED, why="Priority")
    assert see(RunState.STARTING, waits, 1.5).state is RunState.STARTING
    assert see(RunState.RUNNING, waits, 1.5).state is RunState.STARTING, "its cluster took it back"
    said = see(RunState.STARTING, waits, 1.5, cancel_s=NOW + 1.5 * HOUR, grace_s=60)
    assert (said.state, said.do) == (RunState.CANCELLING, Do.SAVE)
    held = see(RunState.STARTING, waits, 3)
    assert (held.state, held.do, held.slot) == (RunState.PAUSED, Do.PAUSE, 1)


def test_asked_to_save_then_killed_when_it_does_not():
    asked = see(RunState.RUNNING, Sight(Seen.ALIVE), 2, by=PauseBy.CHECKPOINT, grace_s=60)
    assert (asked.state, asked.do) == (RunState.PAUSING, Do.SAVE)
    killed = see(RunState.PAUSING, Sight(Seen.ALIVE), 2.1, by=PauseBy.CHECKPOINT, grace_s=60)
    assert (killed.state, killed.do) == (RunState.PAUSING, Do.KILL)
    paused = see(RunState.PAUSING, Sight(Seen.EXITED, -9), 2.1, by=PauseBy.CHECKPOINT, grace_s=60)
    assert (paused.state, paused.slot, paused.wake_s) == (RunState.PAUSED, 1, NOW + 5 * HOUR)


def test_a_cancelled_one_may_save_first():
    said = see(RunState.RUNNING, Sight(Seen.ALIVE), 1.5, cancel_s=NOW + 1.5 * HOUR, grace_s=60)
    assert (said.state, said.do) == (RunState.CANCELLING, Do.SAVE)
    said = see(RunState.CANCELLING, Sight(Seen.ALIVE), 1.6, cancel_s=NOW + 1.5 * HOUR, grace_s=60)
    assert said.do is Do.KILL
    assert see(RunState.WAITING, Sight(Seen.ABSENT), 0, cancel_s=NOW).state is RunState.CANCELLED


def test_without_room_it_waits_and_for_an_owner_it_makes_room():
    assert see(RunState.WAITING, Sight(Seen.ABSENT), 1.5, turn=Turn.WAIT).state is RunState.WAITING
    assert see(RunState.STARTING, Sight(Seen.ABSENT), 1.5, turn=Turn.WAIT).do is Do.LAUNCH, "it was promised already"
    asked = see(RunState.RUNNING, Sight(Seen.ALIVE), 5.5, slot=1, by=PauseBy.CHECKPOINT, turn=Turn.LEAVE, grace_s=60)
    assert (asked.state, asked.do) == (RunState.PAUSING, Do.SAVE)
    gone = see(
        RunState.PAUSING,
        Sight(Seen.EXITED, 75),
        5.5,
        slot=1,
        by=PauseBy.CHECKPOINT,
        leave_s=NOW + 5.5 * HOUR,
        attempt=9,
    )
    assert (gone.state, gone.again, gone.reason) == (RunState.LOST, True, lifecycle.MADE_ROOM)
    stopped = see(RunState.RUNNING, Sight(Seen.ALIVE), 1.5, turn=Turn.LEAVE)
    assert (stopped.state, stopped.do) == (RunState.PAUSED, Do.PAUSE)
    assert see(RunState.PAUSED, Sight(Seen.ALIVE), 1.5).do is Do.RESUME


def test_what_finished_before_the_cancel_was_heard_is_done():
    assert see(RunState.RUNNING, Sight(Seen.EXITED, 0), 1.5, cancel_s=NOW).state is RunState.DONE


def test_a_new_attempt_joins_the_plan_where_it_is():
    assert [lifecycle.slot_at(plan((1, 2), (5, 6)), NOW + h * HOUR) for h in (0, 1.5, 3, 5.5, 9)] == [0, 0, 1, 1, 1]


def test_what_was_written_as_begun_and_was_not_may_yet_go_elsewhere():
    """Its controller died before it told the engine, the clock was set back, and then the plan named another site."""
    life = Life()
    life.begin(by=PauseBy.CHECKPOINT, cuts=[0, 1], max_attempts=1, sites=["south"])
    life.step(crash=True)
    assert (life.state, life.here) == (RunState.STARTING, "south")
    life.the_clock_goes_back(seconds=1.0)
    life.step(crash=False)
    assert life.state is RunState.WAITING
    life.it_is_planned_anew(cuts=[0, 1], sites=["north"])
    said = life.look()
    assert (said.state, said.do, said.again) == (RunState.MOVED, Do.NOTHING, True)


def test_what_was_written_as_running_is_let_run_at_every_look():
    """A controller that dies between writing "running" and sending SIGCONT must not leave the work stopped for ever."""
    life = Life()
    life.begin(by=PauseBy.SIGNAL, cuts=[1, 2, 3, 4], max_attempts=1)
    second = life.plan.slots[1]
    said = lifecycle.step(
        RunState.RUNNING, 1, 1, life.workload, life.plan, Sight(Seen.ALIVE), second.start.timestamp() + 1, cancel_s=None
    )
    assert (said.state, said.do) == (RunState.RUNNING, Do.RESUME)
