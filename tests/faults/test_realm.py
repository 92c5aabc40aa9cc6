"""Real processes on two sides of a real cable: killed, cut off, without room; each job has its effect once."""

from __future__ import annotations

import time

import pytest

from faults import cable
from faults.realm import Realm

QUICK_S = 15.0  # `bench/run_faults.py` goes through two hundred rounds


@pytest.fixture
def realm(tmp_path):
    if reason := cable.missing():
        pytest.skip(reason)
    made = Realm(tmp_path, seed="ci")
    try:
        made.open()
        yield made
    finally:
        made.close()


def test_what_is_killed_cut_off_or_without_room_loses_nothing(realm):
    began = time.monotonic()
    while realm.rounds < 2 or time.monotonic() - began < QUICK_S:
        realm.round()
    assert realm.met.total() >= realm.rounds >= 2
    assert realm.check_log() >= realm.jobs_done
