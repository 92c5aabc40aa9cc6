"""Witnesses: every answer of the protocol, a memory that outlives the process, and hostile answers that stop nobody."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.config import ProveSettings
from heliotrope.errors import ConfigError, HelioError, InvalidInput, ProofError, SplitView
from heliotrope.prove import Ledger, verify_receipt
from heliotrope.prove.formats import merkle
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Key, Note, SecretKey, parse_signatures
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.text import encode
from heliotrope.prove.witness.client import Peer
from heliotrope.prove.witness.memory import Witness
from heliotrope.prove.witness.protocol import SIZE_TYPE, Request, decide, monitor_path
from heliotrope.prove.witness.server import application
from heliotrope.store import Store

LOG = SecretKey("example.org/log", Algorithm.ED25519, bytes(range(32)))
STRANGER = SecretKey("example.org/log", Algorithm.ED25519, b"\x05" * 32)
WITNESS = SecretKey("witness.example/w", Algorithm.COSIGNATURE, bytes(range(1, 33)))
LEAVES = [merkle.leaf_hash(b"%d" % i) for i in range(20)]
NODE = merkle.reader(LEAVES)
OTHER = merkle.reader([merkle.leaf_hash(b"other %d" % i) for i in range(20)])


def tree(size, node=NODE):
    return Checkpoint(LOG.name, size, merkle.root(size, node))


def request(old, size, *, node=NODE, key=LOG, proof=None):
    path = merkle.consistency(old, size, node) if proof is None and old <= size else proof or []
    return Request(old, tuple(path), tree(size, node).signed(key))


@pytest.fixture
def witness(tmp_path):
    return Witness(tmp_path / "w", [WITNESS], [LOG.key])


def ask(witness, *args, **kwargs):
    return witness.add_checkpoint(request(*args, **kwargs).body(), time_s=1_700_000_000)


def test_a_growing_log_is_cosigned(witness):
    for old, size in ((0, 3), (3, 3), (3, 7), (7, 20)):
        answer = ask(witness, old, size)
        assert answer.status == 200, answer.body
        (signature,) = parse_signatures(answer.body)
        assert WITNESS.key.verify(tree(size).text(), signature.blob) == 1_700_000_000
    assert Checkpoint.parse(witness.head(LOG.name).text) == tree(20)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"old 3\n\n", 400),
        (b"new 0\n\n" + str(tree(3).signed(LOG)).encode(), 400),
        (b"old 03\n\n" + str(tree(3).signed(LOG)).encode(), 400),
        (b"old 5\nAAAA\n\n" + str(tree(6).signed(LOG)).encode(), 400),
        (b"old 5\n" + (encode(bytes(32)) + "\n").encode() * 64 + b"\n" + str(tree(6).signed(LOG)).encode(), 400),
        (b"\xff" + request(5, 6).body(), 400),
        (request(9, 8).body(), 400),  # an old size beyond the checkpoint's
        (Request(0, (), Checkpoint("who.example", 3, bytes(32)).signed(LOG)).body(), 404),
        (request(5, 8, key=STRANGER).body(), 403),
        (request(5, 8).body().replace(b"\n8\n", b"\n9\n"), 403),
        (request(4, 8).body(), 409),
        (request(0, 8).body(), 409),
        (request(6, 8).body(), 409),
        (request(5, 8, proof=[]).body(), 422),
        (request(5, 8, proof=[bytes(32)]).body(), 422),
        (request(5, 8, node=OTHER).body(), 422),
        (request(5, 5, node=OTHER).body(), 422),
        (request(5, 5, proof=[bytes(32)]).body(), 422),
        (request(5, 8).body(), 200),
    ],
)
def test_every_status(witness, body, status):
    assert ask(witness, 0, 5).status == 200
    answer = witness.add_checkpoint(body, time_s=1)
    assert answer.status == status, answer.body
    if status == 409:
        assert (answer.body, answer.content_type) == ("5\n", SIZE_TYPE)
    if status != 200:
        assert Checkpoint.parse(witness.head(LOG.name).text).size == 5, "what is refused is not remembered"


def test_from_nothing_the_proof_is_empty(witness):
    assert ask(witness, 0, 5, proof=[bytes(32)]).status == 422
    wrong = Checkpoint(LOG.name, 5, bytes(32)).signed(LOG)
    assert witness.add_checkpoint(Request(0, (), wrong).body(), time_s=1).status == 200, "any tree may be the first"


def test_an_unknown_signature_beside_a_good_one_is_ignored(witness):
    note = tree(5).signed(LOG)
    more = note.with_signatures([WITNESS.sign(note.text, time_s=5), STRANGER.sign(note.text)])
    assert witness.add_checkpoint(Request(0, (), more).body(), time_s=1).status == 200


def test_two_roots_of_one_size_leave_evidence_that_anyone_can_check(witness):
    ask(witness, 0, 5)
    ask(witness, 5, 5, node=OTHER)
    (path,) = (witness.home / "evidence").iterdir()
    text = path.read_text(encoding="utf-8")
    for part in text.split("--- ")[1:]:
        note = Note.parse(part.split("\n", 1)[1].rstrip("\n").encode() + b"\n")
        assert LOG.key in note.verified([LOG.key])


def test_memory_survives_the_process(witness):
    ask(witness, 0, 7)
    again = Witness(witness.home, [WITNESS], [LOG.key])
    assert ask(again, 0, 9).body == "7\n"
    assert ask(again, 7, 9).status == 200


def test_of_many_requests_at_once_none_rolls_back(witness):
    """From one old size, of several different trees exactly one gets a cosignature."""
    ask(witness, 0, 5)
    answers = []
    threads = [
        threading.Thread(target=lambda s=size: answers.append((s, ask(witness, 5, s).status))) for size in range(6, 14)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for _, status in answers) == [200] + [409] * 7
    (won,) = [size for size, status in answers if status == 200]
    assert Checkpoint.parse(witness.head(LOG.name).text).size == won


def test_foreign_requests(shared_data):
    """Another implementation's session, replayed: the same answers, but for one status that the specification changed."""
    path = shared_data / "vectors" / "tlog.json"
    if not path.is_file():
        pytest.skip("the log formats' vectors are not beside this checkout")
    case = json.loads(path.read_text(encoding="utf-8"))["witness_http"]
    public = bytes.fromhex(case["log_pubkey_hex"])
    head = None
    for exchange in case["cases"]:
        request = Request.parse(exchange["body"].encode())
        origin = Checkpoint.parse(request.checkpoint.text).origin
        name = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
        answer = decide(request, {name: [Key(name, Algorithm.ED25519, public)]}, head)
        assert answer.status == exchange.get("c2sp_status", exchange["status"]), (origin, answer)
        head = answer.tree or head
        if exchange["status"] == 409:
            assert f'body == "{answer.body.strip()}\\n"' == exchange["assert"]


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_request_parser(raw):
    for prefix in (b"", b"old 0\n"):
        try:
            parsed = Request.parse(prefix + raw)
        except HelioError:
            continue
        assert Request.parse(parsed.body()) == parsed


