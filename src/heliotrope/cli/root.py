"""The root command: lazy groups, help in sections, errors for people."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from heliotrope import __version__
from heliotrope.errors import HelioError, nearest

# section → command → (module, one line of help). A section is a sub-room; command `x-y` is the attribute `x_y` there.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Work": {
        "run": ("run", "Run a command when and where power is clean."),
        "submit": ("submit", "Take a Slurm script, a Kubernetes Job or a Ray job as it is."),
        "plan": ("plan", "Show when and where it would run, and why."),
        "jobs": ("jobs", "List what was submitted and how it stands."),
        "runs": ("runs", "Show one run: plan, energy, carbon, receipt."),
        "logs": ("logs", "What a run says, wherever it runs."),
        "share": ("share", "Who has what of the fleet, and whose turn is next."),
        "cancel": ("jobs", "Cancel a job."),
        "up": ("up", "Start the controller and the dashboard."),
        "kueue": ("kueue", "Choose clusters for MultiKueue, by carbon."),
    },
    "Know": {
        "measure": ("measure", "Measure what a command uses."),
        "watch": ("watch", "Who uses the power of this node, now."),
        "meter": ("meter", "Serve a node's counters, calibrate them, export measurements."),
        "power": ("power", "Limits and clocks: show them, hold one while a command runs."),
        "grid": ("grid", "The power grid: now, next, past."),
        "site": ("site", "Let sites elsewhere take part, and be one."),
        "sites": ("sites", "The sites of the fleet."),
        "member": ("member", "Who may ask this house from elsewhere."),
        "refused": ("member", "Who was turned away, and why."),
        "doctor": ("doctor", "What can be measured here, and what would change it."),
        "simulate": ("simulate", "Replay traces of jobs and grids through the planner."),
    },
    "Prove": {
        "log": ("log", "The tamper-evident log: verify, export, receipts."),
        "claims": ("claims", "Avoided-emissions claims: mint, transfer, retire."),
    },
}
_COMMANDS = {
    name: (f"heliotrope.cli.{section.lower()}.{module}", text)
    for section, commands in SECTIONS.items()
    for name, (module, text) in commands.items()
}


class _Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(_COMMANDS[cmd_name][0])
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            raise click.UsageError(f"no such command: {args[0]}\nhint: {nearest(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table alone: help loads no group."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


@click.command(cls=_Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="helio")
def helio() -> None:
    """Run AI work when and where power is clean; measure it; prove it."""


def main() -> None:
    """Exit codes: 0 fine, 1 failed, 2 asked wrongly, 3 infeasible, 4 not proven; `run` and `measure` pass on CMD's."""
    try:
        code = helio.main(prog_name="helio", standalone_mode=False)
    except click.ClickException as error:
        code = _say_click(error)
    except click.Abort:
        code = 130
    except HelioError as error:
        code = _say(error)
    except BrokenPipeError:
        # The reader of our output went away; nothing more can be said.
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _say_click(error: click.ClickException) -> int:
    message = error.format_message()
    what, _, hint = message.partition("\nhint: ")
    if isinstance(error, click.UsageError) and not hint:
        path = error.ctx.command_path if error.ctx else "helio"
        hint = f"{path} --help"
    _print_error(what, "", hint)
    return error.exit_code


def _say(error: HelioError) -> int:
    _print_error(error.what, error.cause, error.hint)
    return error.exit_code


def _print_error(what: str, cause: str, hint: str) -> None:
    click.echo(click.style("error: ", fg="red", bold=True) + what, err=True)
    if cause:
        click.echo(click.style("cause: ", bold=True) + cause, err=True)
    if hint:
        click.echo("\n" + click.style("hint: ", fg="cyan", bold=True) + hint, err=True)
