"""MultiKueue's external dispatcher: says which clusters a workload that waits for one may go to, the cleanest first.

The manager's Kueue config names it (`multiKueue.dispatcherName: heliotrope.org/cleanest`). Sites of the fleet are the
manager's MultiKueueClusters, by their names. Level-triggered: what was nominated stands in the workload itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from heliotrope.errors import Infeasible
from heliotrope.model import Length, Resources, Workload, WorkloadKind
from heliotrope.run.desk import Desk
from heliotrope.run.engines.kubernetes import KubeApi
from heliotrope.units import from_epoch

WORKLOADS = "/apis/kueue.x-k8s.io/v1beta1/workloads"
ONE = "/apis/kueue.x-k8s.io/v1beta1/namespaces/{namespace}/workloads/{name}/status"
PATIENCE_S = 300.0  # that one cluster is given to admit it, before the next may, too
MOST = 10  # Kueue takes no more names
UNKNOWN_S = 3600.0  # a workload that says nothing of its length is judged by the carbon of its next hour
DEVICES = ("/gpu", "/gaudi", "/tpu", "/neuron")


class Waiting(msgspec.Struct, frozen=True):
    """A workload with its quota reserved at the manager since `since_s`, and no cluster yet."""

    namespace: str
    name: str
    since_s: float
    length_s: float
    cpus: float
    devices: int
    nominated: tuple[str, ...]


class Nominated(msgspec.Struct, frozen=True):
    """`carbon_g`: what its requests are expected to emit at each, from now on."""

    namespace: str
    name: str
    clusters: tuple[str, ...]
    carbon_g: dict[str, float]


class Dispatcher:
    def __init__(self, desk: Desk, api: KubeApi) -> None:
        self.desk, self.api = desk, api

    def step(self, now_s: float) -> list[Nominated]:
        """One look at all workloads; what it changed."""
        changed = []
        for told in self.api.ask("GET", WORKLOADS)["items"]:
            one = waiting(told)
            if one is None:
                continue
            carbon_g = self._carbon_g(one, now_s)
            order = sorted(carbon_g, key=lambda site: (carbon_g[site], site))
            clusters = nominated(order, now_s - one.since_s)
            if clusters != one.nominated:
                path = ONE.format(namespace=one.namespace, name=one.name)
                self.api.merge(path, {"status": {"nominatedClusterNames": clusters}})
                changed.append(Nominated(one.namespace, one.name, clusters, carbon_g))
        return changed

    def _carbon_g(self, one: Waiting, now_s: float) -> dict[str, float]:
        """Of every site that would do, were it begun there now."""
        found = {}
        for site in self.desk.fleet.sites:
            work = Workload(
                id=f"{one.namespace}/{one.name}",
                kind=WorkloadKind.BATCH,
                command=("true",),
                submitted_at=from_epoch(now_s),
                length=Length.known(one.length_s),
                resources=Resources(cpus=one.cpus, devices=one.devices),
                sites=(site.name,),
            )
            try:
                plan, _ = self.desk.plan(work, now_s, self.desk.fleet, at_once=True)
            except Infeasible:
                continue
            found[site.name] = plan.expected.carbon_g
        return found


def nominated(order: list[str], waited_s: float) -> tuple[str, ...]:
    """The first admits it or, after a while, the first two may, and so on: clean, but never stuck."""
    return tuple(order[: min(MOST, 1 + max(0, int(waited_s // PATIENCE_S)))])


def waiting(told: dict[str, Any]) -> Waiting | None:
    """None where it has a cluster, has no quota yet, or is over."""
    status, spec = told.get("status", {}), told["spec"]
    holds = {one["type"]: one for one in status.get("conditions", []) if one["status"] == "True"}
    if "QuotaReserved" not in holds or "Finished" in holds or status.get("clusterName"):
        return None
    cpus, devices = 0.0, 0
    for pods in spec.get("podSets", []):
        for container in pods["template"]["spec"].get("containers", []):
            asked = container.get("resources", {}).get("requests", {})
            cpus += pods.get("count", 1) * _cpus(str(asked.get("cpu", "0")))
            devices += pods.get("count", 1) * sum(int(n) for key, n in asked.items() if key.endswith(DEVICES))
    return Waiting(
        told["metadata"]["namespace"],
        told["metadata"]["name"],
        datetime.fromisoformat(holds["QuotaReserved"]["lastTransitionTime"]).timestamp(),
        float(spec.get("maximumExecutionTimeSeconds") or UNKNOWN_S),
        max(cpus, 0.001),
        devices,
        tuple(status.get("nominatedClusterNames", ())),
    )


def _cpus(text: str) -> float:
    """An API server gives them back in its own form: whole, or thousandths."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
