"""The small training job learns, and a break changes nothing about what it learns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).parents[2] / "examples" / "train_digits.py"


def start(folder, *args):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *args],
        env=os.environ | {"HELIO_CHECKPOINT": str(folder), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_learns(tmp_path):
    job = start(tmp_path, "--epochs", "6")
    out, _ = job.communicate(timeout=100)
    assert job.returncode == 0
    assert float(out.rsplit("accuracy", 1)[1]) > 0.9


def test_a_break_changes_nothing(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    start(whole, "--epochs", "8").communicate(timeout=100)
    job = start(broken, "--epochs", "8")
    assert "epoch   1" in job.stdout.readline()
    job.send_signal(signal.SIGTERM)
    out, _ = job.communicate(timeout=100)
    assert job.returncode == 143
    assert "saved" in out
    job = start(broken, "--epochs", "8")
    out, _ = job.communicate(timeout=100)
    assert job.returncode == 0
    assert "going on after epoch" in out
    with np.load(whole / "digits.npz") as one, np.load(broken / "digits.npz") as other:
        assert set(one) == set(other)
        for name in one:
            assert np.array_equal(one[name], other[name]), name


def test_without_a_place_to_save_it_says_so():
    env = {name: value for name, value in os.environ.items() if name != "HELIO_CHECKPOINT"}
    job = subprocess.Popen([sys.executable, str(SCRIPT), "--epochs", "50"], env=env, stdout=subprocess.PIPE, text=True)
    assert "epoch   1" in job.stdout.readline()
    job.terminate()
    out, _ = job.communicate(timeout=60)
    assert job.returncode == 143
    assert "not saved" in out
