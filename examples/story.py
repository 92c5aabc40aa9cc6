"""The whole story on one machine, in under a minute: plan, wait for the clean hour, run, measure, prove, show.

    make run

It types the same commands that you would, into a home of its own under .helio/. Six sites stand in for places in six
countries, and a fast clock makes a day go by in half a minute; every record of this says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
FASTER = 3600  # an hour of grid in a second of yours
# Learning takes about 7 s of this machine, so about 7 h on the fast clock.
LENGTH = "7h"
SHADES = (("#b9f6ca", 0), ("#c5e08a", 100), ("#d0b945", 225), ("#b98a17", 350), ("#9a5a10", 475), ("#6a2a10", 600))
GLYPHS = "·░▒▓██"
console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def helio(*args: str, home: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "heliotrope", *args],
        env=os.environ | {"HELIO_HOME": str(home), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def answer(*args: str, home: Path) -> dict:
    """One command's JSON, or its error as it was said."""
    process = helio(*args, home=home)
    out, err = process.communicate(timeout=120)
    if process.returncode:
        raise SystemExit(err.strip() or f"helio {args[0]} failed")
    return json.loads(out)


def submit(home: Path) -> dict:
    """Follows `helio run` line by line; its progress is on stderr, its result on stdout."""
    work = [Path(sys.executable).name, "examples/train_digits.py", "--seconds", "4"]
    options = ["--fleet", "example", "--within", "24h", "--length", LENGTH, "--kind", "train", "--faster", str(FASTER)]
    console.print(Text("$ ", "dim") + Text(f"helio run {' '.join(options)} -- {' '.join(work)}", "bold"))
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    process = helio("run", "--json", *options, "--", *work, home=home)
    said = []
    with console.status("planning", spinner="dots") as status:
        for line in process.stderr:
            said.append(line.rstrip())
            first, _, rest = said[-1].partition(" ")
            if first == "planned":
                console.print(Padding(Text(rest.partition(": ")[2], "green"), (0, 2)))
            elif " at " in rest:
                when = datetime.fromisoformat(first)
                status.update(f"{when:%a %H:%M} UTC  {rest}")
        out = process.stdout.read()
    if process.wait() != 0:
        raise SystemExit("\n".join(said))
    return json.loads(out)


def strip(values: list[float], marks: set[int]) -> Text:
    """A cell an hour, light is clean; what was chosen is marked."""
    line = Text()
    for i, value in enumerate(values):
        shade = next(colour for colour, least in reversed(SHADES) if value >= least)
        if console.color_system:
            line.append("▣ " if i in marks else "  ", f"{'black' if value < 475 else 'white'} on {shade}")
        else:
            line.append("▣ " if i in marks else GLYPHS[[colour for colour, _ in SHADES].index(shade)] * 2)
    return line


def picture(view: dict) -> Table:
    table = Table.grid(padding=(0, 1))
    slots = [(s["site"], hour(s["start"]), hour(s["end"])) for s in view["plan"]["slots"]]
    for site in view["strips"]:
        first = site["start_s"] // 3600
        marks = {h - first for name, a, b in slots if name == site["site"] for h in range(a, b + 1)}
        style = "bold green" if marks else ""
        mean = sum(site["values"][:25]) / 25
        cells = strip(site["values"][:25], marks)
        table.add_row(Text(site["site"], style), Text(site["zone"], "dim"), cells, f"{mean:.0f}")
    first = view["strips"][0]["start_s"]
    scale = "".join(f"{(first // 3600 + i) % 24:02d}    " for i in range(0, 25, 3))
    table.add_row("", "", Text(scale + "UTC", "dim"), Text("g/kWh", "dim"))
    return table


