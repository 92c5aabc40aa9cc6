"""`helio submit`: work that was written for another scheduler, taken as it is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.cli.work import settled, work_options, workload_of
from heliotrope.errors import UsageError

if TYPE_CHECKING:
    from heliotrope.model import Plan, Workload
    from heliotrope.run import Controller
    from heliotrope.run.imports.asked import Asked


@click.command()
@work_options
@click.option("--sbatch", "script", metavar="FILE", help="A Slurm batch script; its #SBATCH lines hold.")
@click.option("--manifest", metavar="FILE", help="Kubernetes Jobs, as YAML or JSON.")
@click.option("--skypilot", metavar="FILE", help="A SkyPilot task file.")
@click.option("--now", "at_once", is_flag=True, help="Plan it for now.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@shared_options
def submit(
    context: Context,
    script: str | None,
    manifest: str | None,
    skypilot: str | None,
    arguments: tuple[str, ...],
    at_once: bool,
    **told: Any,
) -> None:
    """Submit a Slurm script with its ARGUMENTS, Kubernetes Jobs or a SkyPilot task; `helio up` runs it.

    What the file asks for and nothing here can keep is refused, or named on stderr, by its path. As with sbatch a
    script is copied now, so that a later edit changes nothing. Arrays and completions become a job for each index.
    """
    from heliotrope.run import Controller

    if sum(one is not None for one in (script, manifest, skypilot)) != 1:
        raise UsageError("one file is submitted", hint="say one of --sbatch, --manifest and --skypilot")
    if arguments and script is None:
        raise UsageError("only a Slurm script takes arguments", hint="write them into the file")
    controller = Controller(settled(context.settings, told))
    try:
        workloads = [
            (asked, index, _workload(controller, asked, told, past_s, index, at_once=at_once))
            for asked in _asked(controller.home, script, manifest, skypilot, arguments)
            for past_s in (controller.past_length_s(asked.command, 1.0),)
            for index in asked.array or (None,)
        ]
        for note in dict.fromkeys(f"{asked.name}: {note}" for asked, _, _ in workloads for note in asked.notes):
            say(note)
        for asked, index, workload in workloads:
            plan, _ = controller.submit(workload, at_once=at_once)
            _say(context, asked, workload, plan, index)
    finally:
        controller.close()


def _asked(
    home: Path, script: str | None, manifest: str | None, skypilot: str | None, arguments: tuple[str, ...]
) -> list[Asked]:
    import msgspec

    if manifest is not None:
        from heliotrope.run.imports.kubernetes import job

        return job.jobs(Path(manifest))
    if skypilot is not None:
        from heliotrope.run.imports.skypilot import task

        return [task(Path(skypilot), os.environ)]
    from heliotrope.run.imports import sbatch

    assert script is not None, "one of the three was told"
    batch = sbatch.read(Path(script))
    return [msgspec.structs.replace(batch, command=(_kept(home, Path(script)), *arguments))]


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
    controller: Controller,
    asked: Asked,
    told: dict[str, Any],
    past_s: float | None,
    index: int | None,
    *,
    at_once: bool,
) -> Workload:
    """What the command line says goes before what the file says."""
    import msgspec

    from heliotrope.model import Length
    from heliotrope.run.imports.places import sites_at

    workload = workload_of(controller.settings, asked.command, told, past_s, at_once=at_once)
    resources = msgspec.structs.replace(
        workload.resources,
        cpus=asked.cpus,
        devices=asked.devices,
        device_kind=asked.device_kind,
        memory_bytes=workload.resources.memory_bytes or asked.memory_bytes,
    )
    length = workload.length
    if asked.limit_s is not None and told["length"] is None and past_s is None:
        # A limit is an upper bound that people choose with care for nothing but safety.
        length = Length(asked.limit_s, asked.limit_s * 0.5, asked.limit_s)
    own = {asked.index_variable: str(index)} if asked.index_variable and index is not None else {}
    return msgspec.structs.replace(
        workload,
        resources=resources,
        length=length,
        sites=workload.sites or sites_at(asked.places, controller.fleet),
        environment=workload.environment | asked.environment | own,
        engine_options=asked.options,
        working_directory=str(Path(workload.working_directory, Path(asked.directory).expanduser())),
    )


def _say(context: Context, asked: Asked, workload: Workload, plan: Plan, index: int | None) -> None:
    first = plan.slots[0]
    if context.json:
        print_json(
            {
                "job": workload.id,
                "name": asked.name,
                "task": index,
                "site": first.site,
                "starts_at": first.start,
                "notes": asked.notes,
            }
        )
    else:
        task = "" if index is None else f", task {index}"
        click.echo(f"{workload.id}: {asked.name}{task}, {first.site}, {first.start:%a %d %b %H:%M} UTC")
