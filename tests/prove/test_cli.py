"""`helio log` as people and scripts use it."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

import pytest

import forked


@pytest.fixture
def helio(home):
    return functools.partial(forked.run, "log")


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_the_story_of_a_log(helio, tmp_path):
    done = helio("append", "--stdin", "--json", stdin="".join(f'{{"n":{i}}}\n' for i in range(300)))
    assert lines(done.stdout) == [{"index": i} for i in range(300)]

    checked = json.loads(helio("verify", "--all", "--json").stdout)
    assert (checked["entries"], checked["records"], checked["erased"]) == (300, 300, 0)

    out = tmp_path / "r.tlog-proof"
    assert json.loads(helio("receipt", "7", "--out", out, "--json").stdout)["index"] == 7
    verdict = json.loads(helio("verify", out, "--json").stdout)
    assert verdict["verified"] is True
    assert verdict["statement"]["predicate"]["entry"] == {"n": 7}

    exported = tmp_path / "copy of the log"
    assert json.loads(helio("export", exported, "--json").stdout)["size"] == 300
    assert {p.name for p in exported.iterdir()} == {"checkpoint", "tile", "vkeys", "parties"}
    assert (exported / "tile/entries/000").stat().st_size > 256 * 100
    assert all(line.split()[0] == "log" for line in (exported / "vkeys").read_text().splitlines())
    helio("verify", out, "--vkeys", exported / "vkeys")

    shown = lines(helio("show", "--last", "2", "--json").stdout)
    assert [row["index"] for row in shown] == [299, 298]
    assert json.loads(helio("show", "3").stdout)["predicate"]["entry"] == {"n": 3}


def test_each_line_is_acknowledged_in_order_whatever_it_holds(helio):
    stdin = '{"a":1.5}\n\n[]\n"é\U0001f600"\n{"é":2}\nnull'
    assert lines(helio("append", "--stdin", "--json", stdin=stdin).stdout) == [{"index": i} for i in range(5)]
    assert json.loads(helio("show", "0").stdout)["predicate"]["entry"] == {"a": 1.5}
    helio("verify", "--all")


def test_a_bad_line_is_named_and_what_came_before_is_kept(helio):
    done = helio("append", "--stdin", "--json", stdin='{"n":1}\n{"n":2}\nnonsense\n{"n":3}\n', code=2)
    assert len(lines(done.stdout)) == 2
    assert "error: stdin:3: not a line of JSON" in done.stderr
    assert json.loads(helio("verify", "--all", "--json").stdout)["entries"] == 2


@pytest.mark.parametrize("depth", [101, 60_000])
def test_a_line_nested_without_end_is_named(helio, depth):
    """Also where a library has lifted the bound on recursion, as it has in the process that these are forked from."""
    said = helio("append", "--stdin", stdin=f'{{"n":1}}\n{"[" * depth}1.5{"]" * depth}\n', code=2)
    assert said.stdout == "0\n"
    assert "error: stdin:2: not a line of JSON" in said.stderr
    helio("verify", "--all")


def test_a_line_is_acknowledged_without_waiting_for_the_next(home):
    with subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "log", "append", "--stdin", "--json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        for i in range(3):
            process.stdin.write(f'{{"n":{i}}}\n')
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == {"index": i}
        process.stdin.close()
        assert process.wait() == 0


def test_bursts_are_acknowledged_whole_before_anything_more_is_said(home):
    """Long enough for other processes to sign; each burst must be durable while the writer has nothing else to do."""
    with subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "log", "append", "--stdin", "--json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        done = 0
        for size in (300, 1, 700, 187, 40, 1000):
            process.stdin.write("".join(f'{{"n":{done + i},"pad":"{"x" * 100}"}}\n' for i in range(size)))
            process.stdin.flush()
            for _ in range(size):
                assert json.loads(process.stdout.readline()) == {"index": done}
                done += 1
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("verify",), 2, "a RECEIPT, or --all"),
        (("verify", "nowhere"), 4, "no keys to check"),
        (("append",), 2, "stdin"),
        (("receipt", "nobody"), 2, "no run record of nobody"),
        (("show", "5"), 4, "no entry 5"),
        (("frobnicate",), 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_said(helio, args, code, says):
    done = helio(*args, code=code)
    assert done.stdout == ""
    assert says in done.stderr


def test_a_tampered_receipt_exits_with_four(helio, tmp_path):
    helio("append", "--stdin", stdin='{"n":1}\n{"n":2}\n')
    out = tmp_path / "r.tlog-proof"
    helio("receipt", "0", "--out", out)
    out.write_text(out.read_text().replace("index 0", "index 1"))
    done = helio("verify", out, code=4)
    assert done.stdout == ""
    assert "error: the inclusion proof leads to another root" in done.stderr
