"""What a stranger sends is read up to a size and for a while: no link holds memory, or a turn, for long."""

from __future__ import annotations

import asyncio

from aiohttp import web

PATIENCE_S = 30.0


async def whole(request: web.Request, most: int) -> bytes:
    """The body; refused above `most` bytes, whatever its head says of its length."""
    if (request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(most, request.content_length or 0)
    parts, size = [], 0
    try:
        # Most are whole already when their head is read: those need no clock.
        async with asyncio.timeout(None if request.content.is_eof() else PATIENCE_S):
            async for part in request.content.iter_any():
                size += len(part)
                if size > most:
                    raise web.HTTPRequestEntityTooLarge(most, size)
                parts.append(part)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return b"".join(parts)
