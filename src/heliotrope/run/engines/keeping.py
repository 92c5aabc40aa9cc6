"""What all engines have in common: what a shepherd is told, and the end of whatever still lives on this machine."""

from __future__ import annotations

from heliotrope.errors import EngineError
from heliotrope.run.engines.protocol import Task
from heliotrope.run.working.folder import Folder, Order
from heliotrope.run.working.processes import boot_id, end_all


def order(task: Task) -> Order:
    return Order(
        task.command,
        task.working_directory,
        task.environment,
        task.checkpoint,
        task.interval_s,
        task.meters,
        task.memory_bytes,
        task.cpu_time_s,
        task.power_cap_w,
        task.devices * task.width,
    )


def end_here(folder: Folder) -> None:
    """Of another machine, or another boot, nothing can live here."""
    began = folder.began
    if began is not None and began.child.boot == boot_id() and not end_all(folder.path, began.child):
        raise EngineError(
            f"{folder.path}: its processes cannot be ended", hint="see `ps`; another attempt waits for it"
        )
