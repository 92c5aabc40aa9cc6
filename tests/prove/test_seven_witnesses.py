"""The whole arrangement as real processes on loopback: seven witnesses, three auditors, one dead, one cheating."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import forked
from heliotrope.config import ProveSettings
from heliotrope.errors import SplitView
from heliotrope.prove import Ledger, plan_statement
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note, SecretKey
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.records.receipt import record_path
from heliotrope.store import Store
from prove_stories import PLAN, WORKLOAD, half, story

WITNESSES = 7
QUORUM = 5

# A witness that signs whatever it is shown, and remembers nothing.
CHEAT = """
import socket, sys, time
from aiohttp import web
from heliotrope.prove.formats.note import SecretKey
from heliotrope.prove.witness.protocol import Request

secret = SecretKey.parse(sys.argv[1])
listening = socket.socket()
listening.bind(("127.0.0.1", 0))

async def sign(request):
    note = Request.parse(await request.read()).checkpoint
    return web.Response(text=str(secret.sign(note.text, time_s=int(time.time()))))

async def announce(app):
    print('{"url": "http://127.0.0.1:%d"}' % listening.getsockname()[1], flush=True)

app = web.Application()
app.router.add_post("/add-checkpoint", sign)
app.on_startup.append(announce)
web.run_app(app, sock=listening, print=None)
"""

# The same command where every socket is an error.
OFFLINE = """
import socket, sys
class Off(socket.socket):
    def __init__(self, *_, **__):
        raise OSError("the network is off")
socket.socket = Off
from heliotrope.cli import main
sys.argv = ["helio", *sys.argv[1:]]
main()
"""


@pytest.fixture
def house():
    """Ends whatever was started in it."""
    with contextlib.ExitStack() as stack:
        yield stack


def start(house, *words):
    return house.enter_context(contextlib.closing(forked.Started(*words)))


def start_witnesses(house, root: Path, vkeys: Path):
    """Six that are honest, and last one that is not: the processes of the six, how to reach all."""
    honest = [
        start(house, "log", "witness", "--name", f"w{i}.example", "--vkeys", vkeys, "--home", root / f"w{i}")
        for i in range(WITNESSES - 1)
    ]
    cheat = SecretKey.generate("cheat.example", Algorithm.COSIGNATURE)
    process = house.enter_context(
        subprocess.Popen([sys.executable, "-c", CHEAT, cheat.text()], stdout=subprocess.PIPE, text=True)
    )
    house.callback(process.terminate)
    url = json.loads(process.stdout.readline())["url"]
    return honest, [f"{w.said['witness']} {w.said['url']}" for w in honest] + [f"{cheat.key} {url}"]


def add(ledger, *statements):
    with ledger.store.write() as tx:
        return [ledger.add(tx, statement) for statement in statements]


@pytest.mark.slow
def test_the_show(house, tmp_path):
    home = tmp_path / "log"
    vkeys = tmp_path / "vkeys"
    auditors = [SecretKey.generate(f"auditor{i}.example") for i in range(3)]
    plain = Ledger(Store(home / "helio.db"), home, ProveSettings())
    vkeys.write_text("".join(f"log {key}\n" for key in plain.log_keys()), encoding="utf-8")
    honest, peers = start_witnesses(house, tmp_path, vkeys)
    settings = ProveSettings(witnesses=tuple(peers), quorum=QUORUM, auditors=tuple(str(a.key) for a in auditors))
    (home / "config.toml").write_text(
        "[prove]\n" + "".join(f"{name} = {msgspec.json.encode(getattr(settings, name)).decode()}\n"
                              for name in ("witnesses", "quorum", "auditors")), encoding="utf-8",
    )  # fmt: skip
    ledger = Ledger(plain.store, home, settings)

    # An honest run and one whose grams were halved before they were signed; enough witnesses cosign.
    add(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story(), story(lie=half))
    seen = Trust.read(shown_keys(ledger), quorum=QUORUM).check(Note.parse(str(ledger.publish()).encode()))
    assert seen.tree.size == 3

    # One is killed: the log goes on, and knows who is missing.
    honest[0].kill()
    add(ledger, story())
    ledger.publish()
    assert Checkpoint.parse(ledger.checkpoint().text).size == 4
    assert [w["name"] for w in ledger.witnesses() if w["fault"].startswith("unreachable")] in ([], ["w0.example"])

    # The log's owner shows another history: the cheat signs it, the honest contradict it, everything stops there.
    other = tmp_path / "fork"
    shutil.copytree(home / "keys", other / "keys")
    fork = Ledger(Store(other / "helio.db"), other, settings)
    add(fork, *[story(lie=half)] * 9)
    with pytest.raises(SplitView, match="not ours"):
        fork.publish()
    assert any((other / "split-view").iterdir())
    with fork.store.read() as tx:
        note = Note.parse(tx.one("SELECT note FROM log_checkpoint")[0].encode())
    cosigned = Trust.read(shown_keys(ledger)).check(note).witnesses
    assert [key.name for key in cosigned] == ["cheat.example"]

    # A record changed in the store after it was logged.
    with ledger.store.write() as tx:
        tx.execute("UPDATE log_record SET envelope = (SELECT envelope FROM log_record WHERE idx = 0) WHERE idx = 3")

    # Three auditors read the served log, and sign what they find; the log takes their word and shows it.
    served = start(house, "log", "serve", "--records", "--home", home).said
    for i, secret in enumerate(auditors):
        own = tmp_path / f"a{i}"
        (own / "keys").mkdir(parents=True)
        (own / "keys" / "auditor.key").write_text(secret.text() + "\n", encoding="utf-8")
        (own / "keys" / "auditor.key").chmod(0o600)
        (seen,) = forked.told("log", "audit", served["url"], "--quorum", QUORUM, "--report", "--home", own, code=4)
        assert (seen["judged"], seen["agreed"]) == (4, 2)
        assert [d["index"] for d in seen["disagreements"]] == [2, 3]
        assert "carbon_operational_ug" in seen["disagreements"][0]["reasons"][0]
        assert "not the one the log committed to" in seen["disagreements"][1]["reasons"][0]

    # A receipt on a copy of the files, with no network: cosigned by five, and disputed for all to see.
    copy = tmp_path / "a copy"
    copy.mkdir()
    out = ledger.receipt(2, copy / "run.tlog-proof")
    for name in ("vkeys", "parties"):
        shutil.copy(ledger.folder / name, copy / name)
    assert record_path(out).exists()
    offline = [sys.executable, "-c", OFFLINE, "log", "verify", str(out)]
    done = subprocess.run(
        [*offline, "--vkeys", str(copy / "vkeys"), "--quorum", str(QUORUM), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["verified"] is True
    assert len(verdict["witnesses"]) >= QUORUM
    assert [opinion["agrees"] for opinion in verdict["opinions"]] == [False] * 3


def shown_keys(ledger) -> Path:
    ledger.publish()
    return ledger.folder / "vkeys"
