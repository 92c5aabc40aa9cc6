"""`helio kueue`: the external dispatcher of a MultiKueue manager, by carbon."""

from __future__ import annotations

import time

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options

EVERY_S = 10.0


@click.command()
@click.option("--fleet", metavar="FILE", help="A fleet file whose sites are named as the MultiKueueClusters.")
@click.option("--url", default="", help="Of the manager's API server; in a pod it is found.")
@click.option("--token-file", default="", help="Else KUBERNETES_TOKEN, or the pod's own.")
@click.option("--certificate", default="", help="The authority that signed the API server's.")
@click.option("--once", is_flag=True, help="One look, and then end.")
@shared_options
def kueue(context: Context, fleet: str | None, url: str, token_file: str, certificate: str, *, once: bool) -> None:
    """Nominate the cleanest clusters for workloads that wait in MultiKueue.

    Kueue dispatches each to the first of them that admits it; after five minutes the next cleanest may, too.
    """
    import msgspec

    from heliotrope.errors import EngineError, EngineRefused
    from heliotrope.run.desk import Desk
    from heliotrope.run.engines.kubernetes import KubeApi
    from heliotrope.run.kueue import Dispatcher

    desk = Desk(msgspec.structs.replace(context.settings, fleet=fleet or context.settings.fleet))
    dispatcher = Dispatcher(desk, KubeApi(url, token_file, certificate))
    try:
        while True:
            try:
                changed = dispatcher.step(time.time())
            except EngineRefused:
                raise
            except EngineError as error:
                if once:
                    raise
                say(f"{error.what}; tried again")
                changed = []
            for one in changed:
                if context.json:
                    print_json(one)
                else:
                    click.echo(f"{one.namespace}/{one.name} → {', '.join(one.clusters)}")
            if once:
                return
            time.sleep(EVERY_S)
    finally:
        desk.close()
