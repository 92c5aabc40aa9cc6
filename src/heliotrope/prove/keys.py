"""The keys a home signs with: made at first use, readable by their owner alone."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from heliotrope.errors import BadNote, ProofError
from heliotrope.files import held, write_whole
from heliotrope.prove.formats.note import SecretKey
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.text import check_name


class KeyRing(msgspec.Struct, frozen=True):
    """The first key signs; the others are retiring and sign beside it where overlap is wanted."""

    keys: tuple[SecretKey, ...]

    @property
    def current(self) -> SecretKey:
        return self.keys[0]


def file_of(role: str, algorithm: Algorithm) -> str:
    """A role's keys of a second type lie in a file of their own, and sign beside the first."""
    return f"{role}-ml-dsa-44" if algorithm is Algorithm.ML_DSA_44 else role


def exists(home: Path, role: str) -> bool:
    return (home / "keys" / f"{role}.key").exists()


def load_or_make(home: Path, role: str, name: str, algorithm: Algorithm = Algorithm.ED25519) -> KeyRing:
    """`home/keys/ROLE.key`: one signing key a line, newest first."""
    path = home / "keys" / f"{role}.key"
    if not path.exists():
        check_name(name)
        with held(home / "keys" / ".lock"):
            if not path.exists():
                _write(path, KeyRing((SecretKey.generate(name, algorithm),)))
    return _read(path)


def load(home: Path, role: str) -> KeyRing:
    return _read(home / "keys" / f"{role}.key")


def rotate(home: Path, role: str) -> KeyRing:
    """A new key in front of the old ones."""
    path = home / "keys" / f"{role}.key"
    with held(home / "keys" / ".lock"):
        ring = _read(path)
        fresh = SecretKey.generate(ring.current.name, ring.current.algorithm)
        ring = KeyRing((fresh, *ring.keys))
        _write(path, ring)
    return ring


def retire(home: Path, role: str) -> KeyRing:
    """Keeps the newest key alone."""
    path = home / "keys" / f"{role}.key"
    with held(home / "keys" / ".lock"):
        ring = KeyRing((_read(path).current,))
        _write(path, ring)
    return ring


def stamp(home: Path, *roles: str) -> tuple[tuple[int, int], ...]:
    """Changes whenever one of these key files was written anew."""
    files = [home / "keys" / f"{role}.key" for role in roles]
    found = [file.stat() if file.exists() else None for file in files]
    return tuple((0, 0) if stat is None else (stat.st_ino, stat.st_mtime_ns) for stat in found)


def default_name(role: str) -> str:
    """Names only tell keys apart; eight random digits do that and tell nobody the host's name."""
    return f"{role}-{secrets.token_hex(4)}"


def _write(path: Path, ring: KeyRing) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    write_whole(path, "".join(f"{key.text()}\n" for key in ring.keys).encode(), mode=0o600)


def _read(path: Path) -> KeyRing:
    try:
        if path.stat().st_mode & 0o077:
            raise ProofError(f"{path}: readable by others", hint=f"chmod 600 '{path}'")
        lines = path.read_text(encoding="utf-8").splitlines()
        keys = tuple(SecretKey.parse(line) for line in lines if line.strip())
    except FileNotFoundError:
        raise ProofError(f"{path}: no such key") from None
    except (OSError, UnicodeDecodeError, BadNote) as error:
        raise ProofError(f"{path}: not a key file", cause=getattr(error, "what", type(error).__name__)) from None
    if not keys:
        raise ProofError(f"{path}: holds no key")
    return KeyRing(keys)
