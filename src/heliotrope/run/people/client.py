"""A house elsewhere, asked as a member: what the desk is to its owner, over HTTP."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from heliotrope import tls
from heliotrope.errors import (
    HelioError,
    Infeasible,
    InvalidInput,
    NotAllowed,
    ProviderDown,
    ProviderGarbled,
    QuotaReached,
    RunError,
    SignInRefused,
    UnknownName,
    UsageError,
)
from heliotrope.run.people.wire import JOBS, Accepted, Cancelled, Receipt, Submission
from heliotrope.run.views import JobRow, RunView
from heliotrope.run.working.logs import Said

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
ANSWER_S = 60.0  # planning among many jobs and sites takes its time
TRIES = 3
BETWEEN_S = 1.0
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
KINDS: dict[int, type[HelioError]] = {
    400: InvalidInput,
    401: SignInRefused,
    403: NotAllowed,
    404: UnknownName,
    422: Infeasible,
    429: QuotaReached,
}


class _Fault(msgspec.Struct, frozen=True):
    error: str
    cause: str = ""
    hint: str = ""


class Elsewhere:
    """`url` is the house's; one connection, kept. A lost answer is asked for again: every call may be.

    `ca`: PEM of the authority whose certificate it has; empty for those that the machine believes.
    """

    def __init__(self, url: str, token: str, ca: str = "") -> None:
        place = urlsplit(url)
        if place.scheme not in {"http", "https"} or not place.hostname:
            raise UsageError(f"not the address of a house: {url}", hint="as in https://control.example")
        if place.scheme == "http" and place.hostname not in LOCAL:
            raise UsageError(
                f"{url} would send the token for everybody on the way to read",
                hint="give the house a certificate (helio up --cert --key), or reach it over ssh -L",
            )
        if not token:
            raise UsageError("no token to show", hint="HELIO_TOKEN is to hold what `helio member add` printed")
        self.url = url.rstrip("/")
        self._ca = ca
        self._headers = {"Authorization": f"Bearer {token}"}
        self._runner = asyncio.Runner()
        self._session: aiohttp.ClientSession | None = None

    def close(self) -> None:
        if self._session is not None:
            self._runner.run(self._session.close())
        self._runner.close()

    def submit(self, asked: Submission) -> Accepted:
        """Taken in once, however often it has to be sent."""
        keyed = msgspec.structs.replace(asked, key=asked.key or secrets.token_hex(16))
        return self._ask("POST", JOBS, Accepted, body=msgspec.json.encode(keyed))

    def jobs(self, limit: int = 200) -> tuple[JobRow, ...]:
        return self._ask("GET", f"{JOBS}?limit={limit}", tuple[JobRow, ...])

    def show(self, name: str) -> RunView:
        return self._ask("GET", f"{JOBS}/{quote(name, safe='')}", RunView)

    def log(self, name: str, after: int | None) -> Said:
        tail = "" if after is None else f"?after={after}"
        return self._ask("GET", f"{JOBS}/{quote(name, safe='')}/log{tail}", Said)

    def receipt(self, name: str) -> Receipt:
        return self._ask("GET", f"{JOBS}/{quote(name, safe='')}/receipt", Receipt)

    def cancel(self, name: str) -> str:
        return self._ask("POST", f"{JOBS}/{quote(name, safe='')}/cancel", Cancelled).job

    def _ask(self, method: str, path: str, kind: type[T], body: bytes | None = None) -> T:
        for left in reversed(range(TRIES)):
            try:
                status, said = self._runner.run(self._sent(method, path, body))
                break
            except ProviderDown:
                if not left:
                    raise
                time.sleep(BETWEEN_S)
        if status != 200:
            raise self._fault(status, said)
        try:
            return msgspec.json.decode(said, type=kind)
        except msgspec.DecodeError as error:
            raise ProviderGarbled(
                f"{self.url} does not answer as a house does", cause=str(error), hint="is it the same version?"
            ) from error

    async def _sent(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        import aiohttp

        if self._session is None:
            patience = aiohttp.ClientTimeout(total=ANSWER_S)
            connector = aiohttp.TCPConnector(ssl=tls.believing(self._ca))
            self._session = aiohttp.ClientSession(connector=connector, timeout=patience, headers=self._headers)
        try:
            # A redirection would show the token to whoever it names.
            async with self._session.request(method, self.url + path, data=body, allow_redirects=False) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderDown(f"{self.url} cannot be reached", cause=str(error) or type(error).__name__) from error

    def _fault(self, status: int, said: bytes) -> HelioError:
        try:
            told = msgspec.json.decode(said, type=_Fault)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ProviderGarbled(f"{self.url} answered {status}", hint="is it a house? `helio up` prints its address")
        kind = KINDS.get(status, RunError)
        return kind(told.error, cause=told.cause, hint=told.hint)
