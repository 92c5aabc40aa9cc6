"""What the meters that ask over HTTP share: one small client that turns every failure into a MeterError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heliotrope.errors import MeterError

if TYPE_CHECKING:
    import urllib.request
    from urllib.parse import SplitResult

LONGEST_BYTES = 16_000_000


def fetch(url: str, *, timeout_s: float = 5.0) -> bytes:
    """Basic authentication comes from `user:password@` in the address, else from ~/.netrc; that host alone gets it.

    Other people on a machine can read a command line, but not that file.
    """
    import base64
    import http.client
    import urllib.error
    import urllib.parse
    import urllib.request

    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise MeterError(f"not a web address: {hidden(parts)}", hint="http://host:port/path")
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(parts._replace(netloc=host).geturl())  # noqa: S310  # the scheme is checked above
    secret = _secret(parts)
    if secret:
        # Not handed on by itself to where we may be sent: `_same_host` does that.
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
    try:
        with _opener(parts).open(request, timeout=timeout_s) as answer:
            body: bytes = answer.read(LONGEST_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(host, error.code) from error
    except urllib.error.URLError as error:
        raise _silent(host, error.reason) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _silent(host, error) from error
    if len(body) > LONGEST_BYTES:
        raise MeterError(f"{host} answers too much", cause=f"more than {LONGEST_BYTES} bytes")
    return body


def _secret(parts: SplitResult) -> str:
    import netrc
    from urllib.parse import unquote

    if parts.username:
        return f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    try:
        known = netrc.netrc().authenticators(parts.hostname or "")
    except FileNotFoundError:
        return ""
    except (OSError, netrc.NetrcParseError) as error:
        raise MeterError("~/.netrc cannot be read", cause=str(error)) from error
    return f"{known[0]}:{known[2]}" if known else ""


def hidden(parts: SplitResult) -> str:
    """The address without its password, to be shown."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _opener(parts: SplitResult) -> urllib.request.OpenerDirector:
    """Follows redirections within the host (as from http to https), with its authorisation, and no others."""
    import urllib.parse
    import urllib.request

    class SameHost(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            to = urllib.parse.urlsplit(newurl)
            if to.hostname != parts.hostname or (parts.scheme == "https" and to.scheme != "https"):
                fp.close()
                raise MeterError(
                    f"{parts.hostname} sends us to {to.scheme}://{to.hostname}",
                    hint="give that address, if you trust it",
                )
            request = super().redirect_request(req, fp, code, msg, headers, newurl)
            secret = req.get_header("Authorization")
            if request is not None and secret:
                request.add_unredirected_header("Authorization", secret)
            return request

    return urllib.request.build_opener(SameHost)


def _refused(host: str, code: int) -> MeterError:
    hints = {
        401: "give user and password, in ~/.netrc or as https://user:password@host/…",
        403: "this user may not read it: ask for a read-only role",
        404: "check the path",
    }
    return MeterError(f"{host} answered {code}", hint=hints.get(code, "check the address, the user and the password"))


def _silent(host: str, error: object) -> MeterError:
    hint = ""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "its certificate is its own: save it to a file and set SSL_CERT_FILE=FILE"
    return MeterError(f"{host} does not answer", cause=str(error), hint=hint)
