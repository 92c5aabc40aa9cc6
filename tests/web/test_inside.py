"""Where inside a run the energy went: what the page draws of the windows that a program measured."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from heliotrope.measure.records.windows import Window
from heliotrope.model import Provenance
from heliotrope.web.pages.inside import _bundled, inside


def window(path, number, energy_j=2.0, start_s=None):
    start_s = 1_800_000_000.0 + number if start_s is None else start_s
    return Window(
        number, number, start_s, start_s + 1, energy_j, energy_j / 2, energy_j * 2, path, 1, Provenance.MODELLED
    )


def training(epochs=3, steps=50):
    found = []
    for epoch in range(1, epochs + 1):
        for step in range(steps):
            number = (epoch - 1) * steps + step
            found.append(window(f"train/epoch {epoch}/step", number, 1.0 + epoch))
        found.append(
            window(f"train/epoch {epoch}", epoch, steps * (1.0 + epoch), start_s=1_800_000_000.0 + epoch * steps)
        )
    return [*found, window("train", 0, 450.0)]


def test_steps_are_drawn_over_time_and_epochs_side_by_side():
    drawn = inside(training(), factor=1.0)
    assert "150 × step, 3 J each on average" in drawn.note
    assert "modelled" in drawn.note
    assert "band" in drawn.chart
    assert re.findall(r'scope="row">([^<]+)', drawn.bars) == ["epoch 1", "epoch 2", "epoch 3"]
    assert "100 J" in drawn.bars


def test_many_epochs_share_bars_and_lose_no_joule():
    drawn = inside(training(epochs=40, steps=2), factor=60.0)
    labels = re.findall(r'scope="row">([^<]+)', drawn.bars)
    assert labels[0] == "epoch 1 to 4"
    assert len(labels) == 10
    assert "wall's clock" in drawn.note


def test_a_run_that_measured_nothing_of_itself_shows_nothing():
    assert inside([], factor=1.0) is None


def test_one_window_alone_is_said_and_not_drawn():
    drawn = inside([window("load", 0)], factor=1.0)
    assert drawn.chart == ""
    assert "1 × load" in drawn.note


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e3)), min_size=1, max_size=900))
def test_bundling_keeps_every_joule_and_every_step(rows):
    windows = [window("step", i, energy, start_s=1e9 + at) for i, (energy, at) in enumerate(rows)]
    found = _bundled(windows)
    assert len(found) <= 240
    assert abs(sum(w.energy_j for w in found) - sum(w.energy_j for w in windows)) <= 1e-6 * (
        1 + sum(e for e, _ in rows)
    )
    assert sum(w.last - w.first + 1 for w in found) == len(rows)
