"""What was told stays told: revisions, budgets and wishes for quiet outlive a restart; nothing is asked for twice."""

from __future__ import annotations

import sqlite3
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.errors import ProviderBusy, ProviderDenied, ProviderDown, ProviderError, SignalGap, StoreError
from heliotrope.grid.twin.faults import Fault
from heliotrope.grid.wire import months
from heliotrope.grid.wire.archive import FILE, Archive
from heliotrope.grid.wire.client import Client
from heliotrope.grid.wire.months import FOLDER
from heliotrope.model import CARBON_FREE, SignalKind
from heliotrope.units import S_PER_DAY, hour_floor
from twins import CASES, ask, door, yesterday

PATH = "/intensity/2026-03-01T00:00Z/2026-03-02T00:00Z"


def age(home, seconds):
    """As if everything had been fetched so much earlier."""
    with sqlite3.connect(home / FILE) as db:
        db.execute("UPDATE hour SET fetched_s = fetched_s - ?", (seconds,))
        db.execute("UPDATE document SET fetched_s = fetched_s - ?", (seconds,))
    db.close()


def test_revised_data_replace_the_old_which_are_kept(served, twin, tmp_path):
    first = ask(served, "energycharts", tmp_path)
    age(tmp_path, 3600)
    twin.faults.append(Fault("revised"))
    second = ask(served, "energycharts", tmp_path)
    assert np.allclose(second.values, first.values * 1.1)
    assert any("revised by energycharts" in flag for flag in second.quality.flags)
    kept = list(Archive(tmp_path / FILE).everything(("DE",)))
    before = [one.value for one in kept if one.replaced]
    after = [one.value for one in kept if not one.replaced]
    assert np.allclose(before, first.values)
    assert np.allclose(after, second.values)


answers = st.lists(st.dictionaries(st.integers(0, 5), st.none() | st.floats(0, 900)), max_size=8)


@settings(max_examples=40, deadline=None)
@given(answers)
def test_the_newest_value_stands_and_none_is_lost(told):
    archive, newest, ever = Archive(None), {}, set()
    for at, answer in enumerate(told):
        archive.keep_hours("p", "DE", "k", {hour: (value, "") for hour, value in answer.items()}, at)
        values = {hour: value for hour, value in answer.items() if value is not None}
        newest |= values
        ever |= set(values.items())
    stands = {hour: one.value for hour, one in archive.hours("p", "DE", "k", 0, 9).items() if one.value is not None}
    assert stands == newest
    assert {(one.start_s, one.value) for one in archive.everything()} == ever


