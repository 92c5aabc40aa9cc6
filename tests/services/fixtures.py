"""The services as fixtures: started when first asked for, once a session; a test that needs one names it."""

from __future__ import annotations

import pytest

from heliotrope.config import StoreSettings
from services import agentsite, kubeapi, raycluster, s3, sshd
from services import postgres as postgres_service
from services import slurm as slurm_service


@pytest.fixture(scope="session")
def slurm():
    """Two real Slurm clusters, `north` and `south`."""
    if reason := slurm_service.missing():
        pytest.skip(reason)
    service = slurm_service.SlurmService()
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def ray_cluster():
    """A real Ray cluster of two nodes, behind a token."""
    if reason := raycluster.missing():
        pytest.skip(reason)
    service = raycluster.RayService()
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def kube():
    """A stateful mock of a Kubernetes API server; the one service here that is not the real thing."""
    service = kubeapi.KubeService()
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def agent_site(tmp_path_factory):
    """A house and a site that a real agent stands for."""
    service = agentsite.AgentSite(tmp_path_factory.mktemp("agent"))
    yield service
    service.stop()


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL server; `fresh()` gives a database of one's own."""
    if reason := postgres_service.missing():
        pytest.skip(reason)
    service = postgres_service.PostgresService()
    service.start()
    yield service
    service.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))])
def store_settings(request):
    """Of a store in the one database or the other: what holds of one holds of both."""
    return StoreSettings(request.getfixturevalue("postgres").fresh() if request.param == "postgres" else "")


@pytest.fixture(scope="session")
def ssh(tmp_path_factory):
    """A real sshd, and an `ssh` that reaches it."""
    if reason := sshd.missing():
        pytest.skip(reason)
    service = sshd.SshService(tmp_path_factory.mktemp("ssh"))
    yield service
    service.stop()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """What speaks S3."""
    service = s3.S3Service(tmp_path_factory.mktemp("s3"))
    yield service
    service.stop()
