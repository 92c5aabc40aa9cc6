"""A person measures a command: children counted, exit code and signals passed on, nothing lost to a kill."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

ONE = f"{sys.executable} -c 'import time\nwhile time.process_time() < 0.8: pass'"
BURN = "import time\nwhile time.process_time() < {s}: pass"


def helio(*args, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "heliotrope", "measure", *args], capture_output=True, text=True, check=False, **kwargs
    )


def burn(seconds):
    return [sys.executable, "-c", BURN.format(s=seconds)]


@functools.cache
def joules_of_one():
    return json.loads(helio("--json", "--", "sh", "-c", ONE).stdout)["energy_j"]["value"]


def test_one_object_on_stdout_and_the_exit_code_is_the_commands(home):
    done = helio("--json", "--", sys.executable, "-c", "print('mine'); raise SystemExit(7)")
    assert done.returncode == 7
    mine, result = done.stdout.splitlines()
    assert mine == "mine"
    result = json.loads(result)
    assert result["exit_code"] == 7
    assert set(result["energy_j"]) == {"value", "low", "high", "provenance"}
    assert {"energy_j", "carbon_g", "duration_s", "exit_code", "meters", "flags", "journal"} <= set(result)
    assert any("unknown place" in flag for flag in result["flags"])


def test_the_summary_is_on_stderr(home):
    done = helio("--", "true")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "energy" in done.stderr


def test_a_known_zone_is_used(home):
    home.mkdir()
    (home / "config.toml").write_text('zone = "FR"\n')
    result = json.loads(helio("--json", "--", *burn(0.3)).stdout)
    assert not any("unknown place" in flag for flag in result["flags"])
    assert result["carbon_operational_g"]["value"] > 0


def test_energy_follows_the_work_not_the_waiting(home):
    work = json.loads(helio("--json", "--", *burn(1.0)).stdout)
    wait = json.loads(helio("--json", "--", "sleep", "1").stdout)
    assert work["energy_j"]["value"] > 5 * wait["energy_j"]["value"]


@pytest.mark.parametrize(
    "shape",
    [
        "{burn} & {burn} & wait",
        "(({burn}; touch {done}) &) ; while [ ! -e {done} ]; do sleep 0.1; done",  # its parent ends at once
        "{burn}; {burn}",
        "setsid sh -c '{inner} & {inner} & wait' & wait",
    ],
)
def test_children_are_counted_however_they_were_begun(home, tmp_path, shape):
    one, inner = ONE, ONE.replace("'", '"')
    both = json.loads(
        helio("--json", "--", "sh", "-c", shape.format(burn=one, inner=inner, done=tmp_path / "done")).stdout
    )
    times = 1 if "touch" in shape else 2
    assert both["energy_j"]["value"] == pytest.approx(times * joules_of_one(), rel=0.25)


def test_many_short_children_are_counted(home):
    """Each lives less than an interval: they are known only by what their parent collected for them."""
    script = "i=0; while [ $i -lt 40 ]; do " + f"{sys.executable} -S -c 'sum(range(10**6))'; i=$((i+1)); done"
    done = helio("--json", "--interval", "0.5", "--", "sh", "-c", f"{script}; cut -d' ' -f16,17 /proc/$$/stat")
    ticks = sum(int(part) for part in done.stdout.splitlines()[0].split())
    result = json.loads(done.stdout.splitlines()[-1])
    cpu = next(meter for meter in result["meters"] if meter["domain"] == "cpu")
    alone = json.loads(helio("--json", "--", *burn(1.0)).stdout)
    joules_per_s = next(m for m in alone["meters"] if m["domain"] == "cpu")["energy_j"] / 1.0
    assert cpu["energy_j"] / joules_per_s == pytest.approx(ticks / os.sysconf("SC_CLK_TCK"), rel=0.2)


def test_a_signal_is_passed_on_and_the_exit_code_tells_of_it(home):
    child = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "measure", "--json", "--", "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout.readline() == "up\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGTERM)
    rest = child.stdout.read()
    assert child.wait(timeout=20) == 5
    assert json.loads(rest)["exit_code"] == 5
    child.stdout.close()


def test_ctrl_c_reaches_the_command_and_the_sum_is_still_told(home):
    child = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "measure", "--json", "--", "sh", "-c", "echo up; sleep 30"],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert child.stdout.readline() == "up\n"
    time.sleep(0.5)
    os.killpg(child.pid, signal.SIGINT)
    rest = child.stdout.read()
    assert child.wait(timeout=20) == 130
    assert json.loads(rest)["exit_code"] == 130
    child.stdout.close()


def test_a_command_that_is_not_there(home):
    done = helio("--", "no-such-command-at-all")
    assert done.returncode == 2
    assert "no such command" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_journal_that_is_there_is_not_written_over(home, tmp_path):
    journal = tmp_path / "j.jsonl"
    assert helio("--journal", str(journal), "--", "true").returncode == 0
    kept = journal.read_bytes()
    done = helio("--journal", str(journal), "--", "true")
    assert done.returncode == 2
    assert "already" in done.stderr
    assert journal.read_bytes() == kept


def test_what_was_sampled_is_there_after_a_kill(home, tmp_path):
    journal = tmp_path / "j.jsonl"
    child = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "measure", "--interval", "0.1", "--journal", str(journal), "--", *burn(20)],
        start_new_session=True,
    )  # fmt: skip
    time.sleep(2.5)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    done = helio("--recover", str(journal), "--json")
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert result["energy_j"]["value"] > 0
    assert any("cut off" in flag for flag in result["flags"])


def test_nothing_asked(home):
    done = helio()
    assert done.returncode == 2
    assert "helio measure -- CMD" in done.stderr


def test_prometheus_may_look_while_it_runs(home):
    child = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "measure", "--json", "--metrics", "0", "--", *burn(1.5)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    address = child.stderr.readline().split()[-1]
    time.sleep(1.2)
    with urllib.request.urlopen(address, timeout=10) as page:
        text = page.read().decode()
    out, _ = child.communicate(timeout=60)
    numbers = dict(re.findall(r"^(heliotrope_\w+)\{name=[^,\n]*\} (\S+)$", text, re.MULTILINE))
    assert 0 < float(numbers["heliotrope_joules_total"]) < json.loads(out)["energy_j"]["value"]
    assert float(numbers["heliotrope_watts"]) > 0
    assert float(numbers["heliotrope_grams_total"]) > 0


def test_a_port_that_is_no_port_or_is_taken(home):
    assert "PORT or HOST:PORT" in helio("--metrics", "here", "--", "true").stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = helio("--metrics", str(taken.getsockname()[1]), "--", "echo", "ran")
    assert done.returncode == 2
    assert "cannot serve metrics" in done.stderr
    assert "ran" not in done.stdout


def test_no_socket_is_opened_unasked(home, tmp_path):
    """Traced from within: every socket, look-up and connection that the interpreter of `helio measure` makes."""
    script = (
        "import sys\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, _: seen.append(event) if event.startswith('socket.') else None)\n"
        "from heliotrope.cli import main\n"
        "sys.argv = ['helio', 'measure', '--interval', '0.1', '--', 'sleep', '0.4']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "sys.stdout.write(repr(seen))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]"
    assert "energy" in done.stderr
