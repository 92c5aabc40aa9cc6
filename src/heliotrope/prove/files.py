"""What others hand in as files: read whole, or said in words why not."""

from __future__ import annotations

from pathlib import Path

from heliotrope.errors import ProofError


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ProofError(f"{path}: no such file") from None
    except OSError as error:
        raise ProofError(f"{path}: cannot be read", cause=str(error)) from error
