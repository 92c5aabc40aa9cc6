"""The contract and honest minting: gas, double mints, three chains' states, over-crediting. `python bench/prove_chain.py [--quick] [--json]`"""

from __future__ import annotations

import csv
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from chain_world import (
    ALICE,
    BOB,
    NOW_S,
    ORIGIN,
    WITNESSES,
    Revm,
    World,
    a_claim,
    anvil,
    anvil_binary,
    signed,
    tell,
)
from claim_programme import KINDS, Jobs, evidence, jobs
from claim_storm import Storm
from heliotrope.prove.chain import typed
from heliotrope.prove.chain.embedded import Embedded
from heliotrope.prove.chain.outbox import Outbox
from heliotrope.prove.claims.assess import assess
from heliotrope.prove.claims.estimate import saving
from heliotrope.prove.claims.evidence import Evidence
from heliotrope.store import Store
from table import Row, run

GRID = Path(__file__).parents[2] / "shared" / "data" / "grid"
HOLDOUT = 0.2


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="helio chain ") as folder:
        yield from gas_rows(Path(folder))
        yield from state_rows(Path(folder))
    yield from storm_rows(150_000 if quick else 1_000_000)
    yield from crediting_rows(600 if quick else 5_000)
    yield from grid_rows(60 if quick else 1_000)
    yield from recompute_rows(2_000 if quick else 10_000)


def gas_rows(folder: Path) -> Iterator[Row]:
    """On the real node; a claim's proof is ten hashes deep."""
    if anvil_binary() is None:
        yield Row("gas of an anchor, 5 of 7 witnesses", None, "gas", "<= 90000", how="no anvil here")
        return
    with anvil(rich=(ALICE.address,)) as (node, _):
        store = Store(folder / "gas.db")
        world = World(Outbox(store, node, ALICE))
        worst = 0
        for size in (1, 1000, 10**6, 10**9, 2**40, 2**63):
            root = hashlib.sha256(b"%d" % size).digest()
            digest = world.registry.seal.digest(typed.anchor(ORIGIN, size, root))
            worst = max(worst, world.registry.anchor(size, root, signed(digest, WITNESSES[:5])).gas_used)
        yield Row("gas of an anchor, 5 of 7 witnesses", worst, "gas", "<= 90000",
                  how="anvil, worst of six, 1 to 2^63 records")  # fmt: skip
        fresh = World(Outbox(store, node, ALICE), witnesses=WITNESSES[:1], k=1)
        fresh.log(*(b"%d" % i for i in range(1023)))
        claim = a_claim(ALICE.address)
        minted = fresh.mint_new(claim)
        yield Row("gas of a mint, proof of 10 hashes, 2 of 3 auditors", minted.gas_used, "gas", how="anvil")
        moved = fresh.registry.transfer(claim.id, 100, BOB.address)
        yield Row("gas of a transfer", moved.gas_used, "gas", how="anvil, to a new holder")
        retired = fresh.registry.retire(claim.id, 100, "Example Ltd", "training")
        yield Row("gas of a retirement", retired.gas_used, "gas", how="anvil, the first of its holder")
        store.close()


def state_rows(folder: Path) -> Iterator[Row]:
    if anvil_binary() is None:
        yield Row("answers that differ between three chains", None, "", "= 0", how="no anvil here")
        return
    stores = [Store(folder / f"{name}.db") for name in ("embedded", "pyrevm", "anvil")]
    began = time.process_time()
    embedded = Embedded(stores[0], now_s=lambda: NOW_S)
    told = [tell(embedded, stores[0])]
    cpu_ms = (time.process_time() - began) * 1000
    told.append(tell(Revm(chain_id=embedded.chain_id), stores[1]))
    with anvil(chain_id=embedded.chain_id, rich=(ALICE.address, BOB.address)) as (node, _):
        told.append(tell(node, stores[2]))
    for store in stores:
        store.close()
    differing = sum(told[0][what] != other[what] for other in told[1:] for what in told[0])
    yield Row("answers that differ between three chains", differing, "", "= 0",
              how=f"pyrevm, eth-tester, anvil: {len(told[0])} kinds of state")  # fmt: skip
    yield Row("embedded chain: a whole claim's story", cpu_ms, "ms", how="CPU, 11 transactions, start-up included")


