"""Finds the process that keeps an attempt, as an operator with `ps` would."""

from __future__ import annotations

from pathlib import Path


def shepherd_of(folder):
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(w.startswith(b"heliotrope.run.") for w in words) and str(folder).encode() in words:
                return int(entry.name)
    raise AssertionError(f"nobody keeps {folder}")