def hour(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 3600


def show(value: float, unit: str) -> str:
    prefixes = ((1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"))
    factor, prefix = next((p for p in prefixes if abs(value) >= p[0]), prefixes[-1])
    return f"{value / factor:.3g} {prefix}{unit}"


def numbers(done: dict, footprint: dict) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    rows = (
        ("energy", done["energy_j"], "J"),
        ("carbon of the power", footprint["carbon_operational_g"], "g"),
        ("share of the machine's making", footprint["carbon_embodied_g"], "g"),
        ("both", done["carbon_g"], "g"),
        ("both, had it run at once", done["run_now_g"], "g"),
        ("cost", done["cost"], "EUR"),
    )
    for label, estimate, unit in rows:
        span = f"{show(estimate['low'], unit)} to {show(estimate['high'], unit)}"
        how = estimate["provenance"]
        style = {"measured": "green", "modelled": "cyan", "assumed": "yellow"}[how]
        table.add_row(label, Text(show(estimate["value"], unit), "bold"), Text(span, "dim"), Text(how, style))
    return table


def saving(done: dict, footprint: dict) -> str:
    """All sites are this machine here, so its making weighs the same on both sides, and the power's share shows."""
    saved = done["run_now_g"]["value"] - done["carbon_g"]["value"]
    at_once = done["run_now_g"]["value"] - footprint["carbon_embodied_g"]["value"]
    word = "avoided" if saved >= 0 else "added"
    return f"Waiting and moving {word} {show(abs(saved), 'g')}: {abs(saved) / at_once:.0%} of the carbon of its power."


def main() -> None:
    began = time.monotonic()
    fresh = ROOT / ".helio" / f"story-{datetime.now().astimezone():%Y%m%d-%H%M%S}-{os.getpid()}"
    home = Path(os.environ.get("HELIO_HOME") or fresh)
    console.print()
    story = (
        "[bold]Heliotrope[/] turns with the sun: a small network learns to read digits\n"
        "where and when the power is clean, and holds a proof of it."
    )
    console.print(Panel.fit(story, border_style="green"))
    console.print()
    done = submit(home)
    view = answer("runs", "show", done["run"], "--json", home=home)

    console.print()
    console.print("[bold]1  When and where[/]  [dim]carbon by hour; ▣ is the plan; light is clean[/]")
    console.print(Padding(picture(view), (0, 2)))
    for other in view["plan"]["alternatives"][:3]:
        console.print(Padding(Text(f"instead {other['name']}: {other['reason']}", "dim"), (0, 2)))
    console.print(
        Padding(Text(f"(reckoned for {LENGTH} at an assumed 100 W; here it is seconds of one core)", "dim"), (0, 2))
    )

    console.print()
    console.print(f"[bold]2  What it did[/]  [dim]at {done['site']} ({done['zone']}), exit code {done['exit_code']}[/]")
    console.print(Padding(learned(home, done), (0, 2)))

    console.print()
    console.print("[bold]3  What it cost[/]  [dim]value, 90 % interval, and how it came to be[/]")
    console.print(Padding(numbers(done, view["footprint"]), (0, 2)))
    console.print(Padding(Text(saving(done, view["footprint"]), "green"), (0, 2)))
    for flag in done["flags"]:
        console.print(Padding(Text(f"· {flag}", "dim"), (0, 2)))

    console.print()
    verdict = helio("log", "verify", done["receipt"], home=home)
    said, problem = verdict.communicate(timeout=60)
    if verdict.returncode:
        raise SystemExit(problem)
    console.print("[bold]4  The proof[/]  [dim]checked just now, with no network[/]")
    console.print(Padding(Text(said.strip(), "green"), (0, 2)))

    page = home / "run.html"
    answer("runs", "show", done["run"], "--json", "--html", str(page), home=home)
    short = shorter(home)
    console.print()
    took = f"[dim]({time.monotonic() - began:.0f} s in all)[/]"
    console.print(f"[bold]5  The page of the run[/]  {shorter(page)}  {took}")
    console.print()
    console.print("[bold]Next[/]")
    for command, why in (
        (f".venv/bin/helio up --home {short} --fleet example", "the dashboard of what just happened"),
        (".venv/bin/helio doctor", "what can be measured on this machine, and what would change it"),
        (".venv/bin/helio run --zone DE --within 12h -- python your_training.py", "yours (your zone, real time)"),
    ):
        console.print(Padding(Text(command, "bold") + Text(f"\n  {why}", "dim"), (0, 2)))
    console.print()


def shorter(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def learned(home: Path, done: dict) -> Text:
    """What the job itself said at its end."""
    logs = sorted((home / "runs" / done["run"]).rglob("*out*"))
    lines = [line for log in logs if log.is_file() for line in log.read_text(errors="replace").splitlines()]
    said = [line for line in lines if "accuracy" in line]
    return Text(said[-1] if said else "it said nothing")


if __name__ == "__main__":
    main()
