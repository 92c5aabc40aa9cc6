"""`helio run` in people's hands: Ctrl-C, somebody else's controller, what is told and what is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")


@pytest.fixture
def start(home):
    """`start("run", …)`: a `helio` that is under way."""
    begun = []

    def go(*args):
        begun.append(
            subprocess.Popen(
                # A shell's background jobs ignore Ctrl-C, and so would what is tested here.
                ["env", "--default-signal=INT", sys.executable, "-m", "heliotrope", *map(str, args)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"HELIO_HOME": str(home)},
                start_new_session=True,
            )
        )
        return begun[-1]

    yield go
    for one in begun:
        if one.poll() is None:
            one.kill()
        one.communicate()


def ended(one):
    out, err = one.communicate(timeout=60)
    assert "Traceback" not in err, err
    return one.returncode, out, err


def written(path, *, within_s=30.0):
    deadline = time.monotonic() + within_s
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_cancels_and_still_tells_what_it_used(start, tmp_path):
    code = f"import time; open({str(tmp_path / 'began')!r}, 'w').close(); time.sleep(300)"
    one = start("run", "--json", "--now", "--zone", "FR", "--", *PYTHON, code)
    written(tmp_path / "began")
    one.send_signal(signal.SIGINT)
    code, out, err = ended(one)
    assert code == 128 + signal.SIGTERM
    assert "cancelling" in err
    said = json.loads(out)
    assert said["state"] == "cancelled"
    assert Path(said["receipt"]).exists()


def test_a_second_ctrl_c_leaves_it_to_itself_and_the_next_command_ends_it(start, tmp_path):
    code = (
        f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"open({str(tmp_path / 'began')!r}, 'w').close(); time.sleep(300)"
    )
    one = start("run", "--json", "--now", "--zone", "FR", "--", *PYTHON, code)
    written(tmp_path / "began")
    one.send_signal(signal.SIGINT)
    time.sleep(1.5)
    one.send_signal(signal.SIGINT)
    code, out, err = ended(one)
    assert code == 130
    assert out == ""
    assert "left to itself" in err
    (job,) = [json.loads(line) for line in ended(start("jobs", "--json"))[1].splitlines()]
    assert job["state"] == "cancelling"
    assert json.loads(ended(start("cancel", "--json", job["workload"]))[1])["state"] == "cancelled"


def test_submitted_and_followed_by_a_controller_that_is_up(start, tmp_path):
    up = start("up", "--json", "--zone", "DE", "--port", "0")
    json.loads(up.stdout.readline())
    accepted = json.loads(ended(start("run", "--json", "--detach", "--now", "--zone", "DE", "--", *PYTHON, "pass"))[1])
    code, out, _ = ended(start("run", "--json", "--now", "--zone", "DE", "--", *PYTHON, "raise SystemExit(4)"))
    assert code == 4
    assert json.loads(out)["state"] == "failed"
    deadline = time.monotonic() + 30
    while (shown := json.loads(ended(start("runs", "show", "--json", accepted["job"]))[1]))["state"] != "done":
        assert time.monotonic() < deadline, shown
    up.send_signal(signal.SIGINT)
    assert ended(up)[0] == 0


def test_secrets_of_the_environment_are_shown_to_nobody(start, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hunter-two")
    said = json.loads(ended(start("run", "--json", "--now", "--zone", "DE", "--", *PYTHON, "pass"))[1])
    for words in (("runs", "show", "--json", said["run"]), ("runs", "show", said["run"]), ("jobs", "--json")):
        assert "hunter-two" not in ended(start(*words))[1]
    for path in Path(said["receipt"]).parent.iterdir():
        assert b"hunter-two" not in path.read_bytes()


def test_a_length_that_nobody_told_is_said_and_then_remembered(start):
    words = ("run", "--now", "--zone", "DE", "--", *PYTHON, "import time; time.sleep(0.2)")
    assert "length unknown" in ended(start(*words))[2]
    assert "length unknown" not in ended(start(*words))[2]


def test_a_fast_clock_is_written_on_what_it_made(start):
    said = json.loads(
        ended(start("run", "--json", "--now", "--zone", "DE", "--faster", "3600", "--", *PYTHON, "pass"))[1]
    )
    assert said["clock_factor"] == 3600
    assert any("3600 times as fast" in flag for flag in said["flags"])


def test_an_auditor_who_computes_it_all_again_agrees(start, tmp_path):
    """Real and fast time, at home and away, done, failed and lost: each record follows from its evidence."""
    work = "t = 0\nfor i in range(300000): t += i"
    begun = [
        start("run", "--now", "--zone", "PL", "--", *PYTHON, work),
        start("run", "--now", "--zone", "DE", "--", *PYTHON, work + "\nraise SystemExit(2)"),
    ]
    away = ("run", "--fleet", "example", "--within", "24h", "--length", "1h", "--faster", "7200", "--")
    once = f"import os, signal; p = {str(tmp_path / 'x')!r}\nif not os.path.exists(p): open(p, 'w'); os.kill(os.getpid(), 9)"
    begun += [start(*away, *PYTHON, work), start(*away, *PYTHON, work + "\n" + once)]
    for one in begun:
        ended(one)
    assert sorted(json.loads(line)["attempt"] for line in ended(start("jobs", "--json"))[1].splitlines()) == [
        1,
        1,
        1,
        2,
    ]
    serve = start("log", "serve", "--records", "--json")
    url = json.loads(serve.stdout.readline())["url"]
    seen = json.loads(ended(start("log", "audit", url, "--json", "--home", tmp_path / "auditor"))[1])
    assert (seen["judged"], seen["agreed"], seen["disagreements"]) == (9, 9, [])


def test_a_speedup_widens_it_and_the_command_is_told(start, home):
    one = start(
        "run",
        "--zone",
        "DE",
        "--now",
        "--length",
        "2s",
        "--speedup",
        "1,1.9",
        "--",
        "sh",
        "-c",
        "echo width=$HELIO_WIDTH",
    )
    one.communicate(timeout=60)
    assert one.returncode == 0
    said = next(home.glob("runs/*/0/out.log")).read_text()
    assert said in {"width=1\n", "width=2\n"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--speedup", "2,3"], "1 first"),
        (["--speedup", "1,fast"], "not a speed-up curve"),
        (["--late", "5"], "--within or --until"),
        (["--late", "-1", "--within", "9h"], "not a price"),
    ],
)
def test_wrong_words_about_width_and_lateness_are_told(start, words, told):
    one = start("run", *words, "--", "true")
    _, said = one.communicate(timeout=60)
    assert one.returncode == 2 or one.returncode == 1
    assert told in said
    assert "Traceback" not in said
