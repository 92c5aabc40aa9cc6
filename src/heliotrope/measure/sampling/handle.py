"""`with heliotrope.measure("epoch") as m:` and `@heliotrope.measured`: windows that may lie within each other."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from heliotrope.errors import UsageError
from heliotrope.measure.sampling.recorder import Recorder
from heliotrope.measure.sampling.session import Session, own_calibration
from heliotrope.rooms import upstairs

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from heliotrope.measure.records.windows import Writer
    from heliotrope.model import Estimate, Footprint, Measurement, MeterTotal

F = TypeVar("F", bound=Callable[..., Any])
_open: list[Handle] = []  # the outermost owns the session; those within share its meters and its thread


@functools.cache
def _writer(path: str, _pid: int) -> Writer:
    from pathlib import Path

    from heliotrope.measure.records.windows import Writer

    return Writer(Path(path))


class Handle:
    """What `heliotrope.measure(name)` gives. Windows of one process share one session; each has its own sums."""

    def __init__(
        self, name: str, *, interval_s: float = 1.0, meters: tuple[str, ...] = (), journal: str | Path | None = None
    ) -> None:
        self.name = self.path = name
        self.interval_s = interval_s
        self.wanted = meters
        self.journal_path = journal
        self.session: Session | None = None
        self._window: Recorder | None = None
        self._done: Measurement | None = None

    def start(self) -> Self:
        if self.session is not None:
            raise UsageError(f"the measurement {self.name!r} has begun already", hint="use a new one for each window")
        outer = next((handle for handle in reversed(_open) if handle.may_hold(self)), None)
        if outer is not None and outer.session is not None:
            self.path = f"{outer.path}/{self.name}"
            self.session = outer.session
            self._window = self.session.open_window(self.path)
        else:
            self.session = Session(
                self.name,
                interval_s=self.interval_s,
                meters=self.wanted,
                journal=self.journal_path,
                calibration=own_calibration(),
            )
        _open.append(self)
        return self

    def may_hold(self, inner: Handle) -> bool:
        """Whether `inner` can be a window of this one: it asked for nothing of its own."""
        ours = self.session is not None and self.session.ours
        return ours and inner.journal_path is None and inner.wanted in {(), self.wanted}

    def stop(self) -> Measurement:
        if self.session is None:
            raise self._not_begun()
        if self._done is None:
            if self in _open:
                _open.remove(self)
            self._done = self.session.stop() if self._window is None else self.session.close_window(self._window)
            self._tell(self._done)
        return self._done

    def discard(self) -> None:
        """Ends a window that turned out to be none."""
        if self._window is not None and self.session is not None:
            _open.remove(self)
            self._done = self.session.close_window(self._window)

    def _tell(self, measurement: Measurement) -> None:
        """To whoever started this program and asked for its windows."""
        path = os.environ.get("HELIO_WINDOWS")
        if path:
            writer = _writer(path, os.getpid())
            writer.add(self.path, measurement)
            if self._window is None:
                writer.flush()

    def totals(self) -> Measurement:
        """So far, or in all where it has ended."""
        if self._done is not None:
            return self._done
        if self.session is None:
            raise self._not_begun()
        return self.session.totals() if self._window is None else self.session.window_totals(self._window)

    def _not_begun(self) -> UsageError:
        return UsageError(f"the measurement {self.name!r} has not begun", hint="use it as `with`, or call start()")

    @property
    def energy_j(self) -> Estimate:
        return self.totals().energy_j

    @property
    def duration_s(self) -> float:
        return self.totals().duration_s

    @property
    def meters(self) -> tuple[MeterTotal, ...]:
        return self.totals().meters

    @property
    def journal(self) -> str | None:
        return self.totals().journal

    @property
    def footprint(self) -> Footprint:
        """At the settings' site and grid, as `helio measure` says it."""
        worth: Footprint = upstairs("heliotrope.worth:worth")(self.totals())
        return worth

    @property
    def carbon_g(self) -> Estimate:
        return self.footprint.carbon_g

    @property
    def flags(self) -> tuple[str, ...]:
        return self.footprint.flags

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def measured(function: F | None = None, *, name: str = "", **options: Any) -> Any:
    """A function whose every call is a window; its attribute `last` is the last call's handle."""
    if function is None:
        return functools.partial(measured, name=name, **options)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with Handle(name or function.__qualname__, **options) as handle:
            wrapper.last = handle  # type: ignore[attr-defined]
            return function(*args, **kwargs)

    return wrapper
