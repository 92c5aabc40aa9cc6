"""What each page of the dashboard shows: cards, strips, tables and charts, made from a house and its jobs. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup

from heliotrope.model import CARBON, Estimate, Place, Provenance, QualityKind, least_trusted
from heliotrope.prove.overview import AuditorState
from heliotrope.units import S_PER_DAY, show_carbon, show_energy, show_number
from heliotrope.web.draw import charts, ramp, strips, words, world
from heliotrope.web.house import Curve, Here
from heliotrope.web.pages.runpage import Card

if TYPE_CHECKING:
    from heliotrope.run.views import JobRow

WEEK_S = 7 * S_PER_DAY
ACTIVE = frozenset({"starting", "running", "pausing", "paused", "resuming", "cancelling"})


class Witness(msgspec.Struct, frozen=True):
    """`size`: the largest checkpoint it has cosigned; `fault`: what was wrong with its last answer."""

    name: str
    url: str
    size: int
    fault: str


class Saying(msgspec.Struct, frozen=True):
    """What an auditor signed about an entry."""

    auditor: str
    agrees: bool
    reasons: tuple[str, ...]
    at_s: int


class Entry(msgspec.Struct, frozen=True):
    """A record in the log: `kind` of it, and the run or job that it is about."""

    index: int
    kind: str
    subject: str
    opinions: tuple[Saying, ...]


class ClaimRow(msgspec.Struct, frozen=True):
    """Avoided grams of [start_s, end_s), as written in the log at `index`; `on_chain`: as last heard, empty for not."""

    name: str
    grams: int
    start_s: int
    end_s: int
    expiry_s: int
    index: int
    on_chain: str = ""


class LedgerState(msgspec.Struct, frozen=True):
    """How the log stands: `size` entries, of which `published` are under the checkpoint in `note`."""

    origin: str
    size: int
    published: int
    root: str
    note: str
    witnesses: tuple[Witness, ...]
    quorum: int
    records: tuple[Entry, ...]
    claims: tuple[ClaimRow, ...] = ()
    halted: str = ""
    auditors: tuple[AuditorState, ...] = ()
    anchored: int | None = None
    chain_fault: str = ""


def now_cards(sites: Sequence[Here], jobs: Sequence[JobRow], ledger: LedgerState, now_s: float) -> tuple[Card, ...]:
    """Four numbers that answer: how clean is it here, what runs, what was avoided, and is it on record."""
    cards = []
    for here in sites[:1]:
        if here.curve is None:
            cards.append(Card("Grid here", "unknown", (here.why,)))
            continue
        curve = here.curve
        i = curve.index(now_s)
        span = f"gCO₂e/kWh now ({curve.low[i]:.0f} to {curve.high[i]:.0f})"
        cards.append(Card(f"Grid, {curve.title}", f"{curve.values[i]:.0f}", (span, _quality(curve))))
    running = [job for job in jobs if job.state in ACTIVE]
    waiting = [job for job in jobs if job.state == "waiting"]
    nxt = min((slot.start for job in waiting for slot in job.slots[:1]), default=None)
    when = f"next {words.clock(nxt)}" if nxt else "nothing waits for a cleaner hour"
    cards.append(Card("Work", f"{len(running)} running", (f"{len(waiting)} waiting; {when}",)))
    cards.append(_avoided(jobs, now_s))
    cards.append(_logged(ledger))
    return tuple(cards)


def _avoided(jobs: Iterable[JobRow], now_s: float) -> Card:
    """Against the same energy at once at home, over the runs that ended in the last seven days."""
    recent = [
        (job.run_now_g, job.carbon_g)
        for job in jobs
        if job.ended_at is not None
        and abs(now_s - job.ended_at.timestamp()) <= WEEK_S
        and job.run_now_g is not None
        and job.carbon_g is not None
    ]
    saved = sum(once.value - ran.value for once, ran in recent)
    if not recent:
        return Card("Avoided this week", "–", ("no run has ended yet",))
    how = least_trusted(estimate.provenance for pair in recent for estimate in pair)
    note = f"{len(recent)} run{'' if len(recent) == 1 else 's'} in seven days, against running at once at home"
    return Card("Avoided this week", show_carbon(saved), (note, words.badge(how)))


def _logged(ledger: LedgerState) -> Card:
    if ledger.halted:
        return Card("Ledger", "stopped", (ledger.halted,))
    names = f"{ledger.size:,} entr{'y' if ledger.size == 1 else 'ies'}"
    if not ledger.published:
        return Card("Ledger", names, ("no checkpoint yet",))
    caught_up = sum(1 for w in ledger.witnesses if w.size == ledger.published and not w.fault)
    by = f"cosigned by {caught_up} of {len(ledger.witnesses)} witnesses" if ledger.witnesses else "signed by this home"
    return Card("Ledger", names, (f"checkpoint over {ledger.published:,}, {by}",))


def _quality(curve: Curve) -> Markup:
    """A series' quality as the badge of how far to trust it."""
    kind = curve.quality.kind.value
    if any("assumed" in flag for flag in curve.quality.flags):
        return words.badge(Provenance.ASSUMED)
    return Markup('<span class="badge {}" title="{}">{}</span>').format(
        "measured" if kind == "measured" else "modelled", curve.quality.source, kind
    )


