"""A page of numbers for Prometheus to scrape, served only where somebody asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from heliotrope.errors import InvalidInput, UsageError
from heliotrope.measure.publish.export import to_prometheus
from heliotrope.measure.sampling.session import Session
from heliotrope.model import Estimate, Measurement

LOOPBACK = "127.0.0.1"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Scrape:
    """Answers `GET /metrics` at `address` (`HOST:PORT`, or a port of the loopback) with what `text` says then."""

    def __init__(self, address: str, text: Callable[[], str]) -> None:
        host, port = _host_and_port(address)
        try:
            self._server = ThreadingHTTPServer((host, port), _page(text))
        except OSError as error:
            raise UsageError(
                f"cannot serve metrics at {address}", cause=str(error), hint="name another port, or 0 for a free one"
            ) from error
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="helio-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Live:
    """A session as it goes on: joules and grams so far, watts since it was asked last; nothing before it begins."""

    def __init__(self, carbon: Callable[[Measurement], Estimate]) -> None:
        self._session: Session | None = None
        self._carbon = carbon
        self._guard = threading.Lock()
        self._last_j = 0.0
        self._last_s = time.monotonic()

    def follow(self, session: Session) -> None:
        self._session = session
        self._last_s = time.monotonic()

    def text(self) -> str:
        if self._session is None:
            return ""
        with self._guard:
            measurement = self._session.totals()
            now_s, energy_j = time.monotonic(), measurement.energy_j.value
            watts = (energy_j - self._last_j) / max(now_s - self._last_s, 1e-9)
            self._last_j, self._last_s = energy_j, now_s
        return to_prometheus(measurement, self._carbon(measurement), watts=watts)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise InvalidInput(
            "not an address to serve at", field="metrics", found=address, allowed="PORT or HOST:PORT, as 127.0.0.1:9400"
        )
    return host or LOOPBACK, int(port)


def _page(text: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] not in {"/metrics", "/"}:
                self.send_error(404, "only /metrics is here")
                return
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", TEXT)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent: stderr belongs to the command's summary."""

    return Page
