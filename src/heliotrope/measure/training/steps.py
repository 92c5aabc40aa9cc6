"""Energy of a training loop: run, epochs and steps as windows within each other. Callbacks sit on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from heliotrope.measure.records.windows import Span
from heliotrope.measure.sampling.handle import Handle
from heliotrope.measure.training import devices
from heliotrope.model import Measurement

if TYPE_CHECKING:
    from heliotrope.measure.power import Frugal, Rider

T = TypeVar("T")
MAX_STEPS = 10_000  # kept one by one; beyond it, every second one is joined with its neighbour


class Step(Span, frozen=True):
    """Optimiser steps of an epoch."""

    epoch: int


class StepMeter:
    """`begin`, then `epoch` and `step` at each boundary, then `end`. A step lasts from one boundary to the next.

    `power` (`measure.power.frugal(...)`) searches, step by step, for the limit at which a step costs least; its limits
    are given back at the end.
    """

    def __init__(
        self,
        name: str = "train",
        *,
        interval_s: float = 1.0,
        meters: tuple[str, ...] = (),
        power: Frugal | Rider | None = None,
    ) -> None:
        self._run = Handle(name, interval_s=interval_s, meters=meters)
        self.power = power
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
        devices.finish()
        self._end_step()
        if self.power is not None:
            self.power.step()
        self._step = Handle("step").start()

    def _end_step(self) -> None:
        assert self._step is not None
        self.steps.append(Step.of(self._step_number, self._step.stop(), epoch=self._epoch_number))
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
        if self.power is not None:
            self.power.close()
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
            yield waiting.joined(step)
            waiting = None
        else:
            yield waiting
            waiting = step
    if waiting is not None:
        yield waiting
