"""What a stranger sends is read up to a size and for a while: no link holds memory, or a turn, for long."""

from __future__ import annotations

import asyncio

from aiohttp import web

PATIENCE_S = 30.0


async def whole(request: web.Request, most: int, patience_s: float | None = None) -> bytes:
    """The body; refused above `most` bytes, whatever its head says of its length, and after `patience_s`."""
    if (request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(most, request.content_length or 0)
    if request.content.is_eof():  # most are whole when their head is read
        return _within(request.content.read_nowait(), most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(patience_s or PATIENCE_S):
            async for part in request.content.iter_any():
                size += len(_within(part, most - size))
                parts.append(part)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return b"".join(parts)


def _within(body: bytes, most: int) -> bytes:
    if len(body) > most:
        raise web.HTTPRequestEntityTooLarge(most, len(body))
    return body
