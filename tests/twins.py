"""A twin of the grid APIs in a thread of this process, and a door to signals that asks it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from heliotrope.config import GridSettings
from heliotrope.grid import Grid
from heliotrope.grid.twin.app import KEY, PATHS, Twin
from heliotrope.model import SignalKind
from heliotrope.units import S_PER_DAY, hour_floor

# provider → (zone, kind, further options)
CASES = {
    "neso": ("GB", "carbon/average/direct/consumption", {}),
    "electricitymaps": ("DE", "carbon/average/lifecycle/consumption", {"key": KEY}),
    "watttime": (
        "US-CAL-CISO",
        "carbon/marginal/direct",
        {"key": KEY, "user": "me", "zones": {"US-CAL-CISO": "CAISO_NORTH"}},
    ),
    "energycharts": ("DE", "carbon/average/direct/production", {}),
    "openmeteo": ("DE", "wind_speed", {}),
    "eia": ("US-CAL-CISO", "carbon/average/lifecycle/production", {"key": KEY}),
    "entsoe": ("DE", "carbon/average/lifecycle/production", {"key": KEY}),
    "casdk": ("DE", "carbon/average/lifecycle", {"kind": "carbon/average/lifecycle"}),
}
FORECASTERS = ("neso", "electricitymaps", "watttime", "energycharts", "openmeteo", "casdk")


@contextlib.contextmanager
def serving(**world):
    """(twin, url) on a free loopback port."""
    from aiohttp import web

    twin, ready, loop = Twin(**world), threading.Event(), asyncio.new_event_loop()
    where = {}

    async def start():
        runner = web.AppRunner(twin.app(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        where["runner"], where["port"] = runner, runner.addresses[0][1]
        ready.set()

    def run():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(where["runner"].cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    yield twin, f"http://127.0.0.1:{where['port']}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def options_of(served, name, **more):
    _, url = served
    return {"url": f"{url}/{PATHS.get(name, name)}", "timeout_s": 2.0, **CASES[name][2], **more}


def door(served, name, home=None, *, also=(), **more):
    options = {one: options_of(served, one) for one in also if one in CASES} | {name: options_of(served, name, **more)}
    return Grid(GridSettings(providers=(name, *also), options=options), home)


def yesterday():
    end = hour_floor(time.time()) - S_PER_DAY
    return end - 2 * S_PER_DAY, end


def ask(served, name, home=None, **more):
    zone, kind, _ = CASES[name]
    return door(served, name, home, **more).history(zone, *yesterday(), kind=SignalKind.parse(kind))
