"""One picture of what a policy did: zone by zone the intensity of each hour, and the devices at work, job by job."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.plan.kernels.shapes import Batch, Floats, Slots
from heliotrope.simulate.source import Frame
from heliotrope.units import S_PER_DAY, from_epoch

WIDTH, STRIP, LOAD, GAP, LEFT, DATE = 1200, 16, 64, 34, 110, 60
MOST_HOURS = 14 * 24  # a fortnight can still be read
MOST_ZONES = 12
MOST_DRAWN = 1000  # slots; beyond, the devices at work are drawn as one body
FONT = 'font-family="system-ui,sans-serif" font-size="12"'
# Light is clean, dark is dirty: ordered by lightness, so that it reads in grey as well.
JOBS = ("#2f6f62", "#4f8f7f", "#25584e", "#6ba394", "#3d7d70")
RAMP = ("#fff3c4", "#fcd980", "#f3a953", "#d3703f", "#9c3d3a", "#571d34")


class Bar(NamedTuple):
    """A job at work in one zone: seconds on the grid's clock, devices, and the devices it stands on."""

    job: int
    name: str
    start: float
    end: float
    devices: float
    foot: float = 0.0


class Picture:
    """A sink beside the slot writer: device-seconds by zone and step, of the policy and of running at once."""

    def __init__(self, path: Path, frame: Frame, policy: str) -> None:
        self._path, self._frame, self._policy = path, frame, policy
        shape = (len(frame.curves.zones), frame.curves.steps + 1)
        self._held: Floats = np.zeros(shape)
        self._at_once: Floats = np.zeros(shape)
        self._bars: list[list[Bar]] | None = [[] for _ in frame.curves.zones]

    def __call__(self, batch: Batch, slots: Slots, grams: Floats) -> None:
        step = self._frame.curves.step_s
        _spread(self._held, slots, batch.devices[slots.job], step)
        now = Slots.whole(batch, batch.submitted_s)
        _spread(self._at_once, now, batch.devices, step)
        self._draw(batch, slots)

    def _draw(self, batch: Batch, slots: Slots) -> None:
        """Job by job as long as they are few."""
        if self._bars is None or sum(map(len, self._bars)) + len(slots) > MOST_DRAWN:
            self._bars = None
            return
        for job, zone, start, end in zip(
            slots.job.tolist(), slots.zone.tolist(), slots.start_s.tolist(), slots.end_s.tolist(), strict=True
        ):
            row = batch.first + job
            name = batch.ids[job] if batch.ids else str(row)
            self._bars[zone].append(Bar(row, name, start, end, batch.devices.item(job)))

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
        bars = [] if self._bars is None else [stacked(each) for each in self._bars]
        tops = [bar.foot + bar.devices for each in bars for bar in each]
        most = max(float(held.max()), float(at_once.max()), *tops, 1e-9)
        low, high = float(values[zones].min()), float(values[zones].max())
        height = 70 + len(zones) * (STRIP + LOAD + GAP)
        begin = from_epoch(self._frame.epoch_s + first * curves.step_s)
        title = f"{escape(self._policy)}: devices at work by zone and hour"
        head = f"{escape(self._policy)}, from {begin:%Y-%m-%d %H:%M} UTC, {last - first} steps"
        key = (
            f"strip: {low:.0f} (light) to {high:.0f} g/kWh (dark); "
            f"filled: devices under the policy{', a block a job' if bars else ''}; "
            f"line: had all run at once; tallest {most:,.0f}"
        )
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT} role="img">',
            f"<title>{title}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#fffdf7"/>',
            f'<text x="{LEFT}" y="24" font-size="16">{head}</text>',
            f'<text x="{LEFT}" y="44" fill="#555">{key}</text>',
        ]
        per_s = (WIDTH - LEFT - 20) / (last - first) / curves.step_s
        for n, z in enumerate(zones):
            top = 60 + n * (STRIP + LOAD + GAP)
            body = [] if bars else [_body(held[z] / most, per_s * curves.step_s, top + STRIP + LOAD + 2)]
            for bar in bars[z] if bars else ():
                body.append(self._bar(bar, first * curves.step_s, last * curves.step_s, per_s, most, top))
            out += self._zone(curves.zones[z], values[z], "".join(body), at_once[z] / most, top, low, high)
        out += self._days(first * curves.step_s, last * curves.step_s, per_s, height)
        return "\n".join([*out, "</svg>", ""])

    def _bar(self, bar: Bar, begin: float, until: float, per_s: float, most: float, top: int) -> str:
        """A block as wide as its hours and as high as its devices; nothing where the picture has ended."""
        start, end = max(bar.start, begin), min(bar.end, until)
        if end <= start:
            return ""
        high = bar.devices / most * LOAD
        y = top + STRIP + LOAD + 2 - bar.foot / most * LOAD - high
        hours = " – ".join(f"{from_epoch(self._frame.epoch_s + at):%a %d %b %H:%M}" for at in (bar.start, bar.end))
        return (
            f'<rect x="{LEFT + (start - begin) * per_s:.2f}" y="{y:.2f}" width="{(end - start) * per_s:.2f}" '
            f'height="{high:.2f}" fill="{JOBS[bar.job % len(JOBS)]}" stroke="#fffdf7" stroke-width="0.5">'
            f"<title>{escape(bar.name)}: {bar.devices:g} devices, {hours}</title></rect>"
        )

    def _days(self, begin: float, until: float, per_s: float, height: int) -> list[str]:
        """A hairline at each midnight, UTC, and its date."""
        first = -(-(self._frame.epoch_s + begin) // S_PER_DAY) * S_PER_DAY - self._frame.epoch_s
        found = []
        for at in np.arange(first, until, S_PER_DAY).tolist():
            x = LEFT + (at - begin) * per_s
            found.append(f'<path d="M{x:.2f} 60V{height - 20}" stroke="#8884" stroke-width="0.6"/>')
            if (until - at) * per_s > DATE:
                date = f"{from_epoch(self._frame.epoch_s + at):%a %d %b}"
                found.append(f'<text x="{x + 3:.2f}" y="{height - 8}" fill="#555">{date}</text>')
        return found

    def _zone(
        self, name: str, values: Floats, body: str, at_once: Floats, top: int, low: float, high: float
    ) -> list[str]:
        count = len(values)
        dx = (WIDTH - LEFT - 20) / count
        shade = ((values - low) / (high - low or 1.0) * (len(RAMP) - 1e-9)).astype(int).clip(0, len(RAMP) - 1)
        base = top + STRIP + LOAD + 2
        strip = [
            f'<rect x="{LEFT + i * dx:.2f}" y="{top}" width="{dx + 0.3:.2f}" height="{STRIP}" fill="{RAMP[s]}"/>'
            for i, s in enumerate(shade.tolist())
        ]
        line = "".join(
            f"{'M' if i == 0 else 'L'}{LEFT + i * dx:.2f} {base - h * LOAD:.2f}h{dx:.2f}"
            for i, h in enumerate(at_once.tolist())
        )
        return [
            f'<text x="{LEFT - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
            *strip,
            body,
            f'<path d="{line}" fill="none" stroke="#8a5a00" stroke-width="1.2"/>',
        ]


def _body(held: Floats, dx: float, base: int) -> str:
    """Devices at work as one body."""
    path = "".join(
        f"M{LEFT + i * dx:.2f} {base}v{-h * LOAD:.2f}h{dx:.2f}v{h * LOAD:.2f}z"
        for i, h in enumerate(held.tolist())
        if h > 0
    )
    return f'<path d="{path}" fill="{JOBS[0]}"/>'


def stacked(bars: list[Bar]) -> list[Bar]:
    """Each on the lowest devices that are free for as long as it runs."""
    found: list[Bar] = []
    at_work: list[Bar] = []
    for bar in sorted(bars, key=lambda b: (b.start, b.end)):
        at_work = sorted((b for b in at_work if b.end > bar.start), key=lambda b: b.foot)
        foot = 0.0
        for other in at_work:
            if other.foot >= foot + bar.devices:
                break
            foot = max(foot, other.foot + other.devices)
        placed = bar._replace(foot=foot)
        at_work.append(placed)
        found.append(placed)
    return found


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
