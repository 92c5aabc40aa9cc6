"""AMD's cards by what their driver tells in /sys (or its library): a counter that is believed, or power over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import ERROR
from heliotrope.measure.protocol import NOBODY, Draw, Opening, Probe, Usage
from heliotrope.model import Provenance

if TYPE_CHECKING:
    from heliotrope.measure.meters.amdsmi import Library

NAME = "amd"
FOLDER = "sys/class/drm"
USERS = "sys/class/kfd/kfd/proc"
UNIT_J = 2.0**-16  # of `energy_accumulator` in gpu_metrics (kgd_pp_interface.h: 15.259 µJ)
# Where it lies, by revision of the table's format and content: 64 bits, little-endian.
COUNTER_AT = {(1, 1): 24, (1, 2): 24, (1, 3): 24, (1, 4): 24, (1, 5): 88}
POWER_AT = {(1, 1): 22, (1, 2): 22, (1, 3): 22, (1, 4): 10, (1, 5): 10}
CHECKED_S = 5.0
APART = 0.2  # of power over time: beyond it the counter is not believed (some counted in other units, or not at all)
MAX_PLAUSIBLE_W = 3000.0


class Card:
    """One card. The counter is taken only after it has agreed with the power for a while."""

    __slots__ = (
        "by_counter_j",
        "by_power_j",
        "checked_s",
        "counter_j",
        "device",
        "domain",
        "kfd",
        "lost",
        "place",
        "power_file",
        "power_w",
    )

    def __init__(self, domain: str, device: str, power_file: str, kfd: str, place: str) -> None:
        self.domain, self.device, self.power_file, self.kfd, self.place = domain, device, power_file, kfd, place
        self.counter_j: float | None = None
        self.power_w: float | None = None
        self.lost = False
        self.by_counter_j = self.by_power_j = self.checked_s = 0.0


class AmdMeter:
    name = NAME
    provenance = Provenance.MEASURED
    covers = frozenset({"gpu"})
    resolution_s = 0.1

    def __init__(self, system: System, cards: list[Card]) -> None:
        self._system = system
        self.cards = cards
        self._library: Library | None = None
        if any(self._metrics(card)[0] is None for card in cards):
            from heliotrope.measure.meters.amdsmi import load

            self._library = load(system)

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        return tuple(draw for card in self.cards if (draw := self._read(card, usage)) is not None)

    def _read(self, card: Card, usage: Usage) -> Draw | None:
        before_j, before_w = card.counter_j, card.power_w
        card.counter_j, told_w = self._metrics(card)
        if card.counter_j is None and self._library is not None:
            card.counter_j = self._library.counter_j(card.place)
        power_uw = self._system.number(card.power_file) if card.power_file else None
        card.power_w = told_w if power_uw is None else power_uw / 1e6
        if card.power_w is None:
            card.lost = True
            return Draw(card.domain, 0.0, 0.0, 0.0, flags=(f"{card.domain}: cannot be read",))
        if before_w is None:
            if not card.lost:
                return None
            card.lost = False
            return Draw(card.domain, 0.0, 0.0, 0.0, flags=(f"{card.domain}: energy of a gap is missing",))
        by_power_j = (before_w + card.power_w) / 2 * usage.elapsed_s
        flags: list[str] = []
        if before_j is not None and card.counter_j is not None:
            counted_j = card.counter_j - before_j
            if counted_j < 0:
                flags.append(f"{card.domain}: counter was reset, power over time stands in")
            elif self._believed(card, counted_j, by_power_j, usage.elapsed_s):
                return self._draw(card, counted_j, counted_j * (1 - ERROR), counted_j * (1 + ERROR), flags)
            elif card.checked_s >= CHECKED_S:
                flags.append(f"{card.domain}: its energy counter disagrees with its power and is not believed")
        else:
            flags.append(f"{card.domain}: integrated power, it has no energy counter")
        low_w, high_w = min(before_w, card.power_w), max(before_w, card.power_w)
        low_j, high_j = low_w * usage.elapsed_s * (1 - ERROR), high_w * usage.elapsed_s * (1 + ERROR)
        return self._draw(card, by_power_j, low_j, high_j, flags)

    def _metrics(self, card: Card) -> tuple[float | None, float | None]:
        """Counter (J) and socket watts out of the driver's table; None where this revision has none that we know."""
        data = self._system.data(f"{card.device}/gpu_metrics")
        if data is None or len(data) < 4:
            return None, None
        revision = (data[2], data[3])
        at, power_at = COUNTER_AT.get(revision), POWER_AT.get(revision)
        if at is None or power_at is None or len(data) < at + 8:
            return None, None
        counter = int.from_bytes(data[at : at + 8], "little")
        power_w = int.from_bytes(data[power_at : power_at + 2], "little")
        # All ones: the card does not tell.
        return (None if counter == 2**64 - 1 else counter * UNIT_J), (None if power_w == 2**16 - 1 else float(power_w))

    def _believed(self, card: Card, counted_j: float, by_power_j: float, elapsed_s: float) -> bool:
        card.by_counter_j += counted_j
        card.by_power_j += by_power_j
        card.checked_s += elapsed_s
        if card.checked_s < CHECKED_S or counted_j > MAX_PLAUSIBLE_W * max(elapsed_s, 0.2):
            return False
        return abs(card.by_counter_j - card.by_power_j) <= APART * card.by_power_j

    def _draw(self, card: Card, energy_j: float, low_j: float, high_j: float, flags: list[str]) -> Draw:
        users = self._users(card)
        if users is None:
            flags.append(f"{card.domain}: its users are not shown, all of it is counted")
            return Draw(card.domain, energy_j, low_j, high_j, mine=True, flags=tuple(flags))
        return Draw(card.domain, energy_j, low_j, high_j, users=users or {NOBODY: 1.0}, flags=tuple(flags))

    def _users(self, card: Card) -> dict[int, float] | None:
        """Processes on the card by the compute units they occupy; alike where the driver does not tell."""
        if not card.kfd:
            return None
        weights: dict[int, float] = {}
        for pid in self._system.names(USERS):
            held = self._system.number(f"{USERS}/{pid}/vram_{card.kfd}")
            if pid.isdigit() and held:
                occupied = self._system.number(f"{USERS}/{pid}/stats_{card.kfd}/cu_occupancy")
                weights[int(pid)] = float(occupied or 0)
        return weights if sum(weights.values()) > 0 else dict.fromkeys(weights, 1.0)

    def close(self) -> None:
        if self._library is not None:
            self._library.close()


