"""Learns wheat yield from simulated seasons, and says which weather costs most.

Each step grows one season, day by day: temperature and rain are drawn, warmth drives the stages of growth, a bucket of
soil water feeds it, and heat while it flowers takes grains. A ridge regression then learns yield from what a farmer
could have noted (means by stage), and is judged on seasons that it never saw.

    python examples/crop_yield.py --seasons 1500
"""

from __future__ import annotations

import argparse

import numpy as np
from resume import Steps

NAMES = ("rain early", "rain at flowering", "rain late", "warmth early", "hot days at flowering", "warmth late")
# Degree-days above 0 °C at which flowering begins, ends, and the grain is ripe.
FLOWERS, FADES, RIPE = 1150.0, 1450.0, 2100.0
BUCKET_MM = 140.0


def season(index: int, seed: int) -> tuple[np.ndarray, float]:
    """What a farmer could note (6 numbers), and tonnes a hectare."""
    random = np.random.default_rng((seed, index))
    shift_c, wet = random.normal(0, 1.8), random.lognormal(0, 0.35)
    warmth, water, mass, grains, last_c = 0.0, 0.7 * BUCKET_MM, 0.4, 1.0, 0.0
    notes = np.zeros((3, 3))  # stage × (rain mm, mean °C, hot days)
    days = np.zeros(3)
    for day in range(200):
        last_c = 0.7 * last_c + random.normal(0, 2.2)
        mean_c = 5 + 13 * np.sin(np.pi * (day + 10) / 240) + shift_c + last_c
        rain_mm = random.gamma(0.8, 7.5 * wet) if random.random() < 0.31 else 0.0
        stage = int(warmth >= FLOWERS) + int(warmth >= FADES)
        hot = mean_c + 7 > 27
        notes[stage] += rain_mm, mean_c, hot
        days[stage] += 1
        need_mm = max(0.0, 0.19 * mean_c)
        used_mm = need_mm * min(1.0, water / (0.5 * BUCKET_MM))
        water = min(BUCKET_MM, water + rain_mm - used_mm)
        fed = used_mm / need_mm if need_mm else 1.0
        mass += 0.155 * fed * min(1.0, mass / 4) * max(0.0, min(mean_c, 30 - mean_c, 12)) / 12
        if stage == 1 and hot:
            grains *= 0.955
        warmth += max(mean_c, 0.0)
        if warmth >= RIPE:
            break
    means = notes[:, 1] / np.maximum(days, 1)
    noted = np.array([notes[0, 0], notes[1, 0], notes[2, 0], means[0], notes[1, 2], means[2]])
    return noted, 0.45 * mass * grains * random.normal(1, 0.03)


def features(noted: np.ndarray) -> np.ndarray:
    """Each note and its square: too dry and too wet are both bad."""
    return np.column_stack([noted, noted**2])


class Ridge:
    def __init__(self, inputs: np.ndarray, answers: np.ndarray, *, weight: float = 1.0) -> None:
        self.mean, self.scale, self.level = inputs.mean(0), inputs.std(0) + 1e-9, answers.mean()
        scaled = (inputs - self.mean) / self.scale
        self.slopes = np.linalg.solve(
            scaled.T @ scaled + weight * np.eye(scaled.shape[1]), scaled.T @ (answers - self.level)
        )

    def ask(self, inputs: np.ndarray) -> np.ndarray:
        return self.level + (inputs - self.mean) / self.scale @ self.slopes


def explained(answers: np.ndarray, guess: np.ndarray) -> float:
    return float(1 - ((answers - guess) ** 2).sum() / ((answers - answers.mean()) ** 2).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn wheat yield from simulated seasons.")
    parser.add_argument("--seasons", type=int, default=1500, help="seasons to grow, a quarter of them held out")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    steps = Steps(f"crop-{args.seed}", args.seasons, noted=np.zeros((args.seasons, 6)), tonnes=np.zeros(args.seasons))
    for index in steps:
        steps.arrays["noted"][index], steps.arrays["tonnes"][index] = season(index, args.seed)

    noted, tonnes, held = steps.arrays["noted"], steps.arrays["tonnes"], args.seasons // 4
    model = Ridge(features(noted[held:]), tonnes[held:])
    seen = explained(tonnes[:held], model.ask(features(noted[:held])))
    print(f"yield {tonnes.mean():.2f} t/ha, {tonnes.std():.2f} between seasons; {seen:.0%} of that explained, held out")
    # What each note is worth: how much is lost when it is shuffled.
    random = np.random.default_rng(args.seed)
    for column, name in enumerate(NAMES):
        mixed = noted[:held].copy()
        mixed[:, column] = random.permutation(mixed[:, column])
        print(f"  {name:22} {max(seen - explained(tonnes[:held], model.ask(features(mixed))), 0):6.1%}")


if __name__ == "__main__":
    main()
