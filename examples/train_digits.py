"""A small, real training job: a network learns to read hand-drawn-like digits, in numpy alone.

The digits are drawn by this file: strokes of each numeral, tilted, sheared, stretched, thickened, blurred and
covered with noise, each one different. Told to stop (SIGTERM), it saves where it is in $HELIO_CHECKPOINT and exits
with 143; started again, it goes on from there and ends with exactly the weights it would have had without the break.
The energy of every step is measured; `helio run` keeps it with the run.

    python examples/train_digits.py --seconds 6
    helio run --within 24h -- python examples/train_digits.py
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from heliotrope.measure.training.steps import StepMeter

SIZE = 16  # pixels a side
TRAIN, TEST = 6000, 1500
HIDDEN = 96
BATCH = 64
# Strokes of each numeral in a unit square, y down: polylines of points.
STROKES = {
    0: [[(0.5, 0.1), (0.25, 0.25), (0.2, 0.5), (0.25, 0.75), (0.5, 0.9), (0.8, 0.65), (0.77, 0.28), (0.5, 0.1)]],
    1: [[(0.35, 0.25), (0.55, 0.1), (0.55, 0.9)]],
    2: [[(0.25, 0.28), (0.4, 0.12), (0.65, 0.14), (0.74, 0.34), (0.55, 0.58), (0.24, 0.88), (0.78, 0.88)]],
    3: [[(0.26, 0.16), (0.6, 0.11), (0.74, 0.28), (0.48, 0.47), (0.76, 0.66), (0.62, 0.88), (0.24, 0.84)]],
    4: [[(0.64, 0.9), (0.64, 0.1), (0.2, 0.64), (0.82, 0.64)]],
    5: [[(0.74, 0.12), (0.32, 0.12), (0.28, 0.46), (0.6, 0.42), (0.77, 0.64), (0.62, 0.87), (0.25, 0.84)]],
    6: [[(0.68, 0.12), (0.36, 0.36), (0.24, 0.66), (0.42, 0.89), (0.7, 0.82), (0.74, 0.6), (0.5, 0.5), (0.27, 0.64)]],
    7: [[(0.22, 0.12), (0.78, 0.12), (0.42, 0.9)]],
    8: [[(0.5, 0.48), (0.28, 0.3), (0.5, 0.1), (0.72, 0.3), (0.26, 0.68), (0.5, 0.9), (0.75, 0.7), (0.5, 0.48)]],
    9: [[(0.73, 0.38), (0.5, 0.5), (0.27, 0.34), (0.42, 0.12), (0.68, 0.16), (0.74, 0.4), (0.62, 0.9)]],
}  # fmt: skip


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures (count × SIZE², from 0 to 1) and the numerals they show."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    axis = (np.arange(SIZE) + 0.5) / SIZE
    pixels = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 1, 2)  # x, y
    pictures = np.empty((count, SIZE * SIZE))
    for i, label in enumerate(labels):
        points = np.concatenate([np.array(stroke) for stroke in STROKES[int(label)]]) - 0.5
        points = points + random.normal(0, 0.025, points.shape)
        turn, shear = random.normal(0, 0.18), random.normal(0, 0.15)
        stretch = random.uniform(0.72, 1.05, 2)
        bend = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.array([[1, shear], [0, 1]])
        points = points * stretch @ bend.T + 0.5 + random.normal(0, 0.05, 2)
        distance = _distance(pixels, points[:-1], points[1:])
        ink = 1 / (1 + np.exp((distance - random.uniform(0.03, 0.065)) / 0.018))
        pictures[i] = np.clip(ink * random.uniform(0.7, 1) + random.normal(0, 0.16, SIZE * SIZE), 0, 1)
    return pictures, labels


def _distance(pixels: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """From each pixel to the nearest of the line segments."""
    along = ends - starts
    share = np.clip(((pixels - starts) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0, 1)
    return np.sqrt((((starts + share[..., None] * along) - pixels) ** 2).sum(-1)).min(1)


class Network:
    """One hidden layer, softmax, momentum. Everything that training changes is in `state`."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        inputs = SIZE * SIZE
        self.state = {
            "w1": random.normal(0, np.sqrt(2 / inputs), (inputs, HIDDEN)),
            "b1": np.zeros(HIDDEN),
            "w2": random.normal(0, np.sqrt(1 / HIDDEN), (HIDDEN, 10)),
            "b2": np.zeros(10),
        }
        self.state |= {f"v_{name}": np.zeros_like(value) for name, value in self.state.items()}

    def forward(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = np.maximum(pictures @ self.state["w1"] + self.state["b1"], 0)
        scores = hidden @ self.state["w2"] + self.state["b2"]
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return hidden, scores / scores.sum(1, keepdims=True)

    def learn(self, pictures: np.ndarray, labels: np.ndarray, rate: float) -> None:
        hidden, belief = self.forward(pictures)
        error = belief
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        back = (error @ self.state["w2"].T) * (hidden > 0)
        slopes = {"w1": pictures.T @ back, "b1": back.sum(0), "w2": hidden.T @ error, "b2": error.sum(0)}
        for name, slope in slopes.items():
            velocity = self.state[f"v_{name}"]
            velocity *= 0.9
            velocity -= rate * (slope + 1e-4 * self.state[name])
            self.state[name] += velocity

    def accuracy(self, pictures: np.ndarray, labels: np.ndarray) -> float:
        return float((self.forward(pictures)[1].argmax(1) == labels).mean())


def load(folder: Path | None, seed: int) -> tuple[Network, int]:
    """The network and how many epochs it has behind it."""
    network = Network(seed)
    path = folder / "digits.npz" if folder else None
    if path is None or not path.exists():
        return network, 0
    with np.load(path) as saved:
        if int(saved["seed"]) != seed:
            raise SystemExit(f"{path} was made with --seed {int(saved['seed'])}, not {seed}")
        network.state = {name: saved[name] for name in network.state}
        return network, int(saved["epoch"])


def save(folder: Path, network: Network, epoch: int, seed: int) -> None:
    """Whole or not at all: written beside, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "digits.part.npz"
    np.savez(part, epoch=epoch, seed=seed, **network.state)
    part.replace(folder / "digits.npz")


def main() -> int:
    parser = argparse.ArgumentParser(description="Train a small network to read digits.")
    parser.add_argument("--epochs", type=int, default=0, help="stop after this many passes over the data")
    parser.add_argument("--seconds", type=float, default=6.0, help="stop after this long (where --epochs is not given)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    told_to_stop = False

    def stop(*_: object) -> None:
        nonlocal told_to_stop
        told_to_stop = True

    signal.signal(signal.SIGTERM, stop)
    checkpoint = os.environ.get("HELIO_CHECKPOINT")
    folder = Path(checkpoint) if checkpoint else None
    pictures, labels = draw(TRAIN, args.seed)
    test_pictures, test_labels = draw(TEST, args.seed + 1_000_003)
    network, epoch = load(folder, args.seed)
    if epoch:
        print(f"going on after epoch {epoch}", flush=True)
    began = time.monotonic()
    with StepMeter("train") as meter:
        while epoch < args.epochs if args.epochs else time.monotonic() - began < args.seconds:
            # The order depends on the seed and the epoch alone, so a resumed run sees what it would have seen.
            order = np.random.default_rng((args.seed, epoch)).permutation(TRAIN)
            for first in meter.over(range(0, TRAIN, BATCH)):
                batch = order[first : first + BATCH]
                network.learn(pictures[batch], labels[batch], rate=0.05 * 0.97**epoch)
            epoch += 1
            if epoch % 5 == 0 or epoch == 1:
                print(f"epoch {epoch:3}  test accuracy {network.accuracy(test_pictures, test_labels):.3f}", flush=True)
            if told_to_stop:
                if folder:
                    save(folder, network, epoch, args.seed)
                print(f"told to stop: {'saved' if folder else 'not saved'} after epoch {epoch}", flush=True)
                return 143
    if folder:
        save(folder, network, epoch, args.seed)
    print(f"done: {epoch} epochs, test accuracy {network.accuracy(test_pictures, test_labels):.4f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
