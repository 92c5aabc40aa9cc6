"""The dashboard as a browser meets it: bytes, first paint, what shows without script, what the server spends.

Peer: the trial of two stacks that chose this one (server-drawn pages with uPlot and d3-geo), as its pages measured then:
another day and other hours, so the numbers stand beside each other and prove nothing alone.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from urllib.request import Request, urlopen

import table
from heliotrope.config import Settings, WebSettings
from heliotrope.web.app import Server, static_files
from heliotrope.web.house import House
from heliotrope.web.pages import html

FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
HEAP = "performance.memory.usedJSHeapSize"


def sent_bytes(url: str) -> int:
    with urlopen(Request(url, headers={"Accept-Encoding": "gzip"})) as answer:
        return len(answer.read())


def rows(quick: bool) -> Iterator[table.Row]:
    loads = 5 if quick else 20
    with tempfile.TemporaryDirectory() as folder:
        house = House(Settings(home=folder, fleet="example", web=WebSettings(port=0)))
        loop = asyncio.new_event_loop()
        server = Server(house)
        loop.run_until_complete(server.start())
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield from measured(house, server.url.rstrip("/"), loads)
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            house.controller.close()


def measured(house: House, url: str, loads: int) -> Iterator[table.Row]:
    trial = "trial stack"
    page = sent_bytes(f"{url}/")
    own = [name for name in static_files() if name.endswith((".css", ".js"))]
    whole = page + sum(sent_bytes(f"{url}/static/{name}") for name in own)
    yield table.Row(
        "Now page with all it needs, sent", whole / 1000, "kB", "<= 87", trial, 87, "gzip, summed over files"
    )
    script = sum(len(static_files()[name]) for name in own if name.endswith(".js"))
    yield table.Row("script of our own and others'", script / 1000, "kB", "<= 10", "", None, "not compressed")
    began = time.process_time()
    for _ in range(20):
        html.now(house, {})
    yield table.Row(
        "server: drawing the Now page", 1000 * (time.process_time() - began) / 20, "CPU-ms", "<= 40", trial, 79, "mean of 20, 864 hours of 6 sites"
    )  # fmt: skip
    chromium = shutil.which("chromium")
    if chromium is None:
        yield table.Row("first paint", None, "ms", "<= 370", trial, 370, "no chromium here")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--enable-precise-memory-info"])
        paints, heaps = [], []
        for _ in range(loads):
            context = browser.new_context()
            tab = context.new_page()
            tab.goto(f"{url}/")
            while tab.evaluate(FIRST_PAINT) is None:
                # Not wait_for_function: it evaluates text in the page, which the page's policy forbids.
                tab.wait_for_timeout(5)
            paints.append(tab.evaluate(FIRST_PAINT))
            heaps.append(tab.evaluate(HEAP))
            context.close()
        how = f"median of {loads} cold loads, {min(paints):.0f} to {max(paints):.0f}"
        yield table.Row("first paint", statistics.median(paints), "ms", "<= 370", trial, 370, how)
        yield table.Row(
            "script's heap", statistics.median(heaps) / 1e6, "MB", "<= 4.5", trial, 4.5, f"median of {loads}"
        )
        context = browser.new_context(java_script_enabled=False)
        tab = context.new_page()
        tab.goto(f"{url}/")
        shown = tab.locator("svg.strip").count() + tab.locator("dl.kpi").count() + tab.locator("svg.map circle").count()
        yield table.Row("shown without script", shown, "of 16", ">= 16", "", None, "6 strips, 4 numbers, 6 dots")
        browser.close()


if __name__ == "__main__":
    table.run("The dashboard", rows)
