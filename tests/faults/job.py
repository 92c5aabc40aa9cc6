"""A job with one effect, that may be killed at any instant: `job.py FOLDER STEPS`.

It saves each step, refuses to run beside itself, and has its effect by creating a file that may not exist yet: the
one way in which anything that can be killed can do a thing exactly once.
"""

import fcntl
import os
import sys
import time
from pathlib import Path

folder, steps = Path(sys.argv[1]), int(sys.argv[2])


def note(name, text):
    """One write of one line, appended whole."""
    fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, (text + "\n").encode())
    os.close(fd)


def save(step):
    """Where there is no room it waits for some: a job that gives up there has failed, and that is its own affair."""
    beside = saved.with_suffix(".new")
    while True:
        try:
            beside.write_text(str(step))
            beside.replace(saved)
        except OSError:
            time.sleep(0.05)
        else:
            return


note("starts", os.environ["HELIO_ATTEMPT"])
lock = os.open(folder / "alone", os.O_WRONLY | os.O_CREAT, 0o600)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("overlaps", os.environ["HELIO_ATTEMPT"])
    sys.exit(9)
saved = Path(os.environ["HELIO_CHECKPOINT"], "step")
done = int(saved.read_text()) if saved.exists() else 0
for step in range(done, steps):
    time.sleep(0.05)
    save(step + 1)
try:
    os.close(os.open(folder / "effect", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    note("effects", os.environ["HELIO_ATTEMPT"])
except FileExistsError:
    note("seen", os.environ["HELIO_ATTEMPT"])
