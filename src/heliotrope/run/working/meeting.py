"""Where states meet: one of each work in the house's own folder, laid there by one site and fetched by another."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec

from heliotrope.checkpoint.carry import push
from heliotrope.checkpoint.depots import LocalDepot
from heliotrope.checkpoint.manifest import Manifest, decoded
from heliotrope.errors import StoreError
from heliotrope.run.working.folder import Folder


class Laid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state that the attempt `run` left at `site`; empty where it left nothing.

    `sent_bytes` of `whole_bytes` were missing here when it began to come. Wall times of the house.
    """

    run: str
    site: str
    digest: str
    whole_bytes: int
    sent_bytes: int
    began_s: float
    ended_s: float

    @property
    def is_empty(self) -> bool:
        return self.whole_bytes == 0


class Meeting:
    """Of one work: `coming` is noted before the first byte of a state, `laid` after the last."""

    def __init__(self, home: Path, workload: str) -> None:
        self.folder = Folder(home / "states" / workload)
        self.depot = LocalDepot(self.folder.path / "pieces")

    @property
    def laid(self) -> Laid | None:
        return self.folder.read("laid", Laid)

    @property
    def coming(self) -> Laid | None:
        return self.folder.read("coming", Laid)

    def manifest(self, digest: str) -> Manifest:
        return decoded(next(self.depot.get([digest]))[1])

    def begin(self, run: str, site: str, manifest: Manifest, missing: list[str]) -> None:
        """What is sent after a break was counted the first time."""
        before = self.coming
        if before is None or (before.run, before.digest) != (run, manifest.digest):
            sent_bytes, now_s = manifest.bytes_of(missing), time.time()
            coming = Laid(run, site, manifest.digest, manifest.whole_bytes, sent_bytes, now_s, now_s)
            self.folder.path.mkdir(parents=True, exist_ok=True)
            self.folder.write("coming", coming)

    def end(self, manifest: Manifest) -> None:
        """All of it is there: it takes the place of what lay here."""
        coming = self.coming
        if coming is None or coming.digest != manifest.digest:
            raise StoreError(f"{self.folder.path}: another state is coming", cause=manifest.digest)
        self.depot.put([(manifest.digest, manifest.encoded())])
        self.folder.write("laid", msgspec.structs.replace(coming, ended_s=time.time()))
        self.depot.keep_only([manifest.digest, *manifest.sizes])

    def lay(self, run: str, site: str, left: Path) -> None:
        """From a folder that this machine sees: it comes over no way."""
        digest = push(left, self.depot)
        manifest, now_s = self.manifest(digest), time.time()
        self.folder.write("laid", Laid(run, site, digest, manifest.whole_bytes, 0, now_s, now_s))

    def drop(self) -> None:
        shutil.rmtree(self.folder.path, ignore_errors=True)
