"""Each example does real work, small; and a break in the middle changes nothing about its result."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {
    "climate_emulator.py": ["--members", "20"],
    "crop_yield.py": ["--seasons", "240"],
    "sensors.py": ["--days", "25"],
}


def start(name, folder):
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *SMALL[name]],
        env=os.environ | {"HELIO_CHECKPOINT": str(folder), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(name, folder):
    job = start(name, folder)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    return out


def result(out):
    return [
        line for line in out.splitlines() if not line.startswith(("step", "going on")) and "times as fast" not in line
    ]


@pytest.mark.parametrize("name", SMALL)
def test_a_break_changes_nothing(name, tmp_path):
    whole = run(name, tmp_path / "whole")
    job = start(name, tmp_path / "broken")
    job.stdout.readline()
    job.send_signal(signal.SIGTERM)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 143, err
    assert "saved after step" in out
    resumed = run(name, tmp_path / "broken")
    assert "going on after step" in resumed
    assert result(resumed) == result(whole)


def test_the_emulator_is_close_and_far_faster(tmp_path):
    out = run("climate_emulator.py", tmp_path)
    assert float(re.search(r"held-out error ([\d.]+) K", out)[1]) < 0.6
    assert float(re.search(r"([\d,]+) times", out)[1].replace(",", "")) > 20


def test_yield_is_explained_by_rain_and_heat(tmp_path):
    out = run("crop_yield.py", tmp_path)
    assert int(re.search(r"(\d+)% of that explained", out)[1]) > 60


def test_broken_sensors_are_found_and_little_is_sent(tmp_path):
    out = run("sensors.py", tmp_path)
    found, broken, false = map(int, re.search(r"found (\d+) of (\d+) broken sensors, (\d+)", out).groups())
    assert found >= 0.8 * broken
    assert false <= 5
    assert int(re.search(r"(\d+)% of the readings", out)[1]) > 80


def test_every_example_is_listed_and_every_listed_one_exists():
    listed = set(re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text()))
    assert listed == {path.name for path in EXAMPLES.glob("*.py")} - {"moving_job.py", "resume.py"}
