"""Whose joules: processes, control groups, containers, pods, Slurm jobs, MIG slices; with idle they are the node."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakemachine import FakeMachine
from heliotrope.measure.protocol import NOBODY, Draw
from heliotrope.measure.share.groups import all_cpu_s, owner
from heliotrope.measure.share.node import KINDS, Node

POD = "0a1b2c3d-0000-1111-2222-333344445555"
BOX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice/x", "pod", POD),
        (f"/kubepods/besteffort/pod{POD}/{BOX}", "pod", POD),
        (f"/kubepods/besteffort/pod{POD}/{BOX}", "container", BOX),
        (f"/kubepods.slice/kubepods-pod{BOX[:32]}.slice/cri-containerd-{BOX}.scope", "pod", BOX[:32]),
        (f"/kubepods.slice/kubepods-pod{BOX[:32]}.slice/cri-containerd-{BOX}.scope", "container", BOX),
        (f"/system.slice/docker-{BOX}.scope", "container", BOX),
        (f"/docker/{BOX}", "container", BOX),
        (f"/machine.slice/libpod-{BOX}.scope/container", "container", BOX),
        (f"/kubepods.slice/crio-{BOX}.scope", "container", BOX),
        ("/system.slice/slurmstepd.scope/job_77/step_0/user/task_0", "slurm", "77"),
        ("/slurm/uid_1000/job_77/step_batch", "slurm", "77"),
        ("/user.slice", "slurm", "(no slurm)"),
        ("/user.slice", "cgroup", "/user.slice"),
    ],
)
def test_managers_name_their_groups(path, kind, name):
    assert owner(path, kind) == name


def group(machine, path, used_s):
    machine._write(f"sys/fs/cgroup{path}/cpu.stat", f"usage_usec {round(used_s * 1e6)}\nuser_usec 0\n")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(5, 200)), min_size=1, max_size=8),
    st.sampled_from(KINDS),
)
def test_groups_and_idle_are_the_node_even_of_processes_that_were_never_seen(steps, kind):
    paths = [
        f"/kubepods/pod{POD}/{BOX}",
        "/system.slice/slurmstepd.scope/job_77/step_0",
        "/system.slice/slurmstepd.scope/job_78/step_0",
        "/user.slice",
    ]
    with tempfile.TemporaryDirectory() as folder:
        machine = FakeMachine(Path(folder), cpus=8)
        used = dict.fromkeys(paths, 0.0)

        def account():
            for path, own_s in used.items():
                group(machine, path, own_s)
            slurm = "/system.slice/slurmstepd.scope"
            group(machine, slurm, sum(own for path, own in used.items() if path.startswith(slurm)))
            group(machine, "", sum(used.values()))

        account()
        node = Node(kind, meters=("rapl",), system=machine.system)
        counted = 0.0
        for work, watts in steps:
            for path, own_s in zip(paths, work, strict=True):
                used[path] += own_s
            account()
            machine.work(1.0, busy_s=sum(work), watts={"package-0": watts})
            counted += watts
            shares = node.read(1.0)
            assert sum(share.last_j for share in shares) == pytest.approx(watts, rel=1e-6)
        assert sum(node.totals.values()) == pytest.approx(counted, rel=1e-6)
        assert all(total >= -1e-9 for total in node.totals.values())


def test_each_group_is_counted_without_those_below_it(tmp_path):
    machine = FakeMachine(tmp_path)
    group(machine, "", 10.0)
    group(machine, "/a", 7.0)
    group(machine, "/a/b", 3.0)
    assert all_cpu_s(machine.system) == pytest.approx({"": 3.0, "/a": 4.0, "/a/b": 3.0})


def test_empty_slices_of_a_gpu_are_idle(tmp_path, monkeypatch):
    machine = FakeMachine(tmp_path)
    machine.process(100)
    machine._write("proc/100/comm", "serve\n")

    class Sliced:
        name = "nvml"

        def read(self, usage):
            return (Draw("gpu0", 70.0, 66.0, 74.0, users={100: 3.0, NOBODY: 4.0}),)

        def close(self):
            pass

    node = Node("process", meters=("rapl",), system=machine.system)
    node.meters = [Sliced()]
    shares = {share.name: share.last_j for share in node.read(1.0)}
    assert shares == pytest.approx({"serve (100)": 30.0, "idle": 40.0})


def test_watch_and_doctor_name_what_they_tell(home):
    def told(*args):
        done = subprocess.run(
            [sys.executable, "-m", "heliotrope", *args, "--json"], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout.splitlines()[-1])

    looked = told("watch", "--times", "1", "--interval", "0.3", "--by", "cgroup")
    assert sum(share["last_j"] for share in looked["shares"]) == pytest.approx(looked["node_j"])
    assert {"meter", "available", "domains", "why", "hint"} == set(told("doctor")["meters"][0])
