"""Work that was written for another scheduler, for `helio submit` and `helio run`: from its file to workloads."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from heliotrope.cli.shared import say
from heliotrope.cli.work.options import workload_of
from heliotrope.config import Settings
from heliotrope.errors import UsageError

if TYPE_CHECKING:
    from heliotrope.model import Workload
    from heliotrope.run import Controller
    from heliotrope.run.imports.asked import Asked
    from heliotrope.run.people.wire import Submission

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


class Taken(msgspec.Struct, frozen=True):
    """One job of a file. `environment`: what the file itself says. `index`: of an array, else None."""

    asked: Asked
    index: int | None
    workload: Workload
    environment: dict[str, str]


def taken_here(controller: Controller, told: dict[str, Any], arguments: tuple[str, ...]) -> list[Taken]:
    """All are understood before any is submitted; an array or completions become one for each index."""
    from heliotrope.run.imports.places import sites_at

    return [
        _taken(controller.settings, asked, told, past_s, index, sites_at(asked.places, controller.fleet))
        for asked in asked_in(controller.home, told, arguments)
        for past_s in (controller.past_length_s(asked.command, 1.0),)
        for index in asked.array or (None,)
    ]


def taken_elsewhere(settings: Settings, told: dict[str, Any], arguments: tuple[str, ...]) -> list[Taken]:
    """For a house elsewhere: what the file says travels, files that it names do not."""
    if told["script"] is not None:
        raise UsageError("a script stays on this machine", hint="submit it where the house is, or write a manifest")
    taken = []
    for asked in asked_in(settings.home_path, told, arguments):
        if asked.places:
            raise UsageError(f"{asked.name} says where it is to run", hint="--sites says so, by the house's own names")
        taken += [_taken(settings, asked, told, None, index, ()) for index in asked.array or (None,)]
    return taken


def submission(taken: Taken, variables: dict[str, str], *, at_once: bool) -> Submission:
    """What a house elsewhere is asked for, of a file's job; `variables` go before what the file says."""
    from heliotrope.run.people.wire import Submission

    return Submission.of(
        taken.workload,
        environment=taken.environment | variables,
        at_once=at_once,
        directory=taken.asked.directory if taken.asked.directory.startswith("/") else "",
    )


def say_notes(taken: list[Taken]) -> None:
    for note in dict.fromkeys(f"{one.asked.name}: {note}" for one in taken for note in one.asked.notes):
        say(note)


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


def _taken(
    settings: Settings,
    asked: Asked,
    told: dict[str, Any],
    past_s: float | None,
    index: int | None,
    sites: tuple[str, ...],
) -> Taken:
    """What the command line says goes before what the file says."""
    from heliotrope.model import Length

    workload = workload_of(settings, asked.command, told, past_s, at_once=told["at_once"])
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
    environment = asked.environment | own
    workload = msgspec.structs.replace(
        workload,
        resources=resources,
        length=length,
        sites=workload.sites or sites,
        environment=workload.environment | environment,
        engine_options=asked.options,
        working_directory=str(Path(workload.working_directory, Path(asked.directory).expanduser())),
    )
    return Taken(asked, index, workload, environment)
