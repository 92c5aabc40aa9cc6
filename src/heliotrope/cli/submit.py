"""`helio submit`: work that was written for another scheduler, taken as it is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.cli.work import settled, work_options, workload_of

if TYPE_CHECKING:
    from heliotrope.model import Plan, Workload
    from heliotrope.run.engines.slurm.batch import Batch


@click.command()
@work_options
@click.option("--sbatch", "script", required=True, metavar="FILE", help="A Slurm batch script; its #SBATCH lines hold.")
@click.option("--now", "at_once", is_flag=True, help="Plan it for now.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@shared_options
def submit(context: Context, script: str, arguments: tuple[str, ...], at_once: bool, **told: Any) -> None:
    """Submit a Slurm script with its ARGUMENTS; `helio up` runs it when and where power is clean.

    As with sbatch the script is copied now, so that a later edit changes nothing. An array becomes a job for each task.
    """
    from heliotrope.run import Controller
    from heliotrope.run.engines.slurm.batch import read

    batch = read(Path(script))
    controller = Controller(settled(context.settings, told))
    try:
        kept = _kept(controller.home, Path(script))
        past_s = controller.past_length_s((kept, *arguments), 1.0)
        for index in batch.array or (None,):
            workload = _workload(controller.settings, batch, (kept, *arguments), told, past_s, index, at_once=at_once)
            plan, _ = controller.submit(workload, at_once=at_once)
            _say(context, batch, workload, plan, index)
    finally:
        controller.close()


def _kept(home: Path, script: Path) -> str:
    """By its content: the same script is kept once."""
    content = script.read_bytes()
    kept = home / "scripts" / f"{hashlib.sha256(content).hexdigest()[:16]}-{script.name}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(content)
        fresh.chmod(0o700)
        fresh.rename(kept)
    return str(kept)


def _workload(
    settings: Any,
    batch: Batch,
    command: tuple[str, ...],
    told: dict[str, Any],
    past_s: float | None,
    index: int | None,
    *,
    at_once: bool,
) -> Workload:
    """What the command line says goes before what the script says."""
    import msgspec

    from heliotrope.model import Length

    workload = workload_of(settings, command, told, past_s, at_once=at_once)
    resources = msgspec.structs.replace(
        workload.resources,
        cpus=batch.cpus,
        devices=batch.devices,
        device_kind=batch.device_kind,
        memory_bytes=workload.resources.memory_bytes or batch.memory_bytes,
    )
    length = workload.length
    if batch.limit_s is not None and told["length"] is None and past_s is None:
        # A limit is an upper bound that people choose with care for nothing but safety.
        length = Length(batch.limit_s, batch.limit_s * 0.5, batch.limit_s)
    environment = workload.environment | ({} if index is None else {"SLURM_ARRAY_TASK_ID": str(index)})
    return msgspec.structs.replace(
        workload,
        resources=resources,
        length=length,
        environment=environment,
        engine_options=batch.options,
        working_directory=str(Path(workload.working_directory, batch.directory)),
    )


def _say(context: Context, batch: Batch, workload: Workload, plan: Plan, index: int | None) -> None:
    first = plan.slots[0]
    if context.json:
        print_json(
            {"job": workload.id, "name": batch.name, "task": index, "site": first.site, "starts_at": first.start}
        )
    else:
        task = "" if index is None else f", task {index}"
        click.echo(f"{workload.id}: {batch.name}{task}, {first.site}, {first.start:%a %d %b %H:%M} UTC")
