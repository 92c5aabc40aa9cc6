"""MultiKueue asks which clusters a workload may go to: the cleanest now, the next when that one does not admit it."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from heliotrope.cli.root import helio
from heliotrope.run.kueue import PATIENCE_S, nominated, waiting
from heliotrope.units import from_epoch
from services.kubeapi import TOKEN

# At every hour of the year the fjord is below gas, and gas below coal.
FLEET = """
home = "coal"
[[site]]
name = "coal"
zone = "IN"
capacity = 8
[[site]]
name = "fjord"
zone = "NO"
capacity = 8
[[site]]
name = "gas"
zone = "IT"
capacity = 8
"""


def workload(name, *, since_s=0.0, **status):
    reserved = {
        "type": "QuotaReserved",
        "status": "True",
        "lastTransitionTime": f"{from_epoch(since_s):%Y-%m-%dT%H:%M:%SZ}",
    }
    container = {"resources": {"requests": {"cpu": "1500m", "nvidia.com/gpu": "2"}}}
    return {
        "metadata": {"namespace": "team-a", "name": name},
        "spec": {
            "maximumExecutionTimeSeconds": 1800,
            "podSets": [{"count": 3, "template": {"spec": {"containers": [container]}}}],
        },
        "status": {"conditions": [reserved]} | status,
    }


@pytest.fixture
def manager(kube, home, tmp_path, monkeypatch):
    """`manager()`: what one look changed."""
    (tmp_path / "fleet.toml").write_text(FLEET)
    monkeypatch.setenv("KUBERNETES_TOKEN", TOKEN)
    kube.workloads.clear()

    def look(*words):
        words = ("kueue", "--once", "--json", "--home", str(home), "--url", kube.options()["url"], *words)
        return CliRunner().invoke(helio, [*words, "--fleet", str(tmp_path / "fleet.toml")])

    return look


def test_the_cleanest_is_nominated_and_after_a_while_the_next_too(kube, manager):
    now_s = time.time()
    kube.workloads["team-a/new"] = workload("new", since_s=now_s)
    kube.workloads["team-a/old"] = workload("old", since_s=now_s - PATIENCE_S - 5)
    kube.workloads["team-a/placed"] = workload("placed", since_s=now_s, clusterName="coal")
    first = manager()
    assert first.exit_code == 0, first.output
    said = [json.loads(line) for line in first.stdout.splitlines()]
    assert {one["name"]: one["clusters"] for one in said} == {"new": ["fjord"], "old": ["fjord", "gas"]}
    carbon_g = said[0]["carbon_g"]
    assert carbon_g["fjord"] < carbon_g["gas"] < carbon_g["coal"]
    assert kube.workloads["team-a/old"]["status"]["nominatedClusterNames"] == ["fjord", "gas"]
    assert "nominatedClusterNames" not in kube.workloads["team-a/placed"]["status"]
    again = manager()
    assert (again.exit_code, again.stdout) == (0, ""), "what stands already is not written again"


def test_what_it_asks_for_is_counted_over_all_its_pods():
    one = waiting(workload("w", since_s=60.0, nominatedClusterNames=["fjord"]))
    assert (one.cpus, one.devices, one.length_s, one.since_s) == (4.5, 6, 1800, 60.0)
    assert one.nominated == ("fjord",)
    held = workload("w")
    held["status"]["conditions"][0]["status"] = "False"
    assert waiting(held) is None


def test_never_more_names_than_kueue_takes():
    many = [f"c{i}" for i in range(20)]
    assert [len(nominated(many, waited)) for waited in (-5, 0, PATIENCE_S, 1e9)] == [1, 1, 2, 10]


def test_a_wrong_token_is_told(manager, monkeypatch):
    monkeypatch.setenv("KUBERNETES_TOKEN", "guessed")
    said = manager()
    assert said.exit_code != 0
    assert said.stdout == ""
