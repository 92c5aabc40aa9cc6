"""A site elsewhere, for the suite that asks all engines the same: a house, and a real agent process that joined it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from houses import Hub

FLEET = """
home = "hub"
[[site]]
name = "hub"
zone = "DE"
[[site]]
name = "north"
zone = "SE"
engine = "agent"
capacity = 64
"""


class AgentSite:
    """`home` is the house's; what runs lies under `away`, the agent's own."""

    def __init__(self, path: Path) -> None:
        self.home, self.away = path / "hub", path / "north"
        (path / "fleet.toml").write_text(FLEET)
        self.hub = Hub(self.home, path / "fleet.toml")
        url = self.hub.server.url.rstrip("/")
        self.agent = subprocess.Popen(
            [sys.executable, "-m", "heliotrope", "site", "join", url, "--token", self.hub.token()],
            env=os.environ | {"HELIO_HOME": str(self.away)},
        )
        deadline = time.monotonic() + 60
        while not (self.away / "errands.json").exists():
            assert time.monotonic() < deadline, "its agent did not join"
            time.sleep(0.05)

    def there(self, path: str) -> str:
        """Where a file of the house's home lies at the site."""
        return str(self.away / Path(path).relative_to(self.home))

    def stop(self) -> None:
        self.agent.terminate()
        self.agent.wait(20)
        self.hub.close()
