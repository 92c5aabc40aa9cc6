"""A fleet of soil sensors finds its broken members while sending as little as it can.

Each step is a day of 96 readings from every sensor. A sensor sends only what its gateway could not have guessed (more
than a threshold away from the last value sent): radio is what empties a battery. The gateway compares each sensor with
its nearest neighbours; one that wanders off, or has stopped moving while they move, is called broken.

    python examples/sensors.py --days 40
"""

from __future__ import annotations

import argparse

import numpy as np
from resume import Steps

SENSORS, READINGS, NEIGHBOURS = 200, 96, 6
THRESHOLD = 0.6  # percent of volume


def field(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (unit square), each one's nearest neighbours, and its fault: 0 none, 1 drifts, 2 stuck."""
    random = np.random.default_rng(seed)
    places = random.random((SENSORS, 2))
    distance = ((places[:, None] - places[None]) ** 2).sum(-1)
    fault = random.choice(3, SENSORS, p=(0.9, 0.06, 0.04))
    return places, np.argsort(distance, axis=1)[:, 1 : NEIGHBOURS + 1], fault


def day_of(
    day: int, places: np.ndarray, wet: float, fault: np.ndarray, held: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    """Readings of a day (sensor × time, percent of volume), and how wet the soil is when it ends."""
    random = np.random.default_rng((seed, day))
    rain = random.gamma(2, 3) * (random.random() < 0.3)
    hours = np.arange(READINGS) / 4
    truth = wet + rain / (1 + np.exp(-(hours - random.uniform(6, 18)))) - 0.06 * hours
    patch = 3 * np.sin(4 * places[:, 0]) + 2 * np.cos(5 * places[:, 1])
    said = truth[None] + patch[:, None] + random.normal(0, 0.15, (SENSORS, READINGS))
    said[fault == 1] += 0.35 * day
    said[fault == 2] = held[fault == 2, None]
    return said, float(np.clip(truth[-1], 8, 40))


def main() -> None:
    parser = argparse.ArgumentParser(description="Find broken sensors with few messages.")
    parser.add_argument("--days", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    places, near, fault = field(args.seed)
    first = 22 + 3 * np.sin(4 * places[:, 0]) + 2 * np.cos(5 * places[:, 1])
    steps = Steps(
        f"sensors-{args.seed}",
        args.days,
        wet=np.array([22.0]),
        last=first.copy(),
        sent=np.zeros(1),
        ends=np.zeros((args.days, SENSORS)),
    )
    for day in steps:
        state = steps.arrays
        said, wet = day_of(day, places, float(state["wet"][0]), fault, first, args.seed)
        state["wet"][0] = wet
        for reading in said.T:
            news = np.abs(reading - state["last"]) > THRESHOLD
            state["last"][news] = reading[news]
            state["sent"][0] += news.sum()
        state["ends"][day] = state["last"]

    ends = steps.arrays["ends"]
    # Against its neighbours: how far its own level has wandered, and how much less it moves than they do.
    apart = ends - np.median(ends[:, near], axis=2)
    wander = np.abs(np.median(apart[-3:], axis=0) - np.median(apart[:3], axis=0))
    moves = np.abs(np.diff(ends, axis=0)).sum(0)
    called = (wander > 2.5) | (moves < 0.25 * np.median(moves[near], axis=1))
    broken = fault > 0
    found, false = int((called & broken).sum()), int((called & ~broken).sum())
    saved = 1 - steps.arrays["sent"][0] / (SENSORS * READINGS * args.days)
    print(f"found {found} of {int(broken.sum())} broken sensors, {false} called broken that are not")
    print(f"{saved:.0%} of the readings never had to be sent")


if __name__ == "__main__":
    main()
