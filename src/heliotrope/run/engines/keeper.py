"""On a cluster's node: keeps one attempt as the shepherd does, and does what is wished for in its folder.

`python -m heliotrope.run.engines.keeper FOLDER [--told]`; `--told` where the cluster's SIGTERM comes to the command by
itself. The folder lies where the nodes and the sender both see it. The cluster may start this twice, or take it back
and start it again; the command still runs once, unless it is to go on.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import msgspec

from heliotrope.errors import HelioError
from heliotrope.run.engines.keeping import end_here
from heliotrope.run.engines.wishes import Letterbox, Wish
from heliotrope.run.working import shepherd
from heliotrope.run.working.folder import Folder
from heliotrope.run.working.processes import end_all, signal_all

LISTEN_S = 0.2
LOCK_S = 10.0  # what the kernel may take to let go of the lock of a keeper that was killed
REFUSED = 125
# What the cluster gave to this very job; the sender's own values of these mean nothing here.
GIVEN = (
    "SLURM",
    "SBATCH",
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "ROCR_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
    "RAY_",
)
PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


def keep(folder: Folder, *, restarted: bool = False, term_reaches_all: bool = False) -> int:
    """The command's own exit code, as a shell would say it.

    `restarted`: the cluster took an earlier start of this attempt back. `term_reaches_all`: when the cluster ends a
    job, its SIGTERM comes to the command too, so that it need not be passed on.
    """
    lock = _lock(folder)
    if lock is None:
        sys.stderr.write("another keeper holds this attempt\n")
        return REFUSED
    if folder.asked.exists() and folder.began is None:
        sys.stderr.write("asked to leave before it began\n")
        return 128 + signal.SIGTERM
    if folder.began is not None or folder.exit is not None:
        if not restarted or _is_over(folder):
            sys.stderr.write("this attempt began before, and is not begun again\n")
            return code_of(folder)
        end_here(folder)
        _set_aside(folder)
    order = folder.order
    assert order is not None, "the sender writes the order before it asks the cluster"
    folder.write("order", msgspec.structs.replace(order, environment=_given_here(order.environment)))
    ear = _Ear(folder)
    for number in PASSED_ON:
        signal.signal(number, ear.pass_on)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if term_reaches_all else ear.save)
    signal.signal(signal.SIGALRM, ear.listen)
    # No thread: the command is forked from this process.
    signal.setitimer(signal.ITIMER_REAL, LISTEN_S, LISTEN_S)
    try:
        shepherd.keep(folder, lock)
    except HelioError as error:
        sys.stderr.write(f"error: {error}\n")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return code_of(folder)


def code_of(folder: Folder) -> int:
    ended = folder.exit
    if ended is None:
        return REFUSED
    return ended.code if ended.code >= 0 else 128 - ended.code


class _Ear:
    """Hears wishes and signals, and passes them on to the command."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.box = Letterbox(folder.path)
        # What was wished of an earlier start was done to that.
        self.done = len(self.box.all())

    def listen(self, number: int, frame: FrameType | None) -> None:
        began = self.folder.began
        if began is None:
            return
        for wish in self.box.all()[self.done :]:
            self.done += 1
            match wish:
                case Wish.SAVE:
                    self.save(number, frame)
                case Wish.KILL:
                    end_all(self.folder.path, began.child)
                case Wish.PAUSE:
                    signal_all(self.folder.path, began.child, signal.SIGSTOP)
                case Wish.RESUME:
                    signal_all(self.folder.path, began.child, signal.SIGCONT)

    def save(self, number: int, frame: FrameType | None) -> None:
        """Asks it to save its state and leave; a stopped one is woken to hear it."""
        began = self.folder.began
        if began is not None:
            signal_all(self.folder.path, began.child, signal.SIGTERM)
            signal_all(self.folder.path, began.child, signal.SIGCONT)

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        """To the command alone: what a cluster sends to a job's script was meant for it."""
        began = self.folder.began
        if began is not None:
            os.kill(began.child.pid, number)


def _lock(folder: Folder) -> int | None:
    deadline = time.monotonic() + LOCK_S
    while (lock := folder.try_lock()) is None and time.monotonic() < deadline:
        time.sleep(LISTEN_S)
    return lock


def _is_over(folder: Folder) -> bool:
    """Finished, refused, or asked by its sender to leave: whatever the cluster does, it is not begun again."""
    ended = folder.exit
    return folder.asked.exists() or (ended is not None and (ended.code == 0 or bool(ended.why)))


def _set_aside(folder: Folder) -> None:
    """What an earlier start left stays a part of this attempt. `began` goes last: until then this is done again."""
    aside = folder.before / f"{len(folder.earlier()) + 1}"
    aside.mkdir(parents=True)
    for name in ("journal.jsonl", "measurement.json", "exit.json", "began.json"):
        if (folder.path / name).exists():
            (folder.path / name).rename(aside / name)


def _given_here(environment: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if not name.startswith(GIVEN)}
    return kept | {name: value for name, value in os.environ.items() if name.startswith(GIVEN)}


def main() -> None:
    sys.exit(keep(Folder(Path(sys.argv[1])), term_reaches_all="--told" in sys.argv[2:]))


if __name__ == "__main__":
    main()
