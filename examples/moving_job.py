"""One of the trainings that `moving.py` sends from site to site: it imports little, so that it is begun again fast."""

from __future__ import annotations

import random
import sys
import time

import numpy as np

from heliotrope.checkpoint import Checkpoint

FEATURES = 2000


def main(steps: int, seed: int, step_s: float) -> None:
    """Ridge regression by noisy gradient steps: a state of weights, momentum and two generators."""
    random.seed(seed)
    np.random.seed(seed)
    draws = np.random.default_rng(seed)
    truth = np.random.default_rng(1).normal(size=FEATURES)
    state = {"weights": np.zeros(FEATURES), "momentum": np.zeros(FEATURES)}
    for _ in Checkpoint(every_s=1.0, state=state, draws=draws).steps(steps):
        rows = draws.normal(size=(32, FEATURES))
        error = rows @ (state["weights"] - truth) + draws.normal(size=32)
        state["momentum"] = 0.9 * state["momentum"] + rows.T @ error / 32
        state["weights"] = state["weights"] - 1e-4 * state["momentum"]
        time.sleep(step_s)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
