"""A Job manifest as it is: its command goes where power is clean; what was for the cluster alone is named."""

from __future__ import annotations

from pathlib import Path

import msgspec

from heliotrope.run.imports.asked import Asked
from heliotrope.run.imports.document import Value, read, sort_out
from heliotrope.run.imports.kubernetes import fields, pod
from heliotrope.run.imports.kubernetes.values import labels, pairs

MANY = 10_000
QUEUE = "kueue.x-k8s.io/queue-name"
INDEX = "JOB_COMPLETION_INDEX"


def jobs(path: Path) -> list[Asked]:
    """Of every document, and of every item of a List; all of them or none."""
    found = []
    for document in read(path):
        told = document.fields()
        if "kind" in told and told["kind"].says("List", "JobList"):
            whole = sort_out(document, [], taken=frozenset({"apiVersion", "kind", "metadata", "items"}))
            found += [_job(item) for item in (whole["items"].items() if "items" in whole else [])]
        else:
            found.append(_job(document))
    if not found:
        raise document.wrong("no Job in it", allowed="kind: Job")
    return found


def _job(document: Value) -> Asked:
    notes: list[str] = []
    told = document.fields()
    for field, wanted in (("apiVersion", "batch/v1"), ("kind", "Job")):
        if field not in told or not told[field].says(wanted):
            raise told.get(field, document).wrong(f"not a {wanted}", allowed=f"{field}: {wanted}")
    whole = sort_out(
        document,
        notes,
        taken=frozenset({"apiVersion", "kind", "metadata", "spec"}),
        passed={"status": "it is the cluster's word on an earlier run"},
    )
    if "spec" not in whole:
        raise document.wrong("a Job without a spec", allowed="spec: …")
    name, marks = _metadata(whole["metadata"], notes) if "metadata" in whole else ("job", {})
    spec = sort_out(whole["spec"], notes, taken=fields.JOB_TAKEN, passed=fields.JOB_PASSED, refused=fields.JOB_REFUSED)
    if "template" not in spec:
        raise whole["spec"].wrong("a Job without a template", allowed="template: …")
    asked = pod.asked(spec["template"], notes)
    options = dict(asked.options)
    if queue := marks.pop(QUEUE, ""):
        options["kubernetes.queue"] = queue
    if marks:
        options["kubernetes.marks"] = pairs(marks)
    if "suspend" in spec and spec["suspend"].yes() and not queue:
        notes.append(f"{spec['suspend'].path}: it begins when its plan says; nobody need let it go")
    limit_s = asked.limit_s
    if "activeDeadlineSeconds" in spec:
        limit_s = min(float(spec["activeDeadlineSeconds"].whole(1)), limit_s or float("inf"))
    if limit_s is not None:
        notes.append("activeDeadlineSeconds: taken for how long it may take at most; it is not ended then")
    array, indexed = _array(spec, notes)
    return msgspec.structs.replace(
        asked,
        name=name,
        limit_s=limit_s,
        array=array,
        index_variable=INDEX if indexed else "",
        options=options,
        notes=tuple(notes),
    )


def _metadata(metadata: Value, notes: list[str]) -> tuple[str, dict[str, str]]:
    told = sort_out(metadata, notes, taken=frozenset({"name", "generateName", "labels"}), passed=fields.METADATA_PASSED)
    marks = labels(told["labels"], notes) if "labels" in told else {}
    named = told.get("name") or told.get("generateName")
    return named.name().rstrip("-") if named is not None else "job", marks


def _array(spec: dict[str, Value], notes: list[str]) -> tuple[tuple[int, ...], bool]:
    """Each completion is a job of its own. As in Slurm's arrays, a limit on how many run at once is kept by nobody."""
    mode = spec.get("completionMode")
    if mode is not None and not mode.says("Indexed", "NonIndexed"):
        raise mode.wrong("not a completion mode", allowed="Indexed, NonIndexed")
    indexed = mode is not None and mode.says("Indexed")
    at_once = spec["parallelism"].whole(0) if "parallelism" in spec else 1
    if at_once == 0:
        raise spec["parallelism"].wrong("nothing would ever begin", allowed="1 or more")
    if "completions" not in spec:
        if indexed:
            raise (mode or spec["template"]).wrong("Indexed without completions", allowed="completions: 8, say")
        if at_once > MANY:
            raise spec["parallelism"].wrong("too many", allowed=f"up to {MANY}")
        if at_once > 1:
            notes.append(f"{spec['parallelism'].path}: {at_once} jobs, each planned by itself; none ends the others")
        return (tuple(range(at_once)) if at_once > 1 else ()), False
    count = spec["completions"].whole(1)
    if count > MANY:
        raise spec["completions"].wrong("too many", allowed=f"up to {MANY}")
    if at_once < count:
        raise spec.get("parallelism", spec["completions"]).wrong(
            f"{at_once} at once of {count}: no engine here keeps such a limit",
            hint=f"write parallelism: {count}; each site runs as many as it has room for",
        )
    return (tuple(range(count)) if count > 1 or indexed else ()), indexed
