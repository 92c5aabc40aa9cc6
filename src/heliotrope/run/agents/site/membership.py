"""What a site's home remembers: which office it belongs to, and what that said last."""

from __future__ import annotations

import msgspec

from heliotrope.run.agents.wire import Errand

GRACE_S = 10.0  # to save and leave, when the lease is over


class Membership(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HOME/agent.json, its owner's alone: who it is to which office. `seed` signs.

    `ca`: PEM of the authority whose certificates are believed; empty for those that the machine believes.
    """

    url: str
    site: str
    seed: bytes
    lease_s: float
    sync_s: float
    ca: str = ""


class Orders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HOME/errands.json: the last that the office said, and when it was asked."""

    asked_s: float
    number: int
    errands: tuple[Errand, ...] = ()
