"""The book of claims: from evidence to a leaf in the log, from there to the chain, and what became of each since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from heliotrope.errors import InvalidInput, ProofError, UnknownName
from heliotrope.prove import Ledger
from heliotrope.prove.chain import typed
from heliotrope.prove.chain.anchoring import Slip, pick
from heliotrope.prove.chain.node import Mined
from heliotrope.prove.chain.registry import Registry
from heliotrope.prove.chain.typed import Role, Seal
from heliotrope.prove.chain.wallet import Wallet
from heliotrope.prove.claims import leaf, outcomes
from heliotrope.prove.claims.assess import Assessment, assess
from heliotrope.prove.claims.evidence import Evidence
from heliotrope.prove.claims.history import History
from heliotrope.prove.claims.leaf import Claim
from heliotrope.prove.claims.outcomes import Runs
from heliotrope.prove.claims.reading import from_ledger, own_evidence
from heliotrope.prove.formats import merkle
from heliotrope.prove.log import sequencer
from heliotrope.units import from_epoch


class Standing(msgspec.Struct, frozen=True):
    """One claim as the log and the chain hold it now. Grams; `state`: logged, minted, retired or expired."""

    id: str
    state: str
    grams: int
    circulating: int
    buffer: int
    retired: int
    owner: str
    method: str
    start: str
    end: str
    expires: str
    evidence: str
    leaf_index: int


class Book:
    """`registry` is the contract that every claim of this book names in its leaf."""

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self.ledger = ledger
        self.registry = registry

    def issue(self, evidence: Evidence, owner: str) -> tuple[Claim, Assessment]:
        """Writes the claim into the log, once; raises with the reasons where nothing was earned."""
        assessed = assess(evidence)
        if assessed.grams == 0:
            raise ProofError("nothing may be minted", cause="; ".join(assessed.reasons))
        claim = make_claim(evidence, assessed, owner)
        data = leaf.leaf_data(claim, self.registry.seal.chain_id, self.registry.address)
        raw = evidence.canonical()
        with self.ledger.store.write() as tx:
            known = tx.one("SELECT leaf FROM claim WHERE id = ?", (claim.name,))
            if known is not None:
                if bytes(known["leaf"]) != data:
                    raise InvalidInput("this programme and period were claimed already", found=claim.name)
                return claim, assessed
            for job in evidence.jobs:
                twice = tx.one("SELECT claim FROM claim_job WHERE registration = ?", (job.leaf,))
                if twice is not None:
                    raise InvalidInput("a job is in two claims", field=job.job, found=twice["claim"])
            index = self.ledger.append(tx, [data])
            tx.execute(
                "INSERT INTO claim (id, chain_id, leaf_index, leaf, evidence) VALUES (?, ?, ?, ?, ?)",
                (claim.name, self.registry.seal.chain_id, index, data, raw),
            )
            tx.execute_many(
                "INSERT INTO claim_job (registration, claim) VALUES (?, ?)",
                [(job.leaf, claim.name) for job in evidence.jobs],
            )
        return claim, assessed

    def agree(self, name: str, auditor: Wallet) -> Slip:
        """By this home's own auditor, on its own log."""
        claim, _, raw = self._claim(name)
        programme = Evidence.parse(raw).programme.name
        with self.ledger.store.read() as tx:
            leaves = list(enumerate(sequencer.read_entries(tx, 0, sequencer.size(tx))))
        logged, index = find(leaves, self.registry.seal, programme, claim.start_s, claim.end_s)
        history = History(programme, from_ledger(self.ledger))
        recorded = Runs(from_ledger(self.ledger, outcomes.KINDS), lambda name: own_evidence(self.ledger, name))
        return agree(logged, index, history, recorded, self.registry.seal, auditor)

    def mint(self, name: str, slips: Iterable[Slip]) -> Mined:
        """Under the newest anchor, which must hold the claim's leaf."""
        claim, index, _ = self._claim(name)
        council = self.registry.council(Role.AUDITORS)
        digest = claim_digest(claim, self.registry.seal)
        signatures = typed.quorum(digest, pick(digest, slips), council.members, council.threshold)
        size = self.registry.size()
        if index >= size:
            raise ProofError("the claim's leaf is not anchored yet", hint="helio log anchor")
        return self.registry.mint(claim, index, size, self._path(index, size), signatures)

    def standing(self, name: str, *, now_s: float) -> Standing:
        claim, index, _ = self._claim(name)
        proven, retired = self.registry.proven(claim.id), self.registry.retired(claim.id)
        buffer = self.registry.balance(self.registry.address, claim.id)
        circulating = proven - retired - buffer
        state = "logged" if not proven else "retired" if not circulating else "minted"
        if state == "minted" and claim.expiry_s <= now_s:
            state = "expired"
        return Standing(
            id=claim.name,
            state=state,
            grams=claim.grams,
            circulating=circulating,
            buffer=buffer,
            retired=retired,
            owner=claim.owner,
            method=claim.method.hex(),
            start=_day(claim.start_s),
            end=_day(claim.end_s),
            expires=_day(claim.expiry_s),
            evidence=claim.evidence.hex(),
            leaf_index=index,
        )

    def standings(self, *, now_s: float) -> tuple[Standing, ...]:
        """Every claim of this log, oldest first."""
        return tuple(self.standing(name, now_s=now_s) for name in self.names())

    def of_period(self, programme: str, start_s: int, end_s: int) -> str | None:
        """The claim that was issued for exactly this."""
        serial = f"{leaf.serial_of(programme, start_s, end_s):040x}"
        return next((name for name in self.names() if name.endswith(serial)), None)

    def anchored(self, name: str) -> bool:
        return self._claim(name)[1] < self.registry.size()

    def refuse_minted(self, name: str) -> None:
        claim, _, _ = self._claim(name)
        if self.registry.minted(claim.serial):
            raise ProofError(
                "this claim was minted already", cause=claim.name, hint="a programme's period is minted once"
            )

    def names(self) -> tuple[str, ...]:
        with self.ledger.store.read() as tx:
            return tuple(str(row["id"]) for row in tx.all("SELECT id FROM claim ORDER BY leaf_index"))

    def full_name(self, start: str) -> str:
        """The only claim whose id begins, or ends, like this."""
        wanted = start.lower().removeprefix("0x")
        found = [name for name in self.names() if name[2:].startswith(wanted) or name.endswith(wanted)]
        if len(found) != 1:
            raise UnknownName(f"{len(found)} claims are named {start}", hint="`helio claims list` shows every id")
        return found[0]

    def evidence(self, name: str) -> bytes:
        return self._claim(name)[2]

    def _claim(self, name: str) -> tuple[Claim, int, bytes]:
        with self.ledger.store.read() as tx:
            row = tx.one("SELECT leaf, leaf_index, evidence FROM claim WHERE id = ?", (name,))
        if row is None:
            raise UnknownName(f"no claim {name}", hint="`helio claims list` shows every id")
        claim, _, _ = leaf.parse_leaf(bytes(row["leaf"]))
        return claim, int(row["leaf_index"]), bytes(row["evidence"])

    def _path(self, index: int, size: int) -> list[bytes]:
        with self.ledger.store.read() as tx:
            return merkle.inclusion(index, size, sequencer.node(tx, size))


