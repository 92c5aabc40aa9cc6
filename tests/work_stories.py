"""A piece of work that any home takes: a few characters of Python, started without anything it does not need."""

from __future__ import annotations

import os
import sys
import time

from heliotrope.model import Length, Workload, WorkloadKind
from heliotrope.units import from_epoch

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")


def work(name="w", code="pass", *, length_s=60.0, within_s=None, now_s=None, **more):
    now_s = time.time() if now_s is None else now_s
    return Workload(
        id=name,
        kind=WorkloadKind.BATCH,
        command=more.pop("command", (*PYTHON, code)),
        submitted_at=from_epoch(now_s),
        length=Length.known(length_s),
        deadline=None if within_s is None else from_epoch(now_s + within_s),
        working_directory=more.pop("working_directory", "/"),
        environment={"PATH": os.environ["PATH"]},
        **more,
    )
