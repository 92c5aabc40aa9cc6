"""What only a real Ray cluster can show: its token, its nodes' labels, a job that is stopped by somebody else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from heliotrope.errors import EngineRefused, InvalidInput
from heliotrope.run import engines
from heliotrope.run.engines.queued import name_of
from heliotrope.run.engines.settings import pairs
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Folder
from services.raycluster import HEAD, WORKER

ENGINES = ("ray",)


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_without_its_token_nobody_gets_in(ray_cluster, task):
    stranger = engines.engine("ray", url=ray_cluster.url)
    one = task("print('ran')")
    with pytest.raises(EngineRefused, match="401"):
        stranger.look(name_of(one.handle), 0.0)


def test_labels_choose_the_node_and_watts_its_share(engine, task, until):
    edge = task("print('ran')", options={"ray.labels": "tier=edge"})
    head = task("print('ran')", power_w=900.0)
    for one in (edge, head):
        engine.launch(one)
    for one in (edge, head):
        assert until(engine, one, Seen.EXITED, within_s=120).code == 0
    ran_at = [
        engine._ask("GET", f"/api/jobs/{name_of(one.handle)}")["driver_agent_http_address"] for one in (edge, head)
    ]
    assert [urlsplit(address).hostname for address in ran_at] == [WORKER, HEAD]
    too_much = task("print('ran')", power_w=5000.0)
    engine.launch(too_much)
    assert engine.observe(too_much.handle).seen is Seen.QUEUED
    engine.save(too_much.handle)
    assert until(engine, too_much, Seen.EXITED, within_s=60).code != 0


def test_who_is_stopped_in_ray_fails_and_says_so(engine, task, until):
    one = task("import time; time.sleep(600)")
    engine.launch(one)
    until(engine, one, Seen.ALIVE, within_s=60)
    engine.cancel(name_of(one.handle))
    assert "stopped" in until(engine, one, Seen.EXITED, within_s=60).why


def test_one_name_is_one_job(engine, task, until):
    one = task("print('ran')")
    engine.launch(one)
    (Path(one.handle) / "sent.json").unlink()
    engine.submit(name_of(one.handle), one)
    engine.launch(one)
    assert until(engine, one, Seen.EXITED, within_s=60).code == 0
    assert Folder(Path(one.handle)).out.read_text() == "ran\n"


def test_what_is_no_address_or_no_label_is_named():
    with pytest.raises(InvalidInput, match=r"engine_options.url: not an address"):
        engines.engine("ray", url="localhost")
    with pytest.raises(InvalidInput, match=r"engine_options.labels: not labels"):
        pairs("tier", "labels")
