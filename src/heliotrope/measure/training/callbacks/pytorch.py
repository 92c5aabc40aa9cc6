"""`with steps(optimizer) as meter:` of a plain PyTorch loop: every `optimizer.step()` ends a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from heliotrope.errors import MissingExtra
from heliotrope.measure.training.steps import StepMeter

try:
    import torch
except ImportError:
    raise MissingExtra("torch", "torch", needed_for="measuring an optimiser's steps") from None


@contextmanager
def steps(optimizer: torch.optim.Optimizer, name: str = "train", *, interval_s: float = 1.0) -> Iterator[StepMeter]:
    """`meter.epoch()` at the start of an epoch, if there are any; without it, all steps are of one.

    A GPU works on after the call that sent it work has returned: where parameters lie on one, a step ends when it is
    done, or its joules would be the next step's.
    """
    on_gpu = any(parameter.is_cuda for group in optimizer.param_groups for parameter in group["params"])

    def ended(*_: Any) -> None:
        if on_gpu:
            torch.cuda.synchronize()
        meter.step()

    with StepMeter(name, interval_s=interval_s) as meter:
        meter.epoch()
        hook = optimizer.register_step_post_hook(ended)
        try:
            yield meter
        finally:
            hook.remove()
