"""Runs an aiohttp application on loopback until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from heliotrope.errors import ProofError

if TYPE_CHECKING:
    from aiohttp import web


def serve(app: web.Application, host: str, port: int, ready: Callable[[str], None]) -> None:
    """`ready(url)` is called once it listens; port 0 takes a free one. Ends on SIGINT or SIGTERM."""
    asyncio.run(_serve(app, host, port, ready))


async def _serve(app: web.Application, host: str, port: int, ready: Callable[[str], None]) -> None:
    from aiohttp import web

    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ProofError(f"cannot listen on {host}:{port}", cause=error.strerror or str(error)) from error
        bound = runner.addresses[0]
        done = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, done.set)
        ready(f"http://{bound[0]}:{bound[1]}")
        await done.wait()
    finally:
        await runner.cleanup()