def find(system: System) -> list[Card]:
    """Cards whose driver is amdgpu and that tell their power."""
    kfd = _kfd_by_place(system)
    cards: list[Card] = []
    for entry in system.names(FOLDER):
        if not entry.startswith("card") or not entry[4:].isdigit():
            continue
        device = f"{FOLDER}/{entry}/device"
        for chip in system.names(f"{device}/hwmon"):
            folder = f"{device}/hwmon/{chip}"
            if (system.text(f"{folder}/name") or "").strip() != "amdgpu":
                continue
            files = [f"{folder}/{file}" for file in ("power1_average", "power1_input")]
            power_file = next((file for file in files if system.number(file) is not None), "")
            if power_file or system.data(f"{device}/gpu_metrics"):
                render = next((name for name in system.names(f"{device}/drm") if name.startswith("renderD")), "")
                user_id = kfd.get(render.removeprefix("renderD"), "")
                cards.append(Card(f"gpu{len(cards)}", device, power_file, user_id, _place(system, device)))
    return cards


def _place(system: System, device: str) -> str:
    """On the PCI bus; empty where the driver does not say."""
    lines = (system.text(f"{device}/uevent") or "").splitlines()
    return next((line.partition("=")[2].lower() for line in lines if line.startswith("PCI_SLOT_NAME=")), "")


def _kfd_by_place(system: System) -> dict[str, str]:
    """The compute driver's name of a card (gpu_id), by the minor number of its render node."""
    folder = "sys/class/kfd/kfd/topology/nodes"
    found = {}
    for node in system.names(folder):
        gpu = (system.text(f"{folder}/{node}/gpu_id") or "").strip()
        for line in (system.text(f"{folder}/{node}/properties") or "").splitlines():
            if line.startswith("drm_render_minor ") and gpu not in {"", "0"}:
                found[line.split()[1]] = gpu
    return found


def probe(system: System) -> Probe:
    cards = find(system)
    if not cards:
        return Probe(NAME, False, (), "no AMD card tells its power", "load the amdgpu driver, if there is such a card")
    return Probe(NAME, True, tuple(card.domain for card in cards))


def open_meter(opening: Opening) -> AmdMeter | None:
    cards = find(opening.system)
    return AmdMeter(opening.system, cards) if cards else None
