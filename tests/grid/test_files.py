"""People's own series: read as written, or refused with file, line, field and a way out. No silent number."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.config import GridSettings
from heliotrope.errors import ConfigError, InvalidInput, SignalGap, SignalMismatch, UnknownName, UnknownZone
from heliotrope.grid import Grid
from heliotrope.model import CARBON, CARBON_PRICE, PRICE, QualityKind, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, epoch_s, from_epoch, parse_instant

START = epoch_s(parse_instant("2026-03-01T00:00Z"))
VALUES = [100.0 + i for i in range(48)]


def wide(path, values=VALUES, *, start=START, step=S_PER_HOUR, zone="DE", header=None):
    lines = [header or f"time,{zone}"]
    lines += [f"{from_epoch(start + i * step):%Y-%m-%dT%H:%M:%SZ},{v}" for i, v in enumerate(values)]
    path.write_text("\n".join(lines) + "\n")
    return path


def grid(path, *, providers=("file",), **options):
    return Grid(GridSettings(providers=providers, files=(str(path),), options={"file": options}))


def read(path, hours=48, **options):
    return grid(path, **options).history("DE", START, START + hours * S_PER_HOUR)


def test_wide(tmp_path):
    signal = read(wide(tmp_path / "g.csv"))
    assert signal.values.tolist() == VALUES
    assert (signal.kind, signal.zone, signal.quality.kind) == (CARBON, "DE", QualityKind.MEASURED)
    assert signal.quality.source == "file g.csv"


def test_long_holds_many_zones(tmp_path):
    path = tmp_path / "g.csv"
    rows = [f"{from_epoch(START + i * 3600):%Y-%m-%dT%H:%MZ},{z},{i}" for i in range(48) for z in ("DE", "FR")]
    path.write_text("\n".join(["time,zone,value", *rows]))
    assert read(path).values.tolist() == list(map(float, range(48)))


def test_parquet_gives_what_csv_gives(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    from pyarrow import parquet

    times = [from_epoch(START + i * S_PER_HOUR) for i in range(48)]
    parquet.write_table(pyarrow.table({"time": times, "DE": VALUES}), tmp_path / "g.parquet")
    assert read(tmp_path / "g.parquet").values.tolist() == VALUES


def test_half_hours_become_hours(tmp_path):
    signal = read(wide(tmp_path / "g.csv", range(96), step=1800))
    assert signal.step_s == S_PER_HOUR
    assert signal.values.tolist() == [2 * i + 0.5 for i in range(48)]


@pytest.mark.parametrize(("unit", "factor"), [("lb/MWh", 0.45359237), ("kg/kWh", 1000), ("kg/MWh", 1), ("g/kWh", 1)])
def test_units_in_the_header_are_converted(tmp_path, unit, factor):
    values = [0.5 + i / 100 for i in range(48)]
    signal = read(wide(tmp_path / "g.csv", values, header=f"time,DE [{unit}]"))
    assert np.allclose(signal.values, np.array(values) * factor)


def test_an_autumn_night_in_utc_is_like_any_other(tmp_path):
    """The clock change is nothing in UTC: 25 local hours are 25 rising instants."""
    start = epoch_s(parse_instant("2026-10-24T22:00Z"))
    path = wide(tmp_path / "g.csv", range(30), start=start)
    signal = grid(path).history("DE", start, start + 30 * S_PER_HOUR)
    assert signal.values.tolist() == list(map(float, range(30)))


def test_offsets_are_times_too(tmp_path):
    path = tmp_path / "g.csv"
    rows = [f"2026-03-01T{h:02}:00:00+01:00,{h}" for h in range(24)]
    path.write_text("\n".join(["time,DE", *rows]))
    signal = grid(path).history("DE", START, START + 22 * S_PER_HOUR)
    assert signal.values[0] == 1.0


def test_naive_times_are_utc_with_a_flag(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("\n".join(["time,DE", *(f"2026-03-01 {h:02}:00:00,{h}" for h in range(24))]))
    signal = grid(path).history("DE", START, START + S_PER_DAY)
    assert "UTC" in signal.quality.flags[0]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_seen_in_the_header(tmp_path, separator):
    path = wide(tmp_path / "g.csv")
    path.write_text(path.read_text().replace(",", separator))
    assert read(path).values.tolist() == VALUES


def test_text_that_is_not_utf8_names_the_way_out(tmp_path):
    path = wide(tmp_path / "g.csv")
    path.write_text(path.read_text(), encoding="utf-16")
    with pytest.raises(InvalidInput, match=r"g\.csv: no text") as fault:
        read(path)
    assert "UTF-8" in fault.value.hint


def test_decimal_commas_are_refused_with_a_hint(tmp_path):
    path = wide(tmp_path / "g.csv")
    path.write_text(path.read_text().replace(",", ";").replace(".0", ",0"))
    with pytest.raises(InvalidInput, match=r"g\.csv:2: DE: not a number") as fault:
        read(path)
    assert "point" in fault.value.hint


@pytest.mark.parametrize(("step", "said"), [(7200, "do not divide the hour"), (86400, "mostly 86400 s")])
def test_steps_that_make_no_hours_are_refused(tmp_path, step, said):
    with pytest.raises(InvalidInput, match=said):
        read(wide(tmp_path / "g.csv", step=step))


def test_a_time_off_its_step_names_its_line(tmp_path):
    path = edit(wide(tmp_path / "g.csv"), 9, "2026-03-01T07:07:00Z,1")
    with pytest.raises(InvalidInput, match=r"g\.csv:9: time: a time off its step") as fault:
        read(path)
    assert fault.value.cause == "found '2026-03-01T07:07:00Z'; allowed: whole steps of 60 min from the hour on"


def edit(path, line, text):
    lines = path.read_text().splitlines()
    if text is None:
        del lines[line - 1]
    else:
        lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("line", "text", "error", "said"),
    [
        (9, None, SignalGap, ["1 h without values from 2026-03-01T07:00Z", "fill_hours"]),
        (9, "2026-03-01T07:00:00Z,", SignalGap, ["g.csv:9", "DE"]),
        (9, "2026-03-01T07:00:00Z,nan", InvalidInput, ["g.csv:9: DE", "not a finite number"]),
        (9, "2026-03-01T07:00:00Z,inf", InvalidInput, ["g.csv:9: DE"]),
        (9, "2026-03-01T07:00:00Z,-5", InvalidInput, ["g.csv:9: DE", "negative", "'-5'"]),
        (9, "2026-03-01T07:00:00Z,1e9", InvalidInput, ["g.csv:9", "emits", "kg/MWh"]),
        (9, "2026-03-01T07:00:00Z,n/a", InvalidInput, ["g.csv:9: DE", "not a number", "'n/a'"]),
        (9, "2026-03-01T07:00:00Z,7 lb/MWh", InvalidInput, ["g.csv:9", "units go in the header"]),
        (9, "2026-03-01T06:00:00Z,1", InvalidInput, ["g.csv:9: time", "appears twice (also on line 8)", "UTC"]),
        (9, "2026-03-01T02:00:00Z,1", InvalidInput, ["g.csv:9: time", "goes back", "UTC"]),
        (9, "yesterday,1", InvalidInput, ["g.csv:9: time", "not a time", "'yesterday'"]),
        (9, "2026-03-01T07:00:00Z", InvalidInput, ["g.csv:9", "1 of 2 columns", "truncated"]),
        (49, "2026-03-0", InvalidInput, ["g.csv:49", "truncated"]),
        (1, "when,DE", InvalidInput, ["g.csv:1", "no column holds the time"]),
        (1, "time,DE [cups]", UnknownZone, ["no zone DE", "DE [cups]"]),
        (1, "time,DE [g/MWh]", SignalMismatch, ["g/MWh", "lb/mwh"]),
    ],
)
def test_a_fault_names_its_place_and_a_way_out(tmp_path, line, text, error, said):
    path = edit(wide(tmp_path / "g.csv"), line, text)
    with pytest.raises(error) as fault:
        read(path)
    for words in said:
        assert words in str(fault.value)


def test_units_that_change_on_the_way_are_refused(tmp_path):
    path = tmp_path / "g.csv"
    rows = [f"{from_epoch(START + i * 3600):%Y-%m-%dT%H:%MZ},DE,{300 + i},g/kWh" for i in range(24)]
    rows[12] = rows[12].replace("g/kWh", "lb/MWh")
    path.write_text("\n".join(["time,zone,value,unit", *rows]))
    with pytest.raises(SignalMismatch, match=r"g.csv:14: DE: units are mixed"):
        grid(path).history("DE", START, START + S_PER_DAY)


def test_a_gap_matters_only_where_it_is_asked_for(tmp_path):
    path = edit(wide(tmp_path / "g.csv"), 40, None)
    assert len(read(path, hours=30).values) == 30


def test_short_gaps_can_be_filled_and_say_so(tmp_path):
    path = edit(edit(wide(tmp_path / "g.csv"), 10, None), 10, None)
    signal = read(path, fill_hours=2)
    assert signal.values.tolist() == VALUES
    assert "2 h filled" in signal.quality.flags[0]
    with pytest.raises(SignalGap):
        read(path, fill_hours=1)


@pytest.mark.parametrize("content", [b"", b"time,DE\n", b"\xff\xfe\x00binary", b'time,DE\n"2026-03-01T00:00Z,1\n'])
def test_what_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "g.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"g\.csv"):
        read(path)


def test_a_broken_parquet_file_is_refused(tmp_path):
    pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    (tmp_path / "g.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InvalidInput, match=r"g\.parquet: cannot be read as Parquet"):
        read(tmp_path / "g.parquet")


def test_a_missing_file_and_a_misspelt_option(tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(ConfigError, match="fil_hours"):
        read(wide(tmp_path / "g.csv"), fil_hours=2)
    with pytest.raises(UnknownName, match="no grid provider named flie") as fault:
        grid(wide(tmp_path / "g.csv"), providers=("flie",)).history("DE", START, START + S_PER_DAY)
    assert "did you mean file?" in fault.value.hint


def test_files_of_several_kinds_lie_side_by_side(tmp_path):
    """Intensities, prices and the price of carbon of one zone, each from its own file; what is in none is refused."""
    carbon = wide(tmp_path / "carbon.csv")
    price = wide(tmp_path / "spot.csv", [-5.0, *VALUES[1:]], header="time,DE [EUR/MWh]")
    allowance = wide(tmp_path / "eua.csv", [71.5] * 48, header="time,DE [EUR/t]")
    kinds = {"spot.csv": "price", "eua.csv": "carbon_price"}
    files = tuple(str(path) for path in (carbon, price, allowance))
    many = Grid(GridSettings(providers=("file",), files=files, options={"file": {"kinds": kinds}}))
    span = ("DE", START, START + S_PER_DAY)
    assert many.history(*span).values.tolist() == VALUES[:24]
    assert many.history(*span, kind=PRICE).values.tolist() == [-5.0, *VALUES[1:24]]
    dues = many.history(*span, kind=CARBON_PRICE)
    assert set(dues.values.tolist()) == {71.5}
    assert (dues.kind.unit, dues.quality.source) == ("EUR/t", "file eua.csv")
    with pytest.raises(SignalMismatch):
        many.history(*span, kind=SignalKind.parse("carbon/marginal/direct"))


def test_a_unit_of_another_kind_says_where_to_state_it(tmp_path):
    with pytest.raises(SignalMismatch, match="a unit that does not fit") as fault:
        read(wide(tmp_path / "spot.csv", header="time,DE [EUR/MWh]"))
    assert 'kinds = { "spot.csv" = "price" }' in fault.value.hint
    with pytest.raises(ConfigError, match=r"sport\.csv is none of grid\.files") as fault:
        read(wide(tmp_path / "spot.csv"), kinds={"sport.csv": "price"})
    assert "spot.csv" in fault.value.hint


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("time,DE,DE\n2026-03-01T00:00Z,1,2\n2026-03-01T01:00Z,1,2\n")
    with pytest.raises(InvalidInput, match="two columns of one name"):
        read(path, 2)


def test_a_compressed_file_is_told_from_one_in_another_alphabet(tmp_path):
    (tmp_path / "g.csv").write_bytes(gzip.compress(b"time,DE\n"))
    with pytest.raises(InvalidInput, match="no text") as fault:
        read(tmp_path / "g.csv")
    assert "gunzip" in fault.value.hint


def test_a_kind_that_the_file_is_not_is_refused(tmp_path):
    with pytest.raises(SignalMismatch, match="no configured provider gives carbon/marginal/direct"):
        grid(wide(tmp_path / "g.csv")).history(
            "DE", START, START + S_PER_DAY, kind=SignalKind.parse("carbon/marginal/direct/production")
        )


def test_files_come_first_and_the_model_says_what_it_stands_in_for(tmp_path):
    door = Grid(GridSettings(files=(str(wide(tmp_path / "g.csv")),)))
    assert door.history("DE", START, START + S_PER_DAY).quality.source == "file g.csv"
    signal = door.history("DE", START - S_PER_DAY, START)
    assert signal.quality.kind is QualityKind.MODELLED
    assert any(flag.startswith("file: ") for flag in signal.quality.flags)
    assert door.history("FR", START, START + S_PER_DAY).quality.kind is QualityKind.MODELLED


def test_hours_still_to_come_when_the_file_was_written_are_a_forecast(tmp_path):
    path = wide(tmp_path / "g.csv")
    os.utime(path, (START, START))
    signal = grid(path).forecast("DE", START, START + S_PER_DAY, issued_at_s=START + 600)
    assert signal.values.tolist() == VALUES[:24]
    assert (signal.quality.kind, signal.quality.issued_at_s) == (QualityKind.FORECAST, START + 600)


def test_a_zone_that_only_the_file_knows(tmp_path):
    path = wide(tmp_path / "g.csv", zone="campus")
    assert grid(path).history("campus", START, START + S_PER_DAY).zone == "campus"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 3000), min_size=2, max_size=60), st.sampled_from([300, 900, 1800, 3600]), st.data())
def test_hourly_means_lose_and_invent_nothing(tmp_path_factory, values, step, data):
    """Over the hours the file covers whole, the energy-weighted sum is the file's own."""
    per_hour = S_PER_HOUR // step
    hours = len(values) // per_hour
    if hours < 1 or hours * per_hour < 2:
        return
    path = wide(tmp_path_factory.mktemp("g") / "g.csv", values, step=step)
    signal = grid(path).history("DE", START, START + hours * S_PER_HOUR)
    assert signal.values.sum() * per_hour == pytest.approx(sum(values[: hours * per_hour]))
