"""A Slurm batch script as it is: what its #SBATCH lines ask for, in our vocabulary; the rest is handed on to Slurm."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from heliotrope.errors import InvalidInput
from heliotrope.run.engines.slurm.asked import MIB, minutes
from heliotrope.run.imports.asked import Asked

SHORT = {
    "A": "account", "a": "array", "b": "begin", "C": "constraint", "c": "cpus-per-task", "D": "chdir", "e": "error",
    "G": "gpus", "H": "hold", "J": "job-name", "L": "licenses", "N": "nodes", "n": "ntasks", "o": "output",
    "p": "partition", "q": "qos", "t": "time",
}  # fmt: skip
OWN = frozenset(
    {"account", "begin", "constraint", "licenses", "partition", "qos", "reservation", "signal", "time"}
)  # of the same name in SlurmWork
# Ours to decide: its output is kept with the run, and one name is one attempt.
OURS = frozenset({"job-name", "output", "error", "open-mode", "parsable"})
TIMES = {"K": 1 << 10, "M": MIB, "G": 1 << 30, "T": 1 << 40}
MANY = 10_000


def read(path: Path) -> Asked:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("the script cannot be read", file=str(path), cause=str(error)) from error
    if not text.startswith("#!"):
        raise InvalidInput(
            "not a batch script", file=str(path), line=1, found=text.split("\n", 1)[0][:80], allowed="#!/bin/bash, say"
        )
    told: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            break
        if line.startswith("#SBATCH"):
            told |= {name: (value, number) for name, value in _flags(line.removeprefix("#SBATCH"), str(path), number)}
    return _Reading(path, told).asked()


def _flags(text: str, file: str, line: int) -> list[tuple[str, str]]:
    """`--name=value`, `--name value`, `-n value`, `-n4`, as many as stand there."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise InvalidInput("quotes that do not close", file=file, line=line, found=text.strip()) from error
    found, at = [], 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or word in {"-", "--"}:
            raise InvalidInput("not a flag of sbatch", file=file, line=line, found=word, allowed="--name=value")
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
        else:
            name, value = SHORT.get(word[1], word[1]), word[2:].removeprefix("=")
            equals = value
        if not equals and name != "hold" and at < len(words) and not words[at].startswith("-"):
            value, at = words[at], at + 1
        found.append((name, value))
    return found


class _Reading:
    """One script's flags, each taken once, so that what is left is what Slurm alone understands."""

    def __init__(self, path: Path, told: dict[str, tuple[str, int]]) -> None:
        self.path, self.told = path, dict(told)

    def asked(self) -> Asked:
        limit_s = self._time()
        cpus = self._count("cpus-per-task", 1)
        devices, kind = self._devices()
        name, directory, array = self._take("job-name"), self._take("chdir"), self._array()
        options = {f"slurm.{flag}": value for flag in OWN if (value := self._take(flag))}
        if "requeue" in self.told or "no-requeue" in self.told:
            options["slurm.requeue"] = str("requeue" in self.told).lower()
        if "hold" in self.told:
            options["slurm.hold"] = "true"
        memory = self._memory(cpus)
        rest = {k: v for k, (v, _) in self.told.items() if k not in OURS | {"requeue", "no-requeue", "hold"}}
        if rest:
            flags = [f"--{k}={v}" if v else f"--{k}" if len(k) > 1 else f"-{k}" for k, v in rest.items()]
            options["slurm.flags"] = shlex.join(flags)
        return Asked(
            name=name or self.path.name,
            cpus=float(cpus),
            devices=devices,
            device_kind=kind,
            memory_bytes=memory,
            limit_s=limit_s,
            directory=directory,
            array=array,
            index_variable="SLURM_ARRAY_TASK_ID",
            options=options,
        )

    def _take(self, flag: str) -> str:
        return self.told.pop(flag, ("", 0))[0]

    def _wrong(self, flag: str, allowed: str) -> InvalidInput:
        value, line = self.told[flag]
        return InvalidInput(
            "not understood", file=str(self.path), line=line, field=f"--{flag}", found=value, allowed=allowed
        )

    def _count(self, flag: str, otherwise: int) -> int:
        if flag not in self.told:
            return otherwise
        if not self.told[flag][0].isdigit() or int(self.told[flag][0]) < 1:
            raise self._wrong(flag, "a whole number, 1 or more")
        return int(self._take(flag))

    def _time(self) -> float | None:
        if "time" not in self.told or self.told["time"][0].lower() in {"0", "infinite", "unlimited"}:
            return None
        try:
            return minutes(self.told["time"][0]) * 60.0
        except InvalidInput as error:
            raise self._wrong("time", error.allowed) from error

    def _memory(self, cpus: int) -> int:
        """Slurm's sizes are MiB where no unit is said; 0 is all of the node, which stays Slurm's affair."""
        for flag, times in (("mem", 1), ("mem-per-cpu", cpus)):
            if flag in self.told and self.told[flag][0] != "0":
                found = re.fullmatch(r"(\d+)([KMGT]?)B?", self.told[flag][0].upper())
                if not found:
                    raise self._wrong(flag, "4000, 4G and the like")
                self._take(flag)
                return int(found[1]) * TIMES[found[2] or "M"] * times
        return 0

    def _devices(self) -> tuple[int, str | None]:
        """--gpus=2, --gpus=h100:2, --gpus-per-node, --gres=gpu[:h100]:2; other resources stay Slurm's affair."""
        for flag in ("gpus", "gpus-per-node", "gres"):
            value = self.told.get(flag, ("", 0))[0]
            if not value or (flag == "gres" and not value.startswith("gpu")):
                continue
            parts = value.removeprefix("gpu").removeprefix(":").split(":") if flag == "gres" else value.split(":")
            count = parts[-1] if parts[-1].isdigit() else "1" if flag == "gres" and parts != [""] else parts[-1] or "1"
            if not count.isdigit() or len(parts) > 2:
                if flag == "gres":
                    continue
                raise self._wrong(flag, "2, or h100:2")
            kind = parts[0] if parts[0] and not parts[0].isdigit() else None
            self._take(flag)
            return int(count), kind
        return 0, None

    def _array(self) -> tuple[int, ...]:
        """0-15, 1,3,5, 0-30:10; a limit (%4) on how many run at once is kept by no engine, and refused."""
        if "array" not in self.told:
            return ()
        allowed = "0-15, 1,3,5, 0-30:10"
        indices: list[int] = []
        for part in self.told["array"][0].split(","):
            found = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
            if not found or found[3] == "0":
                raise self._wrong("array", allowed)
            first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
            if last < first or last - first > MANY * step:
                raise self._wrong("array", f"{allowed}, up to {MANY} tasks")
            indices += range(first, last + 1, step)
        self._take("array")
        return tuple(dict.fromkeys(indices))
