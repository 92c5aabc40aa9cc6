"""Two thousand random schedules of faults, in virtual time: every job ends once or says why not; nothing counts twice."""

from __future__ import annotations

from contextlib import closing

import pytest

from faults.world import World, schedule, worn_out

A_HOME = 200  # schedules that share a home: its log is checked once
HOMES = 10


@pytest.mark.parametrize("seed", range(HOMES))
def test_a_schedule_of_faults_loses_nothing_and_counts_nothing_twice(tmp_path, monkeypatch, seed):
    with closing(World(tmp_path, seed, monkeypatch)) as world:
        ends = worn_out(world)
        for number in range(A_HOME):
            ends += schedule(world, number)
        assert world.check_log() > ends.total(), "a plan of each, and a record of whatever ran"
    assert min(ends["done"], ends["failed"], ends["cancelled"]) > 0
    assert {"disk full", "a thief", "a node"} <= set(world.met)
