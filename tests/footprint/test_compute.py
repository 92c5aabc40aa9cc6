"""Energy into footprint: what must hold for every measurement, site and signal."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope import footprint
from heliotrope.errors import InvalidInput, SignalGap, SignalMismatch
from heliotrope.model import (
    CARBON,
    PRICE,
    WATER,
    Cooling,
    Device,
    Estimate,
    Measurement,
    Provenance,
    Quality,
    QualityKind,
    Reading,
    Signal,
    Site,
)

START = 1_800_000_000 // 3600 * 3600
HOURS = 24
KWH = 3.6e6
KNOWN = Cooling(pue=1.25, pue_low=1.2, pue_high=1.3, wue_l_per_kwh=0.5, heat_reuse_share=0.2, source="meter")


def signal(values, kind=CARBON, spread=0.1, zone="DE", quality=QualityKind.MEASURED, flags=()):
    values = np.asarray(values, dtype=float)
    return Signal(
        kind,
        zone,
        START,
        3600,
        values,
        values * (1 - spread),
        values * (1 + spread),
        Quality(quality, "test", "CC0", flags=flags),
    )


def measured(readings, energy_j=None, duration_s=None):
    readings = tuple(Reading("m", "host", a, b, e) for a, b, e in readings)
    total = sum(r.energy_j for r in readings) if energy_j is None else energy_j
    start, end = readings[0].start_s, readings[-1].end_s
    return Measurement(
        "x", start, end, duration_s or end - start, Estimate(total, total * 0.9, total * 1.1), readings=readings
    )


def site(**more):
    return Site(name="a", zone="DE", cooling=more.pop("cooling", KNOWN), **more)


def test_two_hours_two_intensities():
    """1 kWh at 100 g and 1 kWh at 300 g, PUE 1.25: 500 g."""
    m = measured([(START, START + 3600, KWH), (START + 3600, START + 7200, KWH)])
    result = footprint.compute(m, site(), signal([100, 300] + [0] * 22))
    assert result.carbon_operational_g.value == pytest.approx(500)
    assert result.facility_energy_j.value == pytest.approx(2.5 * KWH)
    assert [h.intensity_g_per_kwh for h in result.hours] == [100, 300]
    assert result.carbon_operational_g.low == pytest.approx(2 * 0.9 * 1.2 * 200 * 0.9)
    assert result.heat_reused_j.value == pytest.approx(0.5 * KWH)


spans = st.lists(
    st.tuples(st.floats(0, HOURS * 3600 - 1), st.floats(0, 5000), st.floats(0, 1e7)), min_size=1, max_size=12
).filter(lambda rows: sum(e for *_, e in rows) > 1)


@given(spans, st.lists(st.floats(0, 2000), min_size=HOURS, max_size=HOURS), st.floats(0.1, 3))
def test_hours_sum_to_the_whole_whatever_the_readings(rows, values, overlap):
    """Every joule meets exactly one hour; overlapping meters never raise the amount."""
    readings = [(START + a, min(START + a + d, START + HOURS * 3600), e) for a, d, e in sorted(rows)]
    amount = sum(e for *_, e in rows) * overlap
    result = footprint.compute(measured(readings, amount, 60.0), site(), signal(values))
    assert sum(h.energy_j for h in result.hours) == pytest.approx(amount * 1.25, rel=1e-9)
    grams = sum(h.energy_j / KWH * h.intensity_g_per_kwh for h in result.hours)
    assert grams == pytest.approx(result.carbon_operational_g.value, rel=1e-9, abs=1e-12)
    bounds = result.carbon_operational_g
    assert bounds.low <= bounds.value * (1 + 1e-9) <= bounds.high * (1 + 2e-9)


@given(st.floats(1, 20 * 3600), st.floats(0, 3600), st.integers(1, 40))
def test_constant_power_does_not_care_how_often_it_was_read(length, offset, pieces):
    edges = np.linspace(START + offset, START + offset + length, pieces + 1)
    fine = measured([(a, b, 100.0 * (b - a)) for a, b in pairwise(edges)])
    coarse = measured([(edges[0], edges[-1], 100.0 * (edges[-1] - edges[0]))])
    values = 300 + 200 * np.sin(np.arange(HOURS))
    a, b = (footprint.compute(m, site(), signal(values)).carbon_operational_g.value for m in (fine, coarse))
    assert a == pytest.approx(b, rel=1e-9)
    mean, _, _ = signal(values).mean(START + offset, START + offset + length)
    assert a == pytest.approx(mean * 1.25 * 100 * length / KWH, rel=1e-6)  # epoch seconds carry 0.2 µs


def test_no_readings_means_even_power():
    m = Measurement("x", START, START + 7200, 7200, Estimate.exact(2 * KWH))
    result = footprint.compute(m, site(), signal([100, 300] + [0] * 22))
    assert result.carbon_operational_g.value == pytest.approx(500)


def test_a_whole_life_at_full_use_gives_out_exactly_what_was_made():
    device = Device("g", "H100", "gpu", count=8, embodied_g=Estimate(164e3, 160e3, 170e3), lifetime_s=1e8)
    host = Device("h", "host", "cpu", count=1, embodied_g=Estimate.exact(2.5e6), lifetime_s=1e8)
    m = measured([(START, START + 3600, KWH)])
    result = footprint.compute(m, site(devices=(device, host), capacity=8), signal([1] * HOURS), device_s=8e8)
    assert result.carbon_embodied_g.value == pytest.approx(8 * 164e3 + 2.5e6)


def test_unknown_hardware_and_cooling_give_intervals_and_flags():
    bare = Site(name="here", zone="DE")
    result = footprint.compute(measured([(START, START + 3600, KWH)]), bare, signal([100] * HOURS))
    assert result.facility_energy_j.provenance is Provenance.ASSUMED
    assert result.facility_energy_j.high >= 1.63 * KWH
    assert result.carbon_embodied_g.low < result.carbon_embodied_g.value < result.carbon_embodied_g.high
    assert {"PUE assumed", "price assumed"} <= set(result.flags)
    assert any("embodied" in flag for flag in result.flags)
    assert any("water" in flag for flag in result.flags)
    assert all(factor.source for factor in result.factors)


def test_two_vcpus_of_unknown_make_are_not_charged_a_server():
    """A year on both threads of a small guest: their share of a machine, with bounds that hold a laptop's and a rack's."""
    year_s = 365 * 86_400
    m = measured([(START, START + 3600, KWH)])
    both = footprint.compute(m, Site(name="here", zone="DE", capacity=2), signal([1] * HOURS), device_s=2 * year_s)
    assert 1e3 < both.carbon_embodied_g.low < both.carbon_embodied_g.value < 10e3
    assert both.carbon_embodied_g.high < 763e3 / 4
    threads = Device("cpu", "some cpu", count=2, max_w=4.0)
    told = footprint.compute(m, site(devices=(threads,), capacity=2), signal([1] * HOURS), device_s=2 * year_s)
    assert told.carbon_embodied_g.value == pytest.approx(both.carbon_embodied_g.value, rel=0.5)
    host = Device("h", "some host", max_w=400.0)
    whole = footprint.compute(m, site(devices=(host,), capacity=1), signal([1] * HOURS), device_s=4 * year_s)
    assert whole.carbon_embodied_g.value == pytest.approx(763e3, rel=0.01)
    for result in (both, told, whole):
        assert result.carbon_embodied_g.provenance is Provenance.ASSUMED
        assert any("embodied carbon assumed" in flag for flag in result.flags)


def test_water_and_cost():
    m = measured([(START, START + 3600, 1000 * KWH)])
    result = footprint.compute(
        m, site(), signal([100] * HOURS), price=signal([80] * HOURS, PRICE), water=signal([2] * HOURS, WATER)
    )
    assert result.cost.value == pytest.approx(80 * 1.25)
    assert result.water_l.value == pytest.approx(1000 * 0.5 + 1250 * 2)


def test_a_modelled_grid_makes_modelled_carbon():
    m = measured([(START, START + 3600, KWH)])
    kinds = {
        q: footprint.compute(m, site(), signal([100] * HOURS, quality=q)).carbon_operational_g.provenance
        for q in (QualityKind.MEASURED, QualityKind.FORECAST)
    }
    assert set(kinds.values()) == {Provenance.MODELLED}  # PUE is a yearly figure
    flagged = footprint.compute(m, site(), signal([100] * HOURS, flags=("assumed: world range",)))
    assert flagged.carbon_operational_g.provenance is Provenance.ASSUMED


def test_wrong_kinds_and_missing_hours_are_refused():
    m = measured([(START, START + 3600, KWH)])
    with pytest.raises(SignalMismatch):
        footprint.compute(m, site(), signal([80] * HOURS, PRICE))
    with pytest.raises(SignalMismatch):
        footprint.compute(m, site(), signal([80] * HOURS), price=signal([80] * HOURS))
    late = measured([(START + 23 * 3600, START + 25 * 3600, KWH)])
    with pytest.raises(SignalGap):
        footprint.compute(late, site(), signal([80] * HOURS))
    with pytest.raises(InvalidInput):
        footprint.compute(m, site(), signal([80] * HOURS), device_s=-1)


def test_an_accelerated_clock_moves_joules_not_grams_per_joule():
    """10 s of work on a clock 360 times as fast fills the simulated hour."""
    m = measured([(1000.0 + i, 1001.0 + i, 50.0) for i in range(10)])
    moved = footprint.shift(m, START - 1000.0, stretch=360)
    assert (moved.start_s, moved.end_s, moved.duration_s) == (START, START + 3600, 10)
    assert moved.energy_j == m.energy_j
    result = footprint.compute(moved, site(), signal([200] * HOURS))
    assert result.carbon_operational_g.value == pytest.approx(500 / KWH * 1.25 * 200)
    with pytest.raises(InvalidInput):
        footprint.shift(m, 0, stretch=0)


def test_at_once_closes_the_pauses():
    m = measured([(START, START + 1800, KWH), (START + 20 * 3600, START + 20 * 3600 + 1800, KWH)])
    packed = footprint.at_once(m, START + 7200)
    assert (packed.start_s, packed.end_s) == (START + 7200, START + 10800)
    assert [(r.start_s, r.end_s) for r in packed.readings] == [
        (START + 7200, START + 9000),
        (START + 9000, START + 10800),
    ]


def test_sci_states_score_boundary_and_method():
    m = measured([(START, START + 3600, KWH)])
    f = footprint.compute(m, site(), signal([100] * HOURS))
    score = footprint.sci(f, 1000, functional_unit="image")
    assert score.score_g.value == pytest.approx(f.carbon_g.value / 1000)
    assert score.boundary
    assert "location-based" in score.method
    with pytest.raises(InvalidInput):
        footprint.sci(f, 0)
