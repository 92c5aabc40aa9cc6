"""Asks auditors for the seeds of an epoch that the log shows closed. What they say is checked by who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from heliotrope.errors import InvalidInput, ProviderDenied, ProviderDown, ProviderGarbled
from heliotrope.prove.claims.seeds.keeper import Closing

TIMEOUT_S = 10.0
_SEED_BYTES = 32


def addresses(told: tuple[str, ...]) -> dict[str, str]:
    """`NAME URL` of each, as in the settings."""
    found = {}
    for text in told:
        name, _, url = text.partition(" ")
        if not url.startswith(("http://", "https://")):
            raise InvalidInput(
                "not an auditor", field="claims.auditors", found=text, allowed="its name, a space, its http(s) address"
            )
        found[name] = url.rstrip("/")
    return found


def ask(urls: Mapping[str, str], closing: Closing) -> dict[str, bytes]:
    """Every auditor's seed, by name; one that is silent or refuses is an error, as no draw is complete without it."""
    return asyncio.run(_ask(urls, msgspec.json.encode(closing)))


async def _ask(urls: Mapping[str, str], body: bytes) -> dict[str, bytes]:
    import aiohttp

    async def one(name: str, url: str) -> bytes:
        try:
            async with session.post(f"{url}/seed", data=body) as response:
                said = (await response.content.read(1024)).decode("ascii", "replace").strip()
                if response.status != 200:
                    raise ProviderDenied(f"the auditor {name} gave no seed", cause=f"{response.status} {said[:200]}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderDown(
                f"the auditor {name} cannot be reached: nothing can be drawn",
                cause=str(error) or type(error).__name__,
                hint="try again; or unset claims.programme to run outside the programme",
            ) from error
        try:
            seed = bytes.fromhex(said)
        except ValueError:
            seed = b""
        if len(seed) != _SEED_BYTES:
            raise ProviderGarbled(f"the auditor {name} answered with no seed", cause=said[:80])
        return seed

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
        seeds = await asyncio.gather(*(one(name, url) for name, url in urls.items()))
    return dict(zip(urls, seeds, strict=True))
