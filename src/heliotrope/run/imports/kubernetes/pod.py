"""The pod of a Job: one container's command, with what it needs and where."""

from __future__ import annotations

import math
from fractions import Fraction

from heliotrope.run.imports.asked import Asked
from heliotrope.run.imports.document import Value, sort_out
from heliotrope.run.imports.kubernetes import fields
from heliotrope.run.imports.kubernetes.values import expanded, labels, pairs, quantity

DEVICES = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe", "habana.ai/gaudi")
# Directories that every place has of its own.
SCRATCH = frozenset({"/tmp", "/dev/shm"})  # noqa: S108  named, not written to


def asked(template: Value, notes: list[str]) -> Asked:
    """Without a name: that is the Job's."""
    whole = sort_out(
        template,
        notes,
        taken=frozenset({"spec"}),
        passed={"metadata": "labels of the Job itself are kept, and given to its pods"},
    )
    if "spec" not in whole:
        raise template.wrong("a template without a spec", allowed="spec: containers: …")
    pod = sort_out(whole["spec"], notes, taken=fields.POD_TAKEN, passed=fields.POD_PASSED, refused=fields.POD_REFUSED)
    _restart(pod, notes)
    containers = pod["containers"].items() if "containers" in pod else []
    if len(containers) != 1:
        where = containers[1] if len(containers) > 1 else whole["spec"]
        raise where.wrong(
            "not one container", found=len(containers), allowed="1: one command is run, measured and proven"
        )
    one = sort_out(
        containers[0],
        notes,
        taken=fields.CONTAINER_TAKEN,
        passed=fields.CONTAINER_PASSED,
        refused=fields.CONTAINER_REFUSED,
    )
    _volumes(pod.get("volumes"), one.get("volumeMounts"), notes)
    variables = _environment(one["env"]) if "env" in one else {}
    options = {}
    if "image" in one:
        options["kubernetes.image"] = one["image"].name()
        notes.append(f"{one['image'].path}: on Kubernetes sites alone; heliotrope must be in it")
    if "nodeSelector" in pod and (chosen := labels(pod["nodeSelector"], notes)):
        options["kubernetes.labels"] = pairs(chosen)
        notes.append(f"{pod['nodeSelector'].path}: on Kubernetes sites alone")
    cpus, memory, devices = _resources(one["resources"], notes) if "resources" in one else (1.0, 0, 0)
    return Asked(
        name="",
        command=_command(containers[0], one, variables),
        cpus=cpus,
        devices=devices,
        memory_bytes=memory,
        limit_s=float(pod["activeDeadlineSeconds"].whole(1)) if "activeDeadlineSeconds" in pod else None,
        directory=one["workingDir"].name() if "workingDir" in one else "",
        environment=variables,
        options=options,
    )


def _restart(pod: dict[str, Value], notes: list[str]) -> None:
    policy = pod.get("restartPolicy")
    if policy is not None and not policy.says("Never", "OnFailure"):
        raise policy.wrong("not for a Job", allowed="Never, OnFailure")
    if policy is not None and policy.says("OnFailure"):
        notes.append(f"{policy.path}: not kept; a command that fails is not tried again")
    system = pod["os"].fields().get("name") if "os" in pod else None
    if system is not None and not system.says("linux"):
        raise system.wrong("only Linux is run", allowed="linux")


def _command(container: Value, one: dict[str, Value], variables: dict[str, str]) -> tuple[str, ...]:
    if "command" not in one or one["command"].empty:
        raise one.get("command", container).wrong(
            "no command",
            cause="what an image runs of itself is known to its registry alone",
            hint="write the image's entry point as command: […]",
        )
    words = one["command"].items() + (one["args"].items() if "args" in one else [])
    command = tuple(expanded(word.text(), variables) for word in words)
    if not command[0]:
        raise words[0].wrong("no command", allowed="a program's name")
    return command


