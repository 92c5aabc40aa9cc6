"""What cannot be meant cannot be built; what is built survives the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from heliotrope.model import Flexibility, Length, RunState, Site, Workload, WorkloadKind

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def workload(**changes):
    fields = {
        "id": "w1",
        "kind": WorkloadKind.TRAIN,
        "command": ("python", "train.py"),
        "submitted_at": NOW,
        "length": Length.known(3600),
    }
    return Workload(**(fields | changes))


def test_a_workload_survives_the_wire():
    w = workload(deadline=NOW + timedelta(hours=9), flexibility=Flexibility(pausable=True, speedup=(1.0, 1.8)))
    assert msgspec.json.decode(msgspec.json.encode(w), type=Workload) == w


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"command": ()}, "needs a command"),
        ({"deadline": NOW}, "deadline lies before"),
        ({"deadline": NOW + timedelta(hours=1), "not_before": NOW + timedelta(hours=2)}, "deadline lies before"),
    ],
)
def test_a_workload_that_cannot_be_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        workload(**change)


@pytest.mark.parametrize(
    ("json", "path"),
    [
        (b'{"name":"x","zone":"DE","devices":[{"id":"a","model":"b","max_w":-1}]}', r"\$\.devices\[0\]\.max_w"),
        (b'{"name":"x","zone":"DE","cooling":{"pue":0.9}}', r"\$\.cooling\.pue"),
        (b'{"name":"x","zone":"DE","place":{"latitude":91,"longitude":0}}', r"\$\.place\.latitude"),
        (b'{"name":"x","zone":"DE","tier":"cloud"}', r"\$\.tier"),
        (b'{"name":"x","zone":"DE","colour":"red"}', "colour"),
    ],
)
def test_a_bad_site_names_the_path_of_the_fault(json, path):
    with pytest.raises(msgspec.ValidationError, match=path):
        msgspec.json.decode(json, type=Site)


def test_naive_times_are_refused():
    body = msgspec.json.encode(workload()).replace(b"2026-05-01T12:00:00Z", b"2026-05-01T12:00:00")
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.json.decode(body, type=Workload)


def test_five_states_end_a_run():
    assert {s for s in RunState if s.ended} == {
        RunState.DONE,
        RunState.FAILED,
        RunState.CANCELLED,
        RunState.LOST,
        RunState.MOVED,
    }
