"""From `helio run` to an auditor who agrees: the real controller's records, computed again from a copy of the files."""

from __future__ import annotations

import json
import sys

import pytest

import forked


@pytest.mark.slow
def test_an_auditor_agrees_with_what_really_ran(home, tmp_path):
    work = f"{sys.executable} -c 'print(sum(range(10**6)))'"
    ran = forked.run("run", "--zone", "DE", "--now", "--length", "10s", "--json", "--", "sh", "-c", work)
    said = json.loads(ran.stdout.splitlines()[-1])
    copy = tmp_path / "copy"
    assert forked.told("log", "export", copy, "--records") == [{"directory": str(copy), "size": 2}]
    (seen,) = forked.told("log", "audit", copy, "--home", tmp_path / "auditor")
    assert (seen["judged"], seen["agreed"], seen["disagreements"]) == (2, 2, [])
    (verdict,) = forked.told("log", "verify", said["receipt"])
    assert verdict["verified"] is True
    assert verdict["subject"] == said["run"]
