"""Laws of numbers that know how they came to be."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.model import ZERO, Estimate, Provenance, least_trusted, total

finite = st.floats(-1e9, 1e9)


@st.composite
def estimates(draw):
    low, value, high = sorted((draw(finite), draw(finite), draw(finite)))
    return Estimate(value, low, high, draw(st.sampled_from(Provenance)))


@given(estimates(), estimates())
def test_a_sum_holds_every_sum_of_its_parts(a, b):
    both = a + b
    assert both.low <= a.low + b.high <= both.high
    assert both.value == a.value + b.value
    assert both.provenance == least_trusted((a.provenance, b.provenance))


@given(estimates(), estimates())
def test_a_product_holds_every_product_of_its_parts(a, b):
    both = a * b
    for x in (a.low, a.value, a.high):
        for y in (b.low, b.value, b.high):
            slack = 1e-6 * max(1.0, abs(x * y))
            assert both.low - slack <= x * y <= both.high + slack


@given(st.lists(estimates(), max_size=6))
def test_totals_keep_the_least_trusted_word(parts):
    assert total(parts).provenance == least_trusted(p.provenance for p in parts)


def test_nothing_sums_to_nothing():
    assert total([]) == ZERO


@pytest.mark.parametrize("bad", [(1, 2, 3), (float("nan"), 0, 1), (5, 0, float("inf"))])
def test_an_interval_that_cannot_be_is_refused(bad):
    with pytest.raises(ValueError, match="an estimate"):
        Estimate(*bad)


def test_bad_json_names_the_path_of_the_fault():
    with pytest.raises(msgspec.ValidationError, match=r"\$\.high"):
        msgspec.json.decode(b'{"value":1,"low":0,"high":"two"}', type=Estimate)
