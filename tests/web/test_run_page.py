"""The page of a run is whole: one file, no request, every number with its interval and how it came to be."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from heliotrope.web.pages.html import run_page
from web_views import make_view

VOID = {"meta", "br"}


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("ended", [True, False])
def test_the_file_is_whole_and_asks_nobody_for_anything(ended):
    page = run_page(make_view(ended=ended))
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert "<script" not in page
    assert not re.search(r"""(?:src|href|url)\s*[=(]""", page)
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page


def test_every_number_says_how_it_came_to_be(finished):
    page = run_page(finished)
    cost = page[page.index('id="made"') :]
    rows = re.findall(r"<tr><th scope=\"row\">([^<]+)</th><td>(.*?)</td>", cost[: cost.index("<details")], re.DOTALL)
    assert [label for label, _ in rows][:4] == ["IT energy", "Facility energy", "Operational carbon", "Embodied carbon"]
    for label, cell in rows:
        assert 'class="badge' in cell, label
    for factor in finished.footprint.factors:
        assert factor.name in page
    for flag in finished.footprint.flags:
        assert flag.split("'")[0] in page


def test_the_picture_has_every_site_the_box_and_the_moment(finished):
    page = run_page(finished)
    for strip in finished.strips:
        assert f">{strip.site} <small>{strip.zone}" in page
    assert len(re.findall(r'class="box plan"', page)) == len(finished.plan.slots)
    assert len(re.findall(r'class="box ran"', page)) == 1
    assert len(re.findall(r'class="box once"', page)) == 1


def test_why_names_each_alternative(finished):
    page = run_page(finished)
    for other in finished.plan.alternatives:
        assert f">{other.name}<" in page


def test_words_of_people_are_never_markup():
    page = run_page(make_view(command=("python", "<script>alert(1)</script>", '"&')))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_run_that_waits_says_when(waiting):
    page = run_page(waiting)
    assert "Waits for" in page
    assert "Expected carbon" in page
    assert "helio log verify" not in page
