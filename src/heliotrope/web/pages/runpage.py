"""What the page of one run says: a view of the run, turned into words, cards and pictures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup

from heliotrope.model import Estimate, Footprint, Outlook, Plan, Provenance, Workload
from heliotrope.units import S_PER_HOUR, from_epoch, show_carbon, show_duration
from heliotrope.web.draw import charts, strips, words
from heliotrope.web.pages.inside import Inside, inside

if TYPE_CHECKING:
    from heliotrope.run.views import Event, RunView, Strip


class Card(msgspec.Struct, frozen=True):
    """A number in large type with what must be said beside it."""

    label: str
    value: str
    notes: tuple[Markup | str, ...] = ()


class RunPage(msgspec.Struct, frozen=True):
    """Everything `run_body.html` asks for."""

    workload: Workload
    kind: str
    state: str
    run_id: str
    story: str
    cards: tuple[Card, ...]
    picture: strips.Picture | None
    picture_note: str
    keys: tuple[str, ...]
    has_now: bool
    compare: str
    compare_note: str
    power: str
    power_note: str
    inside: Inside | None
    plan: Plan | None
    chosen: str
    why_note: str
    footprint: Footprint | None
    parts: tuple[tuple[str, Estimate, str, str], ...]
    flags: tuple[str, ...]
    events: tuple[Event, ...]
    receipt: str
    made: str = ""
    output: str = ""
    output_note: str = ""


def build(view: RunView, *, now_s: float | None = None, made: str = "", output: tuple[str, str] = ("", "")) -> RunPage:
    """`now_s`: the reader's present, for pages that live; None for a page that is kept. `output`: and a note on it."""
    plan, run, footprint = view.plan, view.run, view.footprint
    if run is not None and (run.state.ended or run.clock_factor != 1):
        now_s = None
    picture, keys = _picture(view, now_s)
    return RunPage(
        workload=view.workload,
        kind=view.workload.kind.value,
        state=run.state.value if run else "waiting",
        run_id=run.id if run else "",
        story=_story(view),
        cards=_cards(view),
        picture=picture,
        picture_note=_picture_note(view.strips),
        keys=keys,
        has_now=now_s is not None,
        compare=_compare(view),
        compare_note=_compare_note(view),
        power=power(view),
        power_note=power_note(view),
        inside=inside(view.windows, factor=view.run.clock_factor if view.run else 1.0),
        plan=plan,
        chosen=_chosen(plan) if plan else "",
        why_note=_why_note(plan) if plan else "",
        footprint=footprint,
        parts=_parts(footprint) if footprint else (),
        flags=tuple(dict.fromkeys((*(plan.flags if plan else ()), *(footprint.flags if footprint else ())))),
        events=view.events,
        receipt=view.receipt,
        made=made,
        output=output[0],
        output_note=output[1],
    )


def _story(view: RunView) -> str:
    """One sentence: where, when, how long, and on what clock."""
    run, plan, began = view.run, view.plan, _began(view)
    if run is None or began is None:
        if plan and plan.slots:
            first = plan.slots[0]
            return f"Waits for {words.clock(first.start)} at {first.site}."
        return "Not planned yet."
    said = f"Ran at {run.site} ({run.zone})" if run.ended_at else f"Runs at {run.site} ({run.zone})"
    said += f" from {words.clock(began)}"
    if run.ended_at:
        lasted = (run.ended_at - began).total_seconds()
        said += f" to {words.clock(run.ended_at)}, {show_duration(lasted)}"
    if run.exit_code is not None:
        said += f"; exit code {run.exit_code}"
    if len(view.attempts) > 1:
        said += f"; attempt {run.attempt}"
    if run.clock_factor != 1:
        said += f". On a clock {run.clock_factor:,.0f} times as fast as the wall's, as the record says"
    return said + "."


def _began(view: RunView) -> datetime | None:
    """When it began; while it runs, only its events know."""
    if view.run is not None and view.run.started_at is not None:
        return view.run.started_at
    return next((from_epoch(event.at_s) for event in view.events if event.name == "running"), None)


