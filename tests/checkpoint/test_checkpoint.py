"""Work that stops and goes on must end bit for bit where it would have ended; a kill leaves a whole state."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.checkpoint import Checkpoint, Shelf
from heliotrope.checkpoint.tree import pack, unpack
from heliotrope.errors import InvalidInput, StoreError

LOOP = """
import json, os, random, sys, time
import numpy as np
from heliotrope.checkpoint import Checkpoint
state = {"w": np.zeros(64)}
draws = np.random.default_rng(7)
random.seed(1); np.random.seed(2)
keep = Checkpoint(sys.argv[1], every_s=float(sys.argv[3]), weights=state, draws=draws)
for step in keep.steps(int(sys.argv[2])):
    state["w"] = state["w"] * 0.9 + draws.normal(size=64) + random.random() + np.random.rand()
    print(step, flush=True)
    time.sleep(0.002)
"""


def _loop(folder, steps=60, every_s=300.0):
    return subprocess.Popen(
        [sys.executable, "-c", LOOP, str(folder), str(steps), str(every_s)], stdout=subprocess.PIPE, text=True
    )


def _whole(tmp_path, steps=60):
    process = _loop(tmp_path / "whole", steps)
    assert process.wait(60) == 0
    process.stdout.close()
    return Shelf(tmp_path / "whole").digest()


def test_a_loop_that_is_asked_to_stop_ends_with_the_very_same_state(tmp_path):
    seen = []
    for _ in range(40):
        process = _loop(tmp_path / "broken")
        for line in process.stdout:
            seen.append(int(line))
            if len(seen) % 17 == 0:
                process.send_signal(random.choice([signal.SIGTERM, signal.SIGUSR1]))
        code = process.wait(60)
        process.stdout.close()
        if code == 0:
            break
        assert code == os.EX_TEMPFAIL
    assert seen == list(range(60)), "asked to stop, it saves after the step under way: none is done twice"
    assert Shelf(tmp_path / "broken").digest() == _whole(tmp_path)


KILLS = """
import os, random, signal, sys, time
import numpy as np
from pathlib import Path
from heliotrope.checkpoint import Checkpoint, Shelf
dice, shelf = random.Random(3), Shelf(Path(sys.argv[1]))
for _ in range(int(sys.argv[4])):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 1)
        exec(sys.argv[5])
        os._exit(0)
    os.close(writer)
    for _ in range(dice.randint(1, 4)):
        os.read(reader, 4)  # at least one step on, however slow the machine is
    time.sleep(dice.uniform(0, 0.005))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    print(shelf.load()["step"] if shelf.digest() else 0)
"""


@pytest.mark.slow
def test_a_loop_that_is_killed_at_any_instant_goes_on_from_a_whole_state(tmp_path):
    """The lives are forked from one process, so that the kills fall into the loop and not into Python's start."""
    folder = tmp_path / "killed"
    kills = [sys.executable, "-c", KILLS, str(folder), "400", "0.0", "100", LOOP]
    steps = [int(line) for line in subprocess.run(kills, check=True, capture_output=True, text=True).stdout.split()]
    assert len(steps) == 100
    assert steps == sorted(steps), "a kill took back a state that was there"
    assert len(set(steps)) > 20, "the kills fell between many different states"
    process = _loop(folder, 400, every_s=0.0)
    assert process.wait(120) == 0
    process.stdout.close()
    assert Shelf(folder).digest() == _whole(tmp_path, 400)
    assert not list((folder / "objects").glob("*.part"))


