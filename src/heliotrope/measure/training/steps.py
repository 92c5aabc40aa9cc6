"""Energy of a training loop: run, epochs and steps as windows within each other. Callbacks sit on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from heliotrope.measure.sampling.handle import Handle
from heliotrope.model import Measurement

T = TypeVar("T")
MAX_STEPS = 10_000  # kept one by one; beyond it, every second one is joined with its neighbour


class Step(msgspec.Struct, frozen=True):
    """Optimiser steps [first, last] of an epoch and the joules they used, 90 % between low and high."""

    epoch: int
    first: int
    last: int
    start_s: float
    end_s: float
    energy_j: float
    low_j: float
    high_j: float


class StepMeter:
    """`begin`, then `epoch` and `step` at each boundary, then `end`. A step lasts from one boundary to the next."""

    def __init__(self, name: str = "train", *, interval_s: float = 1.0, meters: tuple[str, ...] = ()) -> None:
        self._run = Handle(name, interval_s=interval_s, meters=meters)
        self._epoch: Handle | None = None
        self._step: Handle | None = None
        self._epoch_number = self._step_number = 0
        self.steps: list[Step] = []
        self.epochs: list[Measurement] = []
        self.total: Measurement | None = None

    def begin(self) -> None:
        self._run.start()

    def epoch(self) -> None:
        """An epoch begins; the one before it, if any, has ended."""
        self._end_epoch()
        self._epoch = Handle(f"epoch {self._epoch_number}").start()
        self._step = Handle("step").start()

    def step(self) -> None:
        """An optimiser step has ended and the next begins."""
        if self._step is None:
            self.epoch()
            return
        self._end_step()
        self._step = Handle("step").start()

    def _end_step(self) -> None:
        assert self._step is not None
        done = self._step.stop()
        energy = done.energy_j
        self.steps.append(
            Step(
                self._epoch_number,
                self._step_number,
                self._step_number,
                done.start_s,
                done.end_s,
                energy.value,
                energy.low,
                energy.high,
            )
        )
        self._step_number += 1
        self._step = None
        if len(self.steps) > MAX_STEPS:
            self.steps = list(_joined(self.steps))

    def _end_epoch(self) -> None:
        if self._step is not None:
            self._step.discard()  # what follows the last step of an epoch belongs to the epoch, not to a step
            self._step = None
        if self._epoch is not None:
            self.epochs.append(self._epoch.stop())
            self._epoch = None
            self._epoch_number += 1

    def end(self) -> Measurement:
        self._end_epoch()
        self.total = self._run.stop()
        return self.total

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def over(self, batches: Iterable[T]) -> Iterator[T]:
        """`for batch in meter.over(loader):` is one epoch; each turn of the loop is a step."""
        self.epoch()
        for batch in batches:
            yield batch
            self.step()
        self._end_epoch()


def _joined(steps: list[Step]) -> Iterator[Step]:
    """Neighbours in twos, within an epoch."""
    waiting: Step | None = None
    for step in steps:
        if waiting is None:
            waiting = step
        elif waiting.epoch == step.epoch:
            yield msgspec.structs.replace(
                waiting,
                last=step.last,
                end_s=step.end_s,
                energy_j=waiting.energy_j + step.energy_j,
                low_j=waiting.low_j + step.low_j,
                high_j=waiting.high_j + step.high_j,
            )
            waiting = None
        else:
            yield waiting
            waiting = step
    if waiting is not None:
        yield waiting
