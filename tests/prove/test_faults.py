"""What crashes and liars cannot do: lose a promise, fork the log, show two histories to a quorum."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.prove.formats import merkle
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import SecretKey
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.witness.protocol import Request, decide
from prove_kill import kills
from prove_split import accepted


# The forked writer runs nothing of this process's threads, and dies without returning.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.slow
def test_no_kill_loses_a_promise_or_forks_the_log(tmp_path):
    done = kills(tmp_path, 16, seed=7)
    assert (done.kills, done.lost, done.forks) == (16, 0, 0)
    assert done.acknowledged > 0, "some writers must have lived long enough to promise something"


@pytest.mark.parametrize(("quorum", "witnesses", "cheats"), [(5, 7, 0), (5, 7, 1), (5, 7, 2), (3, 5, 0), (4, 5, 2)])
def test_below_two_k_minus_n_no_split_is_accepted(quorum, witnesses, cheats):
    assert cheats < 2 * quorum - witnesses
    assert accepted(20_000, witnesses=witnesses, quorum=quorum, cheats=cheats) == 0


@pytest.mark.parametrize(("quorum", "witnesses", "cheats"), [(3, 5, 1), (5, 7, 3), (2, 3, 1)])
def test_at_two_k_minus_n_the_simulation_does_find_splits(quorum, witnesses, cheats):
    assert accepted(20_000, witnesses=witnesses, quorum=quorum, cheats=cheats) > 0


LOG = SecretKey.generate("example.org/log")
HONEST = [SecretKey.generate(f"h{i}", Algorithm.COSIGNATURE) for i in range(5)]
CHEATS = [SecretKey.generate(f"c{i}", Algorithm.COSIGNATURE) for i in range(2)]
TRUST = Trust((LOG.key,), tuple(s.key for s in (*HONEST, *CHEATS)), quorum=5)
COMMON = [merkle.leaf_hash(b"%d" % i) for i in range(4)]
BRANCHES = [COMMON + [merkle.leaf_hash(b"%d %d" % (side, i)) for i in range(8)] for side in (0, 1)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 12), st.sets(st.integers(0, 4))), max_size=14))
def test_with_real_signatures_two_cheats_of_seven_never_get_a_split_through(shown):
    """The same claim with the real rules and keys: `decide` for the honest, anything goes for the cheats."""
    heads = dict.fromkeys(range(5))
    through = [set(), set()]
    notes = {}
    for side, size, asked in shown:
        node = merkle.reader(BRANCHES[side])
        tree = Checkpoint(LOG.name, size, merkle.root(size, node))
        note = notes.get((side, size), tree.signed(LOG))
        signatures = [secret.sign(note.text, time_s=1) for secret in CHEATS]
        for i in asked:
            old = heads[i].size if heads[i] else 0
            path = merkle.consistency(old, size, node) if old <= size else []
            answer = decide(Request(old, tuple(path), tree.signed(LOG)), {LOG.name: [LOG.key]}, heads[i])
            if answer.tree is not None:
                heads[i] = answer.tree
                signatures.append(HONEST[i].sign(note.text, time_s=1))
        notes[side, size] = note = note.with_signatures(signatures)
        if size > len(COMMON) and sum(key in note.verified([key]) for key in TRUST.witnesses) >= TRUST.quorum:
            TRUST.check(note)
            through[side].add(size)
    assert not (through[0] and through[1])
