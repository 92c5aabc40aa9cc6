"""A month of a programme that is over, told into a real log."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import numpy as np

from claim_programme import METHOD, Jobs
from heliotrope.prove.claims.draw import seed_chain
from heliotrope.prove.claims.evidence import Outcome, Programme
from heliotrope.prove.claims.programme import Office
from heliotrope.units import MICRO, S_PER_DAY, from_epoch

NAME = "night shift"
SECRETS = {name: hashlib.sha256(name.encode()).digest() for name in ("one", "two")}
CHAINS = {name: seed_chain(secret, 3) for name, secret in SECRETS.items()}


@dataclass
class Told:
    office: Office
    start_s: int
    end_s: int
    registrations: list[int]


def declare(ledger, name=NAME):
    office = Office(ledger, name)
    commitments = {name: commitment.hex() for name, (commitment, _) in CHAINS.items()}
    office.declare(Programme(name, METHOD, 4000, 200, "a fiftieth, as queues here were short", commitments))
    return office


def run_programme(ledger, *, count=80, saved=0.3):
    """A month that is over: registered, drawn, run, recorded."""
    office = declare(ledger)
    end_s = int(time.time()) // S_PER_DAY * S_PER_DAY
    start_s = end_s - 30 * S_PER_DAY
    # Salts make every draw another; forecasts that come true leave the outcome independent of it.
    at_once = 1000 * np.random.default_rng(11).lognormal(0, 0.6, count)
    made = Jobs(at_once, at_once, at_once * (1 - saved))
    registrations = [
        office.register(
            f"job {i}", epoch=0, registered_s=start_s + i,
            average_g=1e3 * made.baseline[i], marginal_g=1.1e3 * made.baseline[i],
        )
        for i in range(count)
    ]  # fmt: skip
    office.close(0)
    office.reveal(0, {name: seeds[0] for name, (_, seeds) in CHAINS.items()}, revealed_s=start_s + 3600)
    history = office.history()
    held = [history.held_out(registration) for registration in registrations]
    for i, registration in enumerate(registrations):
        emitted_ug = round((made.at_once if held[i] else made.shifted)[i] * 1e3 * MICRO)
        ends_ug = (emitted_ug, emitted_ug, emitted_ug, round(1.1 * emitted_ug))
        office.outcome(registration, f"job {i}", Outcome(0, (start_s + 7200 + i) * MICRO, not held[i], *ends_ug))
    return Told(office, start_s, end_s, registrations)


def period(told):
    return "--from", from_epoch(told.start_s).isoformat(), "--to", from_epoch(told.end_s).isoformat()
