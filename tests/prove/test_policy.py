"""C2SP tlog-policy files: groups of witnesses, groups of groups, and everything that may be wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import BadSignature, InvalidInput
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.merkle import EMPTY_ROOT
from heliotrope.prove.formats.note import SecretKey
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.trust import Trust
from hostile import came_back

# Fixed seeds: the keys are in the names of tests, and every process has to know those alike.
LOG = SecretKey("log.example/one", Algorithm.ED25519, bytes(32))
WITNESSES = {
    name: SecretKey(f"{name}.example", Algorithm.COSIGNATURE, bytes([i]) * 32)
    for i, name in enumerate(("x1", "x2", "x3", "y1", "y2"), start=1)
}
NAMED = f"log {LOG.key} https://log.example\n" + "".join(
    f"witness {name} {secret.key} https://{name}.example/w\n" for name, secret in WITNESSES.items()
)
GROUPS = """
# two of ours, any of theirs, and both camps
group x 2 x1 x2 x3
group y any y1 y2
group both all x y
quorum both
"""


def signed_by(*names):
    note = Checkpoint(LOG.name, 0, EMPTY_ROOT).signed(LOG)
    return note.with_signatures([WITNESSES[name].sign(note.text, time_s=1) for name in names])


@pytest.mark.parametrize("names", [("x1", "x2", "y1"), ("x2", "x3", "y2"), tuple(WITNESSES)])
def test_groups_that_are_met(names):
    assert len(Trust.parse(NAMED + GROUPS).check(signed_by(*names)).witnesses) == len(names)


@pytest.mark.parametrize("names", [(), ("x1", "x2", "x3"), ("x1", "y1", "y2"), ("y1", "y2")])
def test_groups_that_are_not(names):
    with pytest.raises(BadSignature, match="does not meet the quorum both"):
        Trust.parse(NAMED + GROUPS).check(signed_by(*names))


def test_no_quorum_and_one_witness():
    assert Trust.parse(NAMED + "quorum none\n").check(signed_by()).witnesses == ()
    alone = Trust.parse(NAMED + "quorum y1\n")
    assert alone.check(signed_by("y1")).witnesses
    with pytest.raises(BadSignature):
        alone.check(signed_by("x1", "x2", "x3", "y2"))


@pytest.mark.parametrize(
    "lines",
    [
        "group x 2 x1",
        "group x 0 x1",
        "group x 01x x1",
        "group x many x1",
        "group x any",
        "group x any nobody",
        "group x any later\ngroup later any x1",
        "group x1 any x2",
        "group none any x1",
        "group x any x1\ngroup y any x1",
        "group x any x1 x1",
        "quorum nobody",
        "quorum",
        "quorum x1 x2",
        "quorum x1\nquorum x1",
        "quorum none\nquorum none",
        f"witness x1 {WITNESSES['x2'].key}",
        f"witness x4 {WITNESSES['x2'].key}",
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_by_line(lines):
    with pytest.raises(InvalidInput) as refused:
        Trust.parse(f"{NAMED}{lines}\n", file="policy")
    assert "policy" in str(refused.value)


@given(
    st.text()
    | st.lists(st.sampled_from(["group", "quorum", "witness", "x1", "x2", "2", "any", "none", "\n"])).map(" ".join)
)
def test_no_text_breaks_the_reader(text):
    trust = came_back(lambda: Trust.parse(NAMED + text, file="policy"))
    if isinstance(trust, InvalidInput):
        assert trust.file == "policy"
        assert trust.line > len(WITNESSES) + 1
        return
    assert trust.witnesses == tuple(secret.key for secret in WITNESSES.values())
    assert trust.rule is None or trust.rule.met(set(range(len(WITNESSES))))
    assert trust.rule is None or not trust.rule.met(set())
