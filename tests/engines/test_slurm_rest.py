"""Slurm by its REST daemon alone: a real slurmrestd with tokens, asked what every engine is asked, and what is its own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from engines.test_engines import (
    test_a_dead_shepherd_is_seen_and_its_flock_is_reaped,
    test_asked_to_save_it_is_asked_once,
    test_launching_again_and_again_starts_once,
    test_pause_stops_it_and_resume_goes_on,
    test_the_exit_code_is_the_commands_own,
)
from heliotrope.errors import EngineError, EngineRefused, InvalidInput
from heliotrope.run import engines
from heliotrope.run.engines.queued import name_of
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Folder

__all__ = [
    "test_a_dead_shepherd_is_seen_and_its_flock_is_reaped",
    "test_asked_to_save_it_is_asked_once",
    "test_launching_again_and_again_starts_once",
    "test_pause_stops_it_and_resume_goes_on",
    "test_the_exit_code_is_the_commands_own",
]
ENGINES = ("slurm",)
pytestmark = pytest.mark.xdist_group("slurm")


@pytest.fixture
def engine(slurm):
    return engines.engine("slurm", **slurm.rest_options())


def test_what_is_asked_for_is_what_slurm_reserves(engine, task, until, slurm):
    one = task(
        "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(1)",
        cpus=2,
        devices=1,
        device_kind="h100",
        width=2,
        memory_bytes=1 << 30,
        options={
            "slurm.partition": "urgent",
            "slurm.account": "climate",
            "slurm.time": "10",
            "slurm.licenses": "watts:7",
        },
    )
    engine.launch(one)
    until(engine, one, Seen.ALIVE)
    told = slurm.ask("north", "scontrol", "show", "job", engine.look(name_of(one.handle), 0.0).id)
    for word in (
        "Partition=urgent",
        "Account=climate",
        "CPUs/Task=4",
        "TimeLimit=00:10:00",
        "MinMemoryNode=1G",
        "watts:7",
    ):
        assert word in told
    until(engine, one, Seen.EXITED)
    assert Folder(Path(one.handle)).out.read_text() == "0,1\n"


def test_held_then_let_go_and_held_then_taken_back(engine, task, until):
    one, two = (task("print('ran')", options={"slurm.hold": "true"}) for _ in range(2))
    for held in (one, two):
        engine.launch(held)
        assert "Held" in until(engine, held, Seen.QUEUED).why
    engine.resume(one.handle)
    engine.save(two.handle)
    assert until(engine, one, Seen.EXITED).code == 0
    assert until(engine, two, Seen.EXITED).code == -signal.SIGTERM
    assert Folder(Path(two.handle)).began is None


def test_who_is_cancelled_at_the_cluster_fails_and_says_so(engine, task, until, slurm):
    one = task("import time; time.sleep(60)")
    engine.launch(one)
    until(engine, one, Seen.ALIVE)
    slurm.ask("north", "scancel", engine.look(name_of(one.handle), 0.0).id)
    assert "CANCELLED" in until(engine, one, Seen.EXITED).why


def test_what_slurm_will_not_have_says_so_and_is_not_tried_again(engine, task):
    one = task("", options={"slurm.account": "nobody"})
    engine.launch(one)
    sight = engine.observe(one.handle)
    assert (sight.seen, "Invalid account" in sight.why) == (Seen.EXITED, True)


def test_a_wrong_token_is_no_passing_trouble_and_a_daemon_that_is_away_is(slurm, task, tmp_path):
    (tmp_path / "token").write_text("not.a.token")
    wrong = engines.engine("slurm", rest=slurm.rest, token_file=str(tmp_path / "token"))
    with pytest.raises(EngineRefused, match="token is not one"):
        wrong.look("any", 0.0)
    away = engines.engine("slurm", rest="http://127.0.0.1:9", token_file=str(slurm.token_file))
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        away.look("any", 0.0)
    assert not isinstance(caught.value, EngineRefused)


def test_what_only_slurms_commands_can_do_is_named(slurm, task):
    one = task("", options={"slurm.flags": "--nice=5"})
    with pytest.raises(InvalidInput, match=r"slurm.flags: is not understood over REST"):
        engines.engine("slurm", **slurm.rest_options()).submit("any", one)
    with pytest.raises(InvalidInput, match="need Slurm's commands"):
        engines.engine("slurm", rest=slurm.rest, meter="sacct")
