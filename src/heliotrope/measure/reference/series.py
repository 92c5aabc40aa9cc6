"""What a plug meter, a PDU or a BMC wrote down, as epoch seconds and watts: of a table, or of a journal of ours."""

from __future__ import annotations

import itertools
from pathlib import Path

from heliotrope.errors import InvalidInput
from heliotrope.measure.reference.columns import columns


def read(path: Path) -> list[tuple[float, float]]:
    """Epoch seconds and watts, in order: of a CSV, or of the journal of another measurement (a BMC's, a PDU's)."""
    points = _of_journal(path) if path.suffix == ".jsonl" else _of_table(path)
    if len(points) < 2:
        raise InvalidInput("too few rows", file=str(path), found=len(points), allowed="two or more")
    return points


def _of_journal(path: Path) -> list[tuple[float, float]]:
    from heliotrope.measure.records.recovery import laps

    points = []
    for lap in laps(path):
        energy_j = sum(sample.part.node_j for sample in lap.samples if sample.counted)
        if lap.end_s > lap.start_s:
            points.append(((lap.start_s + lap.end_s) / 2, energy_j / (lap.end_s - lap.start_s)))
    return points


def _of_table(path: Path) -> list[tuple[float, float]]:
    """Watts as they are told; of a counter, its steps over the time between. A counter that began again has a gap."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("the reference cannot be read", file=str(path), cause=str(error)) from error
    if not lines:
        raise InvalidInput("an empty reference", file=str(path), allowed="a header and a row for each time")
    layout = columns(lines[0], str(path))
    cells = [layout.cell(text, line) for line, text in enumerate(lines[1:], start=2) if text.strip()]
    for line, (earlier, later) in enumerate(itertools.pairwise(cells), start=3):
        if later.at_s <= earlier.at_s:
            raise InvalidInput("times must grow", file=str(path), line=line, field="time", found=later.at_s)
    points = [(cell.at_s, cell.watts) for cell in cells if cell.watts is not None]
    for earlier, later in itertools.pairwise(cells):
        if earlier.joules is not None and later.joules is not None and later.joules >= earlier.joules:
            span_s = later.at_s - earlier.at_s
            points.append(((earlier.at_s + later.at_s) / 2, (later.joules - earlier.joules) / span_s))
    return points
