"""A disk that fills up: nothing is promised that cannot be kept, it is said, and it goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import threading
import time

import pytest

from heliotrope.config import MeasureSettings, Settings
from heliotrope.errors import StoreError
from heliotrope.model import Length, RunState, Workload, WorkloadKind
from heliotrope.run import Controller
from heliotrope.run.engines import Task, engine
from heliotrope.run.lifecycle import Seen
from heliotrope.run.views import jobs
from heliotrope.store import runs
from heliotrope.units import from_epoch


@pytest.fixture
def disk(tmp_path):
    """A real one, of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", "size=6m", "helio-test", str(folder))
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(("umount", "--lazy", str(folder)), check=True)


def fill(folder):
    """To the last byte."""
    fd = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (1 << 16, 1 << 10, 1):
        try:
            while True:
                os.write(fd, b"x" * size)
        except OSError:
            continue
    os.close(fd)


def until(met, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not met():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def work(name, folder):
    return Workload(
        id=name,
        kind=WorkloadKind.BATCH,
        command=("sh", "-c", f"echo {name} >> {folder}/effects; sleep 0.3"),
        submitted_at=from_epoch(time.time()),
        length=Length.known(5),
        working_directory=str(folder),
        environment={"PATH": os.environ["PATH"]},
        max_attempts=9,
    )


def submit_many(controller, folder):
    for number in range(200):
        controller.submit(work(f"more{number}", folder), at_once=True)


def test_it_says_so_promises_nothing_and_goes_on_when_there_is_room(disk, tmp_path):
    controller = Controller(Settings(home=str(disk / "home"), zone="DE", measure=MeasureSettings(interval_s=0.2)))
    said, halt = [], threading.Event()
    controller.submit(work("before", tmp_path), at_once=True)
    fill(disk)
    thread = threading.Thread(target=lambda: (controller.attend(halt, said.append), controller.store.close()))
    thread.start()
    try:
        with pytest.raises(StoreError, match="disk is full") as caught:
            submit_many(controller, tmp_path)
        assert "refused a write" in caught.value.what
        until(lambda: said)
        assert "nothing is begun or acknowledged" in said[0]
        promised = {row.workload for row in jobs(controller.store)}
        (disk / "filler").unlink()
        until(lambda: all(row.state == RunState.DONE for row in jobs(controller.store)))
        until(lambda: "goes on" in said)
    finally:
        halt.set()
        thread.join()
    with controller.store.read() as tx:
        assert all(len(runs.attempts(tx, name)) == 1 for name in promised)
    assert sorted((tmp_path / "effects").read_text().split()) == sorted(promised), "what was acknowledged, and no more"
    controller.close()


def test_a_command_waits_for_room_before_it_begins(disk, tmp_path):
    """Its shepherd was sent in time, and then there was no room to write down who it is: that is no failed command."""
    (disk / "run").mkdir()
    local = engine("local")
    task = Task(
        str(disk / "run" / "0"),
        ("sh", "-c", f"echo once >> {tmp_path}/effects"),
        str(tmp_path),
        {"PATH": os.environ["PATH"]},
        str(disk / "saved"),
        interval_s=0.2,
    )
    local.launch(task)
    fill(disk)
    time.sleep(1.5)
    (disk / "filler").unlink()
    until(lambda: local.observe(task.handle).seen is Seen.EXITED)
    assert local.observe(task.handle).code == 0
    assert (tmp_path / "effects").read_text() == "once\n"
