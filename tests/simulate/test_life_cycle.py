"""What is simulated is what would run: slots of the kernels, lived through by the life cycle, on a virtual clock."""

from __future__ import annotations

import csv
import itertools
from datetime import datetime, timedelta

import pytest

from heliotrope.model import Flexibility, Length, Outlook, PauseBy, Plan, RunState, Slot, Workload, WorkloadKind
from heliotrope.run.lifecycle import Do, Seen, Sight, slot_at, step
from heliotrope.simulate.scenario import Scenario, simulate
from heliotrope.units import epoch_s
from simulate.helpers import grid_csv, wave

TEMPFAIL = 75  # saved, and would go on later


class Machine:
    """An engine without a computer: it works while it is let, and notes when that was."""

    def __init__(self, work_s: float) -> None:
        self.left_s = work_s
        self.sight = Sight(Seen.ABSENT)
        self.on = False
        self.ran: list[list[float]] = []

    def told(self, do: Do, now_s: float) -> None:
        if do in {Do.LAUNCH, Do.RESUME} and not self.on:
            self.sight, self.on = Sight(Seen.ALIVE), True
            self.ran.append([now_s, now_s])
        elif do is Do.PAUSE:
            self.on = False
        elif do is Do.SAVE:
            self.sight, self.on = Sight(Seen.EXITED, TEMPFAIL), False

    def works_until(self, now_s: float) -> None:
        if self.on:
            self.left_s -= now_s - self.ran[-1][1]
            self.ran[-1][1] = now_s
            if self.left_s < 1e-4:
                self.sight, self.on = Sight(Seen.EXITED, 0), False


def lived(workload: Workload, plan: Plan) -> list[list[float]]:
    """When it ran, looked at whenever the life cycle asks for it and whenever something ends."""
    machine = Machine(workload.length.expected_s)
    now_s, state = epoch_s(workload.submitted_at), RunState.WAITING
    slot = slot_at(plan, now_s)
    for _ in range(20 * len(plan.slots) + 20):
        then = step(state, slot, 1, workload, plan, machine.sight, now_s, grace_s=60.0)
        state, slot = then.state, then.slot
        if state.ended:
            assert state is RunState.DONE
            return machine.ran
        if machine.sight.seen is Seen.EXITED:
            machine.sight = Sight(Seen.ABSENT)  # its handle is given up; another part begins anew
        machine.told(then.do, now_s)
        if then.do in {Do.LAUNCH, Do.SAVE}:
            continue
        looks = [] if then.wake_s is None else [then.wake_s]
        now_s = min([*looks, now_s + machine.left_s] if machine.on else looks)
        machine.works_until(now_s)
    raise AssertionError("it never ended")


@pytest.mark.parametrize("pause_by", list(PauseBy))
@pytest.mark.parametrize(("policy", "capacity"), [("helio", None), ("helio", "6"), ("gaia:lowest-window", "6")])
def test_what_is_simulated_is_what_would_run(tmp_path, pause_by, policy, capacity):
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(24 * 12), "BB": wave(24 * 12, shift=7, mean=260)})
    jobs, out = tmp_path / "j.csv", tmp_path / "s.csv"
    rows = [
        (f"j{i}", f"2024-03-01T{i % 24:02d}:{i * 7 % 60:02d}:00Z", 600 + i * 1777 % 40_000, 1 + i % 4, i % 3 > 0)
        for i in range(48)
    ]
    rows.sort(key=lambda row: row[1])
    lines = [f"{name},{at},{length},{devices},{int(may)}\n" for name, at, length, devices, may in rows]
    jobs.write_text("id,submitted,length_s,devices,pausable\n" + "".join(lines))
    found = simulate(Scenario(str(jobs), grid, policy=policy, capacity=capacity, zones="any", out=out))
    assert found.jobs == len(rows)
    with out.open() as text:
        slots = {
            name: list(group) for name, group in itertools.groupby(csv.DictReader(text), key=lambda row: row["job"])
        }
    paused = 0
    for name, at, length_s, _, may_pause in rows:
        submitted = datetime.fromisoformat(at)
        work = Workload(
            name,
            WorkloadKind.BATCH,
            ("true",),
            submitted,
            Length.known(length_s),
            flexibility=Flexibility(pausable=may_pause, pause_by=pause_by),
        )
        planned = tuple(
            Slot(s["zone"], datetime.fromisoformat(s["start"]), datetime.fromisoformat(s["end"])) for s in slots[name]
        )
        nothing = Outlook(0.0, 0.0, 0.0, 0.0, 0.0, submitted + timedelta(seconds=length_s))
        plan = Plan(name, submitted, planned, nothing, nothing, (), 0.0, 0.0, "carbon")
        ran = lived(work, plan)
        wanted = [[epoch_s(slot.start), epoch_s(slot.end)] for slot in planned]
        assert ran == [pytest.approx(each, abs=1e-3) for each in wanted]
        paused += len(ran) > 1
    assert paused > 0 or policy != "helio"
