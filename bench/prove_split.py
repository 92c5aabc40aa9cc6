"""Simulates logs that show two histories to seven witnesses of whom some cheat, and counts those that get away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from table import Row

STEPS = 24
_PART = 100_000


def accepted(runs: int, *, witnesses: int = 7, quorum: int = 5, cheats: int = 2, seed: int = 1) -> int:
    """In how many runs both histories got a checkpoint, beyond where they part, that a quorum cosigned.

    The log forks at a random size and shows either branch, at random growing sizes, to random subsets of the honest
    witnesses. An honest witness signs only what extends the last tree it signed (`protocol.decide`, less the
    cryptography); a cheating one signs everything. A cosignature on a size counts for that branch's tree of that size.
    """
    dice = np.random.default_rng(seed)
    return sum(
        _part(dice, min(_PART, runs - start), witnesses - cheats, quorum - cheats) for start in range(0, runs, _PART)
    )


def _part(dice: np.random.Generator, runs: int, honest: int, needed: int) -> int:
    fork = dice.integers(0, 6, runs)
    size = np.zeros((runs, honest), dtype=np.int64)  # the last tree each honest witness signed
    branch = np.full((runs, honest), -1, dtype=np.int8)  # and its side, once beyond the fork
    shown = np.stack([fork, fork], axis=1) + 1  # how far the log has grown each branch
    got_away = np.zeros((runs, 2), dtype=bool)
    for _ in range(STEPS):
        side = dice.integers(0, 2, runs).astype(np.int8)
        here = shown[np.arange(runs), side] + dice.integers(0, 2, runs)
        shown[np.arange(runs), side] = here
        asked = dice.random((runs, honest)) < dice.random((runs, 1))
        signs = asked & _extends(size, branch, here[:, None], side[:, None], fork[:, None])
        size = np.where(signs, here[:, None], size)
        branch = np.where(signs, side[:, None], branch)
        cosigned = _holding(size, branch, here, side) >= needed
        got_away[np.arange(runs), side] |= cosigned
    return int(got_away.all(axis=1).sum())


def _extends(
    size: NDArray[np.int64],
    branch: NDArray[np.int8],
    here: NDArray[np.int64],
    side: NDArray[np.int8],
    fork: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """A consistency proof exists from what was signed to what is shown: no shrinking, no changing sides."""
    common = size <= fork
    return (here >= size) & (common | (branch == side))


def _holding(
    size: NDArray[np.int64], branch: NDArray[np.int8], here: NDArray[np.int64], side: NDArray[np.int8]
) -> NDArray[np.int64]:
    """Honest witnesses whose last cosignature is on exactly this tree."""
    result: NDArray[np.int64] = ((size == here[:, None]) & (branch == side[:, None])).sum(axis=1)
    return result


def rows(quick: bool) -> Iterator[Row]:
    runs = 100_000 if quick else 1_000_000
    for cheats in (1, 2):
        found = accepted(runs, cheats=cheats)
        yield Row(f"split views accepted, 5 of 7, {cheats} cheating", found, "views", "= 0", how=f"{runs:,} simulated")
    control = accepted(runs, witnesses=5, quorum=3, cheats=1)
    yield Row(
        "split views accepted, 3 of 5, 1 cheating (control)", control, "views", "> 0", how="the quorum that is weak"
    )
    control = accepted(runs, cheats=3)
    yield Row("split views accepted, 5 of 7, 3 cheating (control)", control, "views", "> 0", how="2k - n = 3 may lie")


if __name__ == "__main__":
    from table import run

    run("Split views", rows)
