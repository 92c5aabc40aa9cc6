"""`Trainer(..., callbacks=[HeliotropeCallback()])`: energy of the run, each epoch and each optimiser step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heliotrope.errors import MissingExtra
from heliotrope.measure.training.steps import StepMeter

if TYPE_CHECKING:
    from heliotrope.measure.power import Frugal, Rider

try:
    from transformers import TrainerCallback
except ImportError:
    raise MissingExtra("transformers", "training", needed_for="the Hugging Face callback") from None


class HeliotropeCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """`meter` holds the figures; each log entry of the Trainer gets `energy_j` so far."""

    def __init__(self, name: str = "train", *, interval_s: float = 1.0, power: Frugal | Rider | None = None) -> None:
        self.meter = StepMeter(name, interval_s=interval_s, power=power)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.meter.begin()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.meter.epoch()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.meter.step()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if logs is not None:
            logs["energy_j"] = sum(step.energy_j for step in self.meter.steps)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.meter.end()
