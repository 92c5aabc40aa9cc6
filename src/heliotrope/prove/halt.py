"""Two histories where there may be one: the evidence is written, and everything stops until a person has looked."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from heliotrope.errors import SplitView
from heliotrope.files import write_whole
from heliotrope.prove.formats.note import Note

FOLDER = "split-view"


def keep_evidence(folder: Path, why: str, *notes: Note) -> Path:
    """The contradicting signed checkpoints, verbatim, so that anybody can verify the log's own signatures on them."""
    text = f"{why}\n\n" + "\n".join(f"--- {i}\n{note}" for i, note in enumerate(notes, start=1))
    path = folder / f"{sha256(text.encode()).hexdigest()[:16]}.txt"
    write_whole(path, text.encode())
    return path


def stop(home: Path, why: str, *notes: Note) -> SplitView:
    """Writes the evidence and gives the error to raise; from now on `refuse_if_stopped` raises too."""
    path = keep_evidence(home / FOLDER, why, *notes)
    return SplitView(why, cause=f"evidence in {path}", hint="everything stops here until a person has looked at it")


def refuse_if_stopped(home: Path) -> None:
    folder = home / FOLDER
    if folder.is_dir() and any(folder.iterdir()):
        raise SplitView(
            "this log showed two histories and has stopped",
            cause=f"evidence in {folder}",
            hint="find out why, settle it with the witnesses, then move that folder away",
        )
