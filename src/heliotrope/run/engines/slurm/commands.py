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
from heliotrope.run.engines.slurm.states import job_of, most_alive
from heliotrope.units import from_epoch

ANSWER_S = 30.0
FRESH_S = 0.5  # how long one answer about all jobs serves those who ask about one
# What Slurm says when it is not Slurm's last word.
PASSING = (
    "unable to contact",
    "socket timed out",
    "connection",
    "communication",
    "zero bytes",
    "temporarily",
    "try again",
    "retry",
    "in standby",
    "policy limit",  # QOSMaxSubmitJobPerUserLimit and its kin pass when others have ended
    "maxsubmit",
)


class Commands:
    """One cluster. Few jobs or many, it is asked once in a while about all of them."""

    def __init__(self, site: SlurmSettings) -> None:
        self.site = site
        self._seen_s = 0.0
        self._seen: dict[str, list[Job]] = {}

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

    def look(self, name: str, since_s: float) -> Job | None:
        now_s = time.time()
        if self._seen_s <= since_s or now_s - self._seen_s > FRESH_S:
            self._seen, self._seen_s = self._queue(), now_s
        return most_alive(self._seen.get(name) or self._past(name))

    def _queue(self) -> dict[str, list[Job]]:
        """All of ours that Slurm still holds in memory, ended ones included."""
        jobs: dict[str, list[Job]] = {}
        answer = self._ask("squeue", "--noheader", "--me", "--states=all", "--format=%j|%i|%T|%r")
        for line in answer.splitlines():
            name, _, rest = line.partition("|")
            if rest:
                number, state, reason = rest.split("|", 2)
                jobs.setdefault(name, []).append(job_of(number, state, reason))
        return jobs

    def _past(self, name: str) -> list[Job]:
        """From the accounting, where there is one."""
        try:
            answer = self._ask(
                "sacct", "--noheader", "--parsable2", "--allocations", f"--name={name}", "--format=JobIDRaw,State",
                "--starttime=now-30days",
            )  # fmt: skip
        except EngineRefused:
            return []
        rows = (line.partition("|") for line in answer.splitlines())
        return [job_of(number, state, "") for number, _, state in rows]

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
        environment = kept | ({"SLURM_TIME_FORMAT": "%s"} if program == "sacct" else {})
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
        kind = EngineError if any(word in why.lower() for word in PASSING) else EngineRefused
        what = "cannot be reached" if kind is EngineError else "refused"
        raise kind(f"Slurm: {program} {what}", cause=why, hint=f"try `{program}` by hand at the site")
