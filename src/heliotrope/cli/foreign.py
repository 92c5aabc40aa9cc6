"""Work that was written for another scheduler, for `helio submit` and `helio run`: from its file to workloads."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.work import workload_of
from heliotrope.errors import UsageError

if TYPE_CHECKING:
    from heliotrope.model import Workload
    from heliotrope.run import Controller
    from heliotrope.run.imports.asked import Asked

FORMS = ("script", "manifest", "skypilot", "ray")


def foreign_options(command: Any) -> Any:
    for option in (
        click.option("--skypilot", metavar="FILE", help="A SkyPilot task file."),
        click.option(
            "--ray", metavar="ENTRY", help='A Ray entry point, as in "python x.py"; or a job request, as YAML or JSON.'
        ),
        click.option("--manifest", metavar="FILE", help="Kubernetes Jobs, as YAML or JSON."),
        click.option("--sbatch", "script", metavar="FILE", help="A Slurm batch script; its #SBATCH lines hold."),
    ):
        command = option(command)
    return command


def taken_from(told: dict[str, Any]) -> str:
    """Which form was told, if any; empty for none."""
    found = [form for form in FORMS if told[form] is not None]
    if len(found) > 1:
        raise UsageError("one file at a time", hint="say one of --sbatch, --manifest, --ray and --skypilot")
    return "".join(found)


def asked_in(home: Path, told: dict[str, Any], arguments: tuple[str, ...]) -> list[Asked]:
    """`arguments` follow the command of a Slurm script; the others have theirs in the file."""
    import msgspec

    form = taken_from(told)
    if arguments and form != "script":
        raise UsageError("only a Slurm script takes arguments", hint="write them into the file")
    if form == "manifest":
        from heliotrope.run.imports.kubernetes import job

        return job.jobs(Path(told["manifest"]))
    if form == "skypilot":
        from heliotrope.run.imports.skypilot import task

        return [task(Path(told["skypilot"]), os.environ)]
    if form == "ray":
        from heliotrope.run.imports import ray

        return [ray.job(told["ray"])]
    from heliotrope.run.imports import sbatch

    script = Path(told["script"])
    return [msgspec.structs.replace(sbatch.read(script), command=(_kept(home, script), *arguments))]


def workloads_in(
    controller: Controller, told: dict[str, Any], arguments: tuple[str, ...]
) -> list[tuple[Asked, int | None, Workload]]:
    """All are understood before any is submitted; an array or completions become one for each index."""
    return [
        (asked, index, _workload(controller, asked, told, past_s, index))
        for asked in asked_in(controller.home, told, arguments)
        for past_s in (controller.past_length_s(asked.command, 1.0),)
        for index in asked.array or (None,)
    ]


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
    controller: Controller, asked: Asked, told: dict[str, Any], past_s: float | None, index: int | None
) -> Workload:
    """What the command line says goes before what the file says."""
    import msgspec

    from heliotrope.model import Length
    from heliotrope.run.imports.places import sites_at

    workload = workload_of(controller.settings, asked.command, told, past_s, at_once=told["at_once"])
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
