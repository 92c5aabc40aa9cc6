"""From `helio run` to an auditor who agrees: the real controller's records, computed again from a copy of the files."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def helio(*args, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "heliotrope", *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_an_auditor_agrees_with_what_really_ran(home, tmp_path):
    work = f"{sys.executable} -c 'print(sum(range(10**6)))'"
    *_, said = helio("run", "--zone", "DE", "--now", "--length", "10s", "--json", "--", "sh", "-c", work)
    copy = tmp_path / "copy"
    assert helio("log", "export", copy, "--records", "--json") == [{"directory": str(copy), "size": 2}]
    (seen,) = helio("log", "audit", copy, "--home", tmp_path / "auditor", "--json")
    assert (seen["judged"], seen["agreed"], seen["disagreements"]) == (2, 2, [])
    (verdict,) = helio("log", "verify", said["receipt"], "--json")
    assert verdict["verified"] is True
    assert verdict["subject"] == said["run"]
