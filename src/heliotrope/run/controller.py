"""The controller: observes, compares with the plan, acts; each change one transaction, each act safe to repeat."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from heliotrope.config import Settings
from heliotrope.errors import Deposed, HelioError, Infeasible, RunError, StoreError
from heliotrope.fleet import Fleet
from heliotrope.model import Plan, Run, RunState, Slot
from heliotrope.plan import Progress
from heliotrope.plan.share import Turns
from heliotrope.prove import plan_statement
from heliotrope.run import accounting, ending, engines, lifecycle
from heliotrope.run.choosing import sharing
from heliotrope.run.choosing.agenda import Secretary
from heliotrope.run.choosing.board import Card
from heliotrope.run.choosing.sharing import Case
from heliotrope.run.clock import Clock
from heliotrope.run.desk import Desk, attempt_of
from heliotrope.run.engines.agent import AgentEngine, at_home
from heliotrope.run.engines.protocol import Task
from heliotrope.run.leader import Leader
from heliotrope.run.lifecycle import Turn
from heliotrope.run.working import segments, tidying
from heliotrope.run.working.moving import Journey, Mover, note_of, state_folder
from heliotrope.store import Transaction, runs, shares

REPLAN_BUDGET_S = 1.0  # of the wall, in one look: the rest is planned anew at the next
LOOK_BUDGET_S = 5.0  # of the wall, for one look: the rest has its turn in the next
LOOK_S = 0.2  # of the wall, between two looks at what can change at any moment
STAND_BY_S = 1.0  # of the wall, between two looks whether it is one's turn to lead
GRACE_S = 10.0  # of the wall: what a command gets to save its state before it is killed


class Controller(Desk):
    """A desk that also carries out. Any number may exist; the one that leads acts."""

    def __init__(self, settings: Settings, fleet: Fleet | None = None) -> None:
        super().__init__(settings, fleet)
        self.troubles: dict[str, HelioError] = {}
        self.secretary = Secretary(self.store, self.board)
        self._cases: dict[str, tuple[int, Case]] = {}
        self._first = ""
        self._leave_s: dict[str, float] = {}
        self.leader = Leader(self.store)
        self.mover = Mover(self.home)
        self._swept = False

    # Leading

    def lead(self) -> bool:
        """True where this is the one controller of the home that acts."""
        return self.leader.leads()

    def close(self) -> None:
        self.mover.close()
        self.leader.resign()
        super().close()

    # Stepping

    def step(self) -> float:
        """One look at all that need one; wall seconds until the next is worth it."""
        began_s = time.monotonic()
        self._sweep()
        with self.store.read() as tx:
            owed = runs.without_receipt(tx)
        agenda = self.secretary.agenda(self.fleet, time.time())
        self.troubles.clear()
        for run in owed:
            with self._alone(run.workload):
                self._hand_receipt(run)
        waits = [LOOK_S * 5]
        for card in agenda.replan:
            if time.monotonic() - began_s > REPLAN_BUDGET_S:
                waits.append(0.0)
                break
            with self._alone(card.workload):
                self.secretary.replanned(card, time.time())
                self._replan(self._case(card))
                self._cases.pop(card.run, None)
        for number, card in enumerate(self._round(agenda.look)):
            if number and time.monotonic() - began_s > LOOK_BUDGET_S:
                waits.append(0.0)
                self._first = card.run
                break
            with self._alone(card.workload):
                waits.append(self._step(self._case(card), agenda.said))
        self._cases = {card.run: self._cases[card.run] for card in agenda.look if card.run in self._cases}
        waits.append(max(0.0, agenda.until_s - time.time()))
        # It rests as long as it worked: whoever asks it for something gets a turn.
        return max(min(waits), min(LOOK_S * 5, time.monotonic() - began_s))

    def _round(self, cards: Sequence[Card]) -> Sequence[Card]:
        """From the one that the last look had no time for on, so that each has its turn."""
        at = next((i for i, card in enumerate(cards) if card.run == self._first), 0)
        self._first = ""
        return (*cards[at:], *cards[:at])

    def _case(self, card: Card) -> Case:
        """As the store has it; opened again only where something of it changed."""
        kept = self._cases.get(card.run)
        if kept is None or kept[0] != card.seq:
            with self.store.read() as tx:
                kept = self._cases[card.run] = (card.seq, self._at_home(sharing.case_of(tx, card.run)))
        return msgspec.structs.replace(kept[1], now_s=card.clock.now_s())

    def _at_home(self, case: Case) -> Case:
        """Another controller, with a home of its own, may have begun it at a site that all of them reach."""
        run = case.run
        if not run.handle or case.fleet.site(run.site).engine != AgentEngine.name:
            return case
        return msgspec.structs.replace(case, run=msgspec.structs.replace(run, handle=at_home(run.handle, self.home)))

    @property
    def behind(self) -> bool:
        """Whether the last look had no time for all."""
        return self._first != ""

    @contextmanager
    def _alone(self, workload_id: str) -> Iterator[None]:
        """One that cannot go on now keeps no other from it; it is tried again at the next look."""
        try:
            yield
        except (Deposed, StoreError):
            raise  # nobody's trouble alone
        except HelioError as error:
            self.troubles[workload_id] = error
        except OSError as error:
            self.troubles[workload_id] = RunError(f"{workload_id} has to wait", cause=str(error))

    def _step(self, case: Case, said: Turns) -> float:
        run, workload, clock, now_s = case.run, case.workload, case.clock, case.now_s
        turn = sharing.turn_of(run.id, said)
        if turn is Turn.LEAVE:
            self._leave_s.setdefault(run.id, now_s)
        here = engines.of(case.fleet.site(run.site))
        sight = here.observe(run.handle) if run.handle else lifecycle.Sight(lifecycle.Seen.ABSENT)
        faults, journey = 0, None
        if sight.seen in {lifecycle.Seen.EXITED, lifecycle.Seen.GONE} or (run.attempt > 1 and not run.handle):
            with self.store.read() as tx:
                faults = runs.faults(tx, workload.id, but=lifecycle.MADE_ROOM)
                journey = self._journey(tx, case)
        step = lifecycle.step(
            run.state,
            run.slot,
            faults + 1,
            workload,
            case.plan,
            sight,
            now_s,
            cancel_s=case.cancel_s,
            grace_s=max(GRACE_S, self.fleet.sharing.grace_s if run.id in self._leave_s else 0.0) * clock.factor,
            turn=turn,
            leave_s=self._leave_s.get(run.id),
            here=run.site if run.handle or run.state is RunState.PAUSED else "",
            arrived=self.mover.arrived(journey),
        )
        if step.do is lifecycle.Do.LAUNCH and journey is not None:
            self.mover.depart(journey)
        after = self._record(case, step, said, journey)
        if step.do is lifecycle.Do.CARRY and journey is not None:
            self.mover.carry(journey)
        self._act(case, after, step)
        if step.state.ended:
            self._leave_s.pop(run.id, None)
            if run.attempt > 1 and not step.again:
                tidying.tidy(self.store, self.mover, workload.id)
            return 0.0
        return LOOK_S if step.wake_s is None else max(0.0, clock.wall_wait_s(step.wake_s - now_s))

    def _origin(self, tx: Transaction, case: Case) -> Run | None:
        """The attempt that left what this one goes on with; None where this one began already, or is the first."""
        if case.run.attempt == 1 or case.run.handle:
            return None
        before = [
            one
            for one in runs.attempts(tx, case.workload.id)
            if one.attempt < case.run.attempt
            and (one.handle or one.started_at)
            and self.mover.left(one.id, case.fleet.site(one.site)) is None
        ]
        return before[-1] if before else None

    def _journey(self, tx: Transaction, case: Case) -> Journey | None:
        origin = self._origin(tx, case)
        if origin is None:
            return None
        target = case.fleet.site(case.plan.slots[case.slot_number].site)
        return Journey(case.run.id, origin.id, case.workload, case.fleet.site(origin.site), target, case.fleet.home)

    def _sweep(self) -> None:
        """Once, when it begins: what another left that was killed before it had tidied."""
        if not self._swept:
            self._swept = True
            for name in self.mover.at_several():
                with self._alone(name):
                    tidying.tidy(self.store, self.mover, name)

    def _replan(self, case: Case) -> Plan:
        """The world may look different by now; a plan that says the same is not written again."""
        run, workload, old, now_s = case.run, case.workload, case.plan, case.now_s
        ready = self._progress(case)
        try:
            new, strips = self.plan(workload, now_s, case.fleet, clock=case.clock, ready=ready)
        except Infeasible:
            # The old plan met every limit when it was made: it stands.
            return old
        rest = old.slots[case.slot_number :] if ready is not None else old.slots
        if lifecycle.says_the_same(rest, new.slots, under_way=ready is not None and ready.running):
            return old
        with self.leader.write() as tx:
            for strip in strips:
                runs.put_strip(tx, workload.id, strip)
            runs.add_plan(tx, new)
            self.ledger.add(tx, plan_statement(workload, new, clock_factor=run.clock_factor))
            runs.put_run(tx, msgspec.structs.replace(run, slot=0))
            runs.add_event(tx, run.id, now_s, "planned again", f"{new.slots[0].site}, {new.slots[0].start:%d %b %H:%M}")
        return new

    def _progress(self, case: Case) -> Progress | None:
        """What is left to do, and where what was saved lies; None where nothing was begun yet."""
        run, workload = case.run, case.workload
        begun = bool(run.handle) or run.state is RunState.PAUSED
        if run.attempt == 1 and not begun:
            return None
        with self.store.read() as tx:
            origin = self._origin(tx, case)
            before = [one for one in runs.attempts(tx, workload.id) if one.attempt < run.attempt]
            accounts = [runs.account(tx, one.id) for one in before if lifecycle.saved(one)]
        done_s = sum(one.measurement.duration_s for one in accounts if one is not None)
        if begun:
            done_s += accounting.ran_s(segments.of(self.store, run.id), time.time())
        least_s = 0.01 * workload.length.expected_s  # one that is longer than it was said is not over yet
        remaining_s = max(least_s, workload.length.expected_s - done_s * case.clock.factor)
        if begun:
            running = run.state is RunState.RUNNING
            return Progress(remaining_s, run.site, running=running, done_s=done_s * case.clock.factor)
        return Progress(remaining_s, origin.site if origin else "", done_s=done_s * case.clock.factor)

    def _record(self, case: Case, step: lifecycle.Step, said: Turns, journey: Journey | None) -> Run:
        """Writes what changed, before acting on it; an ending, its footprint and its record are one transaction."""
        run, plan, fleet = case.run, case.plan, case.fleet
        site = fleet.site(plan.slots[min(step.slot, len(plan.slots) - 1)].site)
        if run.handle or run.state is RunState.PAUSED:
            site = fleet.site(run.site)
        launching = step.do is lifecycle.Do.LAUNCH
        handle = run.handle
        if launching and (not handle or run.state is RunState.PAUSED):
            handle = str(self.home / "runs" / run.id / f"{segments.next_number(self.store, run.id)}")
        after = msgspec.structs.replace(
            run,
            state=step.state,
            slot=step.slot,
            handle="" if step.state is RunState.PAUSED and step.do is lifecycle.Do.NOTHING else handle,
            site=site.name,
            zone=site.zone,
            engine=site.engine,
            exit_code=step.exit_code,
            reason=step.reason,
        )
        if after == run:
            return run
        if not step.state.ended:
            with self.leader.write() as tx:
                runs.put_run(tx, after)
                if after.state is not run.state:
                    runs.add_event(tx, run.id, case.now_s, after.state.value, after.reason)
                if launching and journey is not None and (missed := self.mover.missed(journey)):
                    runs.add_event(tx, run.id, case.now_s, "its state did not come", missed)
                if launching:
                    shares.put_lent(tx, run.id, said.lent_by.get(run.id, {}))
                if (launching and not run.handle) or _begins_afar(run, after):
                    way = note_of(self.home / "runs" / run.id)
                    if way is not None and way.ended_s is not None:
                        runs.add_event(tx, run.id, case.now_s, "its state came", accounting.told(way, fleet))
            return after
        return self._end(after, case, step)

    def _end(self, run: Run, case: Case, step: lifecycle.Step) -> Run:
        if step.do is lifecycle.Do.REAP and run.handle:
            engines.of(case.fleet.site(run.site)).reap(run.handle)
        marginal = self.programme.marginal_kind(case.workload)
        left = ending.read(self.store, run, case, self.grid, self.kind, marginal)
        with self.leader.write() as tx:
            current = runs.run(tx, run.id)
            if current is None or current.state.ended:
                return left.run
            runs.put_run(tx, left.run)
            for what, why in ((run.state.value, run.reason), *left.untold):
                runs.add_event(tx, run.id, case.now_s, what, why)
            if left.settled is not None:
                account, statement = left.settled
                runs.put_account(tx, run.id, account)
                self.ledger.add(tx, statement)
            if step.again:
                slot = lifecycle.slot_at(case.plan, case.now_s)
                again = attempt_of(case.workload, case.plan, case.fleet, run.attempt + 1, case.clock, slot)
                runs.put_run(tx, again)
                runs.add_event(tx, again.id, case.now_s, "again", run.reason)
        return self._hand_receipt(left.run) if left.settled is not None else left.run

    def _act(self, case: Case, run: Run, step: lifecycle.Step) -> None:
        engine = engines.of(case.fleet.site(run.site))
        match step.do:
            case lifecycle.Do.LAUNCH:
                engine.launch(self._task(case, run, case.plan.slots[min(step.slot, len(case.plan.slots) - 1)]))
            case lifecycle.Do.PAUSE:
                engine.pause(run.handle)
            case lifecycle.Do.RESUME:
                engine.resume(run.handle)
            case lifecycle.Do.SAVE:
                engine.save(run.handle)
            case lifecycle.Do.KILL:
                engine.kill(run.handle)
            case _:
                return

    def _task(self, case: Case, run: Run, slot: Slot) -> Task:
        """The command is told how wide it was planned, and at what power."""
        workload = case.workload
        told = {"HELIO_WIDTH": str(slot.width)}
        if slot.power_cap_w is not None:
            told["HELIO_POWER_CAP_W"] = f"{slot.power_cap_w:g}"
        return Task(
            handle=run.handle,
            command=workload.command,
            working_directory=workload.working_directory,
            environment=workload.environment | told,
            checkpoint=str(state_folder(self.home, run.site, workload.id)),
            interval_s=self.settings.measure.interval_s,
            meters=self.settings.measure.meters,
            memory_bytes=workload.resources.memory_bytes,
            cpu_time_s=workload.resources.cpu_time_s,
            width=slot.width,
            cpus=workload.resources.cpus,
            devices=workload.resources.devices,
            device_kind=workload.resources.device_kind,
            power_w=workload.resources.power_w,
            power_cap_w=slot.power_cap_w,
            organisation=workload.organisation,
            site=run.site,
            options=workload.engine_options,
            left=self.mover.left(run.id, case.fleet.site(run.site)),
        )

    def _hand_receipt(self, run: Run) -> Run:
        """After the record is in the log: can be done again at any time, and is, until the run says where it lies."""
        path = self.ledger.receipt(self.ledger.find(run.id), self.home / "receipts" / f"{run.id}.proof")
        run = msgspec.structs.replace(run, receipt=str(path))
        with self.leader.write() as tx:
            runs.put_run(tx, run)
        return run

    def attend(self, halt: threading.Event, tell: Callable[[str], None]) -> None:
        """Acts while it leads. A store that is full, or does not answer, is told of, and waited for."""
        trouble = ""
        while not halt.is_set():
            try:
                wait_s, now = self.step() if self.lead() else STAND_BY_S, ""
            except Deposed as error:
                wait_s, now = STAND_BY_S, str(error)
            except StoreError as error:
                wait_s, now = STAND_BY_S, f"{error}; nothing is begun or acknowledged until it answers"
            if now != trouble:
                tell(now or "goes on")
            trouble = now
            halt.wait(wait_s)

    # Following

    def follow(self, workload_id: str, watch: Callable[[Run, Plan, float], None]) -> Run:
        """Until it is over; acts itself where no other controller does. `watch` gets the run, its plan and the time."""
        while True:
            wait_s = self.step() if self.lead() else LOOK_S
            with self.store.read() as tx:
                run = runs.attempts(tx, workload_id)[-1]
                plan = runs.newest_plan(tx, workload_id)
                clock = Clock(*runs.clock(tx, workload_id))
                owed = runs.account(tx, run.id) is not None and not run.receipt
            assert plan is not None
            if workload_id in self.troubles:
                raise self.troubles[workload_id]
            watch(run, plan, clock.now_s())
            if run.state.ended and not owed:
                return run
            time.sleep(min(max(wait_s, 0.01), LOOK_S))


def _begins_afar(before: Run, after: Run) -> bool:
    """Its agent fetched what it waited for, and began it."""
    began = (before.state, after.state) == (RunState.STARTING, RunState.RUNNING)
    return began and after.engine == AgentEngine.name and after.handle.endswith("/0")
