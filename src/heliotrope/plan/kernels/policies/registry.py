"""Every policy by name: built in or brought by entry point, registered the same way; what is brought is not trusted."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import numpy as np

from heliotrope.errors import HelioError, PlugInFault, UnknownName, nearest
from heliotrope.plan.kernels.shapes import Batch, Slots
from heliotrope.plan.kernels.verify import DUST_S, first_fault
from heliotrope.plan.kernels.world import Policy, World

GROUP = "heliotrope.policies"
OURS = "heliotrope."
SHAPE = "a policy is a function (Batch, World) -> Slots, as in heliotrope.plan.kernels.shapes"


def names() -> tuple[str, ...]:
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


def named(name: str) -> Policy:
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _loaded(point)
    raise UnknownName("no such policy", field="--policy", found=name, hint=nearest(name, names()))


def _loaded(point: EntryPoint) -> Policy:
    try:
        policy: Policy = point.load()
    except Exception as error:
        raise PlugInFault(
            f"policy {point.name}: {point.value} does not load",
            cause=_said(error),
            hint="mend or uninstall its package",
        ) from error
    if not callable(policy):
        raise PlugInFault(
            f"policy {point.name}: {point.value} cannot be called", cause=f"it is a {type(policy).__name__}", hint=SHAPE
        )
    return policy if point.value.startswith(OURS) else guarded(point.name, policy)


def guarded(name: str, policy: Policy) -> Policy:
    """A stranger's policy, its slots checked before a compiled loop reads them: those look at no bounds."""

    def watched(batch: Batch, world: World) -> Slots:
        try:
            slots = policy(batch, world)
        except HelioError:
            raise
        except Exception as error:
            raise PlugInFault(f"policy {name} failed", cause=_said(error)) from error
        sound = _sound(name, slots, batch, world)
        fault = first_fault(batch, sound)
        if fault is not None:
            job, what = fault
            called = batch.ids[job] if batch.ids else str(batch.first + job)
            raise PlugInFault(f"policy {name} plans job {called} as it may not run", cause=what)
        return sound

    return watched


def _sound(name: str, slots: object, batch: Batch, world: World) -> Slots:
    """The same slots in the columns that loops take, each number within what it counts."""
    if not isinstance(slots, Slots):
        raise PlugInFault(f"policy {name} gives no Slots", cause=f"it gives a {type(slots).__name__}", hint=SHAPE)
    try:
        found = Slots(
            np.asarray(slots.job).astype(np.int32, casting="same_kind"),
            np.asarray(slots.zone).astype(np.int32, casting="same_kind"),
            np.asarray(slots.start_s).astype(np.float64, casting="same_kind"),
            np.asarray(slots.end_s).astype(np.float64, casting="same_kind"),
        )
    except (TypeError, ValueError) as error:
        raise PlugInFault(f"policy {name} gives columns of another type", cause=str(error), hint=SHAPE) from error
    shapes = {column: getattr(found, column).shape for column in found.__struct_fields__}
    if any(shape != (found.job.size,) for shape in shapes.values()):
        told = ", ".join(f"{column} {shape}" for column, shape in shapes.items())
        raise PlugInFault(f"policy {name} gives columns of different shapes", cause=told, hint="one row a slot")
    curves = world.curves
    wrong = {
        f"job is a row of the batch, 0 to {len(batch) - 1}": (found.job < 0) | (found.job >= len(batch)),
        f"zone is a row of the curves, 0 to {len(curves.zones) - 1}": (found.zone < 0)
        | (found.zone >= len(curves.zones)),
        f"start_s and end_s are seconds on the grid, 0 to {curves.end_s:g}": ~(
            (found.start_s >= 0) & (found.end_s <= curves.end_s + DUST_S)
        ),
        "slots stand by job, then by time": np.diff(found.job, prepend=found.job[:1]) < 0,
    }
    for rule, rows in wrong.items():
        if rows.any():
            row = int(rows.argmax())
            told = ", ".join(f"{column} {getattr(found, column)[row]:g}" for column in shapes)
            raise PlugInFault(f"policy {name} gives a slot that cannot be", cause=f"row {row}: {told}", hint=rule)
    return found


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
