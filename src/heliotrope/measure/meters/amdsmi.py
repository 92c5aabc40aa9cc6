"""AMD's own library (libamd_smi): the energy counter of a card whose table in /sys is of a revision unknown here."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from heliotrope.measure.machine.system import System

PLACES = ("opt/rocm/lib/libamd_smi.so", "usr/lib/x86_64-linux-gnu/libamd_smi.so", "usr/lib64/libamd_smi.so")
INIT_GPUS = 1 << 1  # AMDSMI_INIT_AMD_GPUS
J_PER_UJ = 1e-6
Handle = ctypes.c_void_p
Ask = Callable[[Any, Any], int]  # where the number goes, room for the handles


class Library:
    """Every call answers 0 where it succeeded (amdsmi.h); a card that cannot be asked has no counter here."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._cards = {place: card for card in self._handles() if (place := self._place(card)) is not None}

    def _handles(self) -> list[Handle]:
        sockets = self._all(self._library.amdsmi_get_socket_handles)
        return [
            card
            for socket in sockets
            for card in self._all(partial(self._library.amdsmi_get_processor_handles, socket))
        ]

    @staticmethod
    def _all(ask: Ask) -> list[Handle]:
        """Asked first for the number, then for that many."""
        count = ctypes.c_uint32()
        if ask(ctypes.byref(count), None) != 0:
            return []
        room = (Handle * count.value)()
        if ask(ctypes.byref(count), room) != 0:
            return []
        return [Handle(one) for one in room[: count.value]]

    def _place(self, card: Handle) -> str | None:
        """On the PCI bus, as /sys writes it."""
        bdf = ctypes.c_uint64()
        if self._library.amdsmi_get_gpu_bdf_id(card, ctypes.byref(bdf)) != 0:
            return None
        domain, bus, device, function = bdf.value >> 32, bdf.value >> 8 & 0xFF, bdf.value >> 3 & 0x1F, bdf.value & 7
        return f"{domain:04x}:{bus:02x}:{device:02x}.{function}"

    def counter_j(self, place: str) -> float | None:
        card = self._cards.get(place)
        units, unit_uj, at_ns = ctypes.c_uint64(), ctypes.c_float(), ctypes.c_uint64()
        if card is None or self._library.amdsmi_get_energy_count(
            card, ctypes.byref(units), ctypes.byref(unit_uj), ctypes.byref(at_ns)
        ):
            return None
        return units.value * unit_uj.value * J_PER_UJ

    def close(self) -> None:
        self._library.amdsmi_shut_down()


def load(system: System) -> Library | None:
    """None where it is not installed, or finds no driver."""
    path = next((system.path(place) for place in PLACES if os.path.exists(system.path(place))), None)  # noqa: PTH110
    if path is None:
        return None
    try:
        library = ctypes.CDLL(path)
        if library.amdsmi_init(ctypes.c_uint64(INIT_GPUS)) != 0:
            return None
        return Library(library)
    except (OSError, AttributeError):  # another machine's library, or one too old to have these calls
        return None
