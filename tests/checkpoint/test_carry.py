"""State on its way between sites: any folder, cut off anywhere, damaged anywhere; it arrives whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliotrope.checkpoint import Shelf, manifest
from heliotrope.checkpoint.carry import drop, lack, pull, push
from heliotrope.checkpoint.depots import FolderSource, LocalDepot, depot
from heliotrope.checkpoint.depots.shell import ShellDepot
from heliotrope.checkpoint.manifest import Entry, Manifest, decoded, name_of, survey
from heliotrope.errors import InvalidInput, StoreError

CHUNK = 64  # bytes: small states have many pieces, too

FOLDERS = st.dictionaries(
    st.sampled_from(["a", "b", "folder/a", "folder/b", "folder/deep/c"]),
    st.binary(max_size=3 * CHUNK) | st.just(b"same" * CHUNK),
    max_size=3,
)
SMALL = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(manifest, "CHUNK_BYTES", CHUNK)


class Cut(BaseException):
    """The process is gone: nobody catches this."""


def laid(folder: Path, files: dict[str, bytes]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def held(folder: Path) -> dict[str, bytes] | None:
    if not folder.exists():
        return None
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def cut_at(monkeypatch, count):
    """The `count`-th thing that changes the disk does not happen any more; nor does anything after it."""
    left = [count]

    def guarded(real):
        def call(*args, **more):
            left[0] -= 1
            if left[0] < 0:
                raise Cut
            return real(*args, **more)

        return call

    for owner, name in ((Path, "replace"), (Path, "rename"), (Path, "mkdir"), (os, "fsync"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, guarded(getattr(owner, name)))


@SMALL
@given(old=FOLDERS | st.none(), new=FOLDERS, cuts=st.lists(st.integers(0, 40), max_size=3))
def test_cut_off_anywhere_it_goes_on_and_arrives_whole(tmp_path, old, new, cuts):
    there, here = laid(tmp_path / "there" / "w", new), tmp_path / "here" / "w"
    drop(here)
    here.parent.mkdir(exist_ok=True)
    if old is not None:
        laid(here, old)
    source = FolderSource(there)
    digest = source.manifest.digest
    for count in cuts:
        with pytest.MonkeyPatch.context() as patch:
            cut_at(patch, count)
            try:
                pull(source, lack(source, digest, here), here)
            except Cut:
                pass
        assert held(here) in (old, new, None), "never half of one"
        if held(here) is None:
            assert old is None or lack(source, digest, here).here, "what lay here before is not lost on the way"
    asked = lack(source, digest, here)
    assert set(asked.names) <= set(source.manifest.sizes)
    pull(source, asked, here)
    assert held(here) == new
    assert survey(here)[0].digest == digest
    assert lack(source, digest, here).names == ()
    assert sorted(here.parent.iterdir()) == [here], "nothing is left beside it"


@SMALL
@given(old=FOLDERS, new=FOLDERS)
def test_only_what_is_missing_is_sent(tmp_path, old, new):
    there, here = laid(tmp_path / "there" / "w", new), laid(tmp_path / "here" / "w", old)
    pieces = {name for folder in (there, here) for name in survey(folder)[0].sizes}
    store = LocalDepot(tmp_path / "depot")
    shutil.rmtree(store.folder, ignore_errors=True)
    digest = push(there, store)
    asked = lack(store, digest, here)
    known = {name_of(data[i : i + CHUNK]) for data in old.values() for i in range(0, len(data), CHUNK)}
    assert set(asked.names) == set(survey(there)[0].sizes) - known
    assert asked.missing_bytes + sum(asked.manifest.sizes[n] for n in asked.here if n in asked.manifest.sizes) == sum(
        asked.manifest.sizes.values()
    )
    sent = []
    pull(_counting(store, sent), asked, here)
    assert sorted(sent) == sorted(asked.names), "each once"
    assert held(here) == new
    assert pieces >= set(sent)


def _counting(store, sent):
    class Counting:
        def get(self, names):
            for name, data in store.get(names):
                sent.append(name)
                yield name, data

    return Counting()


def test_a_broken_way_loses_only_what_had_not_come(tmp_path):
    there = laid(tmp_path / "there" / "w", {"weights": os.urandom(10 * CHUNK)})
    here = tmp_path / "here" / "w"
    source = FolderSource(there)
    digest = source.manifest.digest

    class Breaking:
        def get(self, names):
            for i, piece in enumerate(source.get(names)):
                if i == 4:
                    raise StoreError("the way broke")
                yield piece

    with pytest.raises(StoreError, match="broke"):
        pull(Breaking(), lack(source, digest, here), here)
    asked = lack(source, digest, here)
    assert (len(asked.names), asked.missing_bytes, held(here)) == (6, 6 * CHUNK, None)
    with pytest.raises(StoreError, match="stopped on the way"):
        pull(source, asked, here, stop=lambda: True)
    pull(source, lack(source, digest, here), here)
    assert held(here) == held(there)


@pytest.mark.parametrize("where", ["depot", "come"])
def test_a_damaged_piece_is_told_and_mended(tmp_path, where):
    there, here = laid(tmp_path / "there" / "w", {"a": b"x" * 200}), tmp_path / "here" / "w"
    store = LocalDepot(tmp_path / "depot")
    digest = push(there, store)
    name = survey(there)[0].entries[0].pieces[-1]
    place = tmp_path / "depot" if where == "depot" else here.parent / ".w.coming" / "pieces"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(b"something else")
    if where == "depot":
        with pytest.raises(StoreError, match="damaged") as told:
            pull(store, lack(store, digest, here), here)
        assert name in told.value.cause
        assert held(here) is None
        store.put([(name, survey(there)[1][name].read())])
    pull(store, lack(store, digest, here), here)
    assert held(here) == held(there)


def test_modes_and_links_are_kept_and_lead_nowhere_else(tmp_path):
    there, here = laid(tmp_path / "there" / "w", {"run/step1": b"1", "go.sh": b"#!"}), tmp_path / "here" / "w"
    (there / "go.sh").chmod(0o755)
    (there / "latest").symlink_to("run/step1")
    source = FolderSource(there)
    pull(source, lack(source, source.manifest.digest, here), here)
    assert (here / "latest").readlink() == Path("run/step1")
    assert (here / "go.sh").stat().st_mode & 0o777 == 0o755
    (there / "out").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="leads out") as told:
        FolderSource(there)
    assert "out" in told.value.file


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([Entry("../x", 0o644)], "outside"),
        ([Entry("/x", 0o644)], "outside"),
        ([Entry("a/../../x", 0o644)], "outside"),
        ([Entry("a", 0, link="/etc")], "outside"),
        ([Entry("a/b", 0, link="../../c")], "outside"),
        ([Entry("a", 0, link="b"), Entry("a/x", 0o644)], "two things"),
        ([Entry("a", 0o644), Entry("a", 0o644)], "two things"),
        ([Entry("a", 0o644, ("0" * 64,))], "does not know"),
    ],
)
def test_a_manifest_from_elsewhere_is_not_trusted(entries, said):
    with pytest.raises(InvalidInput, match=said):
        decoded(Manifest(tuple(entries), {}).encoded())
    with pytest.raises(InvalidInput, match="not a manifest"):
        decoded(b"{}" + Manifest(tuple(entries), {}).encoded())


def test_a_shelf_moves_bit_for_bit_and_sends_what_changed(tmp_path, monkeypatch):
    """Two stays at each end: what is sent on the way back is what training changed meanwhile."""
    monkeypatch.setattr(manifest, "CHUNK_BYTES", 8 << 20)
    north, south = Shelf(tmp_path / "north" / "w"), tmp_path / "south" / "w"
    frozen, moving = np.arange(4000.0), np.zeros(500)
    digest = north.save({"frozen": frozen, "moving": moving})
    source = FolderSource(north.folder)
    pull(source, lack(source, source.manifest.digest, south), south)
    assert Shelf(south).digest() == digest
    Shelf(south).save({"frozen": frozen, "moving": moving + 1})
    back = FolderSource(south)
    asked = lack(back, back.manifest.digest, north.folder)
    assert asked.missing_bytes < moving.nbytes + 2048 < frozen.nbytes
    pull(back, asked, north.folder)
    assert np.array_equal(Shelf(north.folder).load()["moving"], moving + 1)


@pytest.mark.parametrize(
    ("place", "said"),
    [("relative/path", "absolute path"), ("ssh://", "ssh://user"), ("ssh://-oProxyCommand=x/p", "ssh://user"),
     ("ssh://host", "ssh://user"), ("ssh://host:no/p", "not an address"), ("nosuch://x", "not a place")],
)  # fmt: skip
def test_a_place_that_is_none(place, said):
    with pytest.raises(InvalidInput) as told:
        depot(place)
    assert said in str(told.value)


def _over_ssh(service, kept, monkeypatch):
    monkeypatch.setenv("PATH", f"{service.path}:{os.environ['PATH']}")
    return depot(service.url(kept))


def _over_s3(service, monkeypatch):
    for name, value in service.settings.items():
        monkeypatch.setenv(name, value)
    return depot("s3://states/of/w")


@pytest.mark.parametrize("kind", ["path", "file", "ssh", "local", "memory", "s3"])
def test_every_depot_keeps_the_same_promises(tmp_path, kind, request, monkeypatch):
    there, here = laid(tmp_path / "there" / "w", {"a": os.urandom(300), "b/c": b"same" * 50}), tmp_path / "here" / "w"
    kept = tmp_path / "a depot"
    store = {
        "path": lambda: depot(str(kept)),
        "file": lambda: depot(f"file://{kept}"),
        "ssh": lambda: _over_ssh(request.getfixturevalue("ssh"), kept, monkeypatch),
        "local": lambda: depot(f"local://{kept}"),
        "s3": lambda: _over_s3(request.getfixturevalue("s3_server"), monkeypatch),
        "memory": lambda: depot(f"memory://{kept.name}/{tmp_path.name}"),
    }[kind]()
    names = list(survey(there)[0].sizes)
    assert store.missing(names) == names
    digest = push(there, store)
    assert store.missing([*names, digest]) == []
    pull(store, lack(store, digest, here), here)
    assert held(here) == held(there)
    (there / "a").write_bytes(b"changed")
    after = push(there, store)
    assert store.missing([digest]) == [digest], "what no state needs any more is not kept"
    asked = lack(store, after, here)
    assert asked.missing_bytes == len(b"changed")
    pull(store, asked, here)
    assert held(here) == held(there)
    with pytest.raises(StoreError):
        list(store.get(["0" * 64]))


def test_a_key_that_a_host_does_not_know_is_told_as_such(tmp_path, ssh, monkeypatch):
    store = _over_ssh(ssh, tmp_path / "depot", monkeypatch)
    (ssh.folder / "authorized").rename(ssh.folder / "away")
    try:
        with pytest.raises(StoreError) as told:
            store.put([(name_of(b"x"), b"x")])
    finally:
        (ssh.folder / "away").rename(ssh.folder / "authorized")
    assert "Permission denied" in told.value.cause
    assert "ssh 127.0.0.1 true" in told.value.hint
    store.put([(name_of(b"x"), b"x")])
    assert [data for _, data in store.get([name_of(b"x")])] == [b"x"]


def test_a_host_that_does_not_answer_is_told_as_such():
    store = ShellDepot("nowhere.invalid", PurePosixPath("/x"), ("sh", "-c", "echo no route >&2; exit 255", "ssh"))
    with pytest.raises(StoreError) as told:
        store.put([(name_of(b"x"), b"x")])
    assert "no route" in told.value.cause
    assert "nowhere.invalid" in told.value.hint
