"""A SkyPilot task file where it maps: its scripts and what they need; clouds are grids, and no machine is made here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from heliotrope.run.imports.asked import Asked
from heliotrope.run.imports.document import Value, read, sort_out

LONGEST_SCRIPT = 100_000  # bytes; the kernel takes no word of a command line over 128 KiB
BASH = "/bin/bash"
IN_TURN = f'{BASH} -c "$1" && exec {BASH} -c "$2"'
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COUNT = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(\+?)", re.ASCII)
MEMORY = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([bkmgtp]?)i?b?(\+?)", re.ASCII | re.IGNORECASE)
# SkyPilot's units are binary whatever they are called, and GB where none is.
TIMES = {letter: 1024**power for power, letter in enumerate("bkmgtp")}

TASK_TAKEN = frozenset({"name", "workdir", "num_nodes", "resources", "envs", "setup", "run"})
TASK_PASSED = {
    "config": "settings of SkyPilot itself",
    "experimental": "settings of SkyPilot itself",
    "estimated_size_gigabytes": "moving data is planned from what a work says of it",
}
TASK_REFUSED = {
    "file_mounts": "files are not copied to a site with a task; put them on the directory that sites share",
    "storage_mounts": "buckets are not mounted; put their data on the directory that sites share",
    "volumes": "volumes are not mounted; put their data on the directory that sites share",
    "file_mounts_mapping": "files are not copied to a site with a task",
    "secrets": "they would be kept in clear with the job; let the command read them from a file",
    "service": "a service has no end; jobs have one",
    "pool": "workers are the sites' own",
    "event_callback": "nothing here calls back; `helio watch` tells",
    "inputs": "where data lies is said by a work's data",
    "outputs": "where data lies is said by a work's data",
}
RESOURCES_TAKEN = frozenset(
    {"accelerators", "gpus", "cpus", "memory", "cloud", "region", "zone", "infra", "use_spot", "any_of"}
)
RESOURCES_PASSED = {
    "autostop": "no machine is kept for it",
    "disk_size": "disk is not planned",
    "disk_tier": "disk is not planned",
    "network_tier": "links are the sites' own",
    "local_disk": "disk is not planned",
    "job_recovery": "what a site loses is tried again; a command that fails is not",
    "spot_recovery": "what a site loses is tried again; a command that fails is not",
    "labels": "no machine is made that could bear them",
    "priority": "sharing between organisations decides",
    "max_hourly_cost": "a site's price is in the plan; no limit an hour is kept",
}
RESOURCES_REFUSED = {
    "image_id": "machines are not made here; a site has what it has",
    "instance_type": "machines are not made here; say cpus, memory and accelerators",
    "accelerator_args": "machines are not made here",
    "ports": "nothing reaches into a job",
    "ordered": "the plan chooses by carbon; say any_of",
}


def task(path: Path, environment: Mapping[str, str]) -> Asked:
    """`environment`: where variables without a value are looked up, as `sky --env NAME` does."""
    documents = read(path)
    if len(documents) > 1:
        raise documents[1].wrong("a second document", found="---", cause="pipelines of tasks are not run here")
    notes: list[str] = []
    whole = sort_out(documents[0], notes, taken=TASK_TAKEN, passed=TASK_PASSED, refused=TASK_REFUSED)
    if "num_nodes" in whole and whole["num_nodes"].whole(1) > 1:
        raise whole["num_nodes"].wrong("a task over several nodes", allowed="1: a work runs on one node of a site")
    variables = _variables(whole["envs"], environment) if "envs" in whole else {}
    needs = (
        sort_out(whole["resources"], notes, taken=RESOURCES_TAKEN, passed=RESOURCES_PASSED, refused=RESOURCES_REFUSED)
        if "resources" in whole
        else {}
    )
    devices, kind = _accelerators(needs)
    if "use_spot" in needs and needs["use_spot"].yes():
        notes.append(f"{needs['use_spot'].path}: not kept; say --pausable if it may be stopped")
    own = {
        "SKYPILOT_NODE_RANK": "0",
        "SKYPILOT_NODE_IPS": "127.0.0.1",
        "SKYPILOT_NUM_NODES": "1",
        "SKYPILOT_NUM_GPUS_PER_NODE": str(devices),
    }
    return Asked(
        name=whole["name"].name() if "name" in whole else path.name,
        command=_command(documents[0], whole, notes),
        cpus=_cpus(needs["cpus"]) if "cpus" in needs else 1.0,
        devices=devices,
        device_kind=kind,
        memory_bytes=_memory(needs["memory"], notes) if "memory" in needs else 0,
        directory=_directory(whole["workdir"], notes) if "workdir" in whole else "",
        environment=own | variables,
        places=_places(needs),
        notes=tuple(notes),
    )


def _command(document: Value, whole: dict[str, Value], notes: list[str]) -> tuple[str, ...]:
    """Two scripts, as SkyPilot runs them: what the first one exports is not seen by the second."""
    run = whole["run"].text() if "run" in whole else ""
    if not run.strip():
        raise whole.get("run", document).wrong("nothing to run", allowed="run: a script")
    setup = whole["setup"].text() if "setup" in whole else ""
    for part in ("run", "setup"):
        if part in whole and len(whole[part].text().encode(errors="replace")) > LONGEST_SCRIPT:
            raise whole[part].wrong("too long a script", found="", allowed=f"up to {LONGEST_SCRIPT:,} bytes")
    if not setup.strip():
        return (BASH, "-c", run)
    notes.append("setup: runs before every attempt, on the site's own machines, and is measured with the run")
    return (BASH, "-c", IN_TURN, "setup, run", setup, run)


def _variables(envs: Value, environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, one in envs.fields().items():
        if not NAME.fullmatch(name):
            raise one.wrong("not a variable's name", found=name, allowed="letters, digits and _, no digit first")
        if one.what is None and name not in environment:
            raise one.wrong("a variable without a value", hint=f"write one, or set {name} where you submit")
        found[name] = environment[name] if one.what is None else one.scalar()
    return found


def _accelerators(needs: dict[str, Value]) -> tuple[int, str | None]:
    """`A100:4`, `{A100: 4}`, `[A100:4]`; kinds are in lower case here, as in fleets."""
    if "accelerators" in needs and "gpus" in needs:
        raise needs["gpus"].wrong("told twice", hint="accelerators and gpus are the same")
    value = needs.get("accelerators", needs.get("gpus"))
    if value is None:
        return 0, None
    choices = value.items() if isinstance(value.what, list) else [value]
    if len(choices) == 1 and isinstance(choices[0].what, dict):
        choices = [
            Value(one.file, one.line, one.path, f"{kind}:{one.scalar()}") for kind, one in choices[0].fields().items()
        ]
    if len(choices) != 1:
        raise value.wrong("not one kind of accelerator", found=len(choices), allowed="one: a work asks for one kind")
    kind, _, count = choices[0].text().partition(":")
    number = re.fullmatch(r"[1-9]\d{0,5}", count or "1", re.ASCII)
    if not number or not re.fullmatch(r"[A-Za-z0-9._-]+", kind):
        raise choices[0].wrong("not accelerators", allowed="A100, A100:4: whole devices")
    return int(number[0]), kind.lower()


def _cpus(value: Value) -> float:
    """`4+` is at least four, which is what asking for four means here."""
    found = COUNT.fullmatch(value.scalar())
    if not found or float(found[1]) <= 0:
        raise value.wrong("not a number of CPUs", allowed="4, 4+, 0.5")
    return float(found[1])


def _memory(value: Value, notes: list[str]) -> int:
    found = MEMORY.fullmatch(value.scalar())
    if not found or float(found[1]) <= 0:
        raise value.wrong("not a size of memory", allowed="32, 32+, 32GB, 512MB")
    if found[3]:
        notes.append(f"{value.path}: at least so much; taken for its limit, too")
    size: int = TIMES[found[2].lower() or "g"]
    return math.ceil(Fraction(found[1]) * size)


def _directory(value: Value, notes: list[str]) -> str:
    if isinstance(value.what, dict):
        raise value.wrong("nothing here fetches this", found="fields", allowed="a directory of this machine")
    notes.append(f"{value.path}: used where it lies; it is not copied")
    return value.name()


def _places(needs: dict[str, Value]) -> tuple[str, ...]:
    """Each way to say where, as a cloud region; `any_of` that differ in more than the place are refused."""
    if "any_of" not in needs:
        return _place(needs)
    found: list[str] = []
    for one in needs["any_of"].items():
        told = sort_out(one, [], taken=frozenset({"infra", "cloud", "region", "zone"}), refused=dict.fromkeys(
            (RESOURCES_TAKEN | set(RESOURCES_PASSED) | set(RESOURCES_REFUSED)) - {"infra", "cloud", "region", "zone"},
            "ways to run it may differ in their place alone",
        ))  # fmt: skip
        place = _place(needs | told)
        if not place:
            raise one.wrong("says no place", found="fields", allowed="infra: aws/eu-north-1, say")
        found += place
    return tuple(dict.fromkeys(found))


def _place(needs: dict[str, Value]) -> tuple[str, ...]:
    cloud, region, zone = (needs[key].name().lower() if key in needs else "" for key in ("cloud", "region", "zone"))
    if "infra" in needs:
        parts = needs["infra"].name().lower().split("/")
        if cloud or region or zone or len(parts) > 3 or not parts[0]:
            raise needs["infra"].wrong("not a place", allowed="aws, aws/eu-north-1; then no cloud, region or zone")
        cloud, region = (["" if part == "*" else part for part in parts] + [""])[:2]
    if zone and not region:
        raise needs["zone"].wrong("a zone without its region", hint="grids are known by region")
    if not cloud and not region:
        return ()
    return (f"{cloud}/{region}".strip("/"),)
