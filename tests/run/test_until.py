"""`--until 07:00` is the next seven o'clock on this machine's face, whatever the night does to its clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from heliotrope.cli.work.options import instant
from heliotrope.errors import InvalidInput


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("now", "text", "until"),
    [
        ("2026-01-10T03:00", "07:00", "2026-01-10T06:00"),
        ("2026-01-10T12:00", "07:00", "2026-01-11T06:00"),
        ("2026-03-28T12:00", "07:00", "2026-03-29T05:00"),
        ("2026-10-24T12:00", "07:00", "2026-10-25T06:00"),
        ("2026-01-10T12:00", "2026-01-11T07:00+02:00", "2026-01-11T05:00"),
    ],
)
def test_next_such_time(berlin, now, text, until):
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert instant(text, at) == datetime.fromisoformat(until).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["25:00", "seven", "2026-01-11T07:00"])
def test_what_is_no_time(berlin, text):
    with pytest.raises(InvalidInput, match="time"):
        instant(text, datetime(2026, 1, 1, tzinfo=UTC))
