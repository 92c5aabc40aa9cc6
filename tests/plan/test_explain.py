"""What each limit costs, and what bad input is told."""

import msgspec
import numpy as np
import pytest

from heliotrope.errors import Infeasible, InvalidInput, SignalGap
from heliotrope.model import CARBON, Flexibility, Length, Quality, QualityKind, Signal
from heliotrope.model.workload import Budget, Lateness, PowerCap
from heliotrope.plan import place
from heliotrope.plan.whatif.explain import explained
from heliotrope.units import from_epoch

TABLE = [500.0, 400.0, 300.0, 200.0, 100.0, 100.0] + [400.0] * 18


def prices(work, sites, world, **more):
    _, found = explained(work, sites, now_s=world.now, home="home", horizon_s=24 * 3600.0, **more)
    return {(price.limit, price.eased): price.saves_g for price in found}


def test_each_limit_has_the_price_of_lifting_it(world):
    site = world.candidate(TABLE)
    held = msgspec.structs.replace(site, busy=((world.now + 4 * 3600, world.now + 6 * 3600),))
    # Unbroken work of an hour: 200 g/kWh while others hold the two cleanest hours, 100 otherwise; PUE 1.2.
    assert prices(world.work(1), [held], world)["capacity", "no other work"] == pytest.approx(120.0)
    tight = world.work(1, within_h=3)
    assert prices(tight, [site], world)["deadline", "1 h later"] == pytest.approx(120.0)
    assert prices(tight, [site], world)["deadline", "6 h later"] == pytest.approx(240.0)
    late = world.work(1, late=Lateness(from_epoch(world.now + 3600), g_per_h=1e6))
    assert prices(late, [site], world)["lateness", "without a price"] == pytest.approx(480.0)
    capped = world.candidate(TABLE, power_cap_w=500.0)
    slow = Flexibility(caps=(PowerCap(400.0, 0.2),))
    assert prices(world.work(2, flexibility=slow), [capped], world)["power", "no cap at any site"] > 0


def test_a_limit_that_does_not_bind_costs_nothing(world):
    assert prices(world.work(1, within_h=20), [world.candidate(TABLE)], world)["deadline", "1 h later"] == 0.0


def test_a_budget_has_a_price(world):
    cheap = world.candidate([800.0] * 24, "cheap", price_eur_per_mwh=10.0)
    clean = world.candidate([100.0] * 24, "clean", price_eur_per_mwh=100.0)
    work = world.work(1, budget=Budget(cost=0.05))
    found = prices(work, [cheap, clean], world)
    assert found["budget", "of any size"] == pytest.approx(700 * 1.2)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"capacity": 0}, Infeasible, "needs 1 of 0"),
        ({"power_cap_w": 10.0}, Infeasible, "under a cap"),
    ],
)
def test_a_site_without_room_is_named(world, change, error, words):
    with pytest.raises(error) as refused:
        place(world.work(1), [world.candidate(TABLE, **change)], now_s=world.now, horizon_s=24 * 3600.0)
    assert words in refused.value.cause


def test_lengths_that_cannot_be(world):
    with pytest.raises(ValueError, match="> 0"):
        msgspec.convert({"expected_s": 0, "low_s": 0, "high_s": 0}, Length)
    with pytest.raises(InvalidInput, match="no work left"):
        place(world.work(length=Length(0.0, 0.0, 0.0)), [world.candidate(TABLE)], now_s=world.now)
    with pytest.raises(Infeasible) as refused:
        place(world.work(30), [world.candidate(TABLE)], now_s=world.now, horizon_s=24 * 3600.0)
    assert "6 h longer" in refused.value.hint


def test_intensities_that_cannot_be(world):
    with pytest.raises(InvalidInput, match="negative"):
        place(world.work(1), [world.candidate([-1.0] * 24)], now_s=world.now)
    values = np.array([100.0, np.nan])
    with pytest.raises(SignalGap, match="missing"):
        Signal(CARBON, "DE", world.now, 3600, values, values, values, Quality(QualityKind.MEASURED, "x", "CC0"))


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_slip_of_units_is_said(world, scale):
    """A series of kg/kWh where g/kWh is declared, or of mg: no grid is like that."""
    plan = place(world.work(1), [world.candidate([v * scale for v in TABLE])], now_s=world.now, horizon_s=24 * 3600.0)
    assert any("g/kWh" in flag and "unit" in flag for flag in plan.flags)


def test_a_clean_grid_is_no_slip_of_units(world):
    plan = place(world.work(1), [world.candidate([12.0] * 24)], now_s=world.now, horizon_s=24 * 3600.0)
    assert not any("unit" in flag for flag in plan.flags)
