"""Signals are typed by kind, whole, and add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import InvalidInput, SignalGap, SignalMismatch
from heliotrope.model import CARBON, PRICE, Basis, Quality, QualityKind, Signal, SignalKind

QUALITY = Quality(QualityKind.MEASURED, "a test", "none")
HOUR = 3600


def signal(values, kind=CARBON, start=0, step=HOUR):
    array = np.asarray(values, dtype=float)
    return Signal(kind, "XX", start, step, array, array * 0.9, array * 1.1, QUALITY)


@pytest.mark.parametrize(
    "text",
    ["carbon/average/lifecycle", "carbon/marginal/direct/consumption", "price", "water", "carbon_free"],
)
def test_a_kind_reads_as_it_is_written(text):
    kind = SignalKind.parse(text)
    assert SignalKind.parse(str(kind).split(" [")[0]) == kind


@pytest.mark.parametrize("text", ["carbs", "carbon/averge", "carbon/average/marginal", ""])
def test_a_kind_that_is_none_is_refused(text):
    with pytest.raises(InvalidInput, match="kind"):
        SignalKind.parse(text)


def test_average_and_marginal_do_not_mix():
    marginal = SignalKind.parse("carbon/marginal/lifecycle")
    assert marginal.basis is Basis.MARGINAL
    with pytest.raises(SignalMismatch, match="different kinds"):
        signal([1]).same_kind(signal([1], marginal))
    with pytest.raises(SignalMismatch):
        signal([1]).same_kind(signal([1], PRICE))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_hole_is_an_error_not_a_number(bad):
    with pytest.raises(SignalGap, match=r"XX\[1\]"):
        signal([1.0, bad, 3.0])


@pytest.mark.parametrize("at", [-1, 3 * HOUR, 1e12])
def test_no_value_outside(at):
    with pytest.raises(SignalGap, match="no value"):
        signal([1, 2, 3]).at(at)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=30), st.data())
def test_means_of_parts_make_the_mean_of_the_whole(values, data):
    s = signal(values)
    end = len(values) * HOUR
    a, b, c = sorted(data.draw(st.tuples(*[st.integers(0, end)] * 3)))
    if not a < b < c:
        return
    whole = s.mean(a, c)[0] * (c - a)
    parts = s.mean(a, b)[0] * (b - a) + s.mean(b, c)[0] * (c - b)
    assert whole == pytest.approx(parts, rel=1e-9, abs=1e-6)


def test_a_day_is_86400_seconds_in_march_too():
    """Summer time begins on 29 March 2026 in Berlin; nothing happens in UTC."""
    start = 1774742400  # 2026-03-29T00:00Z
    s = signal(range(24), start=start)
    assert s.at(start + 2 * HOUR) == 2
    assert s.at(start + 3 * HOUR) == 3
    assert s.end_s - start == 86_400
