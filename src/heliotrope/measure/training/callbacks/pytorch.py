"""`with steps(optimizer) as meter:` of a plain PyTorch loop: every `optimizer.step()` ends a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from heliotrope.errors import MissingExtra
from heliotrope.measure.training.steps import StepMeter

if TYPE_CHECKING:
    from heliotrope.measure.power import Frugal, Rider

try:
    import torch
except ImportError:
    raise MissingExtra("torch", "torch", needed_for="measuring an optimiser's steps") from None


@contextmanager
def steps(
    optimizer: torch.optim.Optimizer,
    name: str = "train",
    *,
    interval_s: float = 1.0,
    power: Frugal | Rider | None = None,
) -> Iterator[StepMeter]:
    """`meter.epoch()` at the start of an epoch, if there are any; without it, all steps are of one."""
    with StepMeter(name, interval_s=interval_s, power=power) as meter:
        meter.epoch()
        hook = optimizer.register_step_post_hook(lambda *_: meter.step())
        try:
            yield meter
        finally:
            hook.remove()
