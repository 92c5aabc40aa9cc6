"""infer to the edge, finetune to a region, train to the centre: by default, until carbon, room, data or distance speak."""

from __future__ import annotations

import msgspec
import pytest

from heliotrope.model import DataNeed, LatencyBound, Link, Resources, Tier, WorkloadKind
from heliotrope.plan import place

DAY = [100.0] * 100
DATA_BYTES = 4_000_000_000
LINKS = tuple(Link(name, ms, power_w_per_bps=1e-7) for name, ms in (("region", 10), ("centre", 40)))


def tiers(world, *, edge=DAY, region=DAY, centre=DAY, **more):
    return [
        world.candidate(edge, "edge", tier=Tier.EDGE, links=LINKS, jurisdiction="EU", **more),
        world.candidate(region, "region", tier=Tier.REGIONAL, jurisdiction="EU", **more),
        world.candidate(centre, "centre", tier=Tier.CENTRAL, jurisdiction="US", capacity=8),
    ]


def planned(world, kind, candidates, **more):
    work = msgspec.structs.replace(world.work(2, within_h=24), kind=kind, **more)
    plan = place(work, candidates, now_s=world.now, home="edge")
    return plan.slots[0].site, {other.name: other for other in plan.alternatives}


@pytest.mark.parametrize(
    ("kind", "site"),
    [
        (WorkloadKind.INFER, "edge"),
        (WorkloadKind.FINETUNE, "region"),
        (WorkloadKind.TRAIN, "centre"),
        (WorkloadKind.BATCH, "edge"),
    ],
)
def test_where_nothing_else_decides_the_kind_does(world, kind, site):
    found, others = planned(world, kind, tiers(world))
    assert found == site
    assert not any(name.startswith("tier:") for name in others)


def test_carbon_overrules_it_and_says_by_how_much(world):
    site, others = planned(world, WorkloadKind.TRAIN, tiers(world, region=[50.0] * 100))
    assert site == "region"
    over = others["tier:central"]
    assert over.more_carbon_g == pytest.approx(2.4 * 50)
    assert over.reason.startswith("train goes to central sites by default: at centre it would add 120 g")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"latency": LatencyBound("edge", 20)}, "40 ms from edge, the limit is 20 ms"),
        ({"data": (DataNeed("records", jurisdictions=("EU",)),)}, "may not leave EU"),
        ({"sites": ("edge", "region")}, "not among the allowed sites"),
    ],
)
def test_limits_overrule_it_and_are_named(world, more, said):
    site, others = planned(world, WorkloadKind.TRAIN, tiers(world), **more)
    assert site == "edge"
    assert said in others["tier:central"].reason
    assert said in others["cloud-only"].reason


def test_room_overrules_it(world):
    site, others = planned(world, WorkloadKind.INFER, tiers(world), resources=Resources(devices=4))
    assert site == "centre"
    assert "needs 4 of 1" in others["tier:edge"].reason


def test_gravity_keeps_work_at_its_data_and_the_cloud_is_compared_in_bytes_and_joules(world):
    """4 GB at the edge: 3.2 kJ on the way to the centre, in every plan's reasons."""
    data = (DataNeed("pictures", size_bytes=DATA_BYTES, held_at="edge"),)
    site, others = planned(world, WorkloadKind.TRAIN, tiers(world), data=data)
    assert site == "edge"
    cloud = others["cloud-only"]
    assert cloud.more_carbon_g == pytest.approx(DATA_BYTES * 8 * 1e-7 / 3.6e6 * 100)
    assert "with 4 GB and 3.2 kJ on the way instead of 0 B and 0 J" in cloud.reason


def test_one_tier_needs_no_such_reasons(world):
    _, others = planned(world, WorkloadKind.TRAIN, tiers(world)[:1])
    assert "cloud-only" not in others