# ---- the log as their client ----


@contextmanager
def listening(app):
    """An application on a free port, in a thread with a loop of its own."""
    from aiohttp import web

    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app)
    started = threading.Event()
    bound = []

    async def start():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        bound.append(runner.addresses[0][1])
        started.set()

    def work():
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait(10)
    try:
        yield f"http://127.0.0.1:{bound[0]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def open_ledger(home, *witnesses, quorum=0):
    return Ledger(Store(home / "helio.db"), home, ProveSettings(witnesses=witnesses, quorum=quorum))


def grow(ledger, count):
    with ledger.store.write() as tx:
        ledger.append(tx, [b"entry"] * count)


def witness_for(home, ledger, name="w1.example"):
    secret = SecretKey.generate(name, Algorithm.COSIGNATURE)
    return Witness(home, [secret], ledger.log_keys())


def test_a_log_gathers_cosignatures_and_its_receipts_carry_them(tmp_path):
    home = tmp_path / "log"
    plain = open_ledger(home)
    first, second = (witness_for(tmp_path / name, plain, name) for name in ("w1", "w2"))
    with listening(application(first)) as one, listening(application(second)) as two:
        ledger = open_ledger(home, f"{first.secrets[0].key} {one}", f"{second.secrets[0].key} {two}", quorum=2)
        for count in (3, 300, 0):
            grow(ledger, count)
            ledger.publish()
        assert [w["fault"] for w in ledger.witnesses()] == ["", ""]
        assert [w["size"] for w in ledger.witnesses()] == [303, 303]
        out = ledger.receipt(5, tmp_path / "r.tlog-proof")
    verdict = verify_receipt(out, vkeys=ledger.folder / "vkeys", quorum=2)
    assert set(verdict.witnesses) == {"w1", "w2"}
    assert all(verdict.cosigned_at_s)


def test_without_its_quorum_the_world_sees_the_last_witnessed_tree(tmp_path):
    home = tmp_path / "log"
    witness = witness_for(tmp_path / "w", open_ledger(home))
    with listening(application(witness)) as url:
        peer = f"{witness.secrets[0].key} {url}"
        ledger = open_ledger(home, peer, quorum=1)
        grow(ledger, 3)
        ledger.publish()
    grow(ledger, 4)
    ledger.publish()
    shown = Checkpoint.parse(Note.parse((ledger.folder / "checkpoint").read_bytes()).text)
    assert shown.size == 3
    assert "unreachable" in ledger.witnesses()[0]["fault"]
    with pytest.raises(ProofError, match="no published checkpoint"):
        ledger.receipt(5, tmp_path / "r.tlog-proof")
    ledger.receipt(2, tmp_path / "r.tlog-proof")
    with listening(application(witness)) as url:
        ledger = open_ledger(home, f"{witness.secrets[0].key} {url}", quorum=1)
        ledger.receipt(5, tmp_path / "r.tlog-proof")


