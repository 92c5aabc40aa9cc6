"""The dashboard as a client meets it: every page whole, the API as its description says, and nobody else let in."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from datetime import timedelta
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.request import Request, urlopen

import aiohttp
import msgspec
import pytest

from heliotrope.config import Settings, WebSettings
from heliotrope.model import Length, Workload, WorkloadKind
from heliotrope.run import Clock
from heliotrope.units import epoch_s, from_epoch, parse_instant
from heliotrope.web import api, gather
from heliotrope.web.app import Server
from heliotrope.web.house import House

SECRET = "a-secret-of-the-environment"


def submit(house, command, *, name, within_h=None, at_once=True):
    now = from_epoch(Clock().now_s())
    workload = Workload(
        id=name, kind=WorkloadKind.TRAIN, command=command, submitted_at=now, length=Length.known(3600),
        deadline=now + timedelta(hours=within_h) if within_h else None, environment={"PATH": "/usr/bin:/bin", "TOKEN": SECRET},
        working_directory="/",
    )  # fmt: skip
    house.controller.submit(workload, at_once=at_once)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """One run that ended, one that waits."""
    home = tmp_path_factory.mktemp("home")
    made = House(Settings(home=str(home), fleet="example", web=WebSettings(port=0)))
    submit(made, (sys.executable, "-c", "print('hello <b>there</b>')"), name="w-ended")
    assert made.controller.lead()
    for _ in range(200):
        made.controller.step()
        (job,) = gather.jobs(made, limit=9)
        if job.state == "done" and job.carbon_g:
            break
        threading.Event().wait(0.05)
    assert job.state == "done"
    made.controller.step()
    submit(made, ("sleep", "1"), name="w-waits", within_h=48, at_once=False)
    yield made
    made.controller.close()


@pytest.fixture(scope="module")
def url(house):
    loop = asyncio.new_event_loop()
    server = Server(house)
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.url.rstrip("/")
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def get(url, headers=None):
    """(status, headers, text), errors included."""
    from urllib.error import HTTPError

    try:
        with urlopen(Request(url, headers=headers or {}), timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


PAGES = ["/", "/plan", "/plan?pausable=yes&length=5h&within=3d", "/runs", "/runs?state=done&q=hello", "/runs/w-ended",
         "/runs/w-waits", "/grid", "/grid?zone=DE,FR,ISL", "/fleet", "/ledger"]  # fmt: skip


class Outline(HTMLParser):
    """What a screen reader depends on."""

    def __init__(self):
        super().__init__()
        self.ids, self.faults, self.labels, self.stack, self.headings = [], [], 0, [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"])
        if any(name.startswith("on") for name in given):
            self.faults.append(f"{tag} with a handler in the markup")
        if "style" in given:
            self.faults.append(f"{tag} with a style in the markup")
        if tag == "svg" and not (given.get("aria-hidden") or given.get("aria-label") or "svg" in self.stack):
            self.faults.append("an svg without a name")
        if tag in {"input", "select"} and "label" not in self.stack:
            self.faults.append(f"{tag} without a label")
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if tag not in {"meta", "link", "input", "br", "img"}:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if self.stack.pop() != tag:
            self.faults.append(f"unbalanced {tag}")

    def handle_startendtag(self, tag, attrs):
        pass


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_and_asks_only_this_server(url, path):
    status, headers, page = get(url + path)
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    outline = Outline()
    outline.feed(page)
    assert outline.faults == []
    assert outline.stack == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.headings[0] == "h1"
    for address in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert address.startswith(("/", "#")), address
        assert not address.startswith("//")
    assert SECRET not in page


def test_what_people_typed_is_text(url):
    _, _, page = get(f"{url}/runs/w-ended")
    assert "<b>there</b>" not in page
    assert "hello &lt;b&gt;there" in page
    _, _, page = get(f"{url}/runs?q=%22%3E%3Cscript%3E")
    assert "<script>" not in page
    _, _, page = get(f"{url}/grid?zone=%3Cscript%3E")
    assert "&lt;script&gt;" in page


def test_filters_live_in_the_address(url):
    _, _, page = get(f"{url}/runs?state=waiting")
    assert "w-waits" in page
    assert "w-ended" not in page
    assert re.search(r"<option selected>waiting</option>", page)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nope", 404), ("/runs/nope", 404), ("/static/..%2fapp.py", 404), ("/static/nope.js", 404), ("/api/runs/nope", 404),
     ("/api/grid/XQ", 404), ("/api/runs?limit=many", 400), ("/grid?zone=XQ", 200), ("/plan?length=soon", 200),
     ("/plan?power=-1", 200), ("/plan?length=9h&within=2h", 200)],
)  # fmt: skip
def test_what_is_wrong_says_so_kindly(url, path, status):
    found, headers, body = get(url + path)
    assert found == status
    assert "Traceback" not in body
    if path.startswith("/api/"):
        assert json.loads(body)["error"]
    else:
        assert 'role="alert"' in body
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_the_api_is_what_its_description_says(url):
    described = json.loads(get(f"{url}/api/")[2])
    assert described["openapi"] == "3.1.0"
    assert set(described["paths"]) == {route.path for route in api.ROUTES}
    for route in api.ROUTES:
        status, _, body = get(url + route.path.format(name="w-ended", zone="DE"))
        assert status == 200, route.path
        msgspec.json.decode(body, type=route.gives)
        assert SECRET not in body
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))
    assert references <= set(described["components"]["schemas"])


def test_only_this_machine_by_its_own_name(url):
    """A page elsewhere that rebinds its name to loopback gets nothing."""
    status, _, body = get(url + "/", {"Host": "evil.example:80"})
    assert status == 421
    assert "w-ended" not in body


def test_a_run_can_be_kept_as_one_file(url):
    status, _, page = get(f"{url}/runs/w-ended/page.html")
    assert status == 200
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="', page)


def test_the_stream_says_when_something_changed(house, url):
    async def listen():
        async with aiohttp.ClientSession() as client, client.get(f"{url}/events") as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert (await answer.content.readline()).startswith(b"retry:")
            await asyncio.to_thread(submit, house, ("true",), name="w-new", within_h=48, at_once=False)
            while True:
                line = await answer.content.readline()
                if line.startswith(b"event:"):
                    return line

    assert asyncio.run(asyncio.wait_for(listen(), 20)) == b"event: changed\n"


def test_pages_are_compressed_where_that_is_understood(url):
    _, headers, _ = get(f"{url}/api/ledger")
    assert headers["Content-Encoding"] is None
    request = Request(f"{url}/", headers={"Accept-Encoding": "gzip"})
    with urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(answer.read()) < 60_000


@pytest.fixture
def in_the_evening(monkeypatch):
    """What a plan costs, and what is sooner, is the hour's: the page asks at one and the same."""
    evening_s = epoch_s(parse_instant("2026-03-02T18:00Z"))
    monkeypatch.setattr("heliotrope.web.pages.planner.time", SimpleNamespace(time=lambda: float(evening_s)))


@pytest.mark.usefixtures("in_the_evening")
def test_the_plan_page_says_what_each_limit_costs(url):
    _, _, page = get(f"{url}/plan?length=5h&within=8h")
    assert "What each limit costs" in page
    assert "6 h later" in page


@pytest.mark.usefixtures("in_the_evening")
def test_the_plan_page_offers_what_is_sooner(url):
    """The soonest first; exactly one of them has the fewest grams."""
    _, _, page = get(f"{url}/plan?length=2h&within=24h")
    rows = page.split('id="front"')[1].split("<tbody>")[1].split("</tbody>")[0]
    ends = re.findall(r'datetime="([^"]+)"', rows)
    assert len(ends) > 1
    assert ends == sorted(ends)
    assert rows.count("the fewest grams") == 1
