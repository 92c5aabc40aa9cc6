"""`Trainer(callbacks=[HeliotropeCallback()])` of Lightning: energy of the fit, each epoch and each batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heliotrope.errors import MissingExtra
from heliotrope.measure.training.steps import StepMeter

if TYPE_CHECKING:
    from heliotrope.measure.power import Frugal, Rider

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:
    raise MissingExtra("lightning", "training", needed_for="the Lightning callback") from None


class HeliotropeCallback(Callback):  # type: ignore[misc,unused-ignore]
    """`meter` holds the figures."""

    def __init__(self, name: str = "fit", *, interval_s: float = 1.0, power: Frugal | Rider | None = None) -> None:
        self.meter = StepMeter(name, interval_s=interval_s, power=power)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self.meter.begin()

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.meter.epoch()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.meter.step()

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        self.meter.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """A fit that fails has used its energy all the same."""
        self.meter.end()
