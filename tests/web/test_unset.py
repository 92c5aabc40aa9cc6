"""A home where little is known says what is missing, and never shows a guess as a number."""

from __future__ import annotations

import asyncio

import pytest

from heliotrope.config import Settings, WebSettings
from heliotrope.errors import HelioError
from heliotrope.web import gather
from heliotrope.web.app import Server
from heliotrope.web.house import House
from heliotrope.web.pages import html


@pytest.fixture
def bare(tmp_path):
    """No fleet, no zone, no run."""
    house = House(Settings(home=str(tmp_path / "home"), web=WebSettings(port=0)))
    yield house
    house.controller.close()


@pytest.mark.parametrize("name", ["/", "/plan", "/runs", "/grid", "/fleet", "/ledger"])
def test_pages_of_a_bare_home_are_whole(bare, name):
    page = html.PAGES[name](bare, {})
    assert page.endswith("</html>")
    assert "g/kWh now" not in page


def test_the_first_page_says_how_to_set_the_zone(bare):
    page = html.now(bare, {})
    assert "unknown" in page
    assert "config.toml" in page
    assert "helio run" in page


def test_an_unknown_zone_is_named_beside_those_that_are_known(bare):
    page = html.grid(bare, {"zone": "DE, XQ"})
    assert "Germany" in page
    assert "unknown zone XQ" in page


def test_a_port_that_is_taken_says_so_and_what_to_do(bare, tmp_path):
    async def twice():
        first = Server(bare)
        await first.start()
        port = int(first.url.rsplit(":", 1)[1].rstrip("/"))
        other = House(Settings(home=str(tmp_path / "other"), web=WebSettings(port=port)))
        try:
            with pytest.raises(HelioError, match="cannot listen") as caught:
                await Server(other).start()
            assert "web.port" in caught.value.hint
        finally:
            other.controller.close()
            await first.stop()

    asyncio.run(twice())


def test_the_version_moves_with_the_store(bare):
    before = gather.version(bare)
    with bare.store.write() as tx:
        bare.ledger.append(tx, [b"an entry"])
    assert gather.version(bare) != before