def _cards(view: RunView) -> tuple[Card, ...]:
    footprint, plan = view.footprint, view.plan
    if footprint is None:
        if plan is None:
            return ()
        expected, at_once = plan.expected, plan.run_now
        energy = Card("Expected energy", words.SHOW["energy"](expected.energy_j))
        if view.measurement is not None:
            used = view.measurement.energy_j
            energy = Card("Energy so far", words.SHOW["energy"](used.value), _notes(used, "energy"))
        saving = words.share(expected.carbon_g, at_once.carbon_g)
        return (
            Card(
                "Expected carbon",
                show_carbon(expected.carbon_g),
                (_range(expected.carbon_low_g, expected.carbon_high_g),),
            ),
            Card("Had it run at once", show_carbon(at_once.carbon_g), (f"the plan emits {saving}",)),
            energy,
            Card("Expected cost", words.money(expected.cost)),
        )
    carbon = footprint.carbon_g
    cards = [
        Card("Energy", words.SHOW["energy"](footprint.energy_j.value), _notes(footprint.energy_j, "energy")),
        Card("Carbon", show_carbon(carbon.value) + " CO₂e", _notes(carbon, "carbon")),
    ]
    once = view.run_now_operational_g
    if once is not None:
        saved = once.value - footprint.carbon_operational_g.value
        label = "Avoided by waiting and moving" if saved >= 0 else "Added by waiting and moving"
        share = words.share(footprint.carbon_operational_g.value, once.value)
        at = f"at once at {view.home or 'home'}"
        said = f"its power: {share} as {at}" if share == "the same" else f"its power: {share} than {at}"
        cards.append(Card(label, show_carbon(abs(saved)), (said, words.badge(once.provenance))))
    cards.append(Card("Cost", words.money(footprint.cost.value, footprint.currency), _notes(footprint.cost, "cost")))
    return tuple(cards)


def _notes(estimate: Estimate, quantity: str) -> tuple[Markup | str, ...]:
    return tuple(note for note in (words.between(estimate, quantity), words.badge(estimate.provenance)) if note)


def _range(low: float, high: float) -> str:
    return f"{show_carbon(low)} to {show_carbon(high)}"


def _picture(view: RunView, now_s: float | None) -> tuple[strips.Picture | None, tuple[str, ...]]:
    if not view.strips:
        return None, ()
    start, end, keys = _window(view)
    chosen = {slot.site for slot in view.plan.slots} if view.plan else set()
    ran_at = view.run.site if view.run and _began(view) else ""
    rows = []
    for strip in sorted(view.strips, key=lambda s: s.site != view.home):
        here = strip.site in chosen or strip.site == ran_at
        rows.append(
            strips.Row(
                label=strip.site,
                note=strip.zone,
                start_s=strip.start_s,
                step_s=strip.step_s,
                values=strip.values,
                boxes=_boxes(view, strip.site),
                chosen=here,
                shown=f"{_mean(strip, start, end):.0f}",
            )
        )
    return strips.picture(rows, start, end, now_s=now_s), keys


