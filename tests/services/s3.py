"""An S3 server on loopback (moto's), to be reached as any that speaks like S3: by its endpoint and a key."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

SERVE = "import sys; from moto.server import main; main(sys.argv[1:])"


class S3Service:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "moto.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, "-H", "127.0.0.1", "-p", "0"],
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 120
        while (found := re.search(r"http://127\.0\.0\.1:(\d+)", self.log.read_text())) is None:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        self.settings = {
            "AWS_ENDPOINT_URL": found.group(),
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
