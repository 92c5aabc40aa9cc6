"""Sampled training steps, taken again for real: honest ones come out the same, invented ones do not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from heliotrope.cli.root import helio
from heliotrope.config import ProveSettings
from heliotrope.errors import InvalidInput, UsageError
from heliotrope.prove import Ledger, Training, TrainingStep, plan_statement
from heliotrope.prove.audit.retrain import Retrain
from heliotrope.prove.records import training
from heliotrope.prove.records.training import TrainingTrail
from heliotrope.store import Store
from prove_stories import PLAN, WORKLOAD, story

# A real, small, deterministic training step: logistic regression on data made from the step's number.
CODE = """
import sys
import numpy as np

before, after, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
weights = np.frombuffer(open(before, "rb").read())
dice = np.random.default_rng(step)
inputs = dice.normal(size=(64, len(weights)))
labels = (inputs[:, 0] > 0).astype(float)
guess = 1 / (1 + np.exp(-(inputs @ weights)))
weights = weights - 0.5 * inputs.T @ (guess - labels) / 64
open(after, "wb").write(weights.tobytes())
"""


def name(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Four steps, each checkpoint kept under its digest, and what an honest record says of them."""
    folder = tmp_path_factory.mktemp("course")
    code = folder / "train.py"
    code.write_text(CODE, encoding="utf-8")
    kept = folder / "checkpoints"
    kept.mkdir()
    now, after = folder / "now", folder / "after"
    now.write_bytes(bytes(8 * 4))
    steps = []
    for step in range(4):
        subprocess.run([sys.executable, str(code), str(now), str(after), str(step)], check=True)
        (kept / name(now)).write_bytes(now.read_bytes())
        steps.append(TrainingStep(step, name(now), name(after)))
        now.write_bytes(after.read_bytes())
    return Training(code_digest=name(code), steps=tuple(steps)), folder


@pytest.fixture
def trained(course, tmp_path):
    """A copy for one test to tamper with."""
    training, folder = course
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return training, tmp_path / "train.py", tmp_path / "checkpoints"


def test_honest_steps_come_out_the_same(trained):
    training, code, kept = trained
    assert Retrain(code, kept, samples=2).reasons_against(training) == []


def test_an_invented_step_is_found(trained):
    training, code, kept = trained
    lie = msgspec.structs.replace(training.steps[2], after="00" * 32)
    told = msgspec.structs.replace(training, steps=(lie,))
    assert Retrain(code, kept).reasons_against(told) == ["step 2, taken again, leads elsewhere than the record says"]


def test_other_code_is_not_run(trained, tmp_path):
    training, _, kept = trained
    other = tmp_path / "other.py"
    other.write_text("raise SystemExit(9)", encoding="utf-8")
    (reason,) = Retrain(other, kept).reasons_against(training)
    assert "is not the code held here" in reason


def test_checkpoints_that_are_missing_or_swapped(trained):
    training, code, kept = trained
    step = training.steps[1]
    only = msgspec.structs.replace(training, steps=(step,))
    (kept / step.before).write_bytes(b"something else")
    assert "is not the one it names" in Retrain(code, kept).reasons_against(only)[0]
    (kept / step.before).unlink()
    assert "is not to be had" in Retrain(code, kept).reasons_against(only)[0]


def test_code_that_fails_is_nobodys_lie(trained, tmp_path):
    training, _, kept = trained
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(9)", encoding="utf-8")
    told = msgspec.structs.replace(training, code_digest=name(broken))
    with pytest.raises(UsageError, match="exit code 9"):
        Retrain(broken, kept).reasons_against(told)


def test_nothing_to_take_again_is_nothing_against(trained):
    _, code, kept = trained
    assert Retrain(code, kept).reasons_against(Training()) == []


# What a job's own loop does: each step is the audited code's, its checkpoints kept by their digests.
LOOP = """
import os, subprocess, sys
from pathlib import Path
from heliotrope.prove.records.training import TrainingTrail

code, folder = Path(sys.argv[1]), Path(os.environ["HELIO_CHECKPOINT"])
trail = TrainingTrail(folder, code=code, data=code, seed=7, hyper_parameters={"rate": "0.5"})
now = bytes(8 * 4)
for step in range(4):
    before = trail.keep(now)
    after = folder / "after"
    subprocess.run([sys.executable, str(code), str(folder / before), str(after), str(step)], check=True)
    now = after.read_bytes()
    trail.step(step, before, trail.keep(now))
    trail.loss(step, 1 / (1 + step))
"""


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A job trained, its run recorded with what it left behind, the log exported for an auditor."""
    code, loop, kept = tmp_path / "step.py", tmp_path / "loop.py", tmp_path / "kept"
    code.write_text(CODE, encoding="utf-8")
    loop.write_text(LOOP, encoding="utf-8")
    monkeypatch.setenv("HELIO_CHECKPOINT", str(kept))
    subprocess.run([sys.executable, str(loop), str(code)], check=True)

    def record(lie=lambda told: told):
        home = tmp_path / f"log {len(list(tmp_path.iterdir()))}"
        ledger = Ledger(Store(home / "helio.db"), home, ProveSettings())
        told = lie(training.read(kept))
        with ledger.store.write() as tx:
            ledger.add(tx, plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
            ledger.add(tx, story(training=told))
        shown = home / "shown"
        said = CliRunner().invoke(helio, ["log", "export", str(shown), "--records", "--home", str(home)])
        assert said.exit_code == 0, said.output
        ledger.store.close()
        words = ["log", "audit", str(shown), "--code", str(code), "--checkpoints", str(kept), "--json"]
        result = CliRunner().invoke(helio, [*words, "--home", str(home / "auditor")])
        return result.exit_code, json.loads(result.stdout)

    return record


def test_a_training_is_audited_from_its_own_trail(recorded):
    code, seen = recorded()
    assert (code, seen["agreed"], seen["disagreements"]) == (0, 2, [])


def test_a_training_that_went_otherwise_is_disputed(recorded):
    def invented(told):
        steps = tuple(msgspec.structs.replace(step, after="00" * 32) for step in told.steps)
        return msgspec.structs.replace(told, steps=steps)

    code, seen = recorded(invented)
    assert code == 4
    (disputed,) = seen["disagreements"]
    assert any("leads elsewhere than the record says" in reason for reason in disputed["reasons"])


def test_what_a_job_leaves_is_whole_or_refused(tmp_path):
    assert training.read(tmp_path) is None
    (tmp_path / "step.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"1")
    one = training.digest_of(tmp_path / "data")
    (tmp_path / "data" / "b").write_bytes(b"2")
    assert training.digest_of(tmp_path / "data") != one
    trail = TrainingTrail(tmp_path, code=tmp_path / "step.py", data=tmp_path / "data", seed=3)
    trail.loss(0, 0.5)
    found = training.read(tmp_path)
    assert (found.seed, len(found.loss_curve_digest), found.code_digest) == (3, 64, name(tmp_path / "step.py"))
    (tmp_path / training.FILE).write_text('{"seed":"three"}', encoding="utf-8")
    with pytest.raises(InvalidInput, match="not a training's provenance"):
        training.read(tmp_path)
