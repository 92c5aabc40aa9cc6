"""Energy counters of Intel and AMD (RAPL) in /sys/class/powercap: wrap-around undone, overlaps not counted."""

from __future__ import annotations

import os

from heliotrope import facts
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Draw, Opening, Probe, Usage
from heliotrope.model import Provenance

NAME = "rapl"
FOLDER = "sys/class/powercap"
MAX_PLAUSIBLE_W = 3000.0  # of one package: above it, a counter was reset, not wrapped
STUCK_S = 10.0
GRANT = "sudo chmod -R a+r /sys/class/powercap/*/energy_uj   # or run `sudo helio meter` once for everybody"


class Zone:
    """One counter, µJ, that starts again at `range_uj`. Its file stays open: it is read at every sample."""

    __slots__ = ("_fd", "_path", "counted", "domain", "last_uj", "least_w", "lost", "range_uj", "unchanged_s")

    def __init__(self, path: str, domain: str, *, counted: bool, range_uj: int) -> None:
        self.domain, self.counted, self.range_uj = domain, counted, range_uj
        self.last_uj: int | None = None
        self.unchanged_s = 0.0
        self.least_w: float | None = None
        self.lost = False
        self._path = path
        self._fd: int | None = None

    def now_uj(self) -> int | None:
        """None where it cannot be read: taken away, forbidden, or not a number."""
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            value = int(os.pread(self._fd, 32, 0))
            if os.fstat(self._fd).st_nlink:
                return value
        except (OSError, ValueError):
            pass  # None says so, and the meter flags it
        self.close()
        return None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class RaplMeter:
    """Packages and DRAM add up. PSYS holds the packages, core and uncore are held by them: shown, not counted."""

    name = NAME
    provenance = Provenance.MEASURED
    resolution_s = 0.001

    def __init__(self, zones: list[Zone]) -> None:
        self.zones = zones
        kinds = {zone.domain.partition("-")[0] for zone in zones}
        self.covers = frozenset({"cpu"} if "package" in kinds else set()) | ({"dram"} if "dram" in kinds else set())
        self._error = {"dram": facts.fact("power_model", "rapl_dram")}
        self._any_error = facts.fact("power_model", "rapl")
        self._idle = facts.fact("power_model", "cpu_idle")

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        draws = [draw for zone in self.zones if (draw := self._read(zone, usage)) is not None]
        return tuple(draws)

    def _read(self, zone: Zone, usage: Usage) -> Draw | None:
        now_uj = zone.now_uj()
        before_uj, zone.last_uj = zone.last_uj, now_uj
        if now_uj is None:
            zone.lost = True
            return Draw(
                zone.domain, 0.0, 0.0, 0.0, counted=zone.counted, flags=(f"{zone.domain}: counter cannot be read",)
            )
        if before_uj is None:
            if not zone.lost:
                return None
            zone.lost = False
            return Draw(
                zone.domain, 0.0, 0.0, 0.0, counted=zone.counted, flags=(f"{zone.domain}: energy of a gap is missing",)
            )
        flags: list[str] = []
        used_uj = now_uj - before_uj
        if used_uj < 0:
            used_uj += zone.range_uj
            if zone.range_uj <= 0 or used_uj / 1e6 > MAX_PLAUSIBLE_W * max(usage.elapsed_s, 0.001):
                # Not a wrap: the counter began again. What it shows since then is all that is known.
                used_uj = now_uj if now_uj / 1e6 <= MAX_PLAUSIBLE_W * max(usage.elapsed_s, 0.001) else 0
                flags.append(f"{zone.domain}: counter was reset, energy before it is missing")
        elif used_uj / 1e6 > MAX_PLAUSIBLE_W * max(usage.elapsed_s, 0.001) * 1.5:
            used_uj = 0
            flags.append(f"{zone.domain}: an impossible jump of the counter was left out")
        zone.unchanged_s = zone.unchanged_s + usage.elapsed_s if used_uj == 0 else 0.0
        if zone.unchanged_s >= STUCK_S:
            flags.append(f"{zone.domain}: counter is stuck")
        draw = self._draw(zone, used_uj / 1e6, usage, tuple(flags))
        rounds = int(MAX_PLAUSIBLE_W * usage.elapsed_s / (zone.range_uj / 1e6)) if zone.range_uj > 0 else 0
        if rounds < 1:
            return draw
        # Nobody looked for so long (a machine that slept) that it may have gone round and round.
        unseen = f"{zone.domain}: not read for {usage.elapsed_s:.0f} s, its counter may have wrapped unseen"
        return draw._replace(high_j=draw.high_j + rounds * zone.range_uj / 1e6, flags=(*draw.flags, unseen))

    def _draw(self, zone: Zone, energy_j: float, usage: Usage, flags: tuple[str, ...]) -> Draw:
        if usage.elapsed_s > 0.05 and energy_j > 0:
            power_w = energy_j / usage.elapsed_s
            zone.least_w = power_w if zone.least_w is None else min(zone.least_w, power_w)
        # Nobody is ever idle enough to show idle power: it lies below the least power seen.
        least_w = zone.least_w or 0.0
        share = self._idle
        power_w = energy_j / usage.elapsed_s if usage.elapsed_s > 0 else 0.0
        error = self._error.get(zone.domain.partition("-")[0], self._any_error)
        return Draw(
            zone.domain,
            energy_j,
            energy_j * float(error.more["low"]),
            energy_j * float(error.more["high"]),
            min(least_w, share.value * power_w),
            least_w,
            float(share.more["low"]) * min(least_w, power_w),
            counted=zone.counted,
            flags=flags,
        )

    def close(self) -> None:
        for zone in self.zones:
            zone.close()


def find(system: System) -> list[Zone]:
    """Every counter once: powercap lists a zone under its parent and beside it, and MMIO repeats the package."""
    zones: list[Zone] = []
    entries = [
        name for name in system.names(FOLDER) if name.count(":") in {1, 2} and not name.startswith("intel-rapl-mmio")
    ]
    packages = 0
    for entry in entries:
        folder = f"{FOLDER}/{entry}"
        label = (system.text(f"{folder}/name") or "").strip()
        if not label or system.number(f"{folder}/max_energy_range_uj") is None:
            continue
        number = entry.split(":")[1]
        domain = label if label.startswith("package") else f"{label}-{number}"
        packages += label.startswith("package")
        counted = label.startswith(("package", "dram"))
        range_uj = system.number(f"{folder}/max_energy_range_uj") or 0
        zones.append(Zone(system.path(f"{folder}/energy_uj"), domain, counted=counted, range_uj=range_uj))
    if not packages:
        # A machine that shows only its platform counter is counted by that.
        for zone in zones:
            zone.counted = zone.domain.startswith(("psys", "dram"))
    return zones


def probe(system: System) -> Probe:
    zones = find(system)
    if not zones:
        why = "this is a virtual machine: its host hides the counters" if system.hypervisor() else f"no /{FOLDER}"
        hint = (
            "run `helio meter` on the host and share its socket"
            if system.hypervisor()
            else "sudo modprobe intel_rapl_msr"
        )
        return Probe(NAME, False, (), why, hint)
    domains = tuple(zone.domain for zone in zones)
    unread = [zone.domain for zone in zones if zone.now_uj() is None]
    for zone in zones:
        zone.close()
    if unread:
        return Probe(NAME, False, domains, "the counters may only be read by root", GRANT)
    return Probe(NAME, True, domains)


def open_meter(opening: Opening) -> RaplMeter | None:
    if not probe(opening.system).available:
        return None
    return RaplMeter(find(opening.system))
