"""What `helio grid providers` shows: each known provider, what it gives, and what it lacks here."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from heliotrope.config import GridSettings
from heliotrope.errors import HelioError
from heliotrope.grid import providers
from heliotrope.grid.wire.web import WebProvider


class Row(msgspec.Struct, frozen=True):
    """`state`: in use, ready, needs key, needs settings, or quiet (it asked for it). Calls are of the last hour."""

    name: str
    state: str
    kinds: tuple[str, ...]
    note: str
    calls: int = 0
    calls_per_hour: int = 0


def rows(settings: GridSettings, home: Path | None) -> list[Row]:
    """Asks nobody: what can be said without a call."""
    return [_row(name, settings, home) for name in providers.known()]


def _row(name: str, settings: GridSettings, home: Path | None) -> Row:
    try:
        provider = providers.build(name, settings, home)
    except HelioError as error:
        return Row(name, "needs settings", (), "; ".join(part for part in (error.what, error.hint) if part))
    kinds = tuple(str(kind) for kind in provider.kinds)
    state = "in use" if name in settings.providers or (name == "file" and settings.files) else "ready"
    if not isinstance(provider, WebProvider):
        return Row(name, state, kinds, "on this machine")
    note = f"{provider.client.base.netloc}; {provider.licence}"
    now_s = time.time()
    calls = (provider.archive.spent(name, now_s), provider.client.budget)
    if provider.needs_key and not provider.key:
        return Row(name, "needs key", kinds, f"{note}; export {provider.default_key_env()}=…", *calls)
    quiet_s = provider.archive.quiet_until(name) - now_s
    if quiet_s > 0:
        return Row(name, "quiet", kinds, f"{note}; asked for quiet for {quiet_s:.0f} s more", *calls)
    return Row(name, state, kinds, note, *calls)
