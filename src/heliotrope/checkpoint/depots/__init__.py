"""Where states wait for whoever fetches them: pieces under their digests, on a disk, over SSH, in any object store."""

from __future__ import annotations

from pathlib import Path

from heliotrope.checkpoint.depots.local import FolderSource, LocalDepot
from heliotrope.checkpoint.depots.protocol import Depot, Piece, Source
from heliotrope.errors import InvalidInput

__all__ = ["Depot", "FolderSource", "LocalDepot", "Piece", "Source", "depot"]


def depot(place: str) -> Depot:
    """By how it is written: a path, `ssh://user@host/path`, or whatever fsspec knows, as `s3://bucket/prefix`."""
    scheme, mark, rest = place.partition("://")
    if not mark:
        if not Path(place).is_absolute():
            raise InvalidInput(
                "not a place for states",
                field="depot",
                found=place,
                allowed="an absolute path, ssh://host/path, or a URL that fsspec knows, as s3://bucket/prefix",
            )
        return LocalDepot(Path(place))
    if scheme == "file":
        return LocalDepot(Path(rest))
    if scheme == "ssh":
        from heliotrope.checkpoint.depots.shell import ShellDepot

        return ShellDepot.at(place)
    from heliotrope.checkpoint.depots.objects import ObjectDepot

    return ObjectDepot(place)