def test_torch_goes_on_bit_for_bit(tmp_path):
    torch = pytest.importorskip("torch")

    def train(folder, stop_after=None, steps=12):
        torch.manual_seed(5)
        model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        keep = Checkpoint(folder, model=model, optimizer=optimizer, schedule=schedule)
        for step in keep.steps(steps):
            loss = (model(torch.randn(32, 8)) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            keep.asked = step == stop_after
        return keep.shelf.digest(), model.state_dict()

    for last in (2, 6, 7):
        with pytest.raises(SystemExit) as left:
            train(tmp_path / "broken", stop_after=last)
        assert left.value.code == 75
    digest, weights = train(tmp_path / "broken")
    expected, whole = train(tmp_path / "whole")
    assert digest == expected
    assert all(torch.equal(weights[name], whole[name]) for name in whole)


def test_every_kind_of_number_survives():
    torch = pytest.importorskip("torch")
    held: dict[str, bytes] = {}

    def put(data):
        held[str(len(held))] = bytes(data)
        return [str(len(held) - 1)]

    def there_and_back(value):
        return unpack(json.loads(json.dumps(pack(value, put))), lambda names: bytearray(b"".join(map(held.get, names))))

    for dtype in (torch.bfloat16, torch.float16, torch.float64, torch.int8, torch.bool, torch.complex64):
        tensor = torch.ones(3, 2, dtype=dtype)
        back = there_and_back(tensor)
        assert back.dtype is dtype
        assert torch.equal(back, tensor)
    assert there_and_back(torch.tensor(2.5)).shape == ()
    assert there_and_back(torch.empty(0, 4)).shape == (0, 4)
    assert there_and_back(np.array(3.0)).shape == ()
    assert there_and_back(np.zeros((2, 0))).shape == (2, 0)
    assert there_and_back(np.array(["a", "bc"])).tolist() == ["a", "bc"]
    assert there_and_back({1: (2, [None, True]), "x": -0.0, (1, 2): b"\x00"}) == {1: (2, [None, True]), "x": 0.0, (1, 2): b"\x00"}  # fmt: skip
    assert math.copysign(1, there_and_back(-0.0)) == -1
    assert math.isnan(there_and_back(math.nan))
    assert there_and_back(2**127 + 1) == 2**127 + 1


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers() | st.text(), inner, max_size=4)
    | st.lists(inner, max_size=3).map(tuple), max_leaves=20,
))  # fmt: skip
def test_any_plain_state_comes_back(value):
    held: dict[str, bytes] = {}

    def put(data):
        held[str(len(held))] = bytes(data)
        return [str(len(held) - 1)]

    packed = json.loads(json.dumps(pack(value, put)))
    assert unpack(packed, lambda names: bytearray(b"".join(map(held.get, names)))) == value


def test_what_does_not_change_is_not_written_again(tmp_path):
    shelf = Shelf(tmp_path)
    frozen = np.arange(1000.0)
    shelf.save({"frozen": frozen, "step": 1})
    first = {path.name: path.stat().st_mtime_ns for path in shelf.objects.iterdir()}
    for step in range(2, 6):
        shelf.save({"frozen": frozen, "step": step})
    after = {path.name: path.stat().st_mtime_ns for path in shelf.objects.iterdir()}
    assert len(after) == 3, "the array once, and the two states that are kept"
    assert len({name for name in first if after.get(name) == first[name]}) == 1


def test_damage_is_told_and_nothing_wrong_is_loaded(tmp_path):
    shelf = Shelf(tmp_path)
    with pytest.raises(StoreError, match="no state was saved"):
        shelf.load()
    digest = shelf.save({"w": np.arange(4)})
    piece = next(path for path in shelf.objects.iterdir() if path.name != digest)
    good = piece.read_bytes()
    piece.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    with pytest.raises(StoreError, match="damaged"):
        shelf.load()
    piece.unlink()
    with pytest.raises(StoreError, match="missing"):
        shelf.load()


def test_what_cannot_be_kept_is_named(tmp_path):
    with pytest.raises(InvalidInput) as wrong:
        Shelf(tmp_path).save({"model": {"hook": object()}})
    assert "state['model']['hook']" in str(wrong.value)
    with pytest.raises(InvalidInput, match="cannot be saved and restored"):
        Checkpoint(tmp_path, weights=3)


def test_the_state_of_something_else_is_refused(tmp_path):
    for _ in Checkpoint(tmp_path, weights={"a": 1}).steps(1):
        pass
    with pytest.raises(InvalidInput, match="something else"):
        Checkpoint(tmp_path, other={}).restore()


def test_without_a_folder_it_just_runs(monkeypatch):
    monkeypatch.delenv("HELIO_CHECKPOINT", raising=False)
    assert list(Checkpoint(weights={}).steps(3)) == [0, 1, 2]
