"""The contract's laws, on the fastest EVM: every refusal by its reason, and conservation whatever is tried."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_world import AUDITORS, METHOD, NOW_S, ORIGIN, WITNESSES, Revm, World, a_claim, council, key, keys, signed
from heliotrope.errors import ChainRefused, InvalidInput
from heliotrope.prove.chain import artifact, typed
from heliotrope.prove.chain.outbox import Outbox
from heliotrope.prove.chain.registry import Council, Registry, deploy
from heliotrope.prove.chain.typed import Role
from heliotrope.prove.chain.wallet import Wallet
from heliotrope.prove.claims.leaf import claim_id, leaf_data
from heliotrope.prove.formats import merkle
from heliotrope.store import Store
from heliotrope.units import S_PER_DAY

ALICE, BOB = Wallet(key("alice")), Wallet(key("bob"))
STRANGER = key("stranger")


@pytest.fixture
def node():
    return Revm()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store.db")
    yield store
    store.close()


@pytest.fixture
def world(node, store):
    return World(Outbox(store, node, ALICE))


@pytest.fixture
def minted(world):
    claim = a_claim(ALICE.address, grams=1001)
    world.mint_new(claim)
    return claim


def by(world, wallet):
    """The same contract, used by somebody else."""
    return Registry(Outbox(world.registry.outbox.store, world.registry.node, wallet), world.registry.address)


# Anchors


def test_a_quorum_anchors_and_every_anchored_root_stays(world):
    roots = {}
    for step in range(3):
        world.log(b"%d" % step)
        world.anchor()
        roots[len(world.leaves)] = world.root
    assert world.registry.size() == 3
    assert {size: world.registry.root_at(size) for size in roots} == roots


def test_sizes_only_rise(world):
    world.log(b"a", b"b")
    world.anchor()
    before = world.state()
    for size in (0, 1, 2):
        digest = world.registry.seal.digest(typed.anchor(ORIGIN, size, bytes(32)))
        with pytest.raises(ChainRefused, match="cause: not newer"):
            world.registry.anchor(size, bytes(32), signed(digest, WITNESSES[:5]))
        assert world.state() == before


@pytest.mark.parametrize(
    ("signers", "reason"),
    [
        (WITNESSES[:4], "too few signatures"),
        ((*WITNESSES[:4], WITNESSES[0]), "signers must ascend"),
        ((*WITNESSES[:4], STRANGER), "not a member"),
        (AUDITORS[:3] + WITNESSES[:2], "not a member"),
    ],
    ids=["k-1", "one twice", "a stranger", "the other role"],
)
def test_no_anchor_without_a_quorum_of_witnesses(world, signers, reason):
    before = world.state()
    world.log(b"a")
    with pytest.raises(ChainRefused, match=f"cause: {reason}"):
        world.anchor(signers)
    assert world.state() == before


def test_signatures_for_another_root_size_chain_or_contract_do_not_count(world):
    world.log(b"a")
    seal, size, root = world.registry.seal, 1, world.root
    structs = {
        "root": seal.digest(typed.anchor(ORIGIN, size, bytes(32))),
        "size": seal.digest(typed.anchor(ORIGIN, size + 1, root)),
        "origin": seal.digest(typed.anchor(bytes(32), size, root)),
        "chain": typed.Seal(seal.chain_id + 1, seal.contract).digest(typed.anchor(ORIGIN, size, root)),
        "contract": typed.Seal(seal.chain_id, ALICE.address).digest(typed.anchor(ORIGIN, size, root)),
    }
    before = world.state()
    for digest in structs.values():
        # It recovers somebody, but nobody of the council, and in an order that chance makes.
        with pytest.raises(ChainRefused, match=r"cause: (not a member|signers must ascend)"):
            world.registry.anchor(size, root, signed(digest, WITNESSES[:5]))
        assert world.state() == before


def test_a_signature_that_recovers_nobody_is_nobodys(world):
    world.log(b"a")
    garbage = [typed.Signature(v, bytes(32), bytes(32)) for v in (0, 27, 28, 29, 255)]
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: signers must ascend"):
        world.registry.anchor(1, world.root, garbage)
    assert world.state() == before


# Inclusion


def test_inclusion_on_chain_is_inclusion_in_the_log(node, store):
    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 70), st.data())
    def holds(size, data):
        index = data.draw(st.integers(0, size - 1))
        leaf, path = merkle.leaf_hash(leaves[index]), world.path(index, size)
        includes = world.registry.includes
        assert includes(leaf, index, size, path)
        assert not includes(merkle.leaf_hash(b"other"), index, size, path)
        assert not includes(leaf, index, size, [*path, bytes(32)])
        assert not includes(leaf, size, size, path)
        if path:
            assert not includes(leaf, (index + 1) % size, size, path)
            assert not includes(leaf, index, size, path[:-1])
        if len(path) > 1:
            assert not includes(leaf, index, size, path[::-1])

    world = World(Outbox(store, node, ALICE), witnesses=keys("only", 1), k=1)
    leaves = [b"leaf %d" % i for i in range(70)]
    for leaf in leaves:
        world.log(leaf)
        world.anchor()
    holds()


# Minting


def test_a_claim_is_minted_once_with_a_fifth_in_the_buffer(world, minted):
    registry = world.registry
    assert registry.proven(minted.id) == 1001
    assert registry.balance(registry.address, minted.id) == minted.buffer_grams == 201
    assert registry.balance(ALICE.address, minted.id) == 800
    assert registry.minted(minted.serial) == minted.id
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: already minted"):
        by(world, BOB).mint(minted, 0, registry.size(), world.path(0, registry.size()), world.agreed(minted))
    assert world.state() == before


def test_python_and_the_contract_build_the_same_leaf(world):
    claim = a_claim(ALICE.address)
    data = leaf_data(claim, world.registry.seal.chain_id, world.registry.address)
    assert world.registry.leaf_hash(claim) == merkle.leaf_hash(data)


@pytest.mark.parametrize("field", ["grams", "owner", "start_s", "evidence"])
def test_no_field_of_a_logged_claim_can_be_swapped(world, field):
    claim = a_claim(ALICE.address)
    index = world.anchored(claim)
    before = world.state()
    others = {"grams": claim.grams + 1, "owner": BOB.address, "start_s": claim.start_s + 1, "evidence": bytes(32)}
    swapped = msgspec.structs.replace(claim, **{field: others[field]})
    with pytest.raises(ChainRefused, match="cause: not in the log"):
        world.mint(swapped, index)
    assert world.state() == before


def test_the_id_must_say_method_vintage_and_expiry(world):
    claim = a_claim(ALICE.address)
    index = world.anchored(claim)
    before = world.state()
    fields = [getattr(claim, f) for f in claim.__struct_fields__]
    for other in (
        claim_id(b"\xff" * 32, claim.end_s, claim.expiry_s, claim.serial),
        claim_id(METHOD, claim.end_s - S_PER_DAY, claim.expiry_s, claim.serial),
        claim_id(METHOD, claim.end_s, claim.expiry_s + S_PER_DAY, claim.serial),
    ):
        data = artifact.call_data("mint", (other, *fields[1:]), index, 1, [], [])
        with pytest.raises(ChainRefused, match="cause: id does not say what it is"):
            world.registry.outbox.submit("mint anyhow", world.registry.address, data)
        assert world.state() == before


def test_one_serial_is_minted_once_whatever_else_the_id_says(world, minted):
    other = a_claim(ALICE.address, grams=1001, method=bytes(31) + b"\1")
    assert other.serial == minted.serial
    assert other.id != minted.id
    index = world.anchored(other)
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: already minted"):
        world.mint(other, index)
    assert world.state() == before


@pytest.mark.parametrize(
    ("signers", "reason"),
    [(AUDITORS[:1], "too few signatures"), (WITNESSES[:2], "not a member")],
    ids=["k-1", "others"],
)
def test_auditors_must_agree_and_witnesses_are_not_auditors(world, signers, reason):
    claim = a_claim(ALICE.address)
    index = world.anchored(claim)
    before = world.state()
    with pytest.raises(ChainRefused, match=f"cause: {reason}"):
        world.registry.mint(claim, index, 1, [], world.agreed(claim, signers))
    assert world.state() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"end_s": NOW_S + S_PER_DAY, "expiry_s": NOW_S + 30 * S_PER_DAY}, "vintage not over"),
        ({"end_s": NOW_S - 90 * S_PER_DAY, "expiry_s": NOW_S - S_PER_DAY, "start_s": 1}, "expired"),
    ],
)
def test_no_claim_on_the_future_and_none_that_is_stale(world, changes, reason):
    claim = a_claim(ALICE.address, **changes)
    index = world.anchored(claim)
    before = world.state()
    with pytest.raises(ChainRefused, match=f"cause: {reason}"):
        world.mint(claim, index)
    assert world.state() == before


def test_the_contract_itself_owns_no_claim(world):
    claim = a_claim(world.registry.address)
    index = world.anchored(claim)
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: no such owner"):
        world.mint(claim, index)
    assert world.state() == before


# Moving and retiring


def test_what_is_retired_stays_retired_and_says_for_whom(world, minted):
    registry = world.registry
    registry.transfer(minted.id, 300, BOB.address)
    by(world, BOB).retire(minted.id, 100, "Example Ltd", "the training of May")
    assert registry.retired(minted.id) == registry.retired_of(BOB.address, minted.id) == 100
    assert registry.balance(BOB.address, minted.id) == 200
    assert registry.supply(minted.id) == 901
    (told,) = registry.retirements()
    assert (told.by, told.grams, told.beneficiary, told.reason) == (
        BOB.address, 100, "Example Ltd", "the training of May",
    )  # fmt: skip


def test_nobody_moves_or_retires_what_they_do_not_have(world, minted):
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: balance too low"):
        world.registry.transfer(minted.id, 801, BOB.address)
    with pytest.raises(ChainRefused, match="cause: balance too low"):
        by(world, BOB).retire(minted.id, 1, "Bob", "nothing")
    theirs = artifact.call_data("safeTransferFrom", ALICE.address, BOB.address, minted.id, 1, b"")
    with pytest.raises(ChainRefused, match="cause: not yours to move"):
        by(world, BOB).outbox.submit("steal", world.registry.address, theirs)
    with pytest.raises(ChainRefused, match="cause: no such owner"):
        world.registry.transfer(minted.id, 1, world.registry.address)
    assert world.state() == before


def test_a_retirement_needs_a_beneficiary_and_a_reason(world, minted):
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: no beneficiary"):
        world.registry.retire(minted.id, 1, "", "why")
    with pytest.raises(ChainRefused, match="cause: no reason"):
        world.registry.retire(minted.id, 1, "who", "")
    with pytest.raises(ChainRefused, match="cause: nothing to retire"):
        world.registry.retire(minted.id, 0, "who", "why")
    assert world.state() == before


def test_an_operator_moves_what_it_was_approved_for(world, minted):
    approve = artifact.call_data("setApprovalForAll", BOB.address, True)
    world.registry.outbox.submit("approve", world.registry.address, approve)
    both = artifact.call_data("safeBatchTransferFrom", ALICE.address, BOB.address, [minted.id] * 2, [5, 7], b"")
    by(world, BOB).outbox.submit("move", world.registry.address, both)
    assert world.registry.balance(BOB.address, minted.id) == 12
    assert len(world.registry.events("TransferBatch")) == 1


def test_an_expired_claim_neither_moves_nor_retires(world, node, minted):
    before = world.state()
    node.at(minted.expiry_s - minted.expiry_s % S_PER_DAY)
    with pytest.raises(ChainRefused, match="cause: expired"):
        world.registry.transfer(minted.id, 1, BOB.address)
    with pytest.raises(ChainRefused, match="cause: expired"):
        world.registry.retire(minted.id, 1, "who", "why")
    assert world.state() == before


def test_a_contract_that_does_not_know_claims_gets_none(world, minted):
    other = deploy(world.registry.outbox, bytes(32), council(keys("x", 1), 1), council(keys("y", 1), 1))
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: reverted without a reason"):
        world.registry.transfer(minted.id, 1, other)
    assert world.state() == before


# Quorums


def correction(world, claim, grams, signers=AUDITORS[:2]):
    struct = typed.correct(claim.id, grams, bytes(32), world.registry.nonce(Role.AUDITORS))
    return signed(world.registry.seal.digest(struct), signers)


def test_auditors_retire_from_the_buffer_once_a_signature(world, minted):
    signatures = correction(world, minted, 50)
    world.registry.correct(minted.id, 50, bytes(32), signatures)
    assert world.registry.balance(world.registry.address, minted.id) == 151
    assert world.registry.retired(minted.id) == 50
    before = world.state()
    with pytest.raises(ChainRefused, match=r"cause: (not a member|signers must ascend)"):
        by(world, BOB).correct(minted.id, 50, bytes(32), signatures)
    with pytest.raises(ChainRefused, match="cause: balance too low"):
        world.registry.correct(minted.id, 152, bytes(32), correction(world, minted, 152))
    assert world.state() == before


@pytest.mark.parametrize("role", list(Role))
def test_either_quorum_stops_everything_and_starts_it_again(world, minted, role):
    world.paused(paused=True, role=role)
    before = world.state()
    assert before["paused"]
    world.log(b"more")
    with pytest.raises(ChainRefused, match="cause: paused"):
        world.anchor()
    with pytest.raises(ChainRefused, match="cause: paused"):
        world.registry.transfer(minted.id, 1, BOB.address)
    with pytest.raises(ChainRefused, match="cause: paused"):
        world.registry.retire(minted.id, 1, "who", "why")
    assert world.state() == before
    world.paused(paused=False, role=role)
    world.anchor()
    world.registry.transfer(minted.id, 1, BOB.address)
    assert world.registry.size() == 2
    assert world.registry.balance(BOB.address, minted.id) == 1


def test_a_pause_cannot_be_replayed(world):
    struct = typed.pause(Role.WITNESSES, 0, paused=True)
    signatures = signed(world.registry.seal.digest(struct), WITNESSES[:5])
    world.registry.pause(Role.WITNESSES, signatures, paused=True)
    world.paused(paused=False)
    before = world.state()
    assert not before["paused"]
    with pytest.raises(ChainRefused, match=r"cause: (not a member|signers must ascend)"):
        by(world, BOB).pause(Role.WITNESSES, signatures, paused=True)
    assert world.state() == before


def rotation(world, role, fresh, signers):
    struct = typed.rotate(role, fresh.ascending, fresh.threshold, world.registry.nonce(role))
    return signed(world.registry.seal.digest(struct), signers)


def test_witnesses_seat_their_successors_even_while_paused(world):
    successors = keys("fresh", 3)
    fresh = council(successors, 2)
    world.paused(paused=True)
    world.registry.rotate(Role.WITNESSES, fresh, rotation(world, Role.WITNESSES, fresh, WITNESSES[:5]))
    world.witnesses, world.k = successors, 2
    world.paused(paused=False)
    world.log(b"a")
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: not a member"):
        world.anchor(WITNESSES[:5])
    assert world.state() == before
    world.anchor()
    assert world.registry.council(Role.WITNESSES) == Council(fresh.ascending, 2)


@pytest.mark.parametrize(
    ("fresh", "reason"),
    [
        (council(keys("fresh", 4), 2), "threshold must be more than half"),
        (council(keys("fresh", 3), 4), "threshold must be more than half"),
        (Council((ALICE.address, ALICE.address, BOB.address), 2), "members must ascend"),
        (Council(("0x" + "00" * 20,), 1), "members must ascend"),
        (Council((), 0), "threshold must be more than half"),
    ],
    ids=["half", "more than all", "one twice", "nobody", "none"],
)
def test_no_council_without_an_honest_majority_rule(world, fresh, reason):
    before = world.state()
    with pytest.raises(ChainRefused, match=f"cause: {reason}"):
        world.registry.rotate(Role.WITNESSES, fresh, rotation(world, Role.WITNESSES, fresh, WITNESSES[:5]))
    assert world.state() == before


def test_an_unknown_role_has_no_quorum(world):
    data = artifact.call_data("pause", 7, True, [])
    before = world.state()
    with pytest.raises(ChainRefused, match="cause: no such role"):
        world.registry.outbox.submit("pause", world.registry.address, data)
    assert world.state() == before


def test_too_few_slips_are_counted_before_anything_is_sent():
    digest = bytes(31) + b"\1"
    members = council(WITNESSES, 5)
    with pytest.raises(InvalidInput, match="found '4 of members"):
        typed.quorum(digest, signed(digest, (*WITNESSES[:4], STRANGER)), members.members, 5)
    assert len(typed.quorum(digest, signed(digest, WITNESSES), members.members, 5)) == 5


def test_the_digests_are_eip_712_as_wallets_build_them(world):
    from eth_account.messages import encode_typed_data

    fresh = council(keys("fresh", 3), 2)
    message = encode_typed_data(
        {
            "name": "Heliotrope claims",
            "version": "1",
            "chainId": world.registry.seal.chain_id,
            "verifyingContract": world.registry.address,
        },
        {
            "Rotate": [
                {"name": "role", "type": "uint256"},
                {"name": "members", "type": "address[]"},
                {"name": "threshold", "type": "uint256"},
                {"name": "nonce", "type": "uint256"},
            ]
        },
        {"role": 1, "members": list(fresh.ascending), "threshold": 2, "nonce": 9},
    )
    from eth_account.messages import _hash_eip191_message

    ours = world.registry.seal.digest(typed.rotate(Role.AUDITORS, fresh.ascending, 2, 9))
    assert ours == _hash_eip191_message(message)


# Reproducible


def test_bytecode_and_abi_are_what_the_pinned_compiler_makes_of_the_source():
    made = artifact.compile_source(artifact.source())
    committed = artifact.artifact()
    assert made.bytecode == committed.bytecode
    assert artifact.as_json(made) == artifact.as_json(committed)


def test_the_contract_fits_a_public_chain():
    assert len(artifact.artifact().bytecode) // 2 < 24_576  # EIP-170
