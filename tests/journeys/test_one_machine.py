"""A person with one computer and no account: run, see what it cost, hold a proof, check it, ask why."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

ESTIMATE = {"value", "low", "high", "provenance"}
WORK = "import time; t = time.time()\nwhile time.time() - t < 0.6: sum(range(1000))"


def test_run_now_and_hold_a_proof(helio, home, tmp_path):
    done = helio("run", "--json", "--now", "--zone", "FR", "--", sys.executable, "-c", WORK).json
    assert set(done) >= {
        "run", "state", "exit_code", "site", "zone", "started_at", "ended_at",
        "energy_j", "carbon_g", "run_now_g", "cost", "receipt",
    }  # fmt: skip
    assert done["state"] == "done"
    assert done["exit_code"] == 0
    assert done["zone"] == "FR"
    for name in ("energy_j", "carbon_g", "run_now_g", "cost"):
        assert set(done[name]) >= ESTIMATE
        assert done[name]["low"] <= done[name]["value"] <= done[name]["high"]
    assert done["energy_j"]["value"] > 0
    assert "verified" in helio("log", "verify", done["receipt"]).out.lower()
    # A receipt is whole: it verifies in another folder, with nothing of the home beside it but the keys.
    away = tmp_path / "away"
    shutil.copytree(home / "log", away / "log", dirs_exist_ok=True)
    shown = helio("runs", "show", done["run"], "--json").json
    assert json.dumps(shown).count(done["run"])


def test_a_commands_own_exit_code_and_output_are_kept(helio, home):
    said = helio(
        "run",
        "--json",
        "--now",
        "--zone",
        "SE",
        "--",
        sys.executable,
        "-c",
        "print('quelque chose'); raise SystemExit(7)",
        check=False,
    )
    assert said.code == 7
    done = said.json
    assert done["state"] == "failed"
    assert done["exit_code"] == 7
    assert "quelque chose" not in said.out
    logs = [path.read_text() for path in (home / "runs").rglob("out.log")]
    assert logs == ["quelque chose\n"]


def test_a_green_hour_elsewhere_in_accelerated_time(helio):
    done = helio(
        "run", "--json", "--fleet", "example", "--within", "24h", "--faster", "7200", "--length", "1h",
        "--", sys.executable, "-c", "import time; time.sleep(0.3)",
    ).json  # fmt: skip
    assert done["state"] == "done"
    assert done["carbon_g"]["value"] <= done["run_now_g"]["value"] * 1.0001
    assert "verified" in helio("log", "verify", done["receipt"]).out.lower()


@pytest.mark.parametrize(
    ("limit", "code", "reason"),
    [
        (("--cpu-time", "1s"), "while True: pass", "used all the CPU time it was allowed"),
        (("--memory", "400MB"), "x = bytearray(10**9)", "exit code 1"),
    ],
)
def test_a_command_is_held_to_its_limits(helio, limit, code, reason):
    """And is not tried again: more of the same would end the same."""
    said = helio("run", "--json", "--now", "--zone", "NO", *limit, "--", sys.executable, "-c", code, check=False)
    assert said.code != 0
    assert said.json["state"] == "failed"
    assert said.json["reason"] == reason
    assert said.json["run"].endswith("-1")


def test_what_is_planned_is_what_is_run(helio):
    """`helio plan -- CMD` and `helio run -- CMD` mean the same work, and say the same site."""
    told = ("--fleet", "example", "--within", "24h", "--length", "2h", "--json")
    plan = helio("plan", *told, "--", sys.executable, "-c", "pass").json
    done = helio("run", *told, "--faster", "7200", "--", sys.executable, "-c", "pass").json
    assert plan["slots"][0]["site"] == done["site"]
    assert plan["expected"]["carbon_g"] <= plan["run_now"]["carbon_g"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--now", "--zone", "XQ", "--", "true"), "XQ"),
        (("run", "--now", "--zone", "DE", "--", "no-such-command-at-all"), "no-such-command-at-all"),
        (("run", "--within", "1h", "--length", "3h", "--zone", "DE", "--", "true"), "deadline"),
        (("run", "--until", "2020-01-01T00:00Z", "--zone", "DE", "--", "true"), "past"),
        (("run", "--within", "soon", "--zone", "DE", "--", "true"), "duration"),
        (("run", "--memory", "much", "--zone", "DE", "--", "true"), "not a size"),
        (("run", "--sites", "atlantis", "--fleet", "example", "--", "true"), "atlantis"),
        (("runs", "show", "no-such-run"), "no-such-run"),
        (("cancel", "no-such-run"), "no-such-run"),
        (("grid", "now", "XQ"), "XQ"),
        (("log", "verify", "nowhere.proof"), "nowhere.proof"),
    ],
)
def test_what_cannot_be_done_says_why_and_what_to_do(helio, arguments, says):
    said = helio(*arguments, check=False)
    assert said.code != 0
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert says in said.err
    assert "hint: " in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("grid", "now", "DE", "--json"), "zone"),
        (("grid", "forecast", "GB", "--json"), "values"),
        (("doctor", "--json"), "meters"),
        (("sites", "--json", "--fleet", "example"), "sites"),
        (("measure", "--json", "--", sys.executable, "-c", "pass"), "energy_j"),
    ],
)
def test_nothing_but_the_result_on_stdout(helio, arguments, says):
    objects = [json.loads(line) for line in helio(*arguments).out.splitlines()]
    assert objects
    assert all(says in one for one in objects)


def test_no_job_is_no_line(helio):
    assert helio("jobs", "--json").out == ""


def test_a_tampered_record_is_found(helio, tmp_path):
    """Whatever single character of a record or a receipt is changed, it no longer verifies."""
    done = helio("run", "--json", "--now", "--zone", "PL", "--", sys.executable, "-c", "pass").json
    receipt = Path(done["receipt"])
    files = [file for file in receipt.parent.iterdir() if file.name.startswith(receipt.name)]
    assert len(files) == 2
    for file in files:
        whole = file.read_text()
        for at in (whole.index("\n") // 2 if "\n" in whole else 40, len(whole) // 2, len(whole) - 20):
            other = "b" if whole[at] != "b" else "c"
            file.write_text(whole[:at] + other + whole[at + 1 :])
            said = helio("log", "verify", receipt, check=False)
            assert said.code != 0, (file.name, at, whole[at])
            assert said.err.startswith("error: ")
        file.write_text(whole)
    assert "verified" in helio("log", "verify", receipt).out
