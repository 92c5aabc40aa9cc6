"""Hands an auditor's signed opinions to the log that they are about."""

from __future__ import annotations

import asyncio

from heliotrope.errors import ProofError, ProviderDown
from heliotrope.prove.audit.auditor import Auditor
from heliotrope.prove.audit.source import TIMEOUT_S


def hand_in(url: str, auditor: Auditor) -> None:
    """Those not handed in yet; a log that refuses is an error, since hiding a disagreement is what it would want."""
    asyncio.run(_hand_in(url.rstrip("/"), auditor))


async def _hand_in(url: str, auditor: Auditor) -> None:
    import aiohttp

    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            for path in auditor.unreported():
                async with session.post(f"{url}/attestation", data=path.read_bytes()) as response:
                    if response.status != 200:
                        said = (await response.text())[:200].strip()
                        raise ProofError(
                            f"{url} refused an attestation with {response.status}",
                            cause=said,
                            hint="the log's prove.auditors must name this auditor's key",
                        )
                auditor.reported(path)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ProviderDown(f"{url} cannot be reached", cause=str(error) or type(error).__name__) from error
