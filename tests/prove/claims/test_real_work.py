"""Real runs under a programme, from submission to a minted claim: nobody tells the log what they emitted."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from heliotrope.cli.root import helio
from heliotrope.config import load
from heliotrope.measure.records.journal import Journal
from heliotrope.measure.sampling.recorder import Sample
from heliotrope.measure.share.attribution import Part
from heliotrope.model import Provenance
from heliotrope.run import Controller
from heliotrope.run.views import run_view
from heliotrope.units import from_epoch
from work_stories import work

NAME = "cleaner places"
POWER_W = 2_500_000.0

FLEET = """
home = "gdansk"

[[site]]
name = "gdansk"
zone = "PL"
emulated = true

[[site]]
name = "lulea"
zone = "SE"
emulated = true
"""

# Both kinds are stated, so that the smaller of two savings can be known without asking anybody.
CONFIG = """
fleet = "{home}/fleet.toml"

[measure]
meters = ["replay:{home}/hall.jsonl"]
interval_s = 0.05

[claims]
programme = "{name}"

[grid]
providers = ["constant", "model"]

[grid.options.constant]
"carbon/average/lifecycle" = {{ PL = 700.0, SE = 30.0 }}
"carbon/marginal/direct" = {{ PL = 800.0, SE = 200.0 }}
"""


def say(*words):
    result = CliRunner().invoke(helio, [*map(str, words), "--json"], standalone_mode=False)
    if result.exception:
        raise result.exception
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture
def controller(home):
    """A machine hall's meter, played back: a laptop's joules would not pay for the claim's own record keeping."""
    home.mkdir(exist_ok=True)
    journal = Journal(home / "hall.jsonl", "hall", 0.0, 1.0)
    ours = Part(POWER_W / 2, 0.0, POWER_W, POWER_W / 4, POWER_W / 4)
    for second in range(60):
        journal.lap(second, second + 1.0, (Sample("hall", "node", Provenance.MEASURED, True, ours),), ())
    journal.close(60.0, 30 * POWER_W)
    (home / "fleet.toml").write_text(FLEET, encoding="utf-8")
    (home / "config.toml").write_text(CONFIG.format(home=home, name=NAME), encoding="utf-8")
    say("claims", "declare", NAME, "--leakage", 2, "--reason", "nobody else wanted those sites", "--holdout", 50)
    made = Controller(load(home=str(home)))
    yield made
    made.close()


def busy(name):
    return work(name, "sum(range(3_000_000))", length_s=1.0, within_s=86_400)


def drawn(controller, name):
    said = {event.name: event.text for event in run_view(controller.store, name).events}
    return said["drawn"].startswith("held out")


@pytest.mark.slow
def test_thirty_real_runs_earn_a_claim(controller):
    start_s = int(time.time())
    held = []
    while not (sum(held) >= 11 and len(held) >= 30) and len(held) < 80:
        controller.submit(busy(f"w{len(held)}"))
        held.append(drawn(controller, f"w{len(held)}"))
    controller.lead()
    for i in range(len(held)):
        controller.follow(f"w{i}", lambda *_: None)

    found = say("claims", "estimate", NAME)
    assert (found["held_out"], found["shifted"], found["waiting"]) == (sum(held), len(held) - sum(held), 0)
    assert (found["late"], found["unfinished"]) == (0, 0)
    assert found["marginal"]["low_g"] < found["average"]["low_g"]
    assert found["grams"] > 0, found

    period = ("--from", from_epoch(start_s).isoformat(), "--to", from_epoch(int(time.time())).isoformat())
    minted = say("claims", "mint", NAME, *period)
    assert minted["state"] == "minted"
    assert minted["grams"] == found["grams"]
    assert "private to this home" in minted["flag"]
    assert say("log", "verify", "--all")["records"] >= 5 * len(held)
