"""One twin of the grid APIs for all of a module's tests, without faults at the start of each; small models."""

from __future__ import annotations

import pytest

from heliotrope.grid.forecast.models import across, far, near
from heliotrope.grid.wire import client
from twins import serving


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    """The laws hold for any number of trees and of examples."""
    monkeypatch.setattr(near, "ROUNDS", 12)
    monkeypatch.setattr(near, "MOST_ROWS", 400)
    monkeypatch.setattr(far, "MOST_ROWS", 400)
    monkeypatch.setattr(across, "TREES", 12)
    monkeypatch.setattr(across, "CUT_OFFS", 2)


@pytest.fixture(scope="module")
def served():
    with serving() as found:
        yield found


@pytest.fixture
def twin(served, monkeypatch):
    twin, _ = served
    twin.faults.clear()
    twin.calls.clear()
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.01)
    return twin
