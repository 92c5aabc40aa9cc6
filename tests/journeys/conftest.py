"""Journeys speak to `helio` as people do: a command line, its exit code, what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def helio(home):
    """`helio("run", "--json", …)` in a home of its own."""

    def call(*args, check=True, timeout=120, **env):
        done = subprocess.run(
            [sys.executable, "-m", "heliotrope", *map(str, args)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | {"HELIO_HOME": str(home), "NO_COLOR": "1"} | env,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    return call
