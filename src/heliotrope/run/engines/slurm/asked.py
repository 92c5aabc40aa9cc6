"""What Slurm is asked for: a site's settings and a work's own wishes, as one request."""

from __future__ import annotations

import math
import re
import shlex
import sys

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.run.engines.protocol import Task
from heliotrope.run.engines.settings import of_work

MIB = 1 << 20


class SlurmWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a work may say for itself, over what its site says. `flags`: whatever else `sbatch` understands."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    reservation: str = ""
    licenses: str = ""
    time: str = ""
    begin: str = ""
    signal: str = ""
    requeue: bool | None = None
    hold: bool = False
    flags: str = ""


class SlurmSettings(SlurmWork, frozen=True, forbid_unknown_fields=True):
    """How a site is reached.

    `config`: its slurm.conf, else the environment's. `cluster`: as `-M` takes it. `rest`: its slurmrestd's address, to
    be asked in place of its commands, with the token of `token_file` or SLURM_JWT. `python`: on its nodes, else this
    very one. `power_licence`: a licence pool of watts. `suspend`: by SIGSTOP on the node, or by Slurm, which needs an
    operator's rights and gives the CPUs to others meanwhile. `meter`: what our own keeper measures in the job, or the
    node's meter as sacct tells it.
    """

    config: str = ""
    cluster: str = ""
    rest: str = ""
    token_file: str = ""
    python: str = ""
    power_licence: str = ""
    suspend: str = "signal"
    meter: str = "job"

    def __post_init__(self) -> None:
        if self.suspend not in {"signal", "slurm"}:
            raise ValueError("suspend is `signal` or `slurm`")
        if self.meter not in {"job", "sacct"}:
            raise ValueError("meter is `job` or `sacct`")
        if self.rest and (self.suspend == "slurm" or self.meter == "sacct"):
            raise ValueError("suspend = slurm and meter = sacct need Slurm's commands: not with `rest`")


class Request(msgspec.Struct, frozen=True):
    """One job, as Slurm counts: whole CPUs, MiB, and licences by name and number."""

    name: str
    script: str
    directory: str
    output: str
    cpus: int
    memory_mib: int
    gres: str
    licenses: str
    work: SlurmWork


def request(name: str, task: Task, site: SlurmSettings, module: str) -> Request:
    """`module`: what the job runs, given its folder."""
    own = of_work(SlurmWork, "slurm", task.options)
    chosen = {f: getattr(own, f) or getattr(site, f) for f in SlurmWork.__struct_fields__ if f != "requeue"}
    work = SlurmWork(**chosen, requeue=site.requeue if own.requeue is None else own.requeue)
    pools = [work.licenses] if work.licenses else []
    if site.power_licence and task.power_w is not None:
        pools.append(f"{site.power_licence}:{math.ceil(task.power_w * task.width)}")
    words = shlex.join([site.python or sys.executable, "-m", module, task.handle])
    kind = f":{task.device_kind}" if task.device_kind else ""
    return Request(
        name=name,
        script=f"#!/bin/sh\nexec {words}\n",
        directory=task.working_directory,
        output=f"{task.handle}/keeper.log",
        cpus=math.ceil(task.cpus * task.width),
        memory_mib=math.ceil(task.memory_bytes / MIB),
        gres=f"gpu{kind}:{task.devices * task.width}" if task.devices else "",
        licenses=",".join(pools),
        work=work,
    )


def minutes(text: str) -> int:
    """Slurm's lengths: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S; rounded up."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not found:
        raise InvalidInput("not a length of time", field="time", found=text, allowed="60, 1:30:00, 2-12 and the like")
    days, a, b, c = (int(part) if part else 0 for part in found.groups())
    if found[1]:
        seconds = ((days * 24 + a) * 60 + b) * 60 + c
    elif found[4]:
        seconds = (a * 60 + b) * 60 + c
    else:
        seconds = a * 60 + b
    return math.ceil(seconds / 60)
