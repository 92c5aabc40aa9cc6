"""Nested state as plain JSON beside raw buffers, and back, bit for bit: no pickle, so nothing in it can run.

Every value is a list whose first item says what it is. Containers keep their kind and the kind of their keys;
floats are written in hexadecimal, so that infinities, NaN and the last bit survive.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from heliotrope.errors import InvalidInput

Put = Callable[[memoryview], list[str]]  # bytes in, the names of what holds them out
Get = Callable[[Iterable[str]], bytearray]


def pack(value: Any, put: Put, where: str = "state") -> list[Any]:
    """`where` names the place for a value that cannot be kept."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    match value:
        case None | bool() | int() | str():
            return ["plain", value]
        case float():
            return ["float", value.hex()]
        case bytes() | bytearray():
            return ["bytes", put(memoryview(bytes(value)))]
        case Mapping():
            return [
                "dict",
                [[pack(k, put, where), pack(v, put, f"{where}[{k!r}]")] for k, v in value.items()],
            ]
        case tuple() | list():
            kind = "tuple" if isinstance(value, tuple) else "list"
            return [kind, [pack(item, put, f"{where}[{i}]") for i, item in enumerate(value)]]
    if torch is not None and isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return ["tensor", str(value.dtype).removeprefix("torch."), list(value.shape), put(memoryview(flat))]
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic) and not value.dtype.hasobject:
        whole = numpy.ascontiguousarray(value)
        kind = "array" if isinstance(value, numpy.ndarray) else "scalar"
        return [kind, value.dtype.str, list(value.shape), put(memoryview(whole.reshape(-1).view(numpy.uint8)))]
    raise InvalidInput(
        "a value that a checkpoint cannot keep",
        field=where,
        found=type(value).__name__,
        allowed="numbers, text, bytes, None, dicts, lists, tuples, numpy arrays, torch tensors",
    )


def unpack(packed: list[Any], get: Get) -> Any:
    kind = packed[0]
    match kind:
        case "plain":
            return packed[1]
        case "float":
            return float.fromhex(packed[1])
        case "bytes":
            return bytes(get(packed[1]))
        case "dict":
            return {unpack(key, get): unpack(value, get) for key, value in packed[1]}
        case "tuple" | "list":
            items = (unpack(item, get) for item in packed[1])
            return tuple(items) if kind == "tuple" else list(items)
        case "tensor":
            return _tensor(packed[1], packed[2], get(packed[3]))
        case "array" | "scalar":
            import numpy as np

            found = np.frombuffer(get(packed[3]), np.dtype(packed[1])).reshape(packed[2])
            return found if kind == "array" else found[()]
    raise InvalidInput("a checkpoint of another version", found=repr(kind), allowed="the kinds this version writes")


def _tensor(dtype: str, shape: list[int], raw: bytearray) -> Any:
    import torch

    kind = getattr(torch, dtype)
    if not raw:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(raw, dtype=torch.uint8).view(kind).reshape(shape)
