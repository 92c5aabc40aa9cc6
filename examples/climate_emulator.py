"""Fits a fast emulator to a slow climate model, and says how far to trust it.

The model is the two-layer energy balance of Held et al. (2010): an upper layer (air, land, mixed ocean) and the deep
ocean, under carbon dioxide that grows 1 % a year. Each step runs it for one set of parameters, in steps of a day. The
emulator is a Gaussian process over those runs: it answers in microseconds, with its own uncertainty.

    python examples/climate_emulator.py --members 60
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from resume import Steps

YEARS = 140
DAYS = 365
# Feedback (W/m²/K), heat uptake (W/m²/K), capacities of the layers (W·yr/m²/K), forcing of doubled CO2 (W/m²).
LOW = np.array([0.6, 0.4, 6.0, 60.0, 3.2])
HIGH = np.array([1.9, 1.0, 12.0, 160.0, 4.4])


def parameters(index: int, seed: int) -> np.ndarray:
    return LOW + (HIGH - LOW) * np.random.default_rng((seed, index)).random(len(LOW))


def warming_k(values: np.ndarray) -> float:
    """Kelvin above the start after YEARS of 1 % a year."""
    feedback, uptake, upper, deep, doubled = values.tolist()
    grow = doubled * np.log(1.01) / np.log(2) / DAYS
    surface = below = forcing = 0.0
    for _ in range(YEARS * DAYS):
        forcing += grow
        flow = uptake * (surface - below)
        surface += (forcing - feedback * surface - flow) / upper / DAYS
        below += flow / deep / DAYS
    return surface


class Emulator:
    """A Gaussian process; the reach and amplitude of its kernel are those that make the runs likeliest."""

    def __init__(self, inputs: np.ndarray, answers: np.ndarray) -> None:
        self.inputs, self.mean = inputs, answers.mean()
        likeliest = -np.inf
        for reach in np.geomspace(0.5, 6, 24):
            kernel = self._kernel(inputs, inputs, reach) + 1e-8 * np.eye(len(inputs))
            factor = np.linalg.cholesky(kernel)
            weights = np.linalg.solve(factor.T, np.linalg.solve(factor, answers - self.mean))
            power = float((answers - self.mean) @ weights) / len(inputs)  # the likeliest amplitude for this reach
            likely = -0.5 * len(inputs) * np.log(power) - np.log(np.diag(factor)).sum()
            if likely > likeliest:
                likeliest = likely
                self.reach, self.factor, self.weights, self.power = reach, factor, weights, power

    @staticmethod
    def _kernel(a: np.ndarray, b: np.ndarray, reach: float) -> np.ndarray:
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * reach**2))

    def ask(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation."""
        cross = self._kernel(inputs, self.inputs, self.reach)
        spread = np.linalg.solve(self.factor, cross.T)
        variance = self.power * np.maximum(1 - (spread**2).sum(0), 1e-12)
        return self.mean + cross @ self.weights, np.sqrt(variance)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit an emulator to an energy-balance climate model.")
    parser.add_argument("--members", type=int, default=60, help="runs of the slow model, a quarter of them held out")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    steps = Steps(f"climate-{args.seed}", args.members, warming=np.zeros(args.members))
    began, before = time.perf_counter(), steps.done
    for member in steps:
        steps.arrays["warming"][member] = warming_k(parameters(member, args.seed))
    slow_s = (time.perf_counter() - began) / max(args.members - before, 1)

    scaled = np.array([(parameters(i, args.seed) - LOW) / (HIGH - LOW) for i in range(args.members)])
    held = args.members // 4
    emulator = Emulator(scaled[held:], steps.arrays["warming"][held:])
    guess, spread = emulator.ask(scaled[:held])
    miss = guess - steps.arrays["warming"][:held]
    inside = (np.abs(miss) <= 1.645 * spread).mean()
    began = time.perf_counter()
    crowd, _ = emulator.ask(np.random.default_rng(args.seed).random((1000, len(LOW))))
    fast_s = (time.perf_counter() - began) / 1000
    print(f"held-out error {np.sqrt((miss**2).mean()):.4f} K; {inside:.0%} within the emulator's own 90 %")
    print(f"1000 emulated runs: warming {crowd.mean():.2f} K, {np.quantile(crowd, 0.05):.2f} to "
          f"{np.quantile(crowd, 0.95):.2f} K in 90 %")  # fmt: skip
    if before < args.members:
        print(f"{slow_s / fast_s:,.0f} times as fast as the model")


if __name__ == "__main__":
    main()
