"""The committed contract: its ABI and bytecode, calls in and answers out, and the recipe that makes it again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from heliotrope.errors import MissingExtra, ProviderGarbled

NAME = "claims"


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the compiler made of the source whose SHA-256 is `source`."""

    compiler: str
    evm: str
    source: str
    abi: tuple[dict[str, Any], ...]
    bytecode: str


def source() -> str:
    return files(__package__).joinpath("contract", f"{NAME}.vy").read_text(encoding="utf-8")


@cache
def artifact() -> Artifact:
    return msgspec.json.decode(files(__package__).joinpath("contract", f"{NAME}.json").read_bytes(), type=Artifact)


def compile_source(text: str) -> Artifact:
    """Byte for byte the committed artefact when given the committed source and the pinned compiler."""
    try:
        import vyper
        from vyper.compiler import compile_code
    except ImportError as error:
        raise MissingExtra("vyper", "contract", needed_for="compiling the contract") from error
    made = compile_code(text, output_formats=["abi", "bytecode"])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Artifact(vyper.__version__, "cancun", digest, tuple(made["abi"]), made["bytecode"])


def as_json(made: Artifact) -> str:
    """One entry of the ABI a line, so that a change can be read."""
    encode = msgspec.json.encode
    entries = ",\n".join("    " + encode(entry).decode() for entry in made.abi)
    head = "\n".join(f'  "{key}": {encode(getattr(made, key)).decode()},' for key in ("compiler", "evm", "source"))
    return f'{{\n{head}\n  "abi": [\n{entries}\n  ],\n  "bytecode": "{made.bytecode}"\n}}\n'


def deployment(*arguments: Any) -> bytes:
    """The data of the transaction that creates the contract."""
    from eth_abi.abi import encode

    constructor = next(entry for entry in artifact().abi if entry["type"] == "constructor")
    return bytes.fromhex(artifact().bytecode.removeprefix("0x")) + encode(_types(constructor["inputs"]), arguments)


def call_data(name: str, *arguments: Any) -> bytes:
    from eth_abi.abi import encode

    entry = _entries("function")[name]
    return selector(entry) + encode(_types(entry["inputs"]), arguments)


def answer(name: str, data: bytes) -> Any:
    """The only value a view returned."""
    (value,) = _decode(_entries("function")[name]["outputs"], data)
    return value


def event(topics: tuple[bytes, ...], data: bytes) -> tuple[str, dict[str, Any]] | None:
    """A log entry by name and fields; None for one that is not this contract's."""
    entry = _events().get(topics[0]) if topics else None
    if entry is None:
        return None
    plain = [field for field in entry["inputs"] if not field["indexed"]]
    indexed = [field for field in entry["inputs"] if field["indexed"]]
    values = (*_decode(plain, data), *_decode(indexed, b"".join(topics[1:])))
    return entry["name"], dict(zip((field["name"] for field in (*plain, *indexed)), values, strict=True))


def selector(entry: Mapping[str, Any]) -> bytes:
    return _signature_hash(entry)[:4]


def event_topic(name: str) -> bytes:
    return _signature_hash(_entries("event")[name])


@cache
def _entries(kind: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in artifact().abi if entry["type"] == kind}


@cache
def _events() -> dict[bytes, dict[str, Any]]:
    return {_signature_hash(entry): entry for entry in _entries("event").values()}


def _signature_hash(entry: Mapping[str, Any]) -> bytes:
    from eth_utils.crypto import keccak

    return keccak(text=f"{entry['name']}({','.join(_types(entry['inputs']))})")


def _decode(fields: list[dict[str, Any]], data: bytes) -> tuple[Any, ...]:
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    try:
        return decode(_types(fields), data)
    except (DecodingError, OverflowError) as error:
        raise ProviderGarbled(
            "the chain's answer is not this contract's",
            cause=str(error),
            hint="is chain.contract its address, on the chain of chain.rpc?",
        ) from error


def _types(fields: list[dict[str, Any]]) -> list[str]:
    """ABI type names, structs spelled out as tuples."""
    return [
        field["type"].replace("tuple", f"({','.join(_types(field['components']))})")
        if field["type"].startswith("tuple")
        else field["type"]
        for field in fields
    ]
