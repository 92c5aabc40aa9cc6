"""One small client for every grid API: back-off, budgets, conditional requests, errors for people, no key in sight.

Synchronous on purpose: a signal is one short request an hour, the planner that waits for it is synchronous, and the
standard library needs no event loop. The twin and everything that serves stays on aiohttp.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, quote, quote_plus, urlencode, urlsplit

import msgspec

from heliotrope import __version__
from heliotrope.errors import ConfigError, ProviderBusy, ProviderDenied, ProviderDown, ProviderGarbled
from heliotrope.grid.wire.archive import Archive
from heliotrope.units import S_PER_DAY

ATTEMPTS = 3
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0  # a longer Retry-After is the caller's to plan for, not ours to sleep through
LARGEST_BYTES = 32 * 1024 * 1024
LARGEST_KEPT_BYTES = 1024 * 1024
CLOCK_SLACK_S = 12 * 3600.0
CLOCK_NOTED_S = 600.0
AFTER_TROUBLE_S = 60.0  # a service that did not answer three times is left alone for so long
AFTER_REFUSAL_S = 300.0  # and a question that was refused is not put again with the same key


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: Mapping[str, str]


class Client:
    """Talks to one API. `calls_per_hour` is a budget: past it nothing is sent.

    The archive counts calls and keeps a server's wish for quiet, so that both outlive this process.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        timeout_s: float = 10.0,
        calls_per_hour: int = 600,
        archive: Archive | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.base = _address(name, base_url)
        self._headers = {"User-Agent": f"heliotrope/{__version__}", "Accept": "application/json", **(headers or {})}
        self._secrets: set[str] = set()
        self.hide(*secrets)
        self._timeout_s = timeout_s
        self.budget = calls_per_hour
        self._archive = archive or Archive(None)
        self._sleep = sleep
        self.now = now
        self._trouble_until = 0.0
        self._refused: dict[int, float] = {}
        self.clock_note = ""

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
        target = quote(self.base.path + path, safe="/:") + (f"?{urlencode(query, doseq=True)}" if query else "")
        wait_s = FIRST_WAIT_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(path, target, headers or {})
            except (ProviderDown, ProviderBusy) as error:
                asked_s = getattr(error, "retry_after_s", None)
                pause_s = wait_s * random.uniform(0.5, 1.0) if asked_s is None else asked_s
                if asked_s is not None:
                    self._archive.be_quiet(self.name, self.now() + min(asked_s, S_PER_DAY))
                if getattr(error, "final", False):
                    raise
                if attempt == ATTEMPTS or pause_s > LONGEST_WAIT_S:
                    self._trouble_until = self.now() + AFTER_TROUBLE_S
                    raise
                self._sleep(pause_s)
                wait_s *= 2
        raise AssertionError("the loop returns or raises")

    def _once(self, path: str, target: str, headers: Mapping[str, str]) -> Answer:
        sent = {**self._headers, **headers}
        question = hash((target, *sorted(sent.items())))
        self._spend(path, question)
        known = self._archive.body(self.name, self.safe(target))
        if known is not None:
            validator, _ = known
            sent["If-None-Match" if validator[-1:] == '"' else "If-Modified-Since"] = validator
        answer = self._exchange(path, target, sent)
        self._compare_clocks(answer.headers)
        if answer.status == http.client.NOT_MODIFIED and known is not None:
            return Answer(http.client.OK, known[1], answer.headers)
        if answer.status in {401, 403}:
            self._refused[question] = self.now() + AFTER_REFUSAL_S
        self._refuse(path, answer.status, answer.headers, answer.body)
        fresh = answer.headers.get("etag") or answer.headers.get("last-modified")
        if fresh and len(answer.body) <= LARGEST_KEPT_BYTES and not self._tells_a_secret(answer.body):
            self._archive.keep_body(self.name, self.safe(target), fresh, answer.body, self.now())
        return answer

    def _exchange(self, path: str, target: str, headers: Mapping[str, str]) -> Answer:
        connect = http.client.HTTPSConnection if self.base.scheme == "https" else http.client.HTTPConnection
        connection = connect(self.base.netloc, timeout=self._timeout_s)
        try:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            body = response.read(LARGEST_BYTES + 1)
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
        if len(body) > LARGEST_BYTES:
            raise ProviderGarbled(f"{self.name}: an answer of more than {LARGEST_BYTES} bytes", cause=self.shown(path))
        return Answer(response.status, body, found)

    def _spend(self, path: str, question: int) -> None:
        """Counts a call, or refuses it: within the budget, and not while it could only do harm."""
        now = self.now()
        quiet_until = self._archive.quiet_until(self.name)
        if now < quiet_until:
            raise _busy(f"{self.name} asked for quiet for {quiet_until - now:.0f} s more", final=True)
        if now < self._trouble_until:
            raise _busy(
                f"{self.name} was in trouble; left alone for {self._trouble_until - now:.0f} s more", final=True
            )
        if now < self._refused.get(question, 0.0):
            raise self._denied("refused moments ago, not asked again", path)
        if not self._archive.spend(self.name, self.budget, now):
            raise _busy(f"{self.name}: the budget of {self.budget} calls an hour is spent", final=True)

    def _denied(self, why: str, path: str) -> ProviderDenied:
        return ProviderDenied(
            f"{self.name} refused the key",
            cause=f"{self.shown(path)} {why}",
            hint=f"set [grid.options.{self.name}] key, or key_env",
        )

    def _refuse(self, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if status < 300:
            return
        if status < 400:
            moved = self.safe(headers.get("location", "nowhere it says"))
            raise ProviderGarbled(f"{self.name} has moved", cause=f"{self.shown(path)} answered {status}: {moved}")
        said = self.safe(body[:200].decode("utf-8", "replace"))
        cause = f"{self.shown(path)} answered {status}: {said}"
        if status in {401, 403}:
            raise self._denied(f"answered {status}: {said}", path)
        if status == 429:
            raise _busy(f"{self.name}: too many calls", cause=cause, retry_after_s=_retry_after(headers, self.now()))
        if status == http.client.NOT_FOUND:
            raise NothingThere(f"{self.name} knows no such thing", cause=cause)
        if status >= 500:
            raise ProviderDown(f"{self.name} is in trouble", cause=cause, hint="it may be better in a few minutes")
        raise ProviderGarbled(f"{self.name} did not understand the question", cause=cause)

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        """Half a day apart, and "now" means another day there: no forecast could be trusted to be of this one."""
        self.clock_note = ""
        try:
            theirs = parsedate_to_datetime(headers["date"]).timestamp() + float(headers.get("age", 0))
            apart_s = self.now() - theirs
        except (KeyError, ValueError):
            return
        if CLOCK_NOTED_S < abs(apart_s) <= CLOCK_SLACK_S:
            self.clock_note = (
                f"our clock is {abs(apart_s) / 60:.0f} min {'ahead of' if apart_s > 0 else 'behind'} theirs"
            )
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
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def hide(self, *secrets: str) -> None:
        """Never to be seen again in what is shown or kept, in any of the forms in which it travels."""
        for secret in filter(None, secrets):
            self._secrets |= {secret, quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}

    def _tells_a_secret(self, body: bytes) -> bool:
        """Some services repeat the question in the answer, and with it the key."""
        return any(secret.encode() in body for secret in self._secrets)


def _address(name: str, url: str) -> SplitResult:
    """Scheme, host, port and path alone: a password or a key in an address would be shown with it."""
    base = urlsplit(url.rstrip("/"))
    try:
        good = base.scheme in {"http", "https"} and base.hostname and (base.port is None or base.port > 0)
    except ValueError:
        good = False
    if not good or base.username is not None or base.query or base.fragment:
        raise ConfigError(
            f"grid.options.{name}.url is not an address",
            cause=f"found {base.scheme or 'nothing'}://{(base.netloc or 'nothing').rpartition('@')[2]}{base.path}",
            hint="http://host[:port][/path]; a key goes into [grid.options.NAME] key",
        )
    return base


class NothingThere(ProviderGarbled):
    """What was asked for is not published: some services answer 404 instead of an empty list."""


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
