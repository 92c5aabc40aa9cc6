"""Any Ethereum node over JSON-RPC: a few calls on a plain HTTP connection."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from heliotrope.errors import ChainRefused, ConfigError, ProviderBusy, ProviderDenied, ProviderDown, ProviderGarbled
from heliotrope.prove.chain.node import Fees, LogEntry, Mined
from heliotrope.prove.chain.revert import reason

_KNOWN = ("already known", "already imported", "known transaction")
_MOST_BYTES = 32 * 1024 * 1024


class Rpc:
    """`url` may hold a key, so errors name its host alone."""

    def __init__(self, url: str, *, confirmations: int = 2, timeout_s: float = 20.0) -> None:
        self._url = urlsplit(url)
        if self._url.scheme not in {"http", "https"} or not self._url.hostname:
            raise ConfigError("chain.rpc is not a web address", hint='as in rpc = "http://127.0.0.1:8545"')
        self._timeout_s = timeout_s
        self.title = self._url.hostname + (f":{self._url.port}" if self._url.port else "")
        self.confirmations = confirmations
        self.chain_id = _number(self.ask("eth_chainId"))

    def call(self, to: str, data: bytes, *, sender: str) -> bytes:
        return _raw(self.ask("eth_call", {"from": sender, "to": to, "data": _hex(data)}, "latest"))

    def estimate_gas(self, to: str | None, data: bytes, *, sender: str) -> int:
        body = {"from": sender, "data": _hex(data)} | ({"to": to} if to else {})
        return _number(self.ask("eth_estimateGas", body))

    def send(self, raw: bytes) -> None:
        try:
            self.ask("eth_sendRawTransaction", _hex(raw))
        except ChainRefused as error:
            if not any(known in error.cause.lower() for known in _KNOWN):
                raise

    def mined(self, tx_hash: bytes) -> Mined | None:
        found = self.ask("eth_getTransactionReceipt", _hex(tx_hash))
        if found is None or found.get("blockHash") is None:
            return None
        try:
            contract = found["contractAddress"]
            return Mined(
                _raw(found["transactionHash"]),
                _number(found["status"]) == 1,
                _number(found["blockNumber"]),
                _raw(found["blockHash"]),
                _number(found["gasUsed"]),
                contract.lower() if contract else None,
                tuple(map(_entry, found["logs"])),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise self._garbled("eth_getTransactionReceipt", error) from error

    def nonce(self, address: str) -> int:
        return _number(self.ask("eth_getTransactionCount", address, "latest"))

    def head(self) -> int:
        return _number(self.ask("eth_blockNumber"))

    def fees(self) -> Fees:
        """Twice the base fee holds through six full blocks."""
        block = self.ask("eth_getBlockByNumber", "latest", False)
        tip = _number(self.ask("eth_maxPriorityFeePerGas"))
        base = _number(block.get("baseFeePerGas", "0x0")) if isinstance(block, dict) else 0
        return Fees(2 * base + tip, tip)

    def logs(self, address: str, topic: bytes) -> tuple[LogEntry, ...]:
        found = self.ask("eth_getLogs", {"address": address, "fromBlock": "0x0", "topics": [_hex(topic)]})
        try:
            return tuple(map(_entry, found))
        except (KeyError, TypeError) as error:
            raise self._garbled("eth_getLogs", error) from error

    def ask(self, method: str, *arguments: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments})
        status, raw = self._post(body.encode())
        if status in {401, 403}:
            raise ProviderDenied(f"{self.title} refused the key", hint="check chain.rpc")
        if status == 429:
            raise ProviderBusy(f"{self.title} asks for fewer calls", hint="try again in a minute")
        if status >= 500:
            raise ProviderDown(f"{self.title} answered {status} to {method}", hint="try again in a minute")
        try:
            answer = json.loads(raw)
            error = answer.get("error")
            result = answer["result"] if error is None else None
        except (ValueError, KeyError, AttributeError) as fault:
            raise self._garbled(method, fault) from fault
        if error is not None:
            raise _refusal(error)
        return result

    def _post(self, body: bytes) -> tuple[int, bytes]:
        secure = self._url.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(self._url.hostname or "", self._url.port, timeout=self._timeout_s)
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise ProviderDown(
                f"no answer from the chain at {self.title}",
                cause=str(error) or type(error).__name__,
                hint="start the node, or set chain.rpc",
            ) from error
        finally:
            connection.close()

    def _garbled(self, method: str, fault: Exception) -> ProviderGarbled:
        return ProviderGarbled(f"{self.title} answered {method} with something else", cause=repr(fault))


def _refusal(error: Any) -> ChainRefused:
    """Nodes put a revert's bytes in `data`, some of them one level deeper, some with a text only."""
    data = error.get("data") if isinstance(error, dict) else None
    if isinstance(data, dict):
        data = data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        return ChainRefused("the contract refused", cause=reason(_raw(data)))
    return ChainRefused(
        "the chain refused", cause=str(error.get("message", error) if isinstance(error, dict) else error)
    )


def _entry(found: Any) -> LogEntry:
    return LogEntry(found["address"].lower(), tuple(map(_raw, found["topics"])), _raw(found["data"]))


def _number(text: Any) -> int:
    try:
        return int(text, 16)
    except (TypeError, ValueError) as error:
        raise ProviderGarbled("a node answered with no number", cause=repr(text)) from error


def _hex(raw: bytes) -> str:
    return f"0x{raw.hex()}"


def _raw(text: Any) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except (AttributeError, ValueError) as error:
        raise ProviderGarbled("a node answered with no bytes", cause=repr(text)[:80]) from error