def week(sites: Sequence[Here], jobs: Sequence[JobRow], now_s: float) -> strips.Picture | None:
    """Sites × hours, with what is planned and what ran as boxes."""
    known = [here for here in sites if here.curve is not None]
    if not known:
        return None
    rows = []
    for here in known:
        curve = here.curve
        assert curve is not None
        boxes = tuple(_boxes(here.site.name, jobs))
        rows.append(
            strips.Row(
                label=here.site.name,
                note=here.site.zone,
                start_s=curve.start_s,
                step_s=curve.step_s,
                values=curve.values,
                boxes=boxes,
                chosen=bool(boxes),
                shown=f"{curve.values[curve.index(now_s)]:.0f}",
            )
        )
    start = min(row.start_s for row in rows)
    end = max(row.start_s + row.step_s * len(row.values) for row in rows)
    return strips.picture(rows, start, end, now_s=now_s)


def _boxes(site: str, jobs: Iterable[JobRow]) -> Iterable[strips.Box]:
    for job in jobs:
        name = words.command(job.command, longest=60)
        if job.state in {"waiting", *ACTIVE}:
            for slot in job.slots:
                if slot.site == site:
                    yield _box(slot.start.timestamp(), slot.end.timestamp(), f"{name}, planned", "plan")
        if job.site == site and job.started_at is not None and job.ended_at is not None:
            yield _box(job.started_at.timestamp(), job.ended_at.timestamp(), f"{name}, {job.state}", "ran")


def _box(start_s: float, end_s: float, title: str, style: str) -> strips.Box:
    return strips.Box(start_s, end_s, title, style)


def globe(sites: Sequence[Here], now_s: float) -> str:
    dots = []
    for here in sites:
        curve = here.curve
        if curve is None:
            continue
        place = here.site.place
        if place is None and curve.latitude is not None and curve.longitude is not None:
            place = Place(curve.latitude, curve.longitude)
        if place is not None:
            label = f"{here.site.name} ({here.site.zone})"
            dots.append(world.Dot(label, place, curve.values[curve.index(now_s)], here.home))
    return world.draw(dots) if dots else ""


def cleanest(sites: Sequence[Here], now_s: float) -> str:
    """One sentence for those who will not read a picture."""
    best: tuple[float, float, str] | None = None
    for here in sites:
        curve = here.curve
        if curve is None:
            continue
        first = curve.index(now_s)
        for i in range(first, len(curve.values)):
            found = (curve.values[i], curve.start_s + i * curve.step_s, here.site.name)
            best = found if best is None or found < best else best
    if best is None:
        return ""
    return f"Cleanest in sight: {best[2]}, {words.instant(best[1]).striptags()}, {best[0]:.0f} g/kWh."


class ZonePanel(msgspec.Struct, frozen=True):
    """One zone of the Grid page; `price` in a sentence, with a chart where somebody knows it."""

    curve: Curve
    swatch: str
    now: str
    span: str
    lower: int
    least: str
    badge: Markup
    chart: str
    price: str = ""
    price_chart: str = ""


def zone_panel(curve: Curve, now_s: float, price: Curve | str = "") -> ZonePanel:
    """`price`: or why there is none."""
    i = curve.index(now_s)
    ahead = range(i, len(curve.values))
    least = min(ahead, key=lambda j: curve.values[j])
    panel = ZonePanel(
        curve=curve,
        swatch=ramp.colour_of(curve.values[i]) if curve.unit == CARBON.unit else "",
        now=f"{show_number(curve.values[i])} {curve.unit}",
        span=f"{show_number(curve.low[i])} to {show_number(curve.high[i])}",
        lower=sum(curve.values[j] < curve.values[i] for j in ahead),
        least=f"{show_number(curve.values[least])} {curve.unit} on "
        + words.instant(curve.start_s + least * curve.step_s).striptags(),
        badge=_quality(curve),
        chart=_hours(curve, now_s, 170),
    )
    if isinstance(price, str):
        return msgspec.structs.replace(panel, price=price)
    j = price.index(now_s)
    value, low, high = (show_number(part[j]) for part in (price.values, price.low, price.high))
    if price.quality.kind is QualityKind.ESTIMATED and low != high:
        said = f"assumed, {value} {price.unit} ({low} to {high}): nothing configured knows it here"
        return msgspec.structs.replace(panel, price=said)
    said = f"{value} {price.unit} now; {price.quality.source}"
    return msgspec.structs.replace(panel, price=said, price_chart=_hours(price, now_s, 90))


def _hours(curve: Curve, now_s: float, height: int) -> str:
    times = [curve.start_s + j * curve.step_s for j in range(len(curve.values) + 1)]
    return charts.steps(
        [charts.Series(curve.zone, times, curve.values, curve.low, curve.high)],
        title=f"{curve.kind} of {curve.title} by hour, with its 90 % interval",
        height=height,
        now_s=now_s,
    )


class RunRow(msgspec.Struct, frozen=True):
    """A line of the Runs table, as text."""

    job: JobRow
    command: str
    when: Markup
    energy: str
    carbon: str
    saved: str


def run_rows(jobs: Sequence[JobRow]) -> tuple[RunRow, ...]:
    return tuple(
        RunRow(
            job=job,
            command=words.command(job.command, longest=80),
            when=words.instant(job.started_at or (job.slots[0].start if job.slots else job.submitted_at)),
            energy=show_energy(job.energy_j.value) if job.energy_j else "",
            carbon=show_carbon(job.carbon_g.value) if job.carbon_g else "",
            saved=_saved(job.carbon_g, job.run_now_g),
        )
        for job in jobs
    )


def _saved(ran: Estimate | None, once: Estimate | None) -> str:
    """Grams avoided; the making of the machine is in both and falls out."""
    return show_carbon(once.value - ran.value) if ran is not None and once is not None else ""
