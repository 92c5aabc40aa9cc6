"""The best site and time for one workload: exact on the signals given, with what the alternatives would have cost."""

from __future__ import annotations

from collections.abc import Sequence

from heliotrope.errors import InvalidInput
from heliotrope.model import Plan, Workload
from heliotrope.plan.shape.contiguous import TIE, TOUCH_S, best_window
from heliotrope.plan.shape.suspend import best_pieces, fill_cost
from heliotrope.plan.single.candidate import (
    Candidate,
    Latency,
    Progress,
    Refusal,
    check_signals,
    linked,
    power_w,
    refusals,
    transfer,
)
from heliotrope.plan.single.option import Choice, Option, no_room, too_short, window_of
from heliotrope.plan.single.reasons import alternatives, infeasible
from heliotrope.units import from_epoch, show_duration

HORIZON_S = 96 * 3600.0


def place(
    workload: Workload,
    candidates: Sequence[Candidate],
    *,
    now_s: float,
    home: str = "",
    latency_ms: Latency | None = None,
    horizon_s: float = HORIZON_S,
    step_s: int = 300,
    ready: Progress | None = None,
) -> Plan:
    """Least operational carbon among all admissible (site, time); ties go to the earliest finish, home, then name.

    `step_s`: work that pauses is cut no finer than this. `home`: where it would have run at once; without one the
    first admissible candidate. `ready`: the work is under way and this much is left. Raises Infeasible, which names
    the limits that clash and the smallest change that would do.
    """
    check_signals(candidates)
    work_s = workload.length.expected_s if ready is None else ready.remaining_s
    if not work_s > 0:
        raise InvalidInput("there is no work left to plan", field="remaining_s", found=work_s, allowed="more than 0")
    options, refused, flags = _admit(workload, candidates, now_s, home, latency_ms, horizon_s, ready, work_s)
    if not options:
        raise infeasible(workload, refused)
    flexible = workload.flexibility.pausable
    choices = _best_by_site(options, workload, float(step_s))
    winner = _winner(choices, home)
    at_once = {name: _now(option) for name, option in options.items()}
    base = at_once[home if home in at_once else next(iter(at_once))]
    expected = winner.option.outlook(winner.grams, winner.pieces)
    bound_g = min(choice.total_g for choice in choices.values())
    if flexible and winner.option.candidate.carbon.step_s < step_s:
        bound_g = min(fill_cost(o.line, o.work_s) + o.moving_g for o in options.values())
        flags.append(f"steps of the signal shorter than {show_duration(step_s)} were merged to place pauses")
    bound_g = min(bound_g, expected.carbon_g)
    sources = dict.fromkeys(c.carbon.quality.source for c in candidates)
    return Plan(
        workload=workload.id,
        made_at=from_epoch(now_s),
        slots=winner.option.slots(winner.pieces),
        expected=expected,
        run_now=base.option.outlook(base.grams, base.pieces),
        alternatives=alternatives(winner, choices, at_once, base, refused),
        bound_g=bound_g,
        gap=(expected.carbon_g - bound_g) / bound_g if bound_g > 0 else 0.0,
        signal_kind=str(candidates[0].carbon.kind),
        signal_sources=tuple(sources),
        flags=tuple(dict.fromkeys(flags)),
    )


