"""One workload on this machine, Slurm north, Slurm south and Ray: the same life, a record and a receipt of each."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from heliotrope import fleet
from heliotrope.config import MeasureSettings, Settings
from heliotrope.errors import InvalidInput
from heliotrope.model import Flexibility, Length, PauseBy, RunState, Workload, WorkloadKind
from heliotrope.prove import verify_receipt
from heliotrope.run import Controller, engines
from heliotrope.run.views import run_view
from heliotrope.units import from_epoch

SITE = """
[[site]]
name = "{name}"
zone = "{zone}"
engine = "{engine}"
capacity = 4
engine_options = {{ {options} }}
"""


def fleet_file(tmp_path, **sites):
    """`name=(zone, engine, options)`"""
    path = tmp_path / "fleet.toml"
    path.write_text(
        "".join(
            SITE.format(
                name=name,
                zone=zone,
                engine=engine,
                options=", ".join(f"{k} = {json.dumps(v)}" for k, v in options.items()),
            )
            for name, (zone, engine, options) in sites.items()
        )
    )
    return path


@pytest.fixture
def controller(tmp_path):
    made = []

    def make(fleet):
        settings = Settings(home=str(tmp_path / "home"), fleet=str(fleet), measure=MeasureSettings(interval_s=0.1))
        made.append(Controller(settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def work(name, site, tmp_path, command, **more):
    return Workload(
        id=name,
        kind=WorkloadKind.TRAIN,
        command=command,
        submitted_at=from_epoch(time.time()),
        length=Length.known(20),
        sites=(site,),
        working_directory=str(tmp_path),
        environment={"PATH": "/usr/bin:/bin"},
        **more,
    )


def run_everywhere(tmp_path, one, sites):
    """The run at each site, once its life, its result, its energy and its receipt were looked at."""
    ended = {}
    command = ("bash", "-c", "for i in $(seq 20000); do :; done; echo $(( 6 * 7 )) > $HELIO_CHECKPOINT/answer")
    for site in sites:
        one.submit(work(f"w-{site}", site, tmp_path, command), at_once=True)
    for site in sites:
        done = one.follow(f"w-{site}", lambda *_: None)
        assert (done.state, done.site, done.exit_code) == (RunState.DONE, site, 0)
        assert (tmp_path / "home" / "checkpoints" / site / f"w-{site}" / "answer").read_text() == "42\n"
        view = run_view(one.store, done.id)
        assert view.footprint.energy_j.value > 0
        assert verify_receipt(Path(done.receipt), vkeys=tmp_path / "home" / "log" / "vkeys")
        ended[site] = done
    return ended


@pytest.mark.xdist_group("slurm")
def test_one_workload_on_two_slurm_clusters_and_here(tmp_path, controller, slurm):
    sites = {"here": ("DE", "local", {})}
    sites |= {name: (zone, "slurm", slurm.options(name)) for name, zone in (("north", "SE"), ("south", "ES"))}
    ended = run_everywhere(tmp_path, controller(fleet_file(tmp_path, **sites)), sites)
    assert {site: run.zone for site, run in ended.items()} == {"here": "DE", "north": "SE", "south": "ES"}
    assert [run.engine for run in ended.values()] == ["local", "slurm", "slurm"]


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_one_workload_on_ray(tmp_path, controller, ray_cluster):
    one = controller(fleet_file(tmp_path, ray=("FR", "ray", ray_cluster.options())))
    ended = run_everywhere(tmp_path, one, ["ray"])
    assert (ended["ray"].zone, ended["ray"].engine) == ("FR", "ray")


SAVES = """
trap 'echo $i > $HELIO_CHECKPOINT/i; exit 75' TERM
i=$(cat $HELIO_CHECKPOINT/i 2>/dev/null || echo 0)
echo "from $i" >> $HELIO_CHECKPOINT/notes
while [ $i -lt 50 ]; do sleep 0.1 & wait $!; i=$((i + 1)); done
"""


@pytest.mark.xdist_group("slurm")
def test_preempted_by_the_cluster_it_saves_and_a_new_attempt_goes_on(tmp_path, controller, slurm):
    """Slurm gives the node to somebody more urgent: the first attempt ends with its state saved, the second ends it."""
    options = slurm.options("south") | {"partition": "flex", "flags": "--exclusive --nodelist=south2"}
    one = controller(fleet_file(tmp_path, south=("ES", "slurm", options)))
    flexible = Flexibility(pausable=True, pause_by=PauseBy.CHECKPOINT)
    one.submit(work("w", "south", tmp_path, ("bash", "-c", SAVES), flexibility=flexible), at_once=True)
    notes = tmp_path / "home" / "checkpoints" / "south" / "w" / "notes"
    urgent = []

    def watch(run, plan, now_s):
        if not urgent and notes.exists():
            time.sleep(1)
            claim = ("--partition=urgent", "--exclusive", "--nodelist=south2", "--output=/dev/null")
            urgent.append(slurm.ask("south", "sbatch", *claim, "--wrap", "sleep 1"))

    done = one.follow("w", watch)
    assert done.state is RunState.DONE
    assert done.attempt == 2
    first, second = notes.read_text().splitlines()
    assert first == "from 0"
    assert 0 < int(second.split()[1]) < 50, "from where it was"


def test_a_wrong_option_of_a_site_names_the_site(tmp_path):
    sites = fleet.load(fleet_file(tmp_path, north=("SE", "slurm", {"partitoin": "flex"}))).sites
    with pytest.raises(InvalidInput, match=r"site north: engine_options.partitoin: unknown option") as caught:
        engines.of(sites[0])
    assert "partition" in caught.value.hint
