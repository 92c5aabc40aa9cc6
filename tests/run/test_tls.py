"""A house with a certificate of its own authority: agents and members who believe that one alone talk to no other."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from heliotrope.cli.root import helio
from heliotrope.config import Settings, WebSettings
from heliotrope.errors import ConfigError, InvalidInput, ProviderDown
from heliotrope.model import RunState
from heliotrope.run.people.client import Elsewhere
from heliotrope.run.people.members import Members
from heliotrope.run.people.policy import Role
from heliotrope.web.app import Server
from heliotrope.web.house import House
from houses import Hub
from work_stories import work

FLEET = """
home = "hub"
[[site]]
name = "hub"
zone = "DE"
[[site]]
name = "north"
zone = "SE"
engine = "agent"
"""
LONG = timedelta(days=3650)


class Authority:
    """One that signs certificates, in a folder of its own."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.path = folder / f"{name}.pem"
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        mine = self._of(self.name, self.key).add_extension(constraints, critical=True)
        self.path.write_bytes(mine.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _of(self, name, key):
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LONG)
            .not_valid_after(now + LONG)
        )

    def certificate(self, host):
        """Two files: for a server at that address, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        there = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a house")])
        made = self._of(name, key).add_extension(there, critical=False).sign(self.key, hashes.SHA256())
        paths = self.folder / f"{host}.crt", self.folder / f"{host}.key"
        paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return tuple(map(str, paths))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


@pytest.fixture
def hub(home, tmp_path, authority):
    (tmp_path / "fleet.toml").write_text(FLEET)
    cert, key = authority.certificate("127.0.0.1")
    made = Hub(home, tmp_path / "fleet.toml", web=WebSettings(port=0, cert=cert, key=key))
    yield made
    made.close()


def test_an_agent_and_a_member_talk_to_a_house_of_their_own_authority(hub, authority, tmp_path, monkeypatch):
    assert hub.server.url.startswith("https://127.0.0.1:")
    agent = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "site", "join", hub.server.url.rstrip("/"), "--token", hub.token(),
         "--ca", str(authority.path)],
        env=os.environ | {"HELIO_HOME": str(tmp_path / "north")},
    )  # fmt: skip
    try:
        hub.controller.submit(work("w", "pass", sites=("north",)), at_once=True)
        hub.step_until(lambda: hub.state("w") is RunState.DONE, within_s=60)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(30)
    token = Members(hub.house.store).add("ann", "me", Role.MEMBER, valid_s=3600, now_s=time.time())
    monkeypatch.setenv("HELIO_TOKEN", token)
    monkeypatch.setenv("HELIO_HOME", str(tmp_path / "another"))
    said = CliRunner().invoke(helio, ["jobs", "--at", hub.server.url, "--ca", str(authority.path)])
    assert said.exit_code == 0, said.output
    assert "north" in said.stdout


def test_whoever_does_not_believe_it_says_nothing_to_it(hub, stranger, tmp_path):
    told = []
    for believed in (stranger.path.read_text(), ""):
        house = Elsewhere(hub.server.url, "helio-secret", believed)
        try:
            with pytest.raises(ProviderDown) as refused:
                house.jobs()
        finally:
            house.close()
        told.append(refused.value.cause)
    assert all("certificate verify failed" in cause.lower() for cause in told), told
    words = ("site", "join", hub.server.url.rstrip("/"), "--token", "helio-x", "--home", str(tmp_path / "north"))
    wrong = CliRunner().invoke(helio, [*words, "--ca", str(stranger.path)])
    assert isinstance(wrong.exception, ProviderDown)
    assert hub.refused() == {}, "no token came as far as the house"


def test_a_certificate_for_another_address_is_not_this_houses(home, tmp_path, authority):
    (tmp_path / "fleet.toml").write_text(FLEET)
    cert, key = authority.certificate("192.0.2.7")
    other = Hub(home, tmp_path / "fleet.toml", web=WebSettings(port=0, cert=cert, key=key))
    house = Elsewhere(other.server.url, "helio-secret", authority.path.read_text())
    try:
        with pytest.raises(ProviderDown) as refused:
            house.jobs()
        assert "mismatch" in refused.value.cause.lower()
    finally:
        house.close()
        other.close()


def test_what_makes_no_certificate_is_said(home, tmp_path, authority, stranger, monkeypatch):
    cert, key = authority.certificate("127.0.0.1")
    foreign = stranger.certificate("127.0.0.1")[1]
    wrong = ((cert, "", "needs a certificate and its key"), (cert, foreign, "make no certificate"),
             (str(tmp_path / "none"), key, "make no certificate"))  # fmt: skip
    for one, its, told in wrong:
        house = House(Settings(home=str(home), zone="DE", web=WebSettings(port=0, cert=one, key=its)))
        with pytest.raises(ConfigError, match=told):
            asyncio.run(Server(house).start())
        house.controller.close()
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    monkeypatch.setenv("HELIO_TOKEN", "helio-x")
    for path in (empty, tmp_path / "nowhere.pem", __file__):
        said = CliRunner().invoke(helio, ["jobs", "--at", "https://127.0.0.1:1", "--ca", str(path)])
        assert isinstance(said.exception, InvalidInput), path
        assert said.exception.field == "ca"
