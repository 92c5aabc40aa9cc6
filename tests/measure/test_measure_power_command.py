"""`helio power` as people use it."""

from __future__ import annotations

import json
import subprocess
import sys


def helio(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "heliotrope", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_what_there_is_and_what_is_not(tmp_path):
    shown = helio("power", "show", "--json")
    assert shown.returncode == 0
    knobs = json.loads(shown.stdout)["knobs"]
    assert all(knob["lowest"] <= knob["now"] for knob in knobs)
    assert knobs or "no limit and no clock" in helio("power", "show").stdout
    held = helio("power", "hold", "--journal", str(tmp_path / "p.jsonl"), "gpu99/limit", "300", "--", "true")
    assert held.returncode != 0
    assert "no knob is called gpu99/limit" in held.stderr
    assert "Traceback" not in held.stderr
    restored = helio("power", "restore", "--journal", str(tmp_path / "p.jsonl"), "--json")
    assert json.loads(restored.stdout) == {"put_back": []}