def _environment(env: Value) -> dict[str, str]:
    """In order: a variable may speak of those before it."""
    found: dict[str, str] = {}
    for entry in env.items():
        one = sort_out(
            entry,
            [],
            taken=frozenset({"name", "value"}),
            refused={"valueFrom": "what a Secret, a ConfigMap or the pod's own state holds is not known here"},
        )
        if "name" not in one:
            raise entry.wrong("a variable without a name", allowed="name: …, value: …")
        name = one["name"].name()
        if "=" in name:
            raise one["name"].wrong("not a variable's name", allowed="no = in it")
        found[name] = expanded(one["value"].text(), found) if "value" in one else ""
    return found


def _resources(value: Value, notes: list[str]) -> tuple[float, int, int]:
    """CPUs, bytes of memory and devices. Plans go by the CPUs that are requested and the memory it may not exceed."""
    whole = sort_out(
        value,
        notes,
        taken=frozenset({"requests", "limits"}),
        refused={"claims": "devices are asked for by their number"},
    )
    told = {side: whole[side].fields() if side in whole else {} for side in ("requests", "limits")}
    both = told["limits"] | told["requests"]
    for name, one in both.items():
        if name == "ephemeral-storage":
            notes.append(f"{one.path}: not kept; disk is not planned")
        elif name not in {"cpu", "memory", *DEVICES}:
            raise one.wrong(
                "nothing here can keep this", allowed=f"cpu, memory, {', '.join(DEVICES)}", found=one.scalar()
            )
    cpu = quantity(both["cpu"]) if "cpu" in both else Fraction(1)
    if "cpu" in told["limits"]:
        if quantity(told["limits"]["cpu"]) > cpu:
            notes.append(f"{told['limits']['cpu'].path}: not kept; it is planned with the CPUs that it requests")
        elif quantity(told["limits"]["cpu"]) < cpu:
            raise told["limits"]["cpu"].wrong("less than is requested", allowed=f"{float(cpu):g} or more")
    if cpu == 0:
        raise both["cpu"].wrong("work needs some CPU", allowed="more than 0")
    memory = told["limits"].get("memory") or told["requests"].get("memory")
    if memory is not None and "memory" not in told["limits"]:
        notes.append(f"{memory.path}: taken for its limit, too")
    return float(cpu), math.ceil(quantity(memory)) if memory is not None else 0, _devices(both, notes)


def _devices(both: dict[str, Value], notes: list[str]) -> int:
    asked_for = [both[name] for name in DEVICES if name in both]
    if not asked_for:
        return 0
    if len(asked_for) > 1:
        raise asked_for[1].wrong("devices of two kinds", allowed="one kind a job")
    count = quantity(asked_for[0])
    if count.denominator != 1 or count > 1 << 20:
        raise asked_for[0].wrong("not a number of devices", allowed="0, 1, 2 …")
    if DEVICES[0] not in both:
        notes.append(f"{asked_for[0].path}: counted as devices; each site says which kind it has")
    return int(count)


def _volumes(volumes: Value | None, mounts: Value | None, notes: list[str]) -> None:
    """Only what is empty at first, and lies where every place has room of its own, can be left out."""
    scratch = set()
    for volume in volumes.items() if volumes is not None else []:
        told = volume.fields()
        if set(told) != {"name", "emptyDir"}:
            kind = next((key for key in told if key != "name"), "nothing")
            raise volume.wrong(
                "nothing here can mount this",
                found=kind,
                cause="work sees the directory that its site shares, at the same path everywhere",
                hint="put its data there, and name it by its path",
            )
        scratch.add(told["name"].name())
    for mount in mounts.items() if mounts is not None else []:
        told = mount.fields()
        path = told["mountPath"].text().rstrip("/") if "mountPath" in told else ""
        if "name" not in told or not told["name"].says(*scratch) or path not in SCRATCH:
            raise mount.wrong(
                "nothing here can mount this", found=path, allowed=f"an emptyDir at {' or '.join(sorted(SCRATCH))}"
            )
        notes.append(f"{mount.path}: the node's own {path}, without a limit of its own")
