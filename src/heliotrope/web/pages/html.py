"""Turns what the lower rooms say into HTML: pages of the dashboard, and the page of a run that stands alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from heliotrope import __version__
from heliotrope.errors import HelioError
from heliotrope.model import PRICE, RunState, SignalKind
from heliotrope.web import gather
from heliotrope.web.draw import strips, words
from heliotrope.web.pages import planner, runpage, screens

if TYPE_CHECKING:
    from jinja2 import Environment

    from heliotrope.run.views import RunView
    from heliotrope.web.house import House

Words = dict[str, str]
ROWS = 100
WEEK_H = 168
GRID_SHOWS = {
    "carbon": "carbon intensity",
    "price": "price",
    "carbon_free": "carbon-free share",
    "wind_power": "wind power",
    "solar_power": "solar power",
    "load": "load",
}


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
    return files("heliotrope.web").joinpath("static", "style.css").read_text(encoding="utf-8")


def render(template: str, **context: Any) -> str:
    return environment().get_template(template).render(**context)


def run_page(view: RunView) -> str:
    """One HTML file with everything in it: no script, no request, light and dark, fit to print and to keep."""
    page = runpage.build(view, made=f"written by heliotrope {__version__}")
    return render("run_file.html", page=page, style=style())


def _show(template: str, here: str, title: str, **context: Any) -> str:
    return render(template, here=here, title=title, version=__version__, **context)


def now(house: House, _: Words) -> str:
    at = time.time()
    sites, jobs = house.sites(at), gather.jobs(house, limit=200)
    begun = [job for job in jobs if job.started_at is not None or job.state in screens.ACTIVE]
    latest = next((job for job in begun if job.state in screens.ACTIVE), begun[0] if begun else None)
    shown = gather.view(house, latest.run) if latest else None
    return _show(
        "now.html",
        "/",
        "Now",
        cards=screens.now_cards(sites, jobs, gather.ledger_state(house, last=0), at),
        picture=screens.week(sites, jobs, at),
        cleanest=screens.cleanest(sites, at),
        rows=screens.run_rows(jobs[:8]),
        globe=screens.globe(sites, at),
        power=runpage.power(shown) if shown else "",
        power_note=f"{latest.state}: {words.command(latest.command, longest=50)}" if latest else "",
    )


def plan(house: House, asked: Words) -> str:
    question = planner.Question.of(asked)
    page, answer, problem = None, None, None
    try:
        answer = planner.answer(house, question)
        page = runpage.build(answer.view)
    except HelioError as error:
        problem = error
    prices, choices = (answer.prices, answer.front) if answer else ((), ())
    said: Words = {"here": "/plan", "title": "Plan"}
    return _show("plan.html", **said, asked=question, page=page, prices=prices, front=choices, problem=problem)


def runs(house: House, asked: Words) -> str:
    chosen = {name: asked.get(name, "") for name in ("state", "site", "q", "before")}
    try:
        skip = max(int(chosen["before"] or 0), 0)
    except ValueError:
        skip = 0
    every = gather.jobs(house, limit=5000)
    found = [
        job
        for job in every
        if chosen["state"] in {"", job.state}
        and chosen["site"] in {"", job.site}
        and chosen["q"].lower() in " ".join(job.command).lower()
    ]
    more = ""
    if len(found) > skip + ROWS:
        more = "/runs?" + urlencode({k: v for k, v in chosen.items() if v} | {"before": skip + ROWS})
    return _show(
        "runs.html",
        "/runs",
        "Runs",
        rows=screens.run_rows(found[skip : skip + ROWS]),
        empty="No run is like that. Submit one:" if every else "Nothing was submitted yet. Try:",
        states=[state.value for state in RunState],
        sites=sorted({job.site for job in every if job.site}),
        chosen=chosen,
        more=more,
    )


def run(house: House, asked: Words) -> str:
    view = gather.view(house, asked["name"])
    page = runpage.build(view, now_s=time.time(), output=gather.output(house, view.run))
    return _show("run.html", "/runs", words.command(page.workload.command), page=page)


def grid(house: House, asked: Words) -> str:
    at = time.time()
    named = [name.strip() for name in asked.get("zone", "").split(",") if name.strip()]
    ours = [site.zone for site in house.fleet.sites if site.zone]
    wanted = list(dict.fromkeys(named or ours))[:24]
    shown = asked.get("show", "") if asked.get("show", "") in GRID_SHOWS else "carbon"
    panels, problems = [], []
    for name in wanted:
        try:
            panels.append(_zone(house, name, shown, at))
        except HelioError as error:
            problems.append(f"{error.what}. {error.hint}".rstrip(". ") + ".")
    rows = [
        strips.Row(p.curve.title, p.curve.zone, p.curve.start_s, p.curve.step_s, p.curve.values, shown=p.now.split()[0])
        for p in panels
        if p.curve.kind == str(house.controller.kind)
    ]
    picture = None
    if rows:
        start = min(row.start_s for row in rows)
        end = max(row.start_s + row.step_s * len(row.values) for row in rows)
        picture = strips.picture(rows, start, end, now_s=at)
    return _show(
        "grid.html",
        "/grid",
        "Grid",
        asked=wanted,
        zones=house.grid.zones(),
        shows=GRID_SHOWS,
        shown=shown,
        modelled=house.settings.grid.providers == ("model",) and not house.settings.grid.files,
        problems=problems,
        panels=panels,
        picture=picture,
    )


def _zone(house: House, name: str, shown: str, at: float) -> screens.ZonePanel:
    """In the house's kind where that is given; else in the first of the same quantity that is, and it says which."""
    wanted = house.controller.kind if shown == "carbon" else SignalKind.parse(shown)
    given = [kind for kind in house.grid.kinds_of(name) if kind.quantity is wanted.quantity]
    kind = wanted if wanted in given or not given else given[0]
    curve = house.curve(name, at, kind=kind, back_h=WEEK_H)
    if shown != "carbon":
        return screens.zone_panel(curve, at)
    try:
        return screens.zone_panel(curve, at, house.curve(name, at, kind=PRICE, back_h=WEEK_H))
    except HelioError as error:
        return screens.zone_panel(curve, at, error.what)


def fleet(house: House, _: Words) -> str:
    at = time.time()
    sites = house.sites(at)
    rows = []
    for here in sites:
        latency = house.fleet.latency_ms(house.fleet.home, here.site.name)
        curve = here.curve
        rows.append(
            {
                "site": here.site,
                "home": here.home,
                "now": here.why if curve is None else f"{curve.values[curve.index(at)]:.0f}",
                "latency": "unknown" if latency is None else f"{latency:.0f} ms",
            }
        )
    return _show("fleet.html", "/fleet", "Fleet", rows=rows, globe=screens.globe(sites, at))


def ledger(house: House, _: Words) -> str:
    return _show("ledger.html", "/ledger", "Ledger", state=gather.ledger_state(house))


PAGES: dict[str, Callable[[House, Words], str]] = {
    "/": now,
    "/plan": plan,
    "/runs": runs,
    "/runs/{name}": run,
    "/grid": grid,
    "/fleet": fleet,
    "/ledger": ledger,
}
