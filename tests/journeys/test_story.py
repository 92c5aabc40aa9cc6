"""`make run` tells the whole story, and leaves a page that a browser needs nothing else for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STORY = Path(__file__).parents[2] / "examples" / "story.py"


@pytest.mark.slow
def test_the_story_ends_with_a_verified_receipt_and_a_page(tmp_path):
    home = tmp_path / "a home"
    done = subprocess.run(
        [sys.executable, str(STORY)],
        env=os.environ | {"HELIO_HOME": str(home)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"test accuracy ([\d.]+)", done.stdout)[1]) > 0.85
    assert "verified" in done.stdout
    assert "emulated" in done.stdout
    assert "3600 times as fast" in done.stdout
    page = (home / "run.html").read_text()
    assert "train_digits.py" in page
    assert "http" not in page.replace("http-equiv", "")
