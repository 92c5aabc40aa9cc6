"""Why a contract refused, out of the bytes that it answers with."""

from __future__ import annotations

_ERROR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)


def reason(data: bytes) -> str:
    """The text of Error(string); hostile lengths are cut to what is there."""
    if data[:4] == _ERROR and len(data) >= 68:
        length = int.from_bytes(data[36:68], "big")
        return data[68 : 68 + min(length, 256)].decode("utf-8", "replace")
    if data[:4] == _PANIC:
        return "an arithmetic bound of the contract"
    return f"reverted with {data[:32].hex()}" if data else "reverted without a reason (out of gas, or no such function)"
