"""Sharing a node's meter: nothing is charged twice, nothing is lost, and the plain cases come out as anyone would say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.model import Estimate, Measurement, Provenance, Reading
from heliotrope.run.engines.slurm.energy import OnNode, metered, shares_j


def on(job, start_s, end_s, cpus, watts=350.0):
    return OnNode(job, start_s, end_s, cpus, (end_s - start_s) * watts)


def test_two_alike_side_by_side_halve_it():
    assert shares_j([on("a", 0, 10, 4), on("b", 0, 10, 4)]) == pytest.approx({"a": 1750, "b": 1750})


def test_who_is_alone_for_a_while_pays_alone_for_it():
    assert shares_j([on("a", 0, 20, 4), on("b", 10, 20, 12)]) == pytest.approx({"a": 4375, "b": 2625})


def test_a_draw_that_changes_is_found_from_the_charges():
    """350 W for 10 s, then 700 W for 10 s: b's charge tells what the second half drew."""
    shared = shares_j([OnNode("a", 0, 20, 1, 10_500), OnNode("b", 10, 20, 1, 7000)])
    assert shared == pytest.approx({"a": 7000, "b": 3500}, rel=1e-3)


spans = st.tuples(st.integers(0, 500), st.integers(1, 300), st.integers(1, 64))


@given(st.lists(spans, min_size=1, max_size=8), st.floats(1, 2000))
def test_together_they_pay_what_the_node_drew(rows, watts):
    jobs = [on(str(i), start, start + length, cpus, watts) for i, (start, length, cpus) in enumerate(rows)]
    moments = {moment for job in jobs for moment in range(int(job.start_s), int(job.end_s))}
    assert sum(shares_j(jobs).values()) == pytest.approx(len(moments) * watts, rel=1e-6)
    assert all(0 <= share <= job.node_j * (1 + 1e-6) for share, job in zip(shares_j(jobs).values(), jobs, strict=True))


def own(*readings):
    return Measurement("r", 0, 10, 10, Estimate(3, 1, 9, Provenance.MODELLED), (), readings, ("as it was",))


def test_alone_it_is_measured_and_together_it_is_modelled():
    mine = on("a", 0, 10, 4)
    alone = metered(own(Reading("modelled", "host", 0, 5, 1), Reading("modelled", "host", 5, 10, 3)), mine, [])
    assert alone.energy_j == Estimate(3500, 3150, 3850, Provenance.MEASURED)
    assert [reading.energy_j for reading in alone.readings] == [875, 2625], "spread as the job's own readings were"
    beside = metered(own(), mine, [on("b", 0, 10, 4), on("long ago", -20, 0, 4)])
    assert (beside.energy_j.value, beside.energy_j.provenance) == (pytest.approx(1750), Provenance.MODELLED)
    assert "1 other job" in beside.flags[-1]
    assert beside.flags[0] == "as it was"
    assert sum(reading.energy_j for reading in beside.readings) == pytest.approx(1750)


def test_a_neighbour_that_still_runs_counts_by_its_cpus():
    shared = shares_j([on("a", 0, 10, 4), OnNode("b", 0, 60, 12, None)])
    assert shared["a"] == pytest.approx(875)