def storm_rows(operations: int) -> Iterator[Row]:
    storm = Storm(2026, claims=40)
    began = time.process_time()
    outcome = storm.blow(operations)
    rate = operations / (time.process_time() - began)
    storm.close()
    how = f"{operations:,} random operations on pyrevm, {outcome.accepted:,} accepted"
    yield Row("double mints", outcome.double_mints, "", "= 0", how=how)
    yield Row("claims where balances + retired are not what was proven", outcome.unbalanced, "", "= 0", how=how)
    yield Row("operations that went otherwise than the model foretold", outcome.surprises, "", "= 0", how=how)
    yield Row("random operations", rate, "/s", how="CPU, model and EVM together")


def crediting_rows(trials: int) -> Iterator[Row]:
    """Made-up programmes whose truth is known, with baselines wrong in several ways."""
    for kind in KINDS:
        ours, naive = _judge(lambda rng, kind=kind: jobs(kind, 200, rng), trials)
        yield Row(f"over-credited: {kind}", ours.over, "%", "<= 5", "baseline minus actual", naive.over,
                  f"grams beyond the truth, % of the true saving, {trials} programmes")  # fmt: skip
        yield Row(f"programmes over-credited: {kind}", ours.often, "%", "<= 5", "baseline minus actual", naive.often,
                  f"200 jobs, {HOLDOUT:.0%} held out; minted {ours.minted:.0f} % of the truth")  # fmt: skip


def grid_rows(trials: int) -> Iterator[Row]:
    """Real hours with their real day-ahead forecasts: jobs shift by the forecast, truth is what was measured."""
    for zone in ("CISO", "PJM", "DE"):
        path = GRID / f"dacf_{zone}_carbon_from_src_prod_forecasts_direct.csv"
        if not path.exists():
            yield Row(f"programmes over-credited: {zone}", None, "%", "<= 5", how="no grid data here")
            continue
        with path.open(encoding="utf-8") as text:
            hours = [
                (float(r["carbon_intensity"]), float(r["carbon_from_src_forecasts"])) for r in csv.DictReader(text)
            ]
        actual, forecast = np.array(hours).T
        ours, naive = _judge(lambda rng, a=actual, f=forecast: _on_grid(a, f, rng), trials)
        yield Row(f"programmes over-credited: {zone}", ours.often, "%", "<= 5", "baseline minus actual", naive.often,
                  f"real day-ahead forecasts, 1,000 jobs; minted {ours.minted:.0f} % of the truth")  # fmt: skip


def _on_grid(actual: np.ndarray, forecast: np.ndarray, rng: np.random.Generator) -> Jobs:
    """Jobs of 1 to 12 h that may wait up to a day, placed where the forecast is lowest."""
    made = []
    for _ in range(1000):
        length, power_kw = int(rng.integers(1, 13)), rng.lognormal(0, 1)
        arrival = int(rng.integers(0, len(actual) - 40))
        seen = np.convolve(forecast[arrival : arrival + 24 + length], np.ones(length), "valid")
        best = arrival + int(np.argmin(seen))
        true = [power_kw * actual[start : start + length].sum() for start in (arrival, best)]
        made.append((power_kw * seen[0], *true))
    return Jobs(*np.array(made).T)


class _Tally:
    """Grams and programmes credited beyond the truth, over many programmes."""

    def __init__(self, minted_g: np.ndarray, true_g: np.ndarray) -> None:
        true_g = np.maximum(true_g, 0)
        self.often = 100 * float((minted_g > true_g).mean())
        self.minted = 100 * float(minted_g.sum() / true_g.sum())
        self.over = 100 * float(np.maximum(minted_g - true_g, 0).sum() / true_g.sum())


def _judge(world: Callable[[np.random.Generator], Jobs], trials: int) -> tuple[_Tally, _Tally]:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(trials):
        made = world(rng)
        held = rng.random(len(made.baseline)) < HOLDOUT
        earned_g = saving(made.baseline, made.at_once, made.shifted, held).earned_g
        naive_g = (made.baseline - made.shifted)[~held].sum()
        true_g = (made.at_once - made.shifted)[~held].sum()
        found.append((earned_g, max(0.0, naive_g), true_g))
    ours, naive, true = np.array(found).T
    return _Tally(ours, true), _Tally(naive, true)


def recompute_rows(count: int) -> Iterator[Row]:
    whole, _ = evidence(jobs("honest", count, np.random.default_rng(1)))
    raw = whole.canonical()
    began = time.process_time()
    assess(Evidence.parse(raw))
    yield Row("a claim recomputed from its evidence", time.process_time() - began, "s", "<= 60",
              how=f"CPU, {count:,} jobs, {len(raw) / 1e6:.1f} MB")  # fmt: skip


if __name__ == "__main__":
    run("Chain and claims", rows)