def test_a_witness_that_is_ahead_proves_a_rollback_and_everything_stops(tmp_path):
    home = tmp_path / "log"
    witness = witness_for(tmp_path / "w", open_ledger(home))
    with listening(application(witness)) as url:
        ledger = open_ledger(home, f"{witness.secrets[0].key} {url}", quorum=1)
        grow(ledger, 5)
        ledger.publish()
        forked = tmp_path / "fork"
        (forked / "keys").mkdir(parents=True)
        for name in ("log.key", "site.key"):
            (forked / "keys" / name).write_bytes((home / "keys" / name).read_bytes())
            (forked / "keys" / name).chmod(0o600)
        fork = open_ledger(forked, f"{witness.secrets[0].key} {url}", quorum=1)
        with fork.store.write() as tx:
            fork.append(tx, [b"another history"] * 3)
        with pytest.raises(SplitView, match="not ours"):
            fork.publish()
    (evidence,) = (forked / "split-view").iterdir()
    assert evidence.read_text().count("— heliotrope.local/log ") == 2
    for act in (fork.publish, lambda: fork.receipt(0, tmp_path / "r"), lambda: fork_add(fork)):
        with pytest.raises(SplitView, match="has stopped"):
            act()


def fork_add(ledger):
    from heliotrope.prove import Statement

    with ledger.store.write() as tx:
        ledger.add(tx, Statement("run", "r", {}))


def hostile(answer):
    from aiohttp import web

    async def post(request):
        return answer(await request.read())

    async def get(_):
        return answer(b"")

    app = web.Application()
    app.router.add_post("/add-checkpoint", post)
    app.router.add_get("/{path:.*}", get)
    return app


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda web: web.Response(status=409, text="99999\n", headers={"Content-Type": SIZE_TYPE}), "99999"),
        (lambda web: web.Response(status=409, text="x\n", headers={"Content-Type": SIZE_TYPE}), "decimal"),
        (lambda web: web.Response(status=409, text="1\n"), "409"),
        (lambda web: web.Response(status=422, text="no"), "422"),
        (lambda web: web.Response(status=200, text=""), "without a cosignature"),
        (lambda web: web.Response(status=200, text=f"— w {encode(bytes(76))}\n"), "without a cosignature"),
        (lambda web: web.Response(status=200, text="nonsense\n"), "signature line"),
        (lambda web: web.Response(status=200, body=b"\xff" * 50), "UTF-8"),
        (lambda web: web.Response(status=200, body=b"x" * 300_000), "without end"),
        (lambda web: web.Response(status=500, text="boom"), "500"),
    ],
)
def test_a_hostile_witness_stops_nobody(tmp_path, make, fault):
    from aiohttp import web

    key = SecretKey.generate("w", Algorithm.COSIGNATURE).key
    with listening(hostile(lambda _: make(web))) as url:
        ledger = open_ledger(tmp_path, f"{key} {url}")
        grow(ledger, 5)
        ledger.publish()
    assert fault in ledger.witnesses()[0]["fault"]
    assert Checkpoint.parse(ledger.checkpoint().text).size == 5


def test_a_cosignature_of_something_else_is_not_taken(tmp_path):
    from aiohttp import web

    secret = SecretKey.generate("w", Algorithm.COSIGNATURE)
    replayed = str(secret.sign(tree(3).text(), time_s=5))
    with listening(hostile(lambda _: web.Response(text=replayed))) as url:
        ledger = open_ledger(tmp_path, f"{secret.key} {url}")
        grow(ledger, 5)
        ledger.publish()
    assert "does not verify" in ledger.witnesses()[0]["fault"]


def test_a_witness_that_keeps_moving_is_given_up(tmp_path):
    from aiohttp import web

    sizes = iter([1, 2, 3, 4, 3, 2, 1] * 10)
    key = SecretKey.generate("w", Algorithm.COSIGNATURE).key
    answer = lambda _: web.Response(status=409, text=f"{next(sizes)}\n", headers={"Content-Type": SIZE_TYPE})  # noqa: E731
    with listening(hostile(answer)) as url:
        ledger = open_ledger(tmp_path, f"{key} {url}")
        grow(ledger, 5)
        ledger.publish()
    assert "kept changing" in ledger.witnesses()[0]["fault"]


def test_the_monitors_path_is_the_hash_of_the_origin():
    path = monitor_path("example.org/log")
    assert len(path) == len("/") + 64 + len("/checkpoint")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "key",
        f"{WITNESS.key}",
        f"{WITNESS.key} ftp://x",
        f"{LOG.key} http://x",
        "bad+key http://x",
        f"{WITNESS.key} http://x y",
    ],
)
def test_bad_witness_settings(text):
    with pytest.raises(InvalidInput):
        Peer.parse(text)


def test_a_quorum_beyond_the_witnesses_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"prove\.quorum is 3, but 1"):
        open_ledger(tmp_path, f"{WITNESS.key} http://127.0.0.1:1", quorum=3)
