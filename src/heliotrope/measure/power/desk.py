"""The daemon's counter for knobs: lends them over a Unix socket to those who may open it, one thread a borrower."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from pathlib import Path

from heliotrope.errors import UsageError
from heliotrope.measure.power.keeper import Keeper
from heliotrope.measure.power.lease import attend, peer
from heliotrope.measure.publish.daemon import listen


class Desk:
    """Root's alone unless a `group` is named: whoever may turn a limit may slow everybody's work."""

    def __init__(self, path: Path, keeper: Keeper, *, group: str = "") -> None:
        self.path = path
        self._keeper = keeper
        self._server = listen(path, mode=0o660)
        self._borrowers: dict[threading.Thread, socket.socket] = {}
        try:
            if group:
                shutil.chown(path, group=group)
        except (LookupError, OSError) as error:
            self._server.close()
            path.unlink()
            raise UsageError(f"knobs cannot be lent to the group {group}", cause=str(error)) from error
        self._thread = threading.Thread(target=self._serve, name="helio-knobs", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return  # closed: the end
            pid, uid = peer(link)
            who = f"process {pid} of user {uid}"
            borrower = threading.Thread(
                target=attend, args=(link, self._keeper, who), kwargs={"pid": pid}, name="helio-knob", daemon=True
            )
            self._borrowers = {thread: one for thread, one in self._borrowers.items() if thread.is_alive()}
            self._borrowers[borrower] = link
            borrower.start()

    def close(self) -> None:
        """Everybody's knobs are given back when it returns."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
        for thread, link in self._borrowers.items():
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            thread.join()
        self._keeper.close("the daemon ended")
        if os.path.lexists(self.path):
            self.path.unlink()
