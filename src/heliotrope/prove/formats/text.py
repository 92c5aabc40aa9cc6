"""What every format here is written in: base64, decimals, names of keys, the three lines that name a tree."""

from __future__ import annotations

import base64
import binascii
import re

from heliotrope.errors import BadNote
from heliotrope.prove.formats.merkle import HASH_BYTES

MAX_NUMBER = 2**63 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def decode(text: str, *, strict: bool = True) -> bytes:
    """Standard base64; strictly, in its one canonical form."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadNote("not base64", cause=f"found {text[:60]!r}") from error
    if strict and encode(raw) != text:
        raise BadNote("not canonical base64", cause=f"found {text[:60]!r}")
    return raw


def decimal(text: str) -> int:
    """ASCII digits without leading zeroes, below 2^63."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_NUMBER:
        raise BadNote("not a decimal number without leading zeroes", cause=f"found {text[:40]!r}")
    return int(text)


def check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise BadNote("not a key name", cause=f"found {name!r}", hint="a name has no spaces and no +")


def read_tree(text: str) -> tuple[str, int, bytes, tuple[str, ...]]:
    """A checkpoint's origin, size and root, and whatever lines follow them."""
    if not text.endswith("\n"):
        raise BadNote("a checkpoint must end its last line")
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise BadNote("a checkpoint needs an origin, a size and a root, and no blank line")
    origin, size, root64, *more = lines
    root = decode(root64)
    if len(root) != HASH_BYTES:
        raise BadNote(f"a root of {len(root)} bytes, not {HASH_BYTES}")
    return origin, decimal(size), root, tuple(more)
