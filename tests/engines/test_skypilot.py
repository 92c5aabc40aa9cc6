"""SkyPilot tasks where they map: scripts, needs and places; what has no counterpart is refused by its path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreign import taken_or_named
from heliotrope.cli.root import helio
from heliotrope.config import Settings
from heliotrope.errors import InvalidInput
from heliotrope.fleet import Fleet, this_machine
from heliotrope.model import Site
from heliotrope.run import Controller
from heliotrope.run.imports.places import sites_at
from heliotrope.run.imports.skypilot import task

HERE = this_machine("DE")
FINETUNE = """\
name: finetune
workdir: ~/llm
num_nodes: 1
resources:
  infra: aws/eu-north-1
  accelerators: A100-80GB:4
  cpus: 16+
  memory: 64+
  use_spot: true
  disk_size: 256
envs:
  MODEL: small
  EPOCHS: 3
  TOKEN:
setup: |
  pip install -r requirements.txt
run: |
  python train.py --model $MODEL
"""


@pytest.fixture
def of(tmp_path):
    def read(text, **environment):
        path = tmp_path / "task.yaml"
        path.write_text(text)
        return task(path, environment)

    return read


def test_a_finetune_as_people_write_it(of):
    asked = of(FINETUNE, TOKEN="mine")
    assert (asked.name, asked.directory, asked.places) == ("finetune", "~/llm", ("aws/eu-north-1",))
    assert (asked.cpus, asked.devices, asked.device_kind, asked.memory_bytes) == (16, 4, "a100-80gb", 64 << 30)
    assert asked.command[-2:] == ("pip install -r requirements.txt\n", "python train.py --model $MODEL\n")
    assert asked.environment == {
        "MODEL": "small",
        "EPOCHS": "3",
        "TOKEN": "mine",
        "SKYPILOT_NODE_RANK": "0",
        "SKYPILOT_NODE_IPS": "127.0.0.1",
        "SKYPILOT_NUM_NODES": "1",
        "SKYPILOT_NUM_GPUS_PER_NODE": "4",
    }
    noted = "\n".join(asked.notes)
    for path in ("workdir", "resources.use_spot", "resources.disk_size", "resources.memory", "setup"):
        assert f"{path}:" in noted


@pytest.mark.parametrize(
    ("resources", "devices", "kind", "memory_bytes", "places"),
    [
        ("accelerators: H100", 1, "h100", 0, ()),
        ("accelerators: {H100: 8}", 8, "h100", 0, ()),
        ("accelerators: [L4:2]", 2, "l4", 0, ()),
        ("gpus: V100:1", 1, "v100", 0, ()),
        ("memory: 16", 0, None, 16 << 30, ()),
        ("memory: 512MB", 0, None, 512 << 20, ()),
        ("memory: 0.5GiB", 0, None, 1 << 29, ()),
        ("{cloud: GCP, region: europe-north1, zone: europe-north1-a}", 0, None, 0, ("gcp/europe-north1",)),
        ("infra: aws/eu-north-1/eu-north-1a", 0, None, 0, ("aws/eu-north-1",)),
        ("infra: '*/eu-north-1'", 0, None, 0, ("eu-north-1",)),
        ("any_of: [{infra: aws/eu-north-1}, {region: europe-north1}]", 0, None, 0, ("aws/eu-north-1", "europe-north1")),
    ],
)
def test_every_way_of_asking(of, resources, devices, kind, memory_bytes, places):
    asked = of(f"run: 'true'\nresources:\n  {resources}\n")
    assert (asked.devices, asked.device_kind, asked.memory_bytes, asked.places) == (devices, kind, memory_bytes, places)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x", "task.yaml:1: nothing to run"),
        ("run: 3", "run: not text"),
        ("run: a\nnum_nodes: 2", "task.yaml:2: num_nodes: a task over several nodes"),
        ("run: a\nfile_mounts:\n  /d: s3://b", "file_mounts: nothing here can keep this"),
        ("run: a\nsecrets: {A: b}", "secrets: nothing here can keep this"),
        ("run: a\nservice: {replicas: 2}", "service: nothing here can keep this"),
        ("run: a\nworkdir: {url: git}", "workdir: nothing here fetches this"),
        ("run: a\nenvs: {A: }", "envs.A: a variable without a value"),
        ("run: a\nenvs: {1A: b}", "envs.1A: not a variable's name"),
        ("run: a\nrunn: b", "runn: unknown field"),
        ("run: a\nresources: {accelerators: [A100, H100]}", "resources.accelerators: not one kind"),
        ("run: a\nresources: {accelerators: 'A100:0.5'}", "resources.accelerators: not accelerators"),
        ("run: a\nresources: {cpus: many}", "resources.cpus: not a number of CPUs"),
        ("run: a\nresources: {memory: 4x}", "resources.memory: not a size of memory"),
        ("run: a\nresources: {zone: a}", "resources.zone: a zone without its region"),
        ("run: a\nresources: {infra: aws/x, region: y}", "resources.infra: not a place"),
        ("run: a\nresources: {instance_type: p3.8xlarge}", "resources.instance_type: nothing here can keep"),
        ("run: a\nresources: {any_of: [{accelerators: A100}]}", "any_of[0].accelerators: nothing here can keep"),
        ("run: a\n---\nrun: b", "task.yaml:3: a second document"),
        ("run: " + "a" * 100_001, "run: too long a script"),
    ],
)
def test_what_does_not_map_is_named(of, text, said):
    with pytest.raises(InvalidInput) as caught:
        of(text)
    assert said in caught.value.what


def test_a_region_is_every_site_on_its_grid():
    sites = (Site("north", "SE"), Site("finnish", "FI"), Site("eu-north-1", "DE"), Site("nowhere", ""))
    fleet = Fleet(sites=sites, home="north")
    assert sites_at((), fleet) == ()
    assert sites_at(("gcp/europe-north1",), fleet) == ("finnish",)
    assert "eu-north-1" in sites_at(("aws/eu-north-1",), fleet), "a site may bear the region's name"
    assert sites_at(("k8s",), Fleet(sites=(*sites, Site("pods", "", engine="kubernetes")), home="north")) == ("pods",)
    for place in ("aws", "aws/no-such-region", "de-xx/y"):
        with pytest.raises(InvalidInput, match="no site lies there"):
            sites_at((place,), this_machine("DE"))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
    max_leaves=6,
)
FIELDS = ("name", "workdir", "num_nodes", "envs", "setup", "file_mounts")
RESOURCES = (
    "accelerators",
    "gpus",
    "cpus",
    "memory",
    "infra",
    "cloud",
    "region",
    "zone",
    "use_spot",
    "any_of",
    "ports",
)


@given(
    st.fixed_dictionaries({"run": st.just("true") | anything}, optional=dict.fromkeys(FIELDS, anything)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(RESOURCES, anything)) | anything,
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_there_is_taken_or_named(tmp_path_factory, fields, resources):
    path = tmp_path_factory.mktemp("any") / "task"
    path.write_text(json.dumps(fields | {"resources": resources}))
    asked = taken_or_named(lambda file: task(file, {}), path)
    if asked is None:
        return
    assert asked.command[0] == "/bin/bash"
    found = refusal = None
    try:
        found = sites_at(asked.places, HERE)
    except InvalidInput as error:
        refusal = error
    if refusal is None:
        assert len(found) == bool(asked.places)
    else:
        assert refusal.found == ", ".join(asked.places)


@pytest.mark.parametrize(("setup", "state"), [("echo ready > made", "done"), ("exit 3", "failed")])
def test_setup_then_run(tmp_path, home, monkeypatch, setup, state):
    monkeypatch.chdir(tmp_path)
    Path("task.yaml").write_text(
        f"name: tiny\nenvs: {{WORD: crops}}\nsetup: {setup}\nrun: |\n  cat made\n  echo $WORD ')' > ran\n"
    )
    told = CliRunner().invoke(
        helio,
        ["submit", "--home", str(home), "--zone", "DE", "--now", "--json", "--length", "5s", "--skypilot", "task.yaml"],
        catch_exceptions=False,
    )
    assert "setup: runs before every attempt" in told.stderr
    controller = Controller(Settings(home=str(home), zone="DE"))
    try:
        done = controller.follow(json.loads(told.stdout)["job"], lambda *_: None)
    finally:
        controller.close()
    assert done.state.value == state
    assert Path("ran").exists() == (state == "done")
    if state == "failed":
        assert done.exit_code == 3