def find(
    leaves: Iterable[tuple[int, bytes]], seal: Seal, programme: str, start_s: int, end_s: int
) -> tuple[Claim, int]:
    """The claim of a programme's period among a log's entries, and its index.

    Refused where the log holds an earlier claim of the same programme over any of the same time, on whatever chain:
    a job would be in two.
    """
    for index, data in leaves:
        if len(data) != leaf.LEAF_BYTES or not data.startswith(leaf.TAG):
            continue
        claim, chain_id, contract = leaf.parse_leaf(data)
        ours = claim.serial == leaf.serial_of(programme, claim.start_s, claim.end_s)
        if not ours or claim.end_s <= start_s or end_s <= claim.start_s:
            continue
        if (claim.start_s, claim.end_s, chain_id, contract) != (start_s, end_s, seal.chain_id, seal.contract):
            raise ProofError("an earlier claim covers some of this time", cause=f"{claim.name} at entry {index}")
        return claim, index
    raise UnknownName(f"no claim of {programme} for this period in the log", hint="helio claims mint makes it")


def agree(claim: Claim, index: int, history: History, recorded: Runs, seal: Seal, auditor: Wallet) -> Slip:
    """An auditor's part: gathers the evidence out of what it read itself, assesses it anew, signs if equal.

    What jobs of the log's own controller emitted, and when they started, must be what their run records come to.
    """
    outcomes.check(history, recorded, before=index)
    mine = history.gather(claim.start_s, claim.end_s, before=index)
    rebuilt = make_claim(mine, assess(mine), claim.owner)
    if rebuilt.evidence != claim.evidence:
        raise ProofError("the claim rests on other evidence than the log holds", hint="do not sign; publish both")
    if rebuilt != claim:
        raise ProofError(
            "the claim is not what its evidence comes to",
            cause=f"claimed {claim.grams} g, recomputed {rebuilt.grams} g",
            hint="do not sign; publish both",
        )
    digest = claim_digest(claim, seal)
    return Slip.of(digest, auditor.sign(digest))


def claim_digest(claim: Claim, seal: Seal) -> bytes:
    """What an auditor signs."""
    return seal.digest(typed.agree(merkle.leaf_hash(leaf.leaf_data(claim, seal.chain_id, seal.contract))))


def make_claim(evidence: Evidence, assessed: Assessment, owner: str) -> Claim:
    """Nothing here is free to choose but the owner: id, grams, method, period and expiry follow from the evidence."""
    method = hashlib.sha256(evidence.programme.method.encode()).digest()
    serial = leaf.serial_of(evidence.programme.name, evidence.start_s, evidence.end_s)
    expiry_s = evidence.end_s + leaf.MAX_LIFE_S
    return Claim(
        leaf.claim_id(method, evidence.end_s, expiry_s, serial),
        assessed.grams,
        leaf.check_address(owner, field="owner"),
        method,
        evidence.start_s,
        evidence.end_s,
        expiry_s,
        hashlib.sha256(evidence.canonical()).digest(),
    )


def _day(seconds: int) -> str:
    return from_epoch(seconds).date().isoformat()
