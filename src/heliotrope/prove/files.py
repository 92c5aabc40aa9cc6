"""What others hand in: read whole, and not nested without end, or said in words why not."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from heliotrope.errors import ProofError

# What reading JSON that others made may raise.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
MAX_DEPTH = 100
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))


def bounded(raw: bytes) -> bytes:
    """JSON that is not nested too deep to be read: the EVM's library lifts Python's own bound, and a reader crashes."""
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        depth = 0
        for bracket in _STRING.sub(b"", raw).translate(None, _NO_BRACKET):
            depth += 1 if bracket in b"[{" else -1
            if depth > MAX_DEPTH:
                raise msgspec.DecodeError(f"nested more than {MAX_DEPTH} deep")
    return raw


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ProofError(f"{path}: no such file") from None
    except OSError as error:
        raise ProofError(f"{path}: cannot be read", cause=str(error)) from error
