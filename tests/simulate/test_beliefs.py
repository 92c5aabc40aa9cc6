"""What a simulated planner believes, learnt from a forecast file, knows nothing of the hours that had not come."""

from __future__ import annotations

import numpy as np
import pytest

from heliotrope.grid import shelf
from heliotrope.grid.forecast.models import near
from heliotrope.simulate import beliefs

HOURS = 24 * 50
HOUR0 = 24 * 7 * 2700


def made_up(seed):
    random = np.random.default_rng(seed)
    at = np.arange(HOURS)
    wind = np.zeros(HOURS)
    for i in range(1, HOURS):
        wind[i] = 0.97 * wind[i - 1] + random.normal(0, 0.07)
    actual = 300 * np.exp(0.25 * np.cos(2 * np.pi * (at - 19) / 24) + wind)
    return actual, actual * 1.3 * np.exp(random.normal(0, 0.05, HOURS))


@pytest.mark.slow
def test_what_is_learnt_of_a_file_leaks_nothing_and_beats_believing_it(monkeypatch):
    monkeypatch.setattr(near, "ROUNDS", 12)  # the law holds for any number of trees
    actual, given = made_up(4)
    table = beliefs.overlaid(beliefs.naive(actual), actual, given, HOUR0 * 3600)
    before = beliefs.learnt(table.copy(), actual, given, HOUR0, 0)
    cut = HOURS - 24 * 6 + 7
    torn, torn_given = actual.copy(), given.copy()
    torn[cut:] *= 3
    torn_given[cut + 24 - cut % 24 :] = 7.0
    after = beliefs.learnt(table.copy(), torn, torn_given, HOUR0, 0)
    assert np.array_equal(before[: cut + 1], after[: cut + 1])
    assert not np.array_equal(before[cut + 1 :], after[cut + 1 :])
    issued = np.arange(HOURS - 24 * 15, HOURS - 24)[:, None]
    truth = actual[issued + np.arange(24)]

    def error(rows):
        return np.abs(rows[issued, np.arange(24)] / truth - 1).mean()

    assert error(before) < 0.9 * error(table)


def test_what_one_replay_learnt_serves_the_next_bit_for_bit(tmp_path):
    actual, _ = made_up(5)
    plain = beliefs.own(actual, HOUR0, HOURS - 24 * 6)
    first = beliefs.own(actual, HOUR0, HOURS - 24 * 6, beliefs.kept_in(tmp_path))
    kept = sorted((tmp_path / "grid" / "fits").iterdir())

    def never(make, kind, /, *made_of):
        return shelf.at(tmp_path).recall(lambda: pytest.fail(f"{kind} was made again"), kind, *made_of)

    assert kept
    assert np.array_equal(plain, first)
    assert np.array_equal(plain, beliefs.own(actual, HOUR0, HOURS - 24 * 6, never))
