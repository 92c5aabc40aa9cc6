"""Sampled training steps, taken again for real: honest ones come out the same, invented ones do not."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from heliotrope.errors import UsageError
from heliotrope.prove import Training, TrainingStep
from heliotrope.prove.audit.retrain import Retrain

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


@pytest.fixture
def trained(tmp_path):
    """Four steps, each checkpoint kept under its digest, and what an honest record says of them."""
    code = tmp_path / "train.py"
    code.write_text(CODE, encoding="utf-8")
    kept = tmp_path / "checkpoints"
    kept.mkdir()
    now = tmp_path / "now"
    now.write_bytes(bytes(8 * 4))
    steps = []
    for step in range(4):
        after = tmp_path / "after"
        subprocess.run([sys.executable, str(code), str(now), str(after), str(step)], check=True)
        (kept / name(now)).write_bytes(now.read_bytes())
        steps.append(TrainingStep(step, name(now), name(after)))
        now.write_bytes(after.read_bytes())
    return Training(code_digest=name(code), steps=tuple(steps)), code, kept


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
