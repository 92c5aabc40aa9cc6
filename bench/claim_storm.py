"""Random operations against the contract on pyrevm, each outcome foretold by a model in Python."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from chain_world import NOW_S, Revm, World, a_claim, key, signed
from heliotrope.prove.chain import artifact, typed
from heliotrope.prove.chain.outbox import Outbox
from heliotrope.prove.chain.typed import Role
from heliotrope.prove.chain.wallet import Wallet
from heliotrope.store import Store
from heliotrope.units import S_PER_DAY

HOLDERS = tuple(Wallet(key(f"holder {i}")).address for i in range(6))
SHORT_LIFE_S = 30 * S_PER_DAY


@dataclass
class Model:
    """What the contract should hold."""

    balance: Counter = field(default_factory=Counter)  # (owner, id) → grams
    retired: Counter = field(default_factory=Counter)  # (owner, id) → grams
    approved: set = field(default_factory=set)  # (owner, operator)
    proven: dict = field(default_factory=dict)  # id → grams
    expiry_s: dict = field(default_factory=dict)  # id → epoch second
    paused: bool = False
    now_s: int = NOW_S

    def alive(self, claim_id: int) -> bool:
        return not self.paused and self.expiry_s[claim_id] > self.now_s


@dataclass
class Outcome:
    operations: int = 0
    accepted: int = 0
    double_mints: int = 0
    surprises: int = 0
    unbalanced: int = 0


class Storm:
    """`claims` are made and logged beforehand; the storm mints, moves and retires them, allowed or not."""

    def __init__(self, seed: int, claims: int = 24) -> None:
        self.random = random.Random(seed)
        self.node = Revm()
        self.folder = tempfile.TemporaryDirectory(prefix="helio storm ")
        self.store = Store(Path(self.folder.name) / "store.db")
        world = World(Outbox(self.store, self.node, Wallet(key("sender"))))
        self.contract = world.registry.address
        self.model = Model()
        self.outcome = Outcome()
        self.world = world
        self._make_claims(claims)
        self._mints = self._mint_calls()
        self._transfer = artifact.call_data("safeTransferFrom", HOLDERS[0], HOLDERS[0], 0, 0, b"")
        self._retire = artifact.call_data("retire", 0, 0, "somebody", "something")

    def _make_claims(self, count: int) -> None:
        self.claims = []
        for number in range(count):
            owner = HOLDERS[number % len(HOLDERS)]
            life = {} if number % 4 else {"expiry_s": NOW_S + SHORT_LIFE_S}
            claim = a_claim(owner, number, grams=self.random.randint(1, 10 ** self.random.randint(1, 9)), **life)
            self.world.log_claim(claim)
            self.claims.append(claim)
            self.model.expiry_s[claim.id] = claim.expiry_s - claim.expiry_s % S_PER_DAY
        self.world.anchor()

    def _mint_calls(self) -> list[tuple[int, bool, bytes]]:
        """(claim, whether its fields are the logged ones, calldata): the true one and forgeries of it."""
        size, calls = len(self.claims), []
        for index, claim in enumerate(self.claims):
            fields = [getattr(claim, name) for name in claim.__struct_fields__]
            path = self.world.path(index, size)
            agreed = [s.abi for s in self.world.agreed(claim)]
            richer = [*fields[:1], claim.grams + 1, *fields[2:]]
            stolen = [*fields[:2], HOLDERS[(index + 1) % len(HOLDERS)], *fields[3:]]
            for true, used, where, signatures in (
                (True, fields, index, agreed),
                (False, richer, index, agreed),
                (False, stolen, index, agreed),
                (False, fields, (index + 1) % size, agreed),
                (False, fields, index, agreed[:1]),
            ):
                calls.append((index, true, artifact.call_data("mint", tuple(used), where, size, path, signatures)))
        return calls

    def blow(self, operations: int, *, check_every: int = 5000) -> Outcome:
        steps = [self._move] * 55 + [self._retire_some] * 25 + [self._mint] * 14 + [self._approve] * 5
        for number in range(operations):
            if number % 9973 == 9972:
                self._pause()
            elif number % 4999 == 4998:
                self._correct()
            elif number == operations * 3 // 4:
                self.model.now_s = NOW_S + SHORT_LIFE_S
                self.node.at(self.model.now_s)
            else:
                self.random.choice(steps)()
            self.outcome.operations += 1
            if number % check_every == check_every - 1:
                self.check()
        self.check()
        return self.outcome

    def check(self) -> None:
        """Every balance is the model's, and for every claim balances + retired = proven."""
        registry = self.world.registry
        for claim in self.claims:
            owners = (*HOLDERS, self.contract)
            balances = [registry.balance(owner, claim.id) for owner in owners]
            wrong = balances != [self.model.balance[owner, claim.id] for owner in owners]
            proven, retired = registry.proven(claim.id), registry.retired(claim.id)
            wrong |= sum(balances) + retired != proven or proven != self.model.proven.get(claim.id, 0)
            wrong |= retired != sum(self.model.retired[owner, claim.id] for owner in owners)
            self.outcome.unbalanced += wrong

    def _try(self, sender: str, data: bytes, *, expected: bool) -> bool:
        try:
            self.node.transact(sender, self.contract, data)
            happened = True
        except RuntimeError:
            happened = False
        self.outcome.accepted += happened
        self.outcome.surprises += happened != expected
        return happened

    def _move(self) -> None:
        model, pick = self.model, self.random.choice
        claim_id, source, to = pick(self.claims).id, pick(HOLDERS), pick((*HOLDERS, self.contract))
        sender = source if self.random.random() < 0.7 else pick(HOLDERS)
        grams = self._some(model.balance[source, claim_id])
        expected = (
            to != self.contract
            and (sender == source or (source, sender) in model.approved)
            and model.alive(claim_id)
            and grams <= model.balance[source, claim_id]
        )
        words = b"".join(map(_word, (int(source, 16), int(to, 16), claim_id, grams)))
        if self._try(sender, self._transfer[:4] + words + self._transfer[132:], expected=expected):
            model.balance[source, claim_id] -= grams
            model.balance[to, claim_id] += grams

    def _retire_some(self) -> None:
        model, claim_id, owner = self.model, self.random.choice(self.claims).id, self.random.choice(HOLDERS)
        grams = self._some(model.balance[owner, claim_id]) // 8
        expected = 0 < grams <= model.balance[owner, claim_id] and model.alive(claim_id)
        data = self._retire[:4] + _word(claim_id) + _word(grams) + self._retire[68:]
        if self._try(owner, data, expected=expected):
            model.balance[owner, claim_id] -= grams
            model.retired[owner, claim_id] += grams

    def _mint(self) -> None:
        index, true, data = self.random.choice(self._mints)
        claim, model = self.claims[index], self.model
        fresh = claim.id not in model.proven
        expected = true and fresh and not model.paused and claim.expiry_s > model.now_s
        if self._try(self.random.choice(HOLDERS), data, expected=expected):
            self.outcome.double_mints += not fresh
            model.proven[claim.id] = claim.grams
            model.balance[claim.owner, claim.id] += claim.grams - claim.buffer_grams
            model.balance[self.contract, claim.id] += claim.buffer_grams

    def _approve(self) -> None:
        owner, operator, approved = *self.random.sample(HOLDERS, 2), self.random.random() < 0.4
        self._try(owner, artifact.call_data("setApprovalForAll", operator, approved), expected=True)
        (self.model.approved.add if approved else self.model.approved.discard)((owner, operator))

    def _pause(self) -> None:
        self.model.paused = not self.model.paused
        struct = typed.pause(Role.WITNESSES, self.world.registry.nonce(Role.WITNESSES), paused=self.model.paused)
        signatures = signed(self.world.registry.seal.digest(struct), self.world.witnesses[: self.world.k])
        data = artifact.call_data("pause", 0, self.model.paused, [s.abi for s in signatures])
        self._try(HOLDERS[0], data, expected=True)

    def _correct(self) -> None:
        claim = self.random.choice(self.claims)
        grams = self._some(self.model.balance[self.contract, claim.id])
        struct = typed.correct(claim.id, grams, bytes(32), self.world.registry.nonce(Role.AUDITORS))
        signatures = signed(self.world.registry.seal.digest(struct), self.world.auditors[:2])
        data = artifact.call_data("correct", claim.id, grams, bytes(32), [s.abi for s in signatures])
        if self._try(HOLDERS[0], data, expected=grams <= self.model.balance[self.contract, claim.id]):
            self.model.balance[self.contract, claim.id] -= grams
            self.model.retired[self.contract, claim.id] += grams

    def _some(self, held: int) -> int:
        """Mostly what is there or less, at times one more, at times absurd."""
        chance = self.random.random()
        if chance < 0.8:
            return self.random.randint(0, held)
        return held + 1 if chance < 0.95 else 2**256 - 1 - self.random.randint(0, 3)

    def close(self) -> None:
        self.store.close()
        self.folder.cleanup()


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")
