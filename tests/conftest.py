"""What every test shares: a home of its own, and no skip that goes unnoticed."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from services.fixtures import agent_site, kube, postgres, ray_cluster, s3_server, slurm, ssh, store_settings

__all__ = ["agent_site", "kube", "postgres", "ray_cluster", "s3_server", "slurm", "ssh", "store_settings"]
ROOT = Path(__file__).parents[1]

# Tests wait for the disk a hundred thousand times (everything here is durable): memory answers at once where there is
# enough of it. What a kill leaves is the same in both.
MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# A busy machine must not fail a law: timings are no assertion.
settings.register_profile("laws", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")


def pytest_configure(config):
    """A suite started in the background inherits SIGINT as ignored, and so would all it starts: Ctrl-C is tested."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def tidy(request, tmp_path_factory):
    """Memory is given back, unless there is something to look at."""
    yield
    if not request.session.testsfailed:
        shutil.rmtree(tmp_path_factory.getbasetemp(), ignore_errors=True)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A fresh HELIO_HOME."""
    path = tmp_path / "home"
    monkeypatch.setenv("HELIO_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def shared_data():
    """Series, traces and vectors that lie beside a checkout but are not the project's to ship."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return path


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.write_sep("=", f"{len(skipped)} SKIPPED, by name", yellow=True)
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            terminalreporter.write_line(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """Where HELIO_NO_SKIP is set, a skipped test is a failed suite. What failed is listed in the file HELIO_FAILED."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    if os.environ.get("HELIO_NO_SKIP") and reporter.stats.get("skipped"):
        session.exitstatus = exitstatus or 1
    elif "HELIO_FAILED" in os.environ:
        names = [name_of(report) for kind in ("failed", "error") for report in reporter.stats.get(kind, [])]
        Path(os.environ["HELIO_FAILED"]).write_text("".join(f"{name}\n" for name in dict.fromkeys(names)))


def name_of(report):
    """Without the group that xdist puts behind it; an @ within brackets is the test's own."""
    name, at, group = report.nodeid.rpartition("@")
    return name if at and "]" not in group else report.nodeid
