"""Policies of one's own, brought by entry point: the good are served as ours are, the others are named."""

from __future__ import annotations

import re

import pytest

from heliotrope.errors import InvalidInput, PlugInFault
from heliotrope.simulate.scenario import Scenario, simulate
from simulate.helpers import grid_csv, wave

BROUGHT = """
import numpy as np
from heliotrope.plan.kernels.shapes import Slots
from heliotrope.plan.kernels.solve import run_now

def patient(batch, world):
    return Slots.whole(batch, batch.submitted_s + batch.slack_s)

def raises(batch, world):
    return batch.no_such_column

def nothing(batch, world):
    return None

def shapes(batch, world):
    now = run_now(batch)
    return Slots(now.job, now.zone, now.start_s[:-1], now.end_s)

def types(batch, world):
    now = run_now(batch)
    return Slots(now.job + 0.5, now.zone, now.start_s, now.end_s)

def stranger(batch, world):
    now = run_now(batch)
    return Slots(now.job + 7, now.zone, now.start_s, now.end_s)

def nowhere(batch, world):
    now = run_now(batch)
    return Slots(now.job, now.zone + 9, now.start_s, now.end_s)

def never(batch, world):
    now = run_now(batch)
    return Slots(now.job, now.zone, now.start_s + np.nan, now.end_s)

def backwards(batch, world):
    now = run_now(batch)
    return Slots(now.job[::-1], now.zone, now.start_s, now.end_s)

def early(batch, world):
    return Slots.whole(batch, batch.submitted_s - 60.0)

def half(batch, world):
    now = run_now(batch)
    return Slots(now.job, now.zone, now.start_s, now.end_s - batch.length_s / 2)

def elsewhere(batch, world):
    return Slots.whole(batch, batch.submitted_s, 1 - batch.home)

def pauses(batch, world):
    now = run_now(batch)
    twice = np.repeat(now.job, 2)
    middle = now.start_s + batch.length_s / 2
    start = np.stack([now.start_s, middle + 60.0], axis=1).ravel()
    end = np.stack([middle, now.end_s + 60.0], axis=1).ravel()
    return Slots(twice, now.zone[twice], start, end)

def overlaps(batch, world):
    now = run_now(batch)
    twice = np.repeat(now.job, 2)
    start = np.repeat(now.start_s, 2)
    return Slots(twice, now.zone[twice], start, start + np.repeat(batch.length_s, 2) / 2)

not_a_function = 7
"""
FAULTS = [
    ("raises", "policy mine:raises failed.*AttributeError.*no_such_column"),
    ("nothing", "policy mine:nothing gives no Slots.*NoneType"),
    ("shapes", r"policy mine:shapes gives columns of different shapes.*start_s \(1,\)"),
    ("types", "policy mine:types gives columns of another type.*float64"),
    ("stranger", "policy mine:stranger gives a slot that cannot be.*row 0: job 7.*0 to 1"),
    ("nowhere", "policy mine:nowhere gives a slot that cannot be.*row 0.*zone 9.*0 to 1"),
    ("never", "policy mine:never gives a slot that cannot be.*seconds on the grid, 0 to 345600"),
    ("backwards", "policy mine:backwards gives a slot that cannot be.*by job"),
    ("early", "policy mine:early plans job a as it may not run.*before it was submitted"),
    ("half", "policy mine:half plans job a as it may not run.*3600 s of 7200 s"),
    ("elsewhere", "policy mine:elsewhere plans job a as it may not run.*in a zone where it may not"),
    ("pauses", "policy mine:pauses plans job b as it may not run.*pauses and may not"),
    ("overlaps", "policy mine:overlaps plans job a as it may not run.*overlap"),
    ("not_a_function", "policy mine:not_a_function: brought_policies:not_a_function cannot be called.*int"),
    ("gone", "policy mine:gone: brought_policies:gone does not load.*AttributeError"),
]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A package that brings policies, installed for this test; two jobs, of which the second may not pause."""
    points = "".join(f"mine:{name} = brought_policies:{name}\n" for name in ("patient", *(name for name, _ in FAULTS)))
    info = tmp_path / "site/brought_policies-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought-policies\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[heliotrope.policies]\n{points}")
    (tmp_path / "site/brought_policies.py").write_text(BROUGHT)
    monkeypatch.syspath_prepend(tmp_path / "site")
    jobs = tmp_path / "j.csv"
    jobs.write_text("id,submitted,length_s,devices,zones,pausable\na,3600,7200,1,AA,1\nb,9000,600,2,AA,0\n")
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(96), "BB": wave(96, shift=5)})
    return lambda name, **more: simulate(
        Scenario(str(jobs), grid, policy=f"mine:{name}", zones="any", slack_s=7200.0, out=tmp_path / "s.csv", **more)
    )


@pytest.mark.parametrize("capacity", [None, "4"])
def test_a_policy_of_ones_own_is_replayed_and_counted(asked, tmp_path, capacity):
    found = asked("patient", capacity=capacity)
    assert (found.jobs, found.violations, found.deadline_misses) == (2, 0, 0)
    assert found.mean_wait_s == 7200.0
    assert (tmp_path / "s.csv").read_text().splitlines()[1] == "a,AA,10800,18000,1,1"


@pytest.mark.parametrize(("name", "said"), FAULTS)
def test_a_policy_that_cannot_be_is_named_with_what_is_wrong(asked, name, said):
    with pytest.raises(PlugInFault) as refused:
        asked(name)
    assert re.search(said, str(refused.value), re.DOTALL)


def test_an_unknown_policy_lists_those_that_are_brought(asked):
    with pytest.raises(InvalidInput, match="mine:patient"):
        asked("patien")
