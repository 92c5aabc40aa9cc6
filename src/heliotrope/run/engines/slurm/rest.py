"""Slurm through slurmrestd, for controllers that stand where no Slurm command is: JSON over HTTP, with a token (JWT).

Asked in the one version that was tried against a real daemon; each of Slurm's versions answers in three of them.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

from heliotrope.errors import EngineError, EngineRefused, InvalidInput
from heliotrope.run.engines.queued import Job, Phase
from heliotrope.run.engines.rest import PASSING, Answered, Api, secret
from heliotrope.run.engines.slurm.asked import Request, SlurmSettings, minutes
from heliotrope.run.engines.slurm.states import Placed, job_of, passes

VERSION = "v0.0.38"
HELD = 2042  # said of a job that was taken, and is held as was asked
GONE = 2017  # a number that Slurm does not know any more
# What only Slurm's own commands can be told.
COMMANDS_ONLY = ("flags", "begin")


class Rest:
    """One cluster behind one slurmrestd."""

    def __init__(self, site: SlurmSettings) -> None:
        self.site = site
        # It answers 500 to whatever is wrong; the text says whether it may pass.
        self.api = Api(site.rest, field="engine_options.rest", passing=PASSING - {500})

    def submit(self, asked: Request) -> None:
        work = asked.work
        for option in COMMANDS_ONLY:
            if getattr(work, option):
                raise InvalidInput(
                    "is not understood over REST", field=f"slurm.{option}", found=getattr(work, option),
                    hint="leave `rest` out of the site's options where Slurm's commands are",
                )  # fmt: skip
        job = {
            "name": asked.name,
            "current_working_directory": asked.directory,
            "standard_output": asked.output,
            "open_mode": "append",
            "environment": {"PATH": "/usr/local/bin:/usr/bin:/bin"},
            "tasks": 1,
            "cpus_per_task": asked.cpus,
            "memory_per_node": asked.memory_mib,
            "gres": asked.gres,
            "licenses": asked.licenses,
            "partition": work.partition,
            "account": work.account,
            "qos": work.qos,
            "constraints": work.constraint,
            "reservation": work.reservation,
            "time_limit": minutes(work.time) if work.time else 0,
            "signal": work.signal,
            "hold": work.hold,
        }
        told = {key: value for key, value in job.items() if value} | {"requeue": bool(work.requeue)}
        self._ask("POST", f"/slurm/{VERSION}/job/submit", {"script": asked.script, "job": told}, harmless=HELD)

    def jobs(self) -> dict[str, list[Placed]]:
        me, found = self._me(), dict[str, list[Placed]]()
        for job in self._ask("GET", f"/slurm/{VERSION}/jobs")["jobs"]:
            if job["user_name"] == me:
                one = job_of(
                    str(job["job_id"]), job["job_state"], job["state_reason"], job["nodes"], str(job["end_time"])
                )
                found.setdefault(job["name"], []).append(one)
        return found

    def past(self, name: str) -> list[Placed]:
        try:
            told = self._ask("GET", f"/slurmdb/{VERSION}/jobs?job_name={name}")
        except EngineRefused:
            return []
        return [
            job_of(str(job["job_id"]), job["state"]["current"], "", job["nodes"] or "", str(job["time"]["end"]))
            for job in reversed(told["jobs"])
        ]

    def drained(self) -> list[tuple[str, float, str]]:
        nodes = self._ask("GET", f"/slurm/{VERSION}/nodes")["nodes"]
        return [(node["name"], float(node["reason_changed_at"]), node["reason"]) for node in nodes if node["reason"]]

    def cancel(self, name: str) -> None:
        for job in self.jobs().get(name, []):
            if job.phase is not Phase.ENDED:
                self._ask("DELETE", f"/slurm/{VERSION}/job/{job.id}", harmless=GONE)

    def hold(self, job: Job) -> None:
        self._ask("POST", f"/slurm/{VERSION}/job/{job.id}", {"hold": True})

    def release(self, job: Job) -> None:
        self._ask("POST", f"/slurm/{VERSION}/job/{job.id}", {"hold": False})

    def _token(self) -> str:
        return secret(self.site.token_file, "SLURM_JWT", "engine_options.token_file")

    def _me(self) -> str:
        return user_of(self._token())

    def _ask(self, method: str, path: str, body: object = None, *, harmless: int = 0) -> Any:
        token = self._token()
        headers = {"X-SLURM-USER-NAME": user_of(token), "X-SLURM-USER-TOKEN": token}
        try:
            told = self.api.ask(method, path, body, headers)
        except Answered as refusal:
            told = _json(refusal.said)
            if told is None:
                raise
        wrong = [
            one for one in told.get("errors", []) if harmless not in {one.get("error_code"), one.get("error_number")}
        ]
        if wrong:
            why = "; ".join(one.get("description") or one.get("error") or "" for one in wrong)
            kind = EngineError if passes(why) else EngineRefused
            raise kind(f"Slurm: slurmrestd refused {method} {path.partition('?')[0]}", cause=why)
        return told


def user_of(token: str) -> str:
    """The name that Slurm wrote into it, as `scontrol token` does; whether it is true is for Slurm to say."""
    try:
        part = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return str(claims.get("sun") or claims["username"])
    except (IndexError, KeyError, ValueError, AttributeError) as error:
        raise EngineRefused(
            "Slurm's token is not one",
            cause="it names no user" if token else "there is none",
            hint="`scontrol token` prints one: into token_file, or into SLURM_JWT",
        ) from error


def _json(text: str) -> dict[str, Any] | None:
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