def _admit(
    workload: Workload,
    candidates: Sequence[Candidate],
    now_s: float,
    home: str,
    latency_ms: Latency | None,
    horizon_s: float,
    ready: Progress | None,
    work_s: float,
) -> tuple[dict[str, Option], dict[str, list[Refusal]], list[str]]:
    """Options in the order given, refusals by site, flags."""
    latency = latency_ms or linked(candidates)
    options: dict[str, Option] = {}
    refused: dict[str, list[Refusal]] = {}
    flags: list[str] = []
    spare_s = workload.length.high_s - workload.length.expected_s if ready is None else 0.0
    for candidate in candidates:
        name = candidate.site.name
        if name in options or name in refused:
            raise InvalidInput("two candidates are one site", field="candidates", found=name)
        watts, stated = power_w(workload, candidate)
        moving = transfer(workload, candidate.site, candidates, home, ready)
        against = refusals(workload, candidate, watts, latency, ready)
        window = window_of(workload, candidate, now_s, horizon_s, moving, ready)
        running = ready is not None and ready.running and ready.site in {"", name}
        first_s = 0.0 if ready is None or running else workload.flexibility.pause_cost_s
        short = too_short(window, work_s + first_s, workload)
        against += [short] if short else []
        if against:
            refused[name] = against
            continue
        option = Option(
            candidate,
            watts,
            window,
            now_s,
            moving,
            work_s=work_s,
            first_s=first_s,
            pause_s=workload.flexibility.pause_cost_s,
            running=running,
        )
        held = no_room(option, workload.flexibility)
        if held:
            refused[name] = [held]
            continue
        earlier = option.ending(window.end_s - spare_s)
        if earlier is not None and no_room(earlier, workload.flexibility) is None:
            option = earlier
        else:
            flags.append(f"{name}: may end after the {window.end_by} if it takes longer than expected")
        options[name] = option
        flags += [f"power assumed: {watts:.0f} W"] if not stated else []
        flags += [f"{name}: link assumed for moving data"] if moving.assumed else []
        flags += [f"{name}: {flag}" for flag in candidate.carbon.quality.flags]
    return options, refused, flags


def _best_by_site(options: dict[str, Option], workload: Workload, step_s: float) -> dict[str, Choice]:
    """Each site's best. Sites whose bound cannot beat the best so far are left at their bound."""
    if not workload.flexibility.pausable:
        return {name: _unbroken(option) for name, option in options.items()}
    bounds = {name: fill_cost(o.line, o.work_s) + o.moving_g for name, o in options.items()}
    choices: dict[str, Choice] = {}
    best = float("inf")
    for name in sorted(options, key=lambda n: (bounds[n], n)):
        option = options[name]
        limit = best + TIE * max(1.0, abs(best)) - option.moving_g
        found = None
        if bounds[name] <= limit + option.moving_g:
            # Unbroken is always allowed: pieces have to beat it.
            whole = _now(option) if option.running or not option.fits_whole else _window(option)
            found = best_pieces(
                option.line.coarser(step_s),
                option.work_s,
                workload.flexibility.pause_cost_s,
                first_cost=option.first_s,
                running=option.running,
                below=min(limit, whole.grams),
            )
            if found is None and whole.grams <= limit:
                found = whole.grams, whole.pieces
        if found is None:
            # It was proven that this site cannot be below the best; its own best lies at least there.
            choices[name] = Choice(option, max(bounds[name], best) - option.moving_g, [], exact=False)
        else:
            cost = option.line.over(found[1])
            choices[name] = Choice(option, cost, found[1])
            best = min(best, cost + option.moving_g)
    return choices


def _unbroken(option: Option) -> Choice:
    return _now(option) if option.running else _window(option)


def _window(option: Option) -> Choice:
    grams, piece = best_window(option.line, option.work_s + option.first_s)
    return Choice(option, grams, [piece])


def _now(option: Option) -> Choice:
    """From the first possible moment, without a pause of its own choosing."""
    line, needed_s = option.line, option.first_s + option.work_s
    pieces = [(start, start + needed_s) for start, end in line.gaps() if end - start >= needed_s - TOUCH_S][:1]
    if not pieces:
        # Other work leaves no gap as long as that: the gaps in order, each resumed at its cost.
        for start, end in line.gaps():
            resume_s = option.pause_s if pieces else 0.0
            if needed_s > TOUCH_S and end - start > resume_s:
                pieces.append((start, min(end, start + resume_s + needed_s)))
                needed_s -= pieces[-1][1] - start - resume_s
    return Choice(option, line.over(pieces), pieces)


def _winner(choices: dict[str, Choice], home: str) -> Choice:
    exact = [choice for choice in choices.values() if choice.exact]
    least = min(choice.total_g for choice in exact)
    tied = [c for c in exact if c.total_g <= least + TIE * max(1.0, abs(least))]
    return min(tied, key=lambda c: (c.pieces[-1][1], c.option.name != home, c.option.name))
