"""`helio` as real processes, forked off one that imported what commands need: a start costs milliseconds, not a second.

Each has its own pid, environment, folder and pipes, and dies by the same signals as one that a shell started.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from multiprocessing import reduction
from pathlib import Path

_KITCHEN = multiprocessing.get_context("forkserver")
_KITCHEN.set_forkserver_preload([
    "__main__",
    "forked",
    "aiohttp.web",
    "coincurve",
    "eth_abi.abi",
    "eth_keyfile",
    "heliotrope.cli.prove.log",
    "heliotrope.cli.prove.claims",
    "heliotrope.grid",
    "heliotrope.footprint",
    "heliotrope.prove.audit.auditor",
    "heliotrope.prove.chain.opening",
    "heliotrope.prove.claims.programme",
    "heliotrope.prove.log.serving",
    "heliotrope.prove.witness.server",
    "nacl.signing",
    "numpy",
    "rlp",
])  # fmt: skip


class _Handed:
    """A file descriptor that goes to the child."""

    def __init__(self, fd):
        self.fd = fd

    def __reduce__(self):
        return _taken, (reduction.DupFd(self.fd),)


def _taken(duplicate):
    return duplicate.detach()


def _live(words, environment, folder, *files):
    """In the child."""
    from heliotrope.cli import main

    for number, fd in enumerate(files):
        os.dup2(fd, number)
        os.close(fd)
    sys.stdin = os.fdopen(0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["helio", *words]
    main()


def _start(words, env, *files):
    environment = dict(os.environ if env is None else env)
    arguments = ([str(word) for word in words], environment, Path.cwd(), *map(_Handed, files))
    process = _KITCHEN.Process(target=_live, args=arguments, daemon=True)
    process.start()
    return process


def run(*words, code=0, stdin="", env=None):
    """`helio WORDS` to its end, which must be `code`; both outputs as text."""
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(stdin)
        given.seek(0)
        process = _start(words, env, *(file.fileno() for file in (given, out, err)))
        process.join()
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(words, process.exitcode, out.read(), err.read())
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def told(*words, code=0, stdin="", env=None):
    """What it says with `--json`, line by line."""
    done = run(*words, "--json", code=code, stdin=stdin, env=env)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Started:
    """One that goes on. `said` is its first line of `--json`, `stdout` has the others."""

    def __init__(self, *words, env=None):
        reading, writing = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        self._process = _start((*words, "--json"), env, nothing, writing, 2)
        os.close(nothing)
        os.close(writing)
        self.stdout = os.fdopen(reading)
        self.said = json.loads(self.stdout.readline())

    def kill(self):
        self._process.kill()
        self._process.join()

    def close(self):
        """Tells it to end; what does not, is killed."""
        self._process.terminate()
        self._process.join(10.0)
        self.kill()
        self.stdout.close()
