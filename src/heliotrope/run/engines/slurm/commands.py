"""Slurm through its own commands, asked in formats that did not change in ten years (its JSON does, each release)."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time

import msgspec

from heliotrope.errors import EngineError, EngineRefused
from heliotrope.run.engines.queued import Job
from heliotrope.run.engines.slurm.asked import Request, SlurmSettings
from heliotrope.run.engines.slurm.energy import OnNode
from heliotrope.run.engines.slurm.states import Placed, job_of, passes
from heliotrope.units import from_epoch

ANSWER_S = 30.0


class Commands:
    """One cluster."""

    def __init__(self, site: SlurmSettings) -> None:
        self.site = site

    def submit(self, asked: Request) -> None:
        work = asked.work
        flags = {
            "job-name": asked.name,
            "chdir": asked.directory,
            "output": asked.output,
            "open-mode": "append",
            "nodes": "1",
            "ntasks": "1",
            "cpus-per-task": str(asked.cpus),
            "mem": f"{asked.memory_mib}M" if asked.memory_mib else "",
            "gres": asked.gres,
            "licenses": asked.licenses,
            "partition": work.partition,
            "account": work.account,
            "qos": work.qos,
            "constraint": work.constraint,
            "reservation": work.reservation,
            "time": work.time,
            "begin": work.begin,
            "signal": work.signal,
        }
        words = [f"--{name}={value}" for name, value in flags.items() if value]
        words += ["--requeue" if work.requeue else "--no-requeue", *(["--hold"] if work.hold else [])]
        self._ask("sbatch", "--parsable", *words, *shlex.split(work.flags), told=asked.script)

    def jobs(self) -> dict[str, list[Placed]]:
        found: dict[str, list[Placed]] = {}
        answer = self._ask("squeue", "--noheader", "--me", "--states=all", "--format=%j|%i|%T|%N|%e|%r")
        for line in answer.splitlines():
            name, _, rest = line.partition("|")
            if rest:
                number, state, node, ended, reason = rest.split("|", 4)
                found.setdefault(name, []).append(job_of(number, state, reason, node, ended))
        return found

    def past(self, name: str) -> list[Placed]:
        """Duplicates too: without them a job is not shown whose number was handed out again. The newest first."""
        try:
            answer = self._ask(
                "sacct", "--noheader", "--parsable2", "--allocations", "--duplicates", f"--name={name}",
                "--format=JobIDRaw,State,NodeList,End", "--starttime=now-30days",
            )  # fmt: skip
        except EngineRefused:
            return []
        rows = (line.split("|") for line in answer.splitlines())
        return [job_of(number, state, "", node, ended) for number, state, node, ended in rows][::-1]

    def drained(self) -> list[tuple[str, float, str]]:
        answer = self._ask("sinfo", "--noheader", "--Node", "--list-reasons", "--format=%N|%H|%E")
        rows = (line.split("|", 2) for line in answer.splitlines())
        return [(node, float(since), why) for node, since, why in rows if since.isdigit()]

    def on_node_of(self, name: str) -> tuple[OnNode | None, list[OnNode]]:
        """The job of that name once its energy is accounted for, and whoever shared its node."""
        rows = self._account(f"--name={name}")
        mine = next((job for job, _ in rows.values() if job.node_j is not None), None)
        if mine is None:
            return None, []
        # Slurm's flags know no zone: its own clock face is meant.
        face = [f"{from_epoch(moment).astimezone():%Y-%m-%dT%H:%M:%S}" for moment in (mine.start_s, mine.end_s)]
        others = self._account(
            "--allusers", f"--nodelist={rows[mine.job][1]}", f"--starttime={face[0]}", f"--endtime={face[1]}"
        )
        return mine, [job for job, _ in others.values() if job.job != mine.job]

    def _account(self, *which: str) -> dict[str, tuple[OnNode, str]]:
        """Each job with its first node's name. Its own row has no energy; its steps overlap: the largest has it all."""
        form = "--format=JobIDRaw,Start,End,AllocCPUS,NNodes,ConsumedEnergyRaw,NodeList"
        answer = self._ask("sacct", "--noheader", "--parsable2", form, *which)
        jobs: dict[str, tuple[OnNode, str]] = {}
        for line in answer.splitlines():
            number, start, end, cpus, nodes, joules, where = line.split("|")
            count = max(int(nodes or 1), 1)
            if "." not in number:
                if start.isdigit():
                    ends_s = float(end) if end.isdigit() else time.time()
                    jobs[number] = (OnNode(number, float(start), ends_s, float(cpus or 1) / count, None), where)
            # A step that still runs, or a node without a meter, says 0.
            elif joules not in {"", "0"} and number.partition(".")[0] in jobs:
                job, where = jobs[number.partition(".")[0]]
                node_j = max(float(joules) / count, job.node_j or 0.0)
                jobs[job.job] = (msgspec.structs.replace(job, node_j=node_j), where)
        return jobs

    def cancel(self, name: str) -> None:
        self._ask("scancel", "--quiet", "--me", f"--name={name}")

    def hold(self, job: Job) -> None:
        self._ask("scontrol", "hold", job.id)

    def release(self, job: Job) -> None:
        self._ask("scontrol", "release", job.id)

    def suspend(self, job: Job) -> None:
        self._ask("scontrol", "suspend", job.id)

    def resume(self, job: Job) -> None:
        self._ask("scontrol", "resume", job.id)

    def _ask(self, program: str, *words: str, told: str = "") -> str:
        path = shutil.which(program)
        if path is None:
            raise EngineError(f"no {program} here", hint="run the controller or an agent where Slurm's commands are")
        # Little is exported with a job: its command gets the environment that its submitter had.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG", "TZ") if name in os.environ}
        environment = kept | {"SLURM_TIME_FORMAT": "%s"}
        if config := self.site.config or os.environ.get("SLURM_CONF", ""):
            environment["SLURM_CONF"] = config
        if self.site.cluster:
            environment["SLURM_CLUSTERS"] = self.site.cluster
        try:
            done = subprocess.run(
                [path, *words],
                env=environment,
                input=told,
                capture_output=True,
                text=True,
                timeout=ANSWER_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"{program} did not answer within {ANSWER_S:g} s", hint="is slurmctld up?") from None
        if done.returncode == 0:
            return done.stdout
        why = done.stderr.strip().removeprefix(f"{program}: ").removeprefix("error: ")
        kind = EngineError if passes(why) else EngineRefused
        what = "cannot be reached" if kind is EngineError else "refused"
        raise kind(f"Slurm: {program} {what}", cause=why, hint=f"try `{program}` by hand at the site")
