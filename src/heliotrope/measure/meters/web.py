"""What the meters that ask over HTTP share: one small client that turns every failure into a MeterError."""

from __future__ import annotations

from heliotrope.errors import MeterError


def fetch(url: str, *, timeout_s: float = 5.0) -> bytes:
    """Basic authentication comes from `user:password@` in the address."""
    import base64
    import urllib.error
    import urllib.parse
    import urllib.request

    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise MeterError(f"not a web address: {url}", hint="http://host:port/path")
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(parts._replace(netloc=host).geturl())  # noqa: S310  # the scheme is checked above
    if parts.username:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            body: bytes = answer.read(16_000_000)
            return body
    except urllib.error.HTTPError as error:
        raise MeterError(
            f"{host} answered {error.code}", hint="check the address, the user and the password"
        ) from error
    except (OSError, ValueError) as error:
        raise MeterError(f"{host} does not answer", cause=str(error)) from error
