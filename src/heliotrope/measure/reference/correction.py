"""Applies a machine's calibration to what its meters say, where it is of these meters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliotrope.measure.protocol import Draw
from heliotrope.measure.sampling.recorder import Z90

if TYPE_CHECKING:
    from heliotrope.measure.reference.calibration import Calibration


def misfit(calibration: Calibration, meters: frozenset[str]) -> str:
    """Why a calibration must not be used with these meters; empty where it may."""
    if set(calibration.meters) <= meters or "replay" in meters:  # a recording stands for the meters it was made with
        return ""
    return f"the calibration is of other meters ({', '.join(calibration.meters)}): not used"


def corrected(calibration: Calibration, draws: tuple[Draw, ...]) -> tuple[Draw, ...]:
    """Every counted draw times the machine's factor, with the bounds that the fit left."""
    from heliotrope.measure.reference.calibration import APPLIED

    factor = calibration.factor
    flag = f"{APPLIED}{calibration.source}"
    found = []
    for draw in draws:
        if not draw.counted:
            found.append(draw)
            continue
        value, low, high = calibration.scaled(draw.energy_j)
        idle_w = draw.idle_w * factor
        found.append(
            draw._replace(
                energy_j=value,
                low_j=low,
                high_j=high,
                idle_w=idle_w,
                idle_with_low_w=idle_w,
                idle_with_high_w=idle_w,
                flags=(*draw.flags, flag),
            )
        )
    return tuple(found)


def rest(calibration: Calibration, elapsed_s: float) -> Draw | None:
    """The constant draw that only the reference sees: fans, supplies, disks. Idle by the share of idle time."""
    if not calibration.base_w:
        return None
    energy_j = calibration.base_w * elapsed_s
    spread_j = Z90 * calibration.spread * energy_j
    base_w = calibration.base_w
    return Draw("rest", energy_j, max(0.0, energy_j - spread_j), energy_j + spread_j, base_w, base_w, base_w)
