"""Fits the synthetic generator's profile to a trace of jobs: prints the numbers that simulate/synthetic.py holds."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

PARTS = 3
ROUNDS = 400


def mixture(log_length: np.ndarray) -> list[tuple[float, float, float]]:
    """Weights, medians (s) and log-sigmas of a mixture of log-normals, by expectation maximisation."""
    mean = np.quantile(log_length, (np.arange(PARTS) + 0.5) / PARTS)
    sigma, weight = np.full(PARTS, log_length.std()), np.full(PARTS, 1 / PARTS)
    for _ in range(ROUNDS):
        z = (log_length[:, None] - mean) / sigma
        share = weight * np.exp(-0.5 * z * z) / sigma
        share /= share.sum(axis=1, keepdims=True)
        total = share.sum(axis=0)
        weight, mean = total / len(log_length), (share * log_length[:, None]).sum(axis=0) / total
        sigma = np.sqrt((share * (log_length[:, None] - mean) ** 2).sum(axis=0) / total)
    return [(round(w, 4), round(float(np.exp(m)), 1), round(s, 4)) for w, m, s in zip(weight, mean, sigma, strict=True)]


def main(path: Path, unit_s: float) -> None:
    with path.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    arrival = np.array([float(r["arrival_time"]) for r in rows]) * unit_s
    length = np.array([float(r["length"]) for r in rows]) * unit_s
    cpus = np.array([float(r["cpus"]) for r in rows])
    print("lengths", mixture(np.log(length)), "from", length.min(), "to", length.max())
    values, counts = np.unique(cpus, return_counts=True)
    print("devices", [(float(v), round(c / len(cpus), 4)) for v, c in zip(values, counts, strict=True)])
    by_hour = np.bincount((arrival // 3600 % 24).astype(int), minlength=24)
    print("hours", [round(float(x), 4) for x in by_hour / by_hour.mean()])
    by_day = np.bincount((arrival // 86400 % 7).astype(int), minlength=7)
    print("days", [round(float(x), 4) for x in by_day / by_day.mean()])
    print("rate a day", len(rows) / (arrival[-1] / 86400))
    print("correlation of log length and log devices", round(float(np.corrcoef(np.log(length), np.log(cpus))[0, 1]), 3))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
