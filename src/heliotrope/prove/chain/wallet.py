"""The secp256k1 keys of a sender, a witness or an auditor: from the environment or a keystore file, shown to nobody."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from heliotrope.errors import ConfigError
from heliotrope.files import write_whole
from heliotrope.prove.chain import typed
from heliotrope.prove.chain.node import Fees

KEY = "HELIO_CHAIN_KEY"
KEYSTORE = "HELIO_CHAIN_KEYSTORE"
PASSWORD = "HELIO_CHAIN_PASSWORD"  # noqa: S105 - the variable's name
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
        from eth_account import Account
        from eth_utils.address import to_checksum_address

        body = {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fees.most,
            "maxPriorityFeePerGas": fees.tip,
            "value": 0,
            "data": data,
        } | ({"to": to_checksum_address(to)} if to else {})
        return bytes(Account.sign_transaction(body, self._key).raw_transaction)

    def outbid(self, raw: bytes, fees: Fees) -> bytes:
        """The same transaction for more: an eighth above what it offered, as nodes ask for, or what is asked now."""
        from eth_account import Account
        from eth_account.typed_transactions.typed_transaction import TypedTransaction
        from hexbytes import HexBytes

        fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        body = {name: value for name, value in fields.items() if name not in {"v", "r", "s"}}
        body["maxFeePerGas"] = max(fees.most, _more(body["maxFeePerGas"]))
        body["maxPriorityFeePerGas"] = max(fees.tip, _more(body["maxPriorityFeePerGas"]))
        return bytes(Account.sign_transaction(body, self._key).raw_transaction)


def _more(wei: int) -> int:
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
    from eth_account import Account

    if PASSWORD not in os.environ:
        raise ConfigError(f"{KEYSTORE} is set but {PASSWORD} is not")
    try:
        return Wallet(bytes(Account.decrypt(json.loads(path.read_text(encoding="utf-8")), os.environ[PASSWORD])))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read", cause=str(error)) from error
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        # Neither the file's content nor the password may reach a message.
        raise ConfigError(f"{path} does not open", hint=f"is it a keystore, and {PASSWORD} its password?") from error
