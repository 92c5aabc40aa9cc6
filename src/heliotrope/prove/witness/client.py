"""Our log asks its witnesses. A witness is believed only as far as its signatures, or the log's own, go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import msgspec

from heliotrope.errors import BadNote, BadProof, BadSignature, InvalidInput, ProofError
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Key, Note, Signature, parse_signatures
from heliotrope.prove.formats.schemes import COSIGNING, titles
from heliotrope.prove.formats.text import decimal
from heliotrope.prove.witness.protocol import MAX_REQUEST_BYTES, SIZE_TYPE, Request, monitor_path

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_S = 3.0
# Once the quorum is met, this long for the others: a dead witness must not hold up a receipt.
GRACE_S = 0.1
_TRIES = 3


class Peer(msgspec.Struct, frozen=True):
    """A witness to ask: its cosigning key and its submission prefix."""

    key: Key
    url: str

    @classmethod
    def parse(cls, text: str) -> Peer:
        """`KEY URL`, as in the settings."""
        words = text.split()
        if len(words) != 2 or not words[1].startswith(("http://", "https://")):
            raise InvalidInput(
                "not a witness", field="prove.witnesses", found=text, allowed="its key, a space, its http(s) address"
            )
        try:
            key = Key.parse(words[0])
        except BadNote as error:
            raise InvalidInput(error.what, field="prove.witnesses", cause=error.cause) from error
        if key.algorithm not in COSIGNING:
            allowed = titles(COSIGNING)
            raise InvalidInput("not a cosigning key", field="prove.witnesses", found=words[0], allowed=allowed)
        return cls(key, words[1].rstrip("/"))


class Reply(msgspec.Struct, frozen=True):
    """`size` is how far the witness is known to be. `ahead` is a checkpoint of ours, that we do not have."""

    peer: Peer
    signature: Signature | None = None
    size: int | None = None
    fault: str = ""
    ahead: Note | None = None


def collect(
    note: Note,
    peers: Sequence[Peer],
    sizes: Sequence[int],
    prove: Callable[[int], Sequence[bytes]],
    log_keys: Sequence[Key],
    *,
    enough: Callable[[AbstractSet[Key]], bool] | None,
) -> list[Reply]:
    """Asks all at once. `sizes[i]` is where peer i was last; `prove(old)` gives the consistency proof from there.

    Once `enough` keys have signed, the others are waited for no longer; None waits for all.
    """
    import asyncio

    asker = _Asker(note, prove, log_keys)
    return asyncio.run(asker.ask_all(peers, sizes, enough))


class _Asker:
    def __init__(self, note: Note, prove: Callable[[int], Sequence[bytes]], log_keys: Sequence[Key]) -> None:
        self.note = note
        self.tree = Checkpoint.parse(note.text)
        self.prove = prove
        self.log_keys = log_keys

    async def ask_all(
        self, peers: Sequence[Peer], sizes: Sequence[int], enough: Callable[[AbstractSet[Key]], bool] | None
    ) -> list[Reply]:
        import asyncio

        import aiohttp

        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            tasks = [asyncio.create_task(self.ask(session, p, s)) for p, s in zip(peers, sizes, strict=True)]
            pending = set(tasks)
            signed: set[Key] = set()
            while pending and enough is not None and not enough(signed):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                replies = [task.result() for task in done]
                signed.update(reply.peer.key for reply in replies if reply.signature is not None)
            if pending:
                _, pending = await asyncio.wait(pending, timeout=TIMEOUT_S if enough is None else GRACE_S)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        return [
            Reply(peer, fault="no answer in time") if task.cancelled() else task.result()
            for peer, task in zip(peers, tasks, strict=True)
        ]

    async def ask(self, session: aiohttp.ClientSession, peer: Peer, old: int) -> Reply:
        import aiohttp

        try:
            return await self._ask(session, peer, old)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Reply(peer, fault=f"unreachable: {str(error) or type(error).__name__}")
        except ProofError as error:
            return Reply(peer, fault=error.what)

    async def _ask(self, session: aiohttp.ClientSession, peer: Peer, old: int) -> Reply:
        for _ in range(_TRIES):
            body = Request(old, tuple(self.prove(old)), self.note).body()
            async with session.post(f"{peer.url}/add-checkpoint", data=body) as response:
                text = await _text(response)
                status, kind = response.status, response.content_type
            if status == 200:
                return Reply(peer, self._cosignature(peer, text), self.tree.size)
            if status == 409 and kind == SIZE_TYPE:
                size = decimal(text.removesuffix("\n"))
                if size > self.tree.size:
                    return await self._contradicted(session, peer, f"claims to have seen {size} entries")
                if size != old:
                    old = size
                    continue
            if status in {409, 422}:
                return await self._contradicted(session, peer, f"refused with {status}: {text.strip()[:200]}")
            return Reply(peer, fault=f"answered {status}: {text.strip()[:200]}")
        return Reply(peer, fault="its size kept changing")

    def _cosignature(self, peer: Peer, text: str) -> Signature:
        for signature in parse_signatures(text):
            if (signature.name, signature.key_id) == (peer.key.name, peer.key.id):
                peer.key.verify(self.note.text, signature.blob)
                return signature
        raise BadSignature("answered without a cosignature of its key")

    async def _contradicted(self, session: aiohttp.ClientSession, peer: Peer, fault: str) -> Reply:
        """A witness's word stops nobody; a checkpoint with our own signature does."""
        async with session.get(peer.url + monitor_path(self.tree.origin)) as response:
            text = await _text(response)
            status = response.status
        if status != 200:
            return Reply(peer, fault=fault)
        shown = Note.parse(text.encode())
        if not shown.verified(self.log_keys):
            return Reply(peer, fault=f"{fault}, and cannot show our signature")
        tree = Checkpoint.parse(shown.text)
        if tree.origin != self.tree.origin or not self._contradicts(tree):
            return Reply(peer, fault=fault)
        return Reply(peer, fault=fault, ahead=shown)

    def _contradicts(self, seen: Checkpoint) -> bool:
        if seen.size == self.tree.size:
            return seen.root != self.tree.root
        return seen.size > self.tree.size or not self._extends(seen)

    def _extends(self, seen: Checkpoint) -> bool:
        from heliotrope.prove.formats.merkle import verify_consistency

        try:
            verify_consistency(seen.size, self.tree.size, seen.root, self.tree.root, self.prove(seen.size))
        except BadProof:
            return False
        return True


async def _text(response: aiohttp.ClientResponse) -> str:
    raw = b""
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MAX_REQUEST_BYTES:
            raise BadNote("answered without end")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadNote("answered with bytes that are not UTF-8") from error
