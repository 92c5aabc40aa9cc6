"""Turns what the lower rooms say into HTML: pages of the dashboard, and the page of a run that stands alone."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from heliotrope import __version__
from heliotrope.web import runpage, words

if TYPE_CHECKING:
    from jinja2 import Environment

    from heliotrope.run.views import RunView


@cache
def environment() -> Environment:
    """Templates escape what they are given; a name that does not exist is an error, not an empty string."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("heliotrope.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters.update(words.FILTERS)
    return made


@cache
def style() -> str:
    return files(__package__).joinpath("static", "style.css").read_text(encoding="utf-8")


def run_page(view: RunView) -> str:
    """One HTML file with everything in it: no script, no request, light and dark, fit to print and to keep."""
    page = runpage.build(view, made=f"written by heliotrope {__version__}")
    return render("run_file.html", page=page, style=style())


def render(template: str, **context: Any) -> str:
    return environment().get_template(template).render(**context)
