"""A home where little is known says what is missing, and never shows a guess as a number."""

from __future__ import annotations

import asyncio

import pytest

from heliotrope.config import Settings, WebSettings
from heliotrope.errors import HelioError
from heliotrope.model import CARBON
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


def test_the_grid_page_of_a_bare_home_says_how_to_come_by_live_data(bare):
    page = html.grid(bare, {})
    assert 'role="alert"' not in page
    assert "/grid?zone=GB,DE" in page
    assert "providers = [&#34;neso&#34;" in page or 'providers = ["neso"' in page


def test_a_zone_shows_a_week_and_what_is_assumed_of_its_price(bare):
    """168 h that were, 96 to come, the present marked, the source in sight; a price that nobody knows is said to be one."""
    page = html.grid(bare, {"zone": "DE"})
    assert len(bare.curve("DE", kind=CARBON, back_h=168).values) == 168 + 96
    assert '<line class="now"' in page
    assert "heliotrope model" in page.partition("<details>")[0]
    assert "Price: assumed, 120 EUR/MWh (20 to 400)" in page


def test_another_quantity_can_be_shown_and_what_nobody_gives_says_who_would(bare):
    assert "carbon_free/production [fraction]" in html.grid(bare, {"zone": "DE", "show": "carbon_free"})
    assert "--provider energycharts (wind_power)" in html.grid(bare, {"zone": "DE", "show": "wind_power"})
    assert "carbon/average/lifecycle" in html.grid(bare, {"zone": "DE", "show": "nonsense"})


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
