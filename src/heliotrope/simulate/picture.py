"""One picture of what a policy did: zone by zone the intensity of each hour, and the devices at work."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.plan.kernels.shapes import Batch, Floats, Slots
from heliotrope.simulate.source import Frame
from heliotrope.units import from_epoch

WIDTH, STRIP, LOAD, GAP, LEFT = 1200, 16, 64, 34, 110
MOST_HOURS = 14 * 24  # a fortnight can still be read
MOST_ZONES = 12
FONT = 'font-family="system-ui,sans-serif" font-size="12"'
# Light is clean, dark is dirty: ordered by lightness, so that it reads in grey as well.
RAMP = ("#fff3c4", "#fcd980", "#f3a953", "#d3703f", "#9c3d3a", "#571d34")


class Picture:
    """A sink beside the slot writer: device-seconds by zone and step, of the policy and of running at once."""

    def __init__(self, path: Path, frame: Frame, policy: str) -> None:
        self._path, self._frame, self._policy = path, frame, policy
        shape = (len(frame.curves.zones), frame.curves.steps + 1)
        self._held: Floats = np.zeros(shape)
        self._at_once: Floats = np.zeros(shape)

    def __call__(self, batch: Batch, slots: Slots, grams: Floats) -> None:
        step = self._frame.curves.step_s
        _spread(self._held, slots, batch.devices[slots.job], step)
        now = Slots.whole(batch, batch.submitted_s)
        _spread(self._at_once, now, batch.devices, step)

    def write(self) -> None:
        try:
            self._path.write_text(self._svg(), encoding="utf-8")
        except OSError as error:
            raise InvalidInput("cannot be written", file=str(self._path), cause=str(error)) from error

    def _svg(self) -> str:
        curves = self._frame.curves
        busy = self._held + self._at_once
        order = np.argsort(-busy.sum(axis=1), kind="stable")[:MOST_ZONES]
        zones = [int(z) for z in order if busy[z].any()]
        hours = np.flatnonzero(busy.any(axis=0))
        first = int(hours[0]) if len(hours) else 0
        last = min(int(hours[-1]) + 1 if len(hours) else 1, first + MOST_HOURS, curves.steps)
        values = curves.values[:, first:last]
        held, at_once = self._held[:, first:last] / curves.step_s, self._at_once[:, first:last] / curves.step_s
        most = max(float(held.max()), float(at_once.max()), 1e-9)
        low, high = float(values[zones].min()), float(values[zones].max())
        height = 70 + len(zones) * (STRIP + LOAD + GAP)
        begin = from_epoch(self._frame.epoch_s + first * curves.step_s)
        title = f"{escape(self._policy)}: devices at work by zone and hour"
        head = f"{escape(self._policy)}, from {begin:%Y-%m-%d %H:%M} UTC, {last - first} steps"
        key = (
            f"strip: {low:.0f} (light) to {high:.0f} g/kWh (dark); "
            f"filled: devices under the policy; line: had all run at once; tallest {most:,.0f}"
        )
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT} role="img">',
            f"<title>{title}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#fffdf7"/>',
            f'<text x="{LEFT}" y="24" font-size="16">{head}</text>',
            f'<text x="{LEFT}" y="44" fill="#555">{key}</text>',
        ]
        for n, z in enumerate(zones):
            top = 60 + n * (STRIP + LOAD + GAP)
            out += self._zone(curves.zones[z], values[z], held[z] / most, at_once[z] / most, top, low, high)
        return "\n".join([*out, "</svg>", ""])

    def _zone(
        self, name: str, values: Floats, held: Floats, at_once: Floats, top: int, low: float, high: float
    ) -> list[str]:
        count = len(values)
        dx = (WIDTH - LEFT - 20) / count
        shade = ((values - low) / (high - low or 1.0) * (len(RAMP) - 1e-9)).astype(int).clip(0, len(RAMP) - 1)
        base = top + STRIP + LOAD + 2
        strip = [
            f'<rect x="{LEFT + i * dx:.2f}" y="{top}" width="{dx + 0.3:.2f}" height="{STRIP}" fill="{RAMP[s]}"/>'
            for i, s in enumerate(shade.tolist())
        ]
        bars = "".join(
            f"M{LEFT + i * dx:.2f} {base}v{-h * LOAD:.2f}h{dx:.2f}v{h * LOAD:.2f}z"
            for i, h in enumerate(held.tolist())
            if h > 0
        )
        line = "".join(
            f"{'M' if i == 0 else 'L'}{LEFT + i * dx:.2f} {base - h * LOAD:.2f}h{dx:.2f}"
            for i, h in enumerate(at_once.tolist())
        )
        return [
            f'<text x="{LEFT - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
            *strip,
            f'<path d="{bars}" fill="#2f6f62"/>',
            f'<path d="{line}" fill="none" stroke="#8a5a00" stroke-width="1.2"/>',
        ]


def _spread(into: Floats, slots: Slots, devices: Floats, step: float) -> None:
    """Adds device-seconds of each slot to the steps it touches.

    The first step gets what is left of it, every later one up to the last a whole step, and the last gives back
    what the slot does not use of it; written as differences, so that long slots cost no more than short ones.
    """
    first, last = (slots.start_s / step).astype(np.int64), (slots.end_s / step).astype(np.int64)
    rows = slots.zone
    np.add.at(into, (rows, first), devices * ((first + 1) * step - slots.start_s))
    np.add.at(into, (rows, last), devices * (slots.end_s - (last + 1) * step))
    change = np.zeros((into.shape[0], into.shape[1] + 1))
    np.add.at(change, (rows, first + 1), devices * step)
    np.add.at(change, (rows, np.minimum(last + 1, change.shape[1] - 1)), -devices * step)
    into += np.cumsum(change, axis=1)[:, :-1]
