"""The secp256k1 keys of a sender, a witness or an auditor: from the environment or a keystore file, shown to nobody."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from heliotrope.errors import ConfigError
from heliotrope.files import write_whole
from heliotrope.prove.chain import typed
from heliotrope.prove.chain.node import Fees

KEY = "HELIO_CHAIN_KEY"
KEYSTORE = "HELIO_CHAIN_KEYSTORE"
PASSWORD = "HELIO_CHAIN_PASSWORD"  # noqa: S105 - the variable's name
_DYNAMIC_FEE = b"\x02"
_UNSIGNED_FIELDS = 9
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class Wallet:
    """Signs; never prints its key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32 or not 0 < int.from_bytes(key, "big") < _ORDER:
            raise ConfigError("not a secp256k1 key", hint=f"{KEY} holds 64 hexadecimal digits")
        self._key = key
        self.address = typed.address_of(key)

    def __repr__(self) -> str:
        return f"Wallet({self.address})"

    def sign(self, digest: bytes) -> typed.Signature:
        return typed.sign(self._key, digest)

    def transaction(self, chain_id: int, nonce: int, to: str | None, data: bytes, gas: int, fees: Fees) -> bytes:
        """An EIP-1559 transaction, signed, as the bytes that a node takes."""
        address = bytes.fromhex(to.removeprefix("0x")) if to else b""
        return self._signed([chain_id, nonce, fees.tip, fees.most, gas, address, 0, data, []])

    def outbid(self, raw: bytes, fees: Fees) -> bytes:
        """The same transaction for more: an eighth above what it offered, as nodes ask for, or what is asked now."""
        import rlp

        chain_id, nonce, tip, most, *rest = rlp.decode(raw[1:])[:_UNSIGNED_FIELDS]
        return self._signed([chain_id, nonce, max(fees.tip, _more(tip)), max(fees.most, _more(most)), *rest])

    def _signed(self, fields: list[Any]) -> bytes:
        """RLP of EIP-1559: chain, nonce, tip, most, gas, to, value, data, access list; signed: v, r, s."""
        import rlp

        signature = self.sign(typed.keccak(_DYNAMIC_FEE + rlp.encode(fields)))
        r, s = (int.from_bytes(half, "big") for half in (signature.r, signature.s))
        return bytes(_DYNAMIC_FEE + rlp.encode([*fields, signature.v - 27, r, s]))


def _more(offered: bytes) -> int:
    wei = int.from_bytes(offered, "big")
    return wei + wei // 8 + 1


def from_environment() -> Wallet | None:
    """HELIO_CHAIN_KEY, else the keystore file of HELIO_CHAIN_KEYSTORE opened with HELIO_CHAIN_PASSWORD."""
    stated, keystore = os.environ.get(KEY, ""), os.environ.get(KEYSTORE, "")
    if stated:
        try:
            return Wallet(bytes.fromhex(stated.strip().removeprefix("0x")))
        except ValueError:
            raise ConfigError(f"{KEY} is not a key", hint="it holds 64 hexadecimal digits") from None
    return _open_keystore(Path(keystore).expanduser()) if keystore else None


def local(home: Path, role: str) -> Wallet:
    """A key of this home, made at first use and readable by its owner alone: for the embedded chain."""
    path = home / "keys" / f"chain-{role}.key"
    try:
        return Wallet(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, key.hex().encode() + b"\n", mode=0o600)
        return Wallet(key)
    except ValueError as error:
        raise ConfigError(f"{path} holds no key") from error


def _open_keystore(path: Path) -> Wallet:
    from eth_keyfile.keyfile import decode_keyfile_json

    if PASSWORD not in os.environ:
        raise ConfigError(f"{KEYSTORE} is set but {PASSWORD} is not")
    try:
        return Wallet(decode_keyfile_json(json.loads(path.read_text(encoding="utf-8")), os.environ[PASSWORD].encode()))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read", cause=str(error)) from error
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        # Neither the file's content nor the password may reach a message.
        raise ConfigError(f"{path} does not open", hint=f"is it a keystore, and {PASSWORD} its password?") from error
