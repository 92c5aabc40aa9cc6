"""What a foreign file asks for, whichever scheduler it was written for."""

from __future__ import annotations

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """One job, or one for each index of `array`, that learns its own from the variable `index_variable`.

    `command` is empty where the file itself is the command. `limit_s`: the longest that it may take. `places`: grid
    zones or cloud regions, of which one will do; empty is anywhere. `notes`: what the file says and nobody here keeps,
    with its path.
    """

    name: str
    command: tuple[str, ...] = ()
    cpus: float = 1.0
    devices: int = 0
    device_kind: str | None = None
    memory_bytes: int = 0
    limit_s: float | None = None
    directory: str = ""
    environment: dict[str, str] = {}
    array: tuple[int, ...] = ()
    index_variable: str = ""
    places: tuple[str, ...] = ()
    options: dict[str, str] = {}
    notes: tuple[str, ...] = ()
