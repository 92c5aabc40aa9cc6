"""Programmes of jobs whose true counterfactual is known, because this world made it up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from heliotrope.prove.claims import draw
from heliotrope.prove.claims.evidence import Action, Epoch, Evidence, Job, Outcome, Programme
from heliotrope.units import MICRO, S_PER_DAY

START_S = 1_700_006_400
END_S = START_S + 30 * S_PER_DAY
METHOD = "heliotrope/shift-with-holdouts/v1"
KINDS = (
    "honest",
    "baselines x1.8",
    "large jobs x2.5",
    "a third x3",
    "baselines are noise",
    "little saved",
    "nothing saved",
)
_SAVED = {"little saved": 0.02, "nothing saved": 0.0}  # on average, give or take a twentieth


@dataclass
class Jobs:
    """Grams: the baseline that was registered, what running at once and what shifting would have emitted."""

    baseline: np.ndarray
    at_once: np.ndarray
    shifted: np.ndarray


def jobs(kind: str, count: int, rng: np.random.Generator, *, spread: float = 1.2) -> Jobs:
    """Heavy-tailed sizes; the operator's baselines are wrong in the way that `kind` says."""
    size = 1000 * rng.lognormal(0, spread, count)
    at_once = size * rng.lognormal(0, 0.25, count)
    baseline = at_once * rng.lognormal(0, 0.15, count)
    if kind == "baselines x1.8":
        baseline *= 1.8
    elif kind == "large jobs x2.5":
        baseline *= np.where(size > np.quantile(size, 0.8), 2.5, 1)
    elif kind == "a third x3":
        baseline *= np.where(rng.random(count) < 1 / 3, 3, 1)
    elif kind == "baselines are noise":
        baseline = size * rng.lognormal(0, 1, count)
    saved = rng.normal(_SAVED[kind], 0.05, count) if kind in _SAVED else rng.beta(2, 6, count)
    return Jobs(baseline, at_once, at_once * (1 - saved))


def auditors(epochs: int = 1) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Commitments, and the seeds of each epoch."""
    chains = {name: draw.seed_chain(hashlib.sha256(name.encode()).digest(), epochs) for name in ("one", "two")}
    return (
        {name: commitment.hex() for name, (commitment, _) in chains.items()},
        [{name: seeds[epoch].hex() for name, (_, seeds) in chains.items()} for epoch in range(epochs)],
    )


def programme(name: str = "night shift", *, holdout: int = 2000, leakage: int = 0) -> Programme:
    commitments, _ = auditors()
    return Programme(name, METHOD, holdout, leakage, "no work of others was displaced", commitments)


def evidence(
    made: Jobs, *, name: str = "night shift", holdout: int = 2000, leakage: int = 0, ledger_ug: int = 0
) -> tuple[Evidence, np.ndarray]:
    """What the log would hold, and which jobs were held out."""
    declared = programme(name, holdout=holdout, leakage=leakage)
    _, (seeds,) = auditors()
    count = len(made.baseline)
    raw = {auditor: bytes.fromhex(seed) for auditor, seed in seeds.items()}
    epoch = Epoch(0, 1 + count, 2 + count, START_S * MICRO + count, seeds)
    rows, held = [], []
    for i in range(count):
        leaf = hashlib.sha256(b"%s %d" % (name.encode(), i)).digest()
        out = draw.held_out(name, leaf, raw, holdout)
        emitted_ug = round((made.at_once if out else made.shifted)[i] * MICRO)
        baseline_ug = round(made.baseline[i] * MICRO)
        outcome = Outcome(
            3 + count + i, START_S * MICRO + count + i, not out, emitted_ug, emitted_ug, emitted_ug, emitted_ug
        )
        rows.append(
            Job(
                1 + i,
                leaf.hex(),
                f"job {i}",
                0,
                START_S * MICRO + i,
                Action.VOLUNTARY,
                baseline_ug,
                baseline_ug,
                outcome,
            )
        )
        held.append(out)
    return Evidence(declared, 0, START_S, END_S, (epoch,), tuple(rows), ledger_ug), np.array(held)
