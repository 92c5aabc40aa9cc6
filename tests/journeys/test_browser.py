"""People at the dashboard, in a real Chromium: with and without script, with a keyboard alone, on a phone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WORK = "import time\nfor i in range(4): print('step', i, flush=True); time.sleep(0.6)"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("house") / "home"


def helio(home, *args):
    return subprocess.run(
        [sys.executable, "-m", "heliotrope", *args], env=os.environ | {"HELIO_HOME": str(home)},
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def up(home):
    """`helio up` as people start it: it says where it is, and stops on Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "up", "--fleet", "example", "--port", "0", "--json"],
        env=os.environ | {"HELIO_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = process.stdout.readline()
    assert line, process.stderr.read()
    helio(home, "run", "--fleet", "example", "--detach", "--length", "2h", "--within", "40h", "--", "sleep", "1")
    yield json.loads(line)["url"].rstrip("/")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium, up):
    """A page that fails the test if it asks anybody else for anything, or complains on its console."""
    opened, faults = [], []

    def open_(path, *, width=1360, script=True, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=script, color_scheme=scheme
        )
        opened.append(context)
        page = context.new_page()
        page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(up) else None)
        page.on("console", lambda m: faults.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.goto(up + path if path.startswith("/") else path)
        return page

    yield open_
    for context in opened:
        context.close()
    assert faults == []


def test_numbers_and_strips_show_without_script(tab):
    page = tab("/", script=False)
    assert page.locator("dl.kpi").count() == 4
    assert page.locator("svg.strip").count() == 6
    assert page.locator("svg.strip rect.box").count() >= 1
    assert page.locator("#theme").is_hidden()
    assert page.locator("svg.map circle").count() == 6


def test_a_run_appears_while_one_looks(tab, home):
    page = tab("/runs")
    assert page.get_by_role("link", name="python -c").count() == 0
    helio(home, "run", "--fleet", "example", "--detach", "--now", "--length", "1m", "--", sys.executable, "-c", WORK)
    link = page.get_by_role("link", name="python").first
    link.wait_for(timeout=60_000)
    link.click()
    page.get_by_text("step 0").wait_for(timeout=60_000)
    page.locator(".state.done").wait_for(timeout=60_000)
    page.get_by_text("helio log verify").wait_for(timeout=60_000)
    assert page.locator("#made").is_visible()
    assert page.locator(".badge").count() >= 7


def test_light_and_dark_are_the_readers_choice_and_stay(tab):
    page = tab("/", scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator("#theme").click()
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    assert page.evaluate(background) == light


@pytest.mark.parametrize("path", ["/", "/plan", "/runs", "/grid", "/fleet", "/ledger"])
def test_a_phone_shows_all_without_sideways_scrolling(tab, path):
    page = tab(path, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.evaluate(
        "[...document.querySelectorAll('nav a, button, select, input')].filter(e => e.offsetHeight && e.offsetHeight < 24).length"
    )
    assert small == 0


def test_the_keyboard_alone_is_enough(tab):
    page = tab("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Plan"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/plan")
    field = page.get_by_label("It runs for")
    field.fill("5h")
    field.press("Enter")
    page.wait_for_url("**length=5h**")
    assert page.get_by_label("It runs for").input_value() == "5h"
    assert page.get_by_role("rowheader", name="run-now").is_visible()


CONTRAST = """
() => {
  const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (c) => { probe.clearRect(0, 0, 1, 1); probe.fillStyle = c; probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data]; };
  const lum = ([r, g, b]) => { const f = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll('main *, header *, footer *')) {
    if (e.closest('svg') || !e.offsetHeight || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [lum(rgb(getComputedStyle(e).color)), lum(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(`${e.tagName} ${e.className}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return [...new Set(bad)];
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/plan", "/grid", "/fleet", "/ledger"])
def test_text_can_be_read(tab, path, scheme):
    """WCAG AA: 4.5 to 1 against what is really behind it."""
    assert tab(path, scheme=scheme).evaluate(CONTRAST) == []


def test_filters_survive_a_reload_and_the_live_stream(tab, home):
    """At whatever hour: whether a run waits is the grid's to say, that one told to run now is done is not."""
    page = tab("/runs?state=done")
    page.locator(".live.on").wait_for(timeout=60_000)
    helio(home, "run", "--fleet", "example", "--detach", "--now", "--length", "1m", "--", "sleep", "0.5")
    page.get_by_role("link", name="sleep 0.5").wait_for(timeout=60_000)
    assert page.get_by_label("State").input_value() == "done"
    assert page.locator("td.state:not(.done)").count() == 0


def test_the_kept_page_opens_from_disk(tab, up, chromium, home, tmp_path):
    helio(home, "run", "--fleet", "example", "--detach", "--now", "--length", "1m", "--", "true")
    page = tab("/runs?q=true")
    for _ in range(40):
        if page.locator("td.state.done").count():
            break
        time.sleep(0.5)
        page.reload()
    page.get_by_role("link", name="true").first.click()
    with page.expect_download() as download:
        page.get_by_text("Keep this page as one file").click()
    file = tmp_path / "kept.html"
    download.value.save_as(file)
    context = chromium.new_context(java_script_enabled=False, offline=True)
    kept = context.new_page()
    asked = []
    kept.on("request", lambda r: asked.append(r.url))
    kept.goto(file.as_uri())
    assert kept.locator("svg.strip").count() >= 1
    assert kept.evaluate("getComputedStyle(document.querySelector('.card')).borderTopWidth") == "1px"
    assert asked == [file.as_uri()]
    context.close()
