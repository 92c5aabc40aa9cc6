"""TLS: the certificate that a house shows, and whom a client believes where the machine's own list is not meant."""

from __future__ import annotations

import ssl
from pathlib import Path

from heliotrope.errors import ConfigError, InvalidInput


def showing(certificate: Path, key: Path) -> ssl.SSLContext:
    """For a server. Both files are PEM; the certificate with those between it and its authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{certificate} and {key} make no certificate to show",
            cause=str(error),
            hint="both are PEM files, and the key is the one of the certificate, without a password",
        ) from error
    return context


def believing(authority: str) -> ssl.SSLContext:
    """For a client. `authority`: PEM text of the one that is believed, and no other; empty for the machine's list."""
    return ssl.create_default_context(cadata=authority or None)


def authority(path: Path) -> str:
    """The PEM text of a file that somebody named, looked at before it is relied on."""
    try:
        text = path.read_text(encoding="ascii")
        believing(text or "-")
    except (OSError, UnicodeDecodeError, ssl.SSLError) as error:
        raise InvalidInput(
            "no authority to believe", field="ca", found=str(path), cause=str(error), allowed="a PEM file"
        ) from error
    return text
