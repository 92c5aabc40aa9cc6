"""One small client for every grid API: back-off, budgets of calls, errors for people, and no key in any message.

Synchronous on purpose: a signal is one short request an hour, the planner that waits for it is synchronous, and the
standard library needs no event loop. The twin and everything that serves stays on aiohttp.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from heliotrope import __version__
from heliotrope.errors import ProviderBusy, ProviderDenied, ProviderDown, ProviderError, ProviderGarbled

ATTEMPTS = 3
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0  # a longer Retry-After is the caller's to plan for, not ours to sleep through
LARGEST_BYTES = 32 * 1024 * 1024
CLOCK_SLACK_S = 12 * 3600.0


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: Mapping[str, str]


class Client:
    """Talks to one API. `calls_per_hour` is a budget: past it nothing is sent."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        timeout_s: float = 10.0,
        calls_per_hour: int = 600,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.base = urlsplit(base_url.rstrip("/"))
        if self.base.scheme not in {"http", "https"} or not self.base.netloc:
            raise ProviderError(f"{name}: not an address: {base_url}", hint="http://host[:port] or https://host")
        self._headers = {"User-Agent": f"heliotrope/{__version__}", "Accept": "application/json", **(headers or {})}
        self._secrets = tuple(secret for secret in secrets if secret)
        self._timeout_s = timeout_s
        self._budget = calls_per_hour
        self._sent: deque[float] = deque()
        self._sleep = sleep
        self._now = now
        self._quiet_until = 0.0

    def get_json(
        self, path: str, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        answer = self.get(path, query, headers)
        try:
            return json.loads(answer.body)
        except ValueError as error:
            raise ProviderGarbled(
                f"{self.name}: the answer is not JSON", cause=f"{self.shown(path)}: {error}", hint="try again later"
            ) from None

    def get(
        self, path: str, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Tries again, with longer waits, what may be better in a moment; gives up on what will not be."""
        target = self.base.path + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        wait_s = FIRST_WAIT_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(path, target, headers or {})
            except (ProviderDown, ProviderBusy) as error:
                asked_s = getattr(error, "retry_after_s", None)
                pause_s = wait_s * random.uniform(0.5, 1.0) if asked_s is None else asked_s
                if asked_s is not None:
                    self._quiet_until = self._now() + asked_s
                if attempt == ATTEMPTS or pause_s > LONGEST_WAIT_S or getattr(error, "final", False):
                    raise
                self._sleep(pause_s)
                wait_s *= 2
        raise AssertionError("the loop returns or raises")

    def _once(self, path: str, target: str, headers: Mapping[str, str]) -> Answer:
        self._spend()
        connect = http.client.HTTPSConnection if self.base.scheme == "https" else http.client.HTTPConnection
        connection = connect(self.base.netloc, timeout=self._timeout_s)
        try:
            connection.request("GET", target, headers={**self._headers, **headers})
            response = connection.getresponse()
            body = response.read(LARGEST_BYTES)
            found = {key.lower(): value for key, value in response.getheaders()}
        except http.client.IncompleteRead as error:
            raise ProviderGarbled(f"{self.name}: the answer broke off", cause=self.shown(path)) from error
        except (OSError, http.client.HTTPException) as error:
            raise ProviderDown(
                f"{self.name} cannot be reached",
                cause=self.safe(f"{self.base.netloc}: {error or type(error).__name__}"),
                hint="check the network, or name another provider",
            ) from error
        finally:
            connection.close()
        self._refuse(path, response.status, found, body)
        self._compare_clocks(found)
        return Answer(response.status, body, found)

    def _spend(self) -> None:
        """Counts a call, or refuses it: within the budget and not before a server's Retry-After."""
        now = self._now()
        while self._sent and self._sent[0] < now - 3600:
            self._sent.popleft()
        if now < self._quiet_until:
            left = self._quiet_until - now
            raise _busy(f"{self.name} asked for quiet for {left:.0f} s more", final=True)
        if len(self._sent) >= self._budget:
            raise _busy(f"{self.name}: the budget of {self._budget} calls an hour is spent", final=True)
        self._sent.append(now)

    def _refuse(self, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if status < 400:
            return
        said = self.safe(body[:200].decode("utf-8", "replace"))
        cause = f"{self.shown(path)} answered {status}: {said}"
        if status in {401, 403}:
            raise ProviderDenied(
                f"{self.name} refused the key", cause=cause, hint=f"set [grid.options.{self.name}] key, or key_env"
            )
        if status == 429:
            raise _busy(f"{self.name}: too many calls", cause=cause, retry_after_s=_retry_after(headers, self._now()))
        if status >= 500:
            raise ProviderDown(f"{self.name} is in trouble", cause=cause, hint="it may be better in a few minutes")
        raise ProviderGarbled(f"{self.name} did not understand the question", cause=cause)

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        """Half a day apart, and "now" means another day there: no forecast could be trusted to be of this one."""
        try:
            apart_s = self._now() - parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError):
            return
        if abs(apart_s) > CLOCK_SLACK_S:
            raise ProviderGarbled(
                f"the clock of {self.name} and ours are {abs(apart_s) / 3600:.0f} h apart",
                cause=f"it says {headers['date']}",
                hint="set this machine's clock, or name another provider",
            )

    def shown(self, path: str) -> str:
        """The address without its query, where keys travel."""
        return self.safe(f"{self.base.scheme}://{self.base.netloc}{self.base.path}{path}")

    def safe(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _Busy(ProviderBusy):
    """`retry_after_s`: what the server asked for; `final`: waiting here would not help."""

    retry_after_s: float | None = None
    final: bool = False


def _busy(what: str, *, cause: str = "", retry_after_s: float | None = None, final: bool = False) -> _Busy:
    error = _Busy(what, cause=cause, hint="wait, raise [grid.options.…] calls_per_hour, or name another provider")
    error.retry_after_s, error.final = retry_after_s, final
    return error


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds, from either form of the header."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None
