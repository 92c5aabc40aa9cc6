"""The store: all or nothing, durable, many hands, honest about what it cannot read."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from heliotrope.errors import StoreError
from heliotrope.store import Store

INSERT = "INSERT INTO workload (id, organisation, submitted_s, body) VALUES (?, 'me', 0, '{}')"


def add(store, name):
    with store.write() as tx:
        tx.execute(INSERT, (name,))


def names(store):
    with store.read() as tx:
        return {row["id"] for row in tx.all("SELECT id FROM workload")}


def test_a_failed_change_changes_nothing(store):
    add(store, "kept")

    def fail_half_way():
        with store.write() as tx:
            tx.execute(INSERT, ("lost",))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert names(store) == {"kept"}


def test_opening_again_migrates_nothing_twice(store, settings):
    add(store, "a")
    again = Store.of(settings)
    assert names(again) == {"a"}
    again.close()


def test_a_newer_store_is_refused(store, settings):
    with store.write() as tx:
        tx.execute("UPDATE migrated SET steps = 999" if store.url else "PRAGMA user_version = 999")
    with pytest.raises(StoreError, match="newer heliotrope"):
        Store.of(settings)


def test_a_file_that_is_no_store(tmp_path):
    path = tmp_path / "helio.db"
    path.write_text("this is not a database, not at all, by no means whatsoever " * 20, encoding="utf-8")
    with pytest.raises(StoreError, match=r"cannot be opened|not a store"):
        Store(path)


def test_many_writers_lose_nothing(store):
    def work(k):
        for i in range(20):
            add(store, f"{k}-{i}")
        store.close()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(names(store)) == 80


def test_a_killed_writer_leaves_what_it_acknowledged(store):
    """A process prints each name only after its change is durable, then kills itself in the middle of one."""
    code = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from heliotrope.store import Store
        store = Store.at(Path({str(store.home)!r}))
        for i in range(10):
            with store.write() as tx:
                tx.execute({INSERT!r}, (f"n{{i}}",))
                if i == 7:
                    os.kill(os.getpid(), signal.SIGKILL)
            print(f"n{{i}}", flush=True)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9
    assert names(store) == set(done.stdout.split())


def test_commits_may_leave_their_tidying_to_another_thread(store):
    """Nothing waits for it, nothing depends on it: what was committed is there with it and without."""
    log = store.home / "helio.db-wal"
    with store.tidied_elsewhere():
        for i in range(40):
            with store.write() as tx:
                tx.execute("INSERT INTO log_entry (idx, leaf) VALUES (?, ?)", (i, bytes(1 << 17)))
    written = 0 if store.url else log.stat().st_size
    assert store.url or written > 40 << 17, "no commit stopped to tidy"
    tidier = threading.Thread(target=lambda: (store.tidy(), store.close()))
    tidier.start()
    tidier.join()
    with store.write() as tx:
        tx.execute("INSERT INTO log_entry (idx, leaf) VALUES (?, ?)", (40, b"leaf"))
    with store.read() as tx:
        assert tx.one("SELECT count(*) FROM log_entry")[0] == 41
    assert store.url or log.stat().st_size == written, "the next commit began it anew"