def parquet_rows(home):
    pq = pytest.importorskip("pyarrow.parquet")
    return [row for path in sorted((home / FOLDER).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_history_lies_in_parquet_too_a_file_a_month_with_what_was_revised(served, twin, tmp_path):
    """Unasked; 40 days touch two or three months, and a revision rewrites its own month alone."""
    kind, now = SignalKind.parse(CASES["energycharts"][1]), hour_floor(time.time())
    whole = door(served, "energycharts", tmp_path).history("DE", now - 40 * S_PER_DAY, now, kind=kind)
    rows = parquet_rows(tmp_path)
    stems = {path.stem for path in (tmp_path / FOLDER / "DE" / "energycharts").iterdir()}
    assert stems == {f"{row['time']:%Y-%m}" for row in rows}
    assert len(stems) >= 2
    assert np.allclose([row["value"] for row in rows], whole.values)
    assert {(row["zone"], row["provider"], row["replaced"]) for row in rows} == {("DE", "energycharts", False)}
    age(tmp_path, 3600)
    twin.faults.append(Fault("revised"))
    door(served, "energycharts", tmp_path).history("DE", now - S_PER_DAY, now, kind=kind)
    replaced = [row["value"] for row in parquet_rows(tmp_path) if row["replaced"]]
    assert np.allclose(replaced, whole.values[-len(replaced) :])
    assert len(replaced) == 24


def test_parquet_that_cannot_be_written_is_said_and_made_up_for(tmp_path):
    pytest.importorskip("pyarrow")
    archive, folder = Archive(tmp_path / FILE), tmp_path / FOLDER
    archive.keep_hours("p", "GB-../x", "k", {0: (1.0, ""), 3600: (None, "")}, 7)
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    assert "not as Parquet" in months.write(archive, folder)[0]
    folder.unlink()
    assert months.write(archive, folder) == []
    assert [(row["time"].timestamp(), row["value"]) for row in parquet_rows(tmp_path)] == [(0, 1.0)]
    assert [path.parent.parent.parent for path in tmp_path.rglob("*.parquet")] == [folder], "no zone leads elsewhere"
    archive.keep_hours("p", "GB-../x", "k", {0: (1.0, "")}, 8)
    with archive.unwritten() as pending:
        assert pending == [], "the same value again changes no month"


def test_a_budget_outlives_a_restart(served, twin, tmp_path):
    def client():
        return Client("neso", f"{served[1]}/neso", calls_per_hour=2, archive=Archive(tmp_path / FILE))

    for _ in range(2):
        client().get(PATH)
    with pytest.raises(ProviderBusy, match="budget of 2 calls"):
        client().get(PATH)
    assert len(twin.calls) == 2


def test_a_wish_for_quiet_outlives_a_restart(served, twin, tmp_path):
    def client():
        return Client("neso", f"{served[1]}/neso", archive=Archive(tmp_path / FILE))

    twin.faults.append(Fault("busy", times=1, retry_after_s=600))
    for _ in range(2):
        with pytest.raises(ProviderBusy):
            client().get(PATH)
    assert len(twin.calls) == 1


def test_what_has_not_changed_is_not_sent_again(served, twin, tmp_path):
    client = Client("neso", f"{served[1]}/neso", archive=Archive(tmp_path / FILE))
    first, second = client.get(PATH), client.get(PATH)
    assert [call["status"] for call in twin.calls] == [200, 304]
    assert first.body == second.body


def test_a_service_in_trouble_is_left_alone(served, twin):
    client = Client("neso", f"{served[1]}/neso")
    twin.faults.append(Fault("down"))
    with pytest.raises(ProviderDown):
        client.get(PATH)
    for _ in range(20):
        with pytest.raises(ProviderBusy, match="left alone"):
            client.get(PATH)
    assert len(twin.calls) == 3


def test_a_refused_key_is_not_shown_again_at_once(served, twin):
    client = Client("neso", f"{served[1]}/neso")
    twin.faults.append(Fault("unauthorized", times=1))
    for _ in range(5):
        with pytest.raises(ProviderDenied):
            client.get(PATH)
    assert len(twin.calls) == 1


def test_a_service_that_moved_is_named(served, twin):
    twin.faults.append(Fault("moved"))
    with pytest.raises(ProviderError, match="has moved"):
        ask(served, "neso")


def test_late_data_are_not_asked_for_at_every_turn(served, twin, tmp_path):
    twin.faults.append(Fault("late"))
    end = hour_floor(time.time())
    kind = SignalKind.parse(CASES["energycharts"][1])
    for _ in range(3):
        with pytest.raises(SignalGap, match=r"[56] h without values"):
            door(served, "energycharts", tmp_path).history("DE", end - S_PER_DAY, end, kind=kind)
    assert len(twin.calls) == 1


def test_what_is_kept_will_do_while_the_service_is_down_and_says_its_age(served, twin, tmp_path):
    first = ask(served, "energycharts", tmp_path)
    age(tmp_path, 7200)
    twin.faults.append(Fault("down"))
    again = ask(served, "energycharts", tmp_path)
    assert np.array_equal(first.values, again.values)
    assert any("not refreshed for 2.0 h" in flag for flag in again.quality.flags)


def test_a_kept_history_alone_can_be_forecast_from(served, twin, tmp_path):
    now = int(time.time())
    start = hour_floor(now)

    def forecast():
        return door(served, "energycharts", tmp_path).forecast(
            "DE", start, start + S_PER_DAY, issued_at_s=now, kind=CARBON_FREE
        )

    forecast()
    age(tmp_path, 7200)
    twin.faults.append(Fault("down"))
    signal = forecast()
    assert len(signal.values) == 24
    assert any("from what is kept here: energycharts is in trouble" in flag for flag in signal.quality.flags)


def test_a_clock_half_an_hour_off_is_noted(served, twin):
    grid = door(served, "neso")
    grid.providers[0].client.now = lambda: time.time() + 1800
    signal = grid.history("GB", *yesterday(), kind=SignalKind.parse(CASES["neso"][1]))
    assert "our clock is 30 min ahead of theirs" in signal.quality.flags


def test_something_else_in_the_archives_place_is_told(tmp_path):
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text("a diary\n" * 200)
    with pytest.raises(StoreError, match="cannot be used to keep signals"):
        Archive(path)
