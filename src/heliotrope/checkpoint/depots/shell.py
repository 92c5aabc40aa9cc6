"""On a machine that is reached by SSH: rsync carries pieces there and back, many at once."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from heliotrope.checkpoint.depots.local import LocalDepot
from heliotrope.checkpoint.depots.protocol import Piece
from heliotrope.errors import InvalidInput, StoreError

_HAND_BYTES = 64 << 20  # sent or fetched by one rsync; what a broken one lost is at most this
QUIET = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15")


class ShellDepot:
    """`host` as ssh takes it; `path` absolute on it. Keys and ports are the business of ssh's own configuration."""

    def __init__(self, host: str, path: PurePosixPath, ssh: Sequence[str] = ("ssh", *QUIET)) -> None:
        self.host, self.path, self.ssh = host, path, tuple(ssh)
        self._is_made = False

    @classmethod
    def at(cls, url: str) -> ShellDepot:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidInput("not an address", field="depot", found=url, cause=str(error)) from error
        user = f"{unquote(parts.username)}@" if parts.username else ""
        path = PurePosixPath(unquote(parts.path))
        if not parts.hostname or len(path.parts) < 2 or (user + parts.hostname).startswith("-"):
            raise InvalidInput("not a place for states", field="depot", found=url, allowed="ssh://user@host:port/path")
        ssh = ("ssh", *QUIET, *(("-p", str(port)) if port else ()))
        return cls(user + parts.hostname, path, ssh)

    def missing(self, names: Sequence[str]) -> list[str]:
        known = self._known()
        return [name for name in names if name not in known]

    def put(self, pieces: Iterable[Piece]) -> None:
        if not self._is_made:
            self._shell(f"mkdir -p {self._quoted}")
            self._is_made = True
        for hand in _hands(pieces):
            with tempfile.TemporaryDirectory(prefix="helio-") as folder:
                LocalDepot(Path(folder)).put(hand)
                self._rsync([f"{folder}/", f"{self.host}:{self.path}/"])

    def get(self, names: Sequence[str]) -> Iterator[Piece]:
        with tempfile.TemporaryDirectory(prefix="helio-") as folder:
            listed = Path(folder, "names")
            listed.write_text("".join(f"{name}\n" for name in names))
            there = Path(folder, "pieces")
            self._rsync([f"--files-from={listed}", f"{self.host}:{self.path}/", f"{there}/"])
            yield from LocalDepot(there).get(names)

    def keep_only(self, names: Sequence[str]) -> None:
        stale = sorted(self._known() - set(names))
        if stale:
            self._shell(f"cd {self._quoted} && xargs rm -f --", "\n".join(stale).encode())

    def _known(self) -> set[str]:
        return set(self._shell(f"ls -1 {self._quoted} 2>/dev/null || true").split())

    @property
    def _quoted(self) -> str:
        return shlex.quote(str(self.path))

    def _shell(self, words: str, told: bytes = b"") -> str:
        return self._called([*self.ssh, self.host, words], told)

    def _rsync(self, words: Sequence[str]) -> None:
        """Whole files under their names only: rsync renames each when it has come."""
        self._called(["rsync", "--recursive", "--protect-args", "-e", shlex.join(self.ssh), *words])

    def _called(self, words: Sequence[str], told: bytes = b"") -> str:
        try:
            done = subprocess.run(words, input=told, capture_output=True, check=False)
        except FileNotFoundError:
            raise StoreError(f"{words[0]} is not here", hint=f"install {words[0]}") from None
        if done.returncode:
            raise StoreError(
                f"{self.host}: the depot cannot be used now",
                cause=done.stderr.decode(errors="replace").strip()[-300:] or f"{words[0]} ended with {done.returncode}",
                hint=f"`ssh {self.host} true` has to work without a question; the transfer goes on where it was",
            )
        return done.stdout.decode(errors="replace")


def _hands(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    hand: list[Piece] = []
    size = 0
    for piece in pieces:
        hand.append(piece)
        size += len(piece[1])
        if size >= _HAND_BYTES:
            yield hand
            hand, size = [], 0
    if hand:
        yield hand
