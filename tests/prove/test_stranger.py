"""A stranger's verifier, written from the C2SP texts and RFC 6962 with a hash and one signature scheme: none of ours."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import struct
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import forked

ENTRIES = 600


class Wrong(Exception):
    """The files do not prove what they say."""


def leaf(entry):
    return sha256(b"\x00" + entry).digest()


def node(left, right):
    return sha256(b"\x01" + left + right).digest()


def tree(hashes):
    """RFC 6962, 2.1, word for word: split at the largest power of two below n."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"").digest()
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node(tree(hashes[:split]), tree(hashes[split:]))


def climb(index, size, hashed, path):
    """RFC 9162, 2.1.3.2: the root that a leaf and its path lead to."""
    at, last = index, size - 1
    for step in path:
        if last == 0:
            raise Wrong("a path too long")
        if at & 1 or at == last:
            hashed = node(step, hashed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hashed = node(hashed, step)
        at, last = at >> 1, last >> 1
    if last:
        raise Wrong("a path too short")
    return hashed


def vkeys(text, role):
    """{(name, id): (type, public key)} of `role NAME+ID+BASE64` lines."""
    keys = {}
    for line in text.splitlines():
        said, vkey = line.split()
        name, key_id, material = vkey.split("+", 2)
        raw = base64.b64decode(material)
        if sha256(name.encode() + b"\n" + raw).digest()[:4].hex() != key_id:
            raise Wrong("a key's id is not its hash")
        if said == role:
            keys[name, bytes.fromhex(key_id)] = (raw[0], raw[1:])
    return keys


def signers(note, keys):
    """The text of a signed note, and who of `keys` signed it: type 1 as it is, type 4 with the time before it."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    found = set()
    for line in lines.splitlines():
        dash, name, blob64 = line.split(" ")
        blob = base64.b64decode(blob64)
        known = keys.get((name, blob[:4]))
        if dash != "\u2014" or known is None:
            continue
        kind, public = known
        signature, said = blob[4:], text.encode()
        if kind == 4:
            (time_s,) = struct.unpack(">Q", signature[:8])
            signature, said = signature[8:], f"cosignature/v1\ntime {time_s}\n{text}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, said)
        except InvalidSignature:
            raise Wrong(f"{name} did not sign this") from None
        found.add(name)
    return text, found


def tile_name(n):
    return f"x{n // 1000:03d}/{n % 1000:03d}" if n >= 1000 else f"{n:03d}"


def tile(folder, level, n, count):
    """A full tile, or the partial one that a tree of this size has."""
    width = min(256, count - 256 * n)
    return (folder / "tile" / str(level) / (tile_name(n) + ("" if width == 256 else f".p/{width}"))).read_bytes(), width


def whole_log(folder, witnesses):
    """(checkpoint text, entries), after every file was checked against every other; enough witnesses signed."""
    keys = (folder / "vkeys").read_text()
    note = (folder / "checkpoint").read_text()
    text, logs = signers(note, vkeys(keys, "log"))
    _, cosigners = signers(note, vkeys(keys, "witness"))
    origin, size_text, root64 = text.splitlines()
    if origin not in logs or len(cosigners) < witnesses:
        raise Wrong("too few signatures")
    size, entries = int(size_text), []
    for n in range(-(-size // 256)):
        raw, width = tile(folder, "entries", n, size)
        bundle = []
        while raw:
            length = int.from_bytes(raw[:2], "big")
            if len(raw) < 2 + length:
                raise Wrong("a truncated bundle")
            bundle.append(raw[2 : 2 + length])
            raw = raw[2 + length :]
        if len(bundle) != width:
            raise Wrong("a bundle of another width")
        entries += bundle
    hashes, level = [leaf(entry) for entry in entries], 0
    if base64.b64encode(tree(hashes)).decode() != root64:
        raise Wrong("the entries have another root than the checkpoint")
    while hashes:
        for n in range(-(-len(hashes) // 256)):
            raw, width = tile(folder, level, n, len(hashes))
            if raw != b"".join(hashes[256 * n : 256 * n + width]):
                raise Wrong(f"tile {n} of level {level} is not what its entries hash to")
        hashes = [tree(hashes[i : i + 256]) for i in range(0, len(hashes) - 255, 256)]
        level += 1
    return text, entries


def receipt(path, keys_text, parties, witnesses):
    """The statement that a tlog-proof and the record beside it prove."""
    head, _, note = path.read_text().partition("\n\n")
    title, index_line, *path64 = head.splitlines()
    text, logs = signers(note, vkeys(keys_text, "log"))
    _, cosigners = signers(note, vkeys(keys_text, "witness"))
    origin, size, root64 = text.splitlines()
    record = json.loads(Path(f"{path}.record.json").read_bytes())
    entry, index = record["leaf"].encode(), int(index_line.removeprefix("index "))
    root = climb(index, int(size), leaf(entry), [base64.b64decode(step) for step in path64])
    if title != "c2sp.org/tlog-proof@v1" or origin not in logs or len(cosigners) < witnesses:
        raise Wrong("not a proof, or too few signatures")
    if base64.b64encode(root).decode() != root64:
        raise Wrong("the path leads to another root")
    envelope = json.dumps(record["envelope"], sort_keys=True, separators=(",", ":")).encode()
    if sha256(bytes.fromhex(record["salt"]) + envelope).hexdigest() != json.loads(entry)["commitment"]:
        raise Wrong("not the record that the leaf commits to")
    payload = base64.b64decode(record["envelope"]["payload"])
    (signed,) = record["envelope"]["signatures"]
    kind = record["envelope"]["payloadType"].encode()
    (public,) = (p for _, p in vkeys(parties, "site").values() if sha256(p).hexdigest() == signed["keyid"])
    said = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signed["sig"]), said)
    return index, json.loads(payload)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """What a stranger is given: the log's files, and one receipt. A witness cosigned; the log grew twice."""
    root = tmp_path_factory.mktemp("stranger")
    home, copy = root / "home", root / "copy"
    forked.run("log", "export", root / "empty", "--home", home)
    words = ("log", "witness", "--name", "w.example", "--vkeys", root / "empty" / "vkeys", "--home", root / "w")
    with contextlib.closing(forked.Started(*words)) as witness:
        peer = f"{witness.said['witness']} {witness.said['url']}"
        (home / "config.toml").write_text(f'[prove]\nwitnesses = ["{peer}"]\nquorum = 1\n', encoding="utf-8")
        for part in (range(200), range(200, ENTRIES)):
            lines = "".join(f'{{"n":{i}}}\n' for i in part)
            forked.run("log", "append", "--stdin", "--home", home, stdin=lines)
        forked.run("log", "export", copy, "--home", home)
        forked.run("log", "receipt", "300", "--out", copy / "300.tlog-proof", "--home", home)
    return copy


def test_a_stranger_checks_the_whole_log(copy):
    text, entries = whole_log(copy, witnesses=1)
    assert (text.splitlines()[1], len(entries)) == (str(ENTRIES), ENTRIES)
    assert {path.name for path in copy.iterdir()} == {
        "checkpoint", "tile", "vkeys", "parties", "300.tlog-proof", "300.tlog-proof.record.json"
    }  # fmt: skip


def test_a_stranger_checks_a_receipt(copy):
    index, statement = receipt(
        copy / "300.tlog-proof", (copy / "vkeys").read_text(), (copy / "parties").read_text(), witnesses=1
    )
    assert (index, statement["predicate"]) == (300, {"entry": {"n": 300}})


@pytest.mark.parametrize(
    "name", ["tile/0/000", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/88", "checkpoint"]
)
@pytest.mark.parametrize("harm", ["flipped", "cut"])
def test_a_stranger_sees_any_harm(copy, tmp_path, name, harm):
    """And so do we, where the file is one that an auditor needs: full tiles follow from their entries."""
    harmed = tmp_path / "copy"
    shutil.copytree(copy, harmed)
    raw = (harmed / name).read_bytes()
    (harmed / name).write_bytes(raw[:40] + bytes([raw[40] ^ 1]) + raw[41:] if harm == "flipped" else raw[:-40])
    with pytest.raises((Wrong, ValueError)):
        whole_log(harmed, witnesses=1)
    if name == "checkpoint" or "entries" in name:
        forked.run("log", "audit", harmed, "--quorum", "1", "--home", tmp_path / "auditor", code=4)