def _window(view: RunView) -> tuple[int, int, tuple[str, ...]]:
    """From submission to the deadline, or to the end of the work with room to breathe; whole hours."""
    first = min(strip.start_s for strip in view.strips)
    last = max(strip.start_s + strip.step_s * len(strip.values) for strip in view.strips)
    ends = [slot.end.timestamp() for slot in (view.plan.slots if view.plan else ())]
    ends += [view.run.ended_at.timestamp()] if view.run and view.run.ended_at else []
    ends += [view.workload.deadline.timestamp()] if view.workload.deadline else []
    if ends:
        last = min(last, int(-(-max(ends) // S_PER_HOUR) + 2) * S_PER_HOUR)
    keys = ["plan"] if view.plan else []
    if _began(view):
        keys.append("ran")
    if view.plan and view.home:
        keys.append("once")
    return first, max(last, first + S_PER_HOUR), tuple(keys)


def _boxes(view: RunView, site: str) -> tuple[strips.Box, ...]:
    found = []
    plan = view.plan
    if plan and view.home == site:
        begin = max(view.workload.submitted_at, view.workload.not_before or view.workload.submitted_at)
        found.append(_box(begin, plan.run_now.finish, "had it run at once", "once"))
    if plan:
        found += [_box(slot.start, slot.end, "planned", "plan") for slot in plan.slots if slot.site == site]
    run = view.run
    began = _began(view)
    if run and began and run.site == site:
        until = view.measurement.end_s if view.measurement else began.timestamp()
        ended = run.ended_at or from_epoch(max(until, began.timestamp() + 1))
        found.append(_box(began, ended, "ran" if run.ended_at else "running since", "ran"))
    return tuple(found)


def _box(start: datetime, end: datetime, what: str, style: str) -> strips.Box:
    return strips.Box(start.timestamp(), end.timestamp(), f"{what} {words.clock(start)} to {words.clock(end)}", style)


def _mean(strip: Strip, start_s: int, end_s: int) -> float:
    inside = [value for i, value in enumerate(strip.values) if start_s <= strip.start_s + i * strip.step_s < end_s]
    return sum(inside) / len(inside) if inside else 0.0


def _picture_note(series: Sequence[Strip]) -> str:
    if not series:
        return ""
    kinds = ", ".join(sorted({s.quality for s in series if s.quality}))
    return f"{series[0].unit} by hour, UTC; {kinds}; right: mean over the window"


def _compare(view: RunView) -> str:
    """What waiting and moving can change: the carbon of the power."""
    footprint, once, plan = view.footprint, view.run_now_operational_g, view.plan
    if footprint is not None and once is not None:
        rows = [_bar("as it ran", footprint.carbon_operational_g, ""), _bar("at once", once, "once")]
    elif plan is not None:
        rows = [_bar("planned", _estimate(plan.expected), ""), _bar("at once", _estimate(plan.run_now), "once")]
    else:
        return ""
    return charts.bars(rows, title="Carbon of the power with its interval, as planned and at once")


def _bar(label: str, estimate: Estimate, style: str) -> charts.Bar:
    return charts.Bar(label, estimate, style, show_carbon(estimate.value))


def _estimate(outlook: Outlook) -> Estimate:
    value = outlook.carbon_g
    return Estimate(value, min(outlook.carbon_low_g, value), max(outlook.carbon_high_g, value), Provenance.MODELLED)


def _compare_note(view: RunView) -> str:
    at = f"; at once means at {view.home}" if view.home else ""
    if view.footprint is None:
        return f"carbon of the power{at}"
    made = show_carbon(view.footprint.carbon_embodied_g.value)
    return f"carbon of the power; making the machine adds {made} either way{at}"


def power(view: RunView) -> str:
    """A chart of at most three meters' domains, the largest first; empty where nothing was read."""
    measurement = view.measurement
    if measurement is None or not measurement.readings:
        return ""
    # On an accelerated clock the intervals are stretched, the joules are not: watts are those of the wall's clock.
    factor = view.run.clock_factor if view.run else 1.0
    found: dict[str, list[tuple[float, float, float]]] = {}
    for reading in sorted(measurement.readings, key=lambda r: r.start_s):
        span = (reading.end_s - reading.start_s) / factor
        if span > 0:
            watts = reading.energy_j / span
            found.setdefault(f"{reading.meter} {reading.domain}", []).append((reading.start_s, reading.end_s, watts))
    series = [_stepped(name, spans) for name, spans in found.items()]
    series.sort(key=lambda one: -max(one.values))
    return charts.steps(series[:3], title="Power over time: " + ", ".join(s.label for s in series[:3]))


def _stepped(name: str, spans: list[tuple[float, float, float]]) -> charts.Series:
    """Consecutive readings as steps; where nothing was read, nothing ran: zero."""
    times, values = [spans[0][0]], []
    for start, end, watts in spans:
        if start > times[-1] + 1e-6:
            values.append(0.0)
            times.append(start)
        values.append(watts)
        times.append(end)
    return charts.Series(name, times, values)


def power_note(view: RunView) -> str:
    """Which meters, and how far to trust each."""
    if view.measurement is None:
        return ""
    meters = {f"{total.name} {total.domain} ({total.provenance.value})" for total in view.measurement.meters}
    return ", ".join(sorted(meters))


def _chosen(plan: Plan) -> str:
    if not plan.slots:
        return "nothing left to do"
    first, last = plan.slots[0], plan.slots[-1]
    pauses = f", {len(plan.slots) - 1} pauses" if len(plan.slots) > 2 else ", one pause" if len(plan.slots) == 2 else ""
    return f"{first.site} from {words.clock(first.start)} to {words.clock(last.end)}{pauses}"


def _why_note(plan: Plan) -> str:
    if plan.gap <= 1e-9:
        return "certified: on these signals nothing can be lower"
    return f"certified: at most {plan.gap:.2%} above the lowest possible, {show_carbon(plan.bound_g)}"


def _parts(footprint: Footprint) -> tuple[tuple[str, Estimate, str, str], ...]:
    carbon = footprint.carbon_operational_g
    made = "this run's share of making the machine; reported, never a reason to place"
    return (
        ("IT energy", footprint.energy_j, "energy", "what the machine used for this run"),
        ("Facility energy", footprint.facility_energy_j, "energy", "with cooling and losses (PUE); what carbon counts"),
        ("Operational carbon", carbon, "carbon", "by the hour the energy was used, at that hour's intensity"),
        ("Embodied carbon", footprint.carbon_embodied_g, "carbon", made),
        ("Water", footprint.water_l, "water", "cooling on site and at the power plants"),
        ("Cost of energy", footprint.cost, "cost", f"in {footprint.currency}"),
        ("Heat put to use", footprint.heat_reused_j, "heat", "warms something else"),
    )
