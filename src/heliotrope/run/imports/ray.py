"""A Ray job where it maps: an entry point, or the request that `ray job submit` sends, as a file."""

from __future__ import annotations

from pathlib import Path

from heliotrope.errors import InvalidInput
from heliotrope.run.imports.asked import Asked
from heliotrope.run.imports.document import Value, read, sort_out

BASH = "/bin/bash"
FILES = (".json", ".yaml", ".yml")

JOB_TAKEN = frozenset(
    {
        "entrypoint",
        "entrypoint_num_cpus",
        "entrypoint_num_gpus",
        "entrypoint_memory",
        "entrypoint_label_selector",
        "runtime_env",
        "submission_id",
    }
)
JOB_PASSED = {
    "job_id": "an id is given when it is submitted",
    "metadata": "what is known of a run is in its record",
    "entrypoint_resources": "sites are chosen by the plan, nodes by their labels",
}
ENVIRONMENT_TAKEN = frozenset({"env_vars", "working_dir"})
ENVIRONMENT_PASSED = {
    "config": "settings of Ray's own set-up",
    "excludes": "the directory is used where it lies; nothing of it is copied",
    "_ray_release": "settings of Ray's own set-up",
}
ENVIRONMENT_REFUSED = dict.fromkeys(
    ("pip", "conda", "uv", "py_modules", "py_executable", "java_jars", "container", "image_uri"),
    "nothing is installed for one job; a site has what it has",
) | dict.fromkeys(
    ("worker_process_setup_hook", "nsight", "rocprof_sys", "mpi"),
    "the entry point is not run inside Ray's own worker",
)


def job(told: str) -> Asked:
    """`told`: a file of such a request, by its ending; else the entry point itself, as a shell reads it."""
    if not told.endswith(FILES) or " " in told.strip():
        return Asked(name=_named(told), command=_command(told))
    documents = read(Path(told))
    if len(documents) > 1:
        raise documents[1].wrong("a second document", found="---", allowed="one job a file")
    notes: list[str] = []
    whole = sort_out(documents[0], notes, taken=JOB_TAKEN, passed=JOB_PASSED)
    entry = whole.get("entrypoint")
    if entry is None or not entry.text().strip():
        raise (entry or documents[0]).wrong("nothing to run", found="", allowed="entrypoint: a command")
    around = (
        sort_out(
            whole["runtime_env"],
            notes,
            taken=ENVIRONMENT_TAKEN,
            passed=ENVIRONMENT_PASSED,
            refused=ENVIRONMENT_REFUSED,
        )
        if "runtime_env" in whole
        else {}
    )
    return Asked(
        name=whole["submission_id"].name() if "submission_id" in whole else Path(told).name,
        command=_command(entry.text()),
        cpus=_amount(whole["entrypoint_num_cpus"], 1.0) if "entrypoint_num_cpus" in whole else 1.0,
        devices=_devices(whole["entrypoint_num_gpus"]) if "entrypoint_num_gpus" in whole else 0,
        memory_bytes=int(_amount(whole["entrypoint_memory"], 0.0)) if "entrypoint_memory" in whole else 0,
        directory=_directory(around["working_dir"]) if "working_dir" in around else "",
        environment=_variables(around["env_vars"]) if "env_vars" in around else {},
        options=_labels(whole["entrypoint_label_selector"]) if "entrypoint_label_selector" in whole else {},
        notes=tuple(notes),
    )


def _command(entry: str) -> tuple[str, ...]:
    """As Ray runs it: a line for a shell."""
    if not entry.strip():
        raise InvalidInput("nothing to run", field="--ray", found=entry, allowed='an entry point, as in "python x.py"')
    return (BASH, "-c", entry)


def _named(entry: str) -> str:
    return entry if len(entry) <= 40 else f"{entry[:39]}…"


def _amount(value: Value, nothing: float) -> float:
    """Ray takes 0 for "as much as there is"; here that is what is planned where nobody says."""
    if isinstance(value.what, bool) or not isinstance(value.what, int | float) or not 0 <= value.what < 1 << 50:
        raise value.wrong("not an amount", allowed="a number, 0 or more")
    return float(value.what) or nothing


def _devices(value: Value) -> int:
    amount = _amount(value, 0.0)
    if amount != int(amount):
        raise value.wrong("a part of a device", allowed="whole devices", cause="nobody keeps the parts apart here")
    return int(amount)


def _directory(value: Value) -> str:
    if "://" in value.text():
        raise value.wrong("nothing here fetches this", allowed="a directory of this machine")
    return value.name()


def _variables(value: Value) -> dict[str, str]:
    found = {}
    for name, one in value.fields().items():
        if not name or "=" in name:
            raise one.wrong("not a variable's name", found=name, allowed="no = in it")
        found[name] = one.text()
    return found


def _labels(value: Value) -> dict[str, str]:
    pairs = {name: one.text() for name, one in value.fields().items()}
    if wrong := next((name for name, text in pairs.items() if set(f"{name}{text}") & set(",=!()")), None):
        raise value.wrong("not a plain label", found=wrong, allowed="name: value; no `in(…)`, no `!`")
    return {"ray.labels": ",".join(f"{name}={text}" for name, text in pairs.items())} if pairs else {}
