"""`helio up`: the controller and the dashboard, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options

if TYPE_CHECKING:
    from heliotrope.run import Controller
    from heliotrope.web.house import House


@click.command()
@click.option("--fleet", metavar="FILE", help="A fleet file, or `example`.")
@click.option("--zone", metavar="ZONE", help="Grid zone of this machine, where there is no fleet.")
@click.option("--port", type=click.IntRange(0, 65535), help="Where the dashboard listens; 0 for any free port.")
@click.option("--cert", metavar="FILE", help="Speak TLS with this certificate (PEM).")
@click.option("--key", metavar="FILE", help="The certificate's key (PEM).")
@shared_options
def up(
    context: Context, fleet: str | None, zone: str | None, port: int | None, cert: str | None, key: str | None
) -> None:
    """Start the controller and the dashboard.

    It says the dashboard's address on stdout, and stops on Ctrl-C; what runs goes on without it.
    """
    import msgspec

    from heliotrope.web.house import House

    settings = context.settings
    said = {"port": port, "cert": cert, "key": key}
    web = msgspec.structs.replace(settings.web, **{name: one for name, one in said.items() if one is not None})
    settings = msgspec.structs.replace(settings, fleet=fleet or settings.fleet, zone=zone or settings.zone, web=web)
    house = House(settings)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(house, as_json=context.json))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """A third more heartbeats a second with uvloop, where the extra `fast` brought it."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(house: House, *, as_json: bool) -> None:
    from heliotrope.web.app import Server

    server = Server(house)
    await server.start()
    stop, halt = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    with ThreadPoolExecutor(1, thread_name_prefix="controller") as pool:
        control = loop.run_in_executor(pool, _control, house.controller, halt)
        # A controller that fails ends the dashboard with it.
        control.add_done_callback(lambda _: stop.set())
        try:
            if as_json:
                print_json({"url": server.url, "home": str(house.home)})
            else:
                click.echo(server.url)
                say("controller and dashboard are up; Ctrl-C stops them, and leaves what runs running")
            await stop.wait()
        finally:
            halt.set()
            await server.stop()
        await control


def _control(controller: Controller, halt: threading.Event) -> None:
    try:
        controller.attend(halt, say)
    finally:
        controller.close()
