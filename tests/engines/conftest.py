"""Which engines the conformance suite asks: all of ours, or `pytest tests/engines --engine NAME` for a stranger's.

One that needs a cluster is given ours; a stranger's engine is reached by `--engine-option key=value`, again and again.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from heliotrope.errors import EngineError
from heliotrope.run import engines
from heliotrope.run.engines import Task
from heliotrope.run.working.folder import Folder
from services.kubeapi import TOKEN

# Where the suite can bring up what an engine needs.
SERVICES = {
    "agent": ("agent_site", lambda service: {}),
    "kubernetes": ("kube", lambda service: service.options()),
    "slurm": ("slurm", lambda service: service.options("north")),
    "ray": ("ray_cluster", lambda service: service.options()),
}
ALWAYS = ("local", *SERVICES)
# Ray starts a worker for each job: four CPU-seconds.
DEAR = frozenset({"ray"})


def pytest_addoption(parser):
    parser.addoption("--engine", action="append", default=[], help="ask this engine alone (may be said again)")
    parser.addoption("--engine-option", action="append", default=[], help="key=value of the engine that is asked")


def pytest_generate_tests(metafunc):
    if "engine_name" in metafunc.fixturenames:
        # A module about one engine says which.
        told = getattr(metafunc.module, "ENGINES", ()) or metafunc.config.getoption("--engine", [])
        kept = metafunc.definition.get_closest_marker("keeper") is not None
        names = told or [name for name in ALWAYS if not (kept and name in DEAR)]
        # Tests of one service share it, where several workers run the suite.
        metafunc.parametrize("engine_name", [pytest.param(n, marks=marks(n)) for n in names])


def marks(name):
    return [pytest.mark.xdist_group(name), *([pytest.mark.slow] if name == "ray" else [])]


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("KUBERNETES_TOKEN", TOKEN)


@pytest.fixture
def engine(request, engine_name):
    told = dict(pair.split("=", 1) for pair in request.config.getoption("--engine-option", []))
    if engine_name in SERVICES and not told:
        service, options = SERVICES[engine_name]
        told = options(request.getfixturevalue(service))
    return engines.engine(engine_name, **told)


@pytest.fixture
def site(request, engine_name):
    """The site that an agent stands for, where that is the engine; else None."""
    return request.getfixturevalue("agent_site") if engine_name == "agent" else None


@pytest.fixture
def task(tmp_path, engine, site):
    """`task(code)`: Python that runs as an attempt; whatever it leaves is killed afterwards."""
    made = []
    home = site.home if site else tmp_path

    def make(code, *, command=None, meters=(), **more):
        name = f"{tmp_path.name}-r{len(made)}"
        handle = home / "runs" / name / "0"
        made.append(str(handle))
        return Task(
            handle=str(handle),
            command=command or (sys.executable, "-u", "-c", code),
            working_directory=str(tmp_path),
            environment=dict(os.environ),
            checkpoint=str(home / "checkpoints" / name),
            interval_s=0.1,
            meters=meters,
            site="north" if site else "",
            **more,
        )

    yield make
    for handle in made:
        if site or Path(handle).is_dir():
            engine.kill(handle)
            _reaped(engine, handle)


def _reaped(engine, handle):
    """Where an agent has to do it, that is asked again until it has."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return engine.reap(handle)
        except EngineError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture
def there(site):
    """`there(path)`: where a file of an attempt lies for whoever runs it."""
    return site.there if site else str


@pytest.fixture
def until(out):
    def wait(engine, task, seen, *, within_s=30.0):
        deadline = time.monotonic() + within_s
        while (sight := engine.observe(task.handle)).seen is not seen:
            assert time.monotonic() < deadline, (sight, out(task))
            time.sleep(0.02)
        return sight

    return wait


@pytest.fixture
def wait_for():
    def wait(condition, *, within_s=30.0):
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return wait


@pytest.fixture
def out(there):
    def said(task):
        path = Folder(Path(there(task.handle))).out
        return path.read_text() if path.exists() else ""

    return said
