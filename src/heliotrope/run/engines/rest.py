"""JSON over HTTP to a cluster's own API, by the standard library: no client of hundreds of megabytes is needed."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from heliotrope.errors import EngineError, EngineRefused, InvalidInput

ANSWER_S = 30.0
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Answered(EngineRefused):
    """A refusal with the status that it came with."""

    def __init__(self, what: str, status: int, said: str) -> None:
        super().__init__(what, cause=f"{status}: {said[-600:]}")
        self.status, self.said = status, said


class Api:
    """One base address; `headers` are made anew for each request: tokens are replaced while we run.

    `passing`: statuses that say nothing against the request.
    """

    def __init__(self, url: str, *, field: str, certificate: str = "", passing: frozenset[int] = PASSING) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise InvalidInput("not an address", field=field, found=url, allowed="http://HOST:PORT or https://HOST")
        self.url = url.rstrip("/")
        self.passing = passing
        self.tls = ssl.create_default_context(cafile=certificate or None) if parts.scheme == "https" else None

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  the scheme was checked
            f"{self.url}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S, context=self.tls) as answer:  # noqa: S310
                said = answer.read()
        except urllib.error.HTTPError as error:
            raise self._refusal(method, path, error.code, error.read().decode(errors="replace")) from None
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise EngineError(f"{self.url} cannot be reached", cause=str(reason), hint="is it up?") from None
        try:
            return json.loads(said or b"null")
        except ValueError:
            raise EngineError(f"{self.url}{path} answered what is no JSON", cause=repr(said[:200])) from None

    def _refusal(self, method: str, path: str, status: int, said: str) -> EngineError:
        if status in self.passing and "already exists" not in said:
            return EngineError(
                f"{method} {self.url}{path} failed", cause=f"{status}: {said[-600:]}", hint="tried again"
            )
        return Answered(f"{method} {self.url}{path} was refused", status, said)


def secret(file: str, variable: str, field: str) -> str:
    """A token from a file, read at each use, or from the environment; never from a fleet file, which people share."""
    if not file:
        return os.environ.get(variable, "")
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EngineError(f"{field}: the token cannot be read", cause=str(error)) from error
