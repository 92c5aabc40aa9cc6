"""A gateway asks what each of its requests used: all of them and idle are what the meter said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import InvalidInput
from heliotrope.measure.share.requests import Request, share
from heliotrope.model import Reading

milliseconds = st.integers(0, 100_000).map(lambda n: n / 1000)
spans = st.tuples(milliseconds, milliseconds, st.integers(0, 10_000)).map(lambda t: (t[0], t[0] + t[1], t[2]))


def readings(*joules, step_s=10.0):
    return [Reading("nvml", "gpu0", i * step_s, (i + 1) * step_s, each, 0.0) for i, each in enumerate(joules)]


@given(st.lists(spans, max_size=30), st.lists(st.floats(0, 1e5), min_size=1, max_size=12))
def test_requests_and_idle_are_the_meter(wanted, joules):
    requests = [Request(f"r{i}", start, end, work) for i, (start, end, work) in enumerate(wanted)]
    shares = share(readings(*joules), requests)
    assert sum(part.value for part in shares.energy_j.values()) + shares.idle_j == pytest.approx(
        sum(joules), rel=1e-6, abs=1e-6
    )
    assert set(shares.energy_j) == {request.id for request in requests}
    assert all(part.value >= -1e-9 for part in shares.energy_j.values())


def test_a_batch_is_shared_by_tokens_and_the_bounds_hold_heads():
    shares = share(readings(100.0, 60.0), [Request("long", 0, 10, 300), Request("short", 0, 10, 100)])
    assert shares.energy_j["long"].value == pytest.approx(75)
    assert (shares.energy_j["short"].value, shares.energy_j["short"].high) == pytest.approx((25, 50))
    assert shares.idle_j == pytest.approx(60), "nobody was served in the second half"


def test_who_comes_later_does_not_pay_for_what_was_before():
    shares = share(readings(100.0, 100.0), [Request("a", 0, 20, 20), Request("b", 10, 20, 10)])
    assert shares.energy_j["a"].value == pytest.approx(150)
    assert shares.energy_j["b"].value == pytest.approx(50)


def test_a_request_that_cannot_be():
    with pytest.raises(InvalidInput, match="ends after it begins"):
        share([], [Request("x", 5, 4)])


def test_a_thousand_requests_take_no_square_of_time():
    requests = [Request(str(i), i * 0.01, i * 0.01 + 5, 1 + i % 7) for i in range(5000)]
    shares = share(readings(*[500.0] * 6), requests)
    assert sum(part.value for part in shares.energy_j.values()) + shares.idle_j == pytest.approx(3000)
