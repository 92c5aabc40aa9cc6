"""Which jobs are held out and run unshifted: drawn so that neither operator nor auditor alone can choose.

Each auditor commits to the end of a hash chain when a programme starts. A job's baseline is logged first; only when
an epoch of registrations is closed do the auditors reveal the next link, and every registration of the epoch is drawn
from all links together. One honest auditor is enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import accumulate

from heliotrope.errors import BadProof

_LINK = b"heliotrope/seed/v1\0"
_DRAW = b"heliotrope/holdout/v1\0"
PARTS = 10_000  # shares are parts in ten thousand: integers, as everything in records


def seed_chain(secret: bytes, epochs: int) -> tuple[bytes, tuple[bytes, ...]]:
    """The commitment to publish now, and the seeds to reveal, one for each epoch in order."""
    links = tuple(accumulate(range(epochs), lambda link, _: _next(link), initial=secret))
    return links[-1], links[-2::-1]


def check_seed(commitment: bytes, epoch: int, seed: bytes) -> None:
    """Epoch 0's seed hashes to the commitment, epoch 1's to epoch 0's, and so on."""
    if check_seeds(commitment, {epoch: seed}) is not None:
        raise BadProof(
            f"the seed of epoch {epoch} is not the one committed to", hint="the auditor reveals the link it promised"
        )


def check_seeds(commitment: bytes, seeds: Mapping[int, bytes]) -> int | None:
    """The first epoch whose seed is not the one committed to, None where all are: each link is walked once."""
    known, known_at = commitment, -1
    for epoch in sorted(seeds):
        link = seeds[epoch]
        for _ in range(epoch - known_at):
            link = _next(link)
        if link != known:
            return epoch
        known, known_at = seeds[epoch], epoch
    return None


def held_out(programme: str, registration: bytes, seeds: Mapping[str, bytes], share: int) -> bool:
    """Whether the job whose registration's leaf hash this is must run at once; `share` in parts of ten thousand."""
    drawn = hashlib.sha256(_DRAW + _framed([programme.encode(), registration, *_in_order(seeds)])).digest()
    return int.from_bytes(drawn, "big") * PARTS < share << 256


def _in_order(seeds: Mapping[str, bytes]) -> list[bytes]:
    return [part for name in sorted(seeds) for part in (name.encode(), seeds[name])]


def _framed(parts: Sequence[bytes]) -> bytes:
    """Lengths before parts, so that no two lists read the same."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _next(link: bytes) -> bytes:
    return hashlib.sha256(_LINK + link).digest()
