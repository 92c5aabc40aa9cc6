"""What Kubernetes adds: a Job as its API server wants it, Kueue's queue, quotas, tokens. The server is a stateful mock."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliotrope.errors import EngineError, EngineRefused, InvalidInput
from heliotrope.run import engines
from heliotrope.run.engines.kubernetes import KubernetesSettings, job_of, manifest
from heliotrope.run.engines.queued import Phase, name_of
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Folder

ENGINES = ("kubernetes",)
SITE = KubernetesSettings(image="ours:1", claim="shared", power_resource="example.org/watts", labels="zone=a")


def test_a_job_says_all_that_the_work_needs(task):
    one = task("", cpus=2.5, devices=2, width=2, memory_bytes=1 << 30, power_w=350.2)
    told = manifest("helio-1", one, SITE)
    pod = told["spec"]["template"]["spec"]
    assert told["spec"]["backoffLimit"] == 0
    assert told["spec"]["suspend"] is False
    assert pod["nodeSelector"] == {"zone": "a"}
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "5", "memory": "1073741824", "nvidia.com/gpu": "4", "example.org/watts": "701"},
        "limits": {"nvidia.com/gpu": "4", "example.org/watts": "701"},
    }
    assert pod["volumes"] == [{"name": "home", "persistentVolumeClaim": {"claimName": "shared"}}]


def test_in_a_queue_it_waits_for_kueue_to_let_it_go(kube, engine, task, until, out):
    one = task("print('ran')", options={"kubernetes.queue": "green"})
    engine.launch(one)
    job = kube.jobs[name_of(one.handle)]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "green"
    assert until(engine, one, Seen.QUEUED).why == "waits for Kueue"
    job["spec"]["suspend"] = False
    assert until(engine, one, Seen.EXITED).code == 0
    assert out(one) == "ran\n"


def test_what_is_taken_out_of_the_queue_never_begins(kube, engine, task, until):
    one = task("print('ran')", options={"kubernetes.queue": "green"})
    engine.launch(one)
    engine.save(one.handle)
    assert until(engine, one, Seen.EXITED).code == -15
    assert Folder(Path(one.handle)).began is None


def test_a_full_quota_passes_and_a_wrong_token_does_not(kube, engine, task, until, monkeypatch):
    one = task("")
    monkeypatch.setattr(kube, "quota", 0)
    with pytest.raises(EngineError, match="quota is used up") as caught:
        engine.launch(one)
    assert not isinstance(caught.value, EngineRefused)
    monkeypatch.setattr(kube, "quota", 1000)
    engine.launch(one)
    assert until(engine, one, Seen.EXITED).code == 0
    two = task("")
    with monkeypatch.context() as stranger:
        stranger.setenv("KUBERNETES_TOKEN", "guessed")
        engine.launch(two)
    sight = engine.observe(two.handle)
    assert (sight.seen, "401" in sight.why) == (Seen.EXITED, True)


def test_one_name_is_one_job(kube, engine, task, until, out):
    one = task("print('ran')")
    engine.launch(one)
    (Path(one.handle) / "sent.json").unlink()
    engine.submit(name_of(one.handle), one)
    engine.launch(one)
    assert until(engine, one, Seen.EXITED).code == 0
    assert out(one) == "ran\n"


@pytest.mark.parametrize(
    ("status", "suspend", "deleted", "phase"),
    [
        ({}, True, False, Phase.HELD),
        ({}, False, False, Phase.QUEUED),
        ({"active": 1, "ready": 0}, False, False, Phase.QUEUED),
        ({"active": 1, "ready": 1}, False, False, Phase.ACTIVE),
        ({"active": 0}, False, True, Phase.ACTIVE),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, False, False, Phase.ENDED),
        ({"conditions": [{"type": "Failed", "status": "False"}], "ready": 1}, False, False, Phase.ACTIVE),
    ],
)
def test_how_a_job_stands(status, suspend, deleted, phase):
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    told = {"metadata": metadata, "spec": {"suspend": suspend}, "status": status}
    assert job_of("j", told, queued=False).phase is phase


def test_what_it_needs_is_asked_for():
    with pytest.raises(InvalidInput, match=r"engine_options.image: an image"):
        engines.engine("kubernetes", url="http://127.0.0.1:1")
