"""The process that stands by one borrower: it turns the knobs, and puts them back however the borrower ends."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from types import FrameType

from heliotrope.errors import HelioError
from heliotrope.measure.machine.system import System
from heliotrope.measure.power.keeper import Keeper
from heliotrope.measure.power.knobs import find
from heliotrope.measure.power.lease import attend, refuse


class _Ended(Exception):
    """A signal asked for the end."""


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


def main(fd: int, pid: int, journal: str, root: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    with socket.socket(fileno=fd) as link:
        try:
            keeper = Keeper(find(System(root)), Path(journal))
        except HelioError as error:
            refuse(link, error)
            return
        try:
            attend(link, keeper, f"process {pid}", pid=pid)
        except _Ended:
            pass  # what was lent is given back below, as at any other end
        finally:
            keeper.close("the guard ended")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
