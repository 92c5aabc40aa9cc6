"""What an agent and the office say to each other: JSON, each request signed by its site's key, none taken twice."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from heliotrope import tls
from heliotrope.errors import BadSignature, InvalidInput
from heliotrope.model import Device, Measurement
from heliotrope.run.engines.protocol import Task
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Exit

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from nacl.signing import VerifyKey

T = TypeVar("T")
JOIN, SYNC, STATE = "/agent/v1/join", "/agent/v1/sync", "/agent/v1/state"
SIGNATURE, LAST = "Helio-Signature", "Helio-Last"
_DOMAIN = b"heliotrope agent v1\n"  # keeps a signature from meaning anything elsewhere
MAX_BYTES = 64 << 20


class Wish(StrEnum):
    """How the office wants one to be. Said at every sync until it is so.

    `send`: what the attempt saved is to be laid down at the house. `drop`: it is needed at the site no more.
    """

    RUN = "run"
    PAUSE = "pause"
    SAVE = "save"
    KILL = "kill"
    SEND = "send"
    DROP = "drop"


class Join(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`token` lets one agent in, once. `key`: the public key that signs everything from now on."""

    token: str
    key: str
    devices: tuple[Device, ...] = ()


class Joined(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`lease_s`: an agent that is cut off for longer has ended what it runs; `sync_s`: how often it asks."""

    site: str
    lease_s: float
    sync_s: float


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one stands at the site; `exit` and `measurement` once it is over."""

    name: str
    seen: Seen
    why: str = ""
    exit: Exit | None = None
    measurement: Measurement | None = None


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Output that was asked for, from byte `start` of the `size` that there are; less where that is long."""

    name: str
    start: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=0)]
    said: bytes


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody wants to see what it says, from byte `after` on."""

    name: str
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class Sync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`number` only grows. `at_s`: what the agent's clock says. `life`: drawn anew by each process."""

    site: str
    number: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
    at_s: float
    reports: tuple[Report, ...] = ()
    tails: tuple[Tail, ...] = ()
    life: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Errand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attempt; `name` is the same at both ends, the folders that it names are not.

    `held`: it may have been begun already, so an agent that does not know it may not begin it.
    """

    name: str
    wish: Wish
    task: Task
    held: bool = False


class Synced(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is this site's and not over. What is not named is not wanted any more."""

    number: int
    errands: tuple[Errand, ...]
    wanted: tuple[Wanted, ...] = ()


class Act(StrEnum):
    """`offer` a manifest, `put` a piece of it, `get` a manifest or a piece, say how one `came`."""

    OFFER = "offer"
    PUT = "put"
    GET = "get"
    CAME = "came"


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line about a state; after it come the bytes that `digest` names, or what is asked for comes back.

    The signature is over the line alone: whatever else is sent has its digest in it. `number` only grows.
    """

    site: str
    number: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
    errand: str
    act: Act
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Missing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pieces that the house has not. None: it has the whole state."""

    names: tuple[str, ...]


class Came(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a state came to its site: `sent_bytes` were missing; by the agent's clock, of which `at_s` is now."""

    sent_bytes: Annotated[int, msgspec.Meta(ge=0)]
    began_s: float
    ended_s: float | None
    at_s: float


def session(url: str, ca: str, patience_s: float) -> ClientSession:
    """An agent's link to the office. `ca`: PEM of whom it believes, empty for whom the machine does."""
    import aiohttp

    connector = aiohttp.TCPConnector(ssl=tls.believing(ca))
    return aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(total=patience_s))


def decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"not a {kind.__name__.lower()} request", cause=str(error)) from error


def signed(seed: bytes, body: bytes) -> str:
    from nacl.signing import SigningKey

    return b64encode(SigningKey(seed).sign(_DOMAIN + body).signature).decode()


def check(key: str, body: bytes, signature: str) -> None:
    from nacl.exceptions import BadSignatureError

    try:
        _opened(key).verify(_DOMAIN + body, b64decode(signature, validate=True))
    except (BadSignatureError, NotBase64, ValueError) as error:
        raise BadSignature(
            "this was not signed by its site", hint="helio site token NAME lets an agent in anew"
        ) from error


@lru_cache(maxsize=4096)
def _opened(key: str) -> VerifyKey:
    from nacl.signing import VerifyKey

    return VerifyKey(b64decode(key, validate=True))


def check_key(key: str) -> None:
    try:
        found = len(b64decode(key, validate=True))
    except (NotBase64, ValueError) as error:
        raise InvalidInput("not a key", field="key", cause=str(error)) from error
    if found != 32:
        raise InvalidInput("not a key", field="key", found=f"{found} bytes", allowed="32 bytes, base64")
