"""A real PostgreSQL: a cluster of its own in a temporary folder, on a free port of loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

from services.slurm import free_ports

# Whatever becomes of the tests, even a kill -9, no server of theirs outlives them; INT is its word for "at once".
WITH_US = ("setpriv", "--pdeathsig", "INT")


def _programs() -> Path | None:
    """Debian keeps them off the PATH, a folder a version."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    return versions[-1].parent if versions else None


def missing() -> str:
    """Why it cannot run here; nothing where it can."""
    if _programs() is None:
        return "no PostgreSQL here: no initdb (tools/services.sh installs it where it may)"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL refuses root, and there is no setpriv"
    return ""


class PostgresService:
    """Its commits outlive a kill of it, but not of the machine: nothing waits for the disk."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="helio-pg-"))
        self.data = self.folder / "data"
        (self.port,) = free_ports(1)
        self._numbers = count(1)
        self._server: subprocess.Popen[bytes] | None = None
        self._as_owner: tuple[str, ...] = ()
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self._as_owner = (f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups")

    def start(self) -> None:
        programs = _programs()
        assert programs is not None
        words = (programs / "initdb", "-D", self.data, "-U", "helio", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        subprocess.run(("setpriv", *self._as_owner, "--", *map(str, words)), check=True, capture_output=True)
        self.start_server()

    def start_server(self) -> None:
        programs = _programs()
        assert programs is not None
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "60",
            "shared_buffers": "32MB",
            "autovacuum": "off",
        }
        told = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        words = (*WITH_US, *self._as_owner, "--", str(programs / "postgres"), "-D", str(self.data), *told)
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._until_up()

    def _until_up(self) -> None:
        import psycopg

        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._server is not None
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "server.log").read_text()) from None
                time.sleep(0.05)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://helio@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """The address of a database that nobody has used."""
        name = f"home{next(self._numbers)}"
        self.ask(f"CREATE DATABASE {name}")
        return self.url(name)

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """As its administrator would, from outside."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """Without a word; everybody's connections are cut."""
        assert self._server is not None
        workers = [int(pid) for (pid,) in self.ask("SELECT pid FROM pg_stat_activity")]
        self._server.kill()
        self._server.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            time.sleep(0.01)

    def stop(self) -> None:
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
