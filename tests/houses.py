"""A house whose server runs on a thread, so that agents, browsers and commands may be real processes."""

from __future__ import annotations

import asyncio
import threading
import time

from heliotrope.config import AgentSettings, MeasureSettings, Settings, WebSettings
from heliotrope.errors import HelioError
from heliotrope.run.agents import wire
from heliotrope.run.agents.house.office import Told
from heliotrope.run.views import run_view
from heliotrope.web.app import Server
from heliotrope.web.house import House


def told(office, body, signature, now_s):
    """What the office answers one sync."""
    (answer,) = office.sync_all([Told(body, signature)], now_s)
    if isinstance(answer, HelioError):
        raise answer
    return wire.decoded(answer, wire.Synced)


class Hub:
    """A house whose server runs on a thread, so that agents may be real processes."""

    def __init__(self, home, fleet, lease_s=3600.0, web=WebSettings(port=0)):  # noqa: B008
        self.settings = Settings(
            home=str(home),
            fleet=str(fleet),
            measure=MeasureSettings(interval_s=0.1),
            agents=AgentSettings(sync_s=0.1, lease_s=lease_s),
            web=web,
        )
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.house = House(self.settings)
        self.controller = self.house.controller
        self.server = Server(self.house)
        self.open()

    def open(self):
        asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(20)

    def cut(self):
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(20)

    def close(self):
        self.cut()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.controller.close()

    def refused(self):
        return {(one.act, one.object): one for one in self.house.office.refusals.last(100)}

    def token(self):
        return self.house.office.token("north", valid_s=60, now_s=time.time())

    def step_until(self, met, within_s=30.0):
        assert self.controller.lead()
        deadline = time.monotonic() + within_s
        while not met():
            assert time.monotonic() < deadline, "not in time"
            self.controller.step()
            time.sleep(0.02)

    def state(self, name):
        return run_view(self.controller.store, name).run.state
