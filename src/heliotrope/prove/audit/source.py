"""Where an auditor reads a log: a folder of its files, or a web server. Neither is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from heliotrope.errors import ProviderDown, ProviderGarbled
from heliotrope.prove.files import read_bytes

TIMEOUT_S = 10.0
MAX_BYTES = 64 * 1024 * 1024
_AT_ONCE = 16
_PRIVATE = ("record/", "evidence/")


class Source(Protocol):
    def fetch(self, paths: Sequence[str]) -> list[bytes | None]:
        """None for what is not there; an error for what cannot be asked."""
        ...


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, paths: Sequence[str]) -> list[bytes | None]:
        files = [self.root / path for path in paths]
        return [read_bytes(file) if file.is_file() else None for file in files]


class Revealed:
    """Records and evidence that were opened to this auditor alone, before what the log shows to all."""

    def __init__(self, folder: Path, log: Source) -> None:
        self.folder = folder
        self._opened = Folder(folder)
        self._log = log

    def fetch(self, paths: Sequence[str]) -> list[bytes | None]:
        opened = [self._opened.fetch([path])[0] if path.startswith(_PRIVATE) else None for path in paths]
        lacking = [path for path, raw in zip(paths, opened, strict=True) if raw is None]
        rest = iter(self._log.fetch(lacking))
        return [next(rest) if raw is None else raw for raw in opened]

    def indices(self) -> list[int]:
        names = (path.name for path in (self.folder / "record").glob("*"))
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


class Web:
    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def fetch(self, paths: Sequence[str]) -> list[bytes | None]:
        return asyncio.run(self._fetch(paths))

    async def _fetch(self, paths: Sequence[str]) -> list[bytes | None]:
        import aiohttp

        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(path: str) -> bytes | None:
            async with gate, session.get(f"{self.url}/{path}") as response:
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise ProviderDown(f"{self.url}/{path} answered {response.status}")
                raw = b""
                async for chunk in response.content.iter_any():
                    raw += chunk
                    if len(raw) > MAX_BYTES:
                        raise ProviderGarbled(f"{self.url}/{path} is larger than {MAX_BYTES} bytes")
                return raw

        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
                return list(await asyncio.gather(*map(one, paths)))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderDown(f"{self.url} cannot be read", cause=str(error) or type(error).__name__) from error


def open_source(where: str) -> Source:
    """An http(s) address, or a folder."""
    return Web(where) if where.startswith(("http://", "https://")) else Folder(Path(where))
