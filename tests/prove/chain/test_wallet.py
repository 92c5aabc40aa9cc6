"""Keys come from the environment or a file, and reach no message."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_world import key
from heliotrope.errors import BadSignature, ConfigError
from heliotrope.prove.chain import typed
from heliotrope.prove.chain.node import Fees
from heliotrope.prove.chain.wallet import KEY, KEYSTORE, PASSWORD, Wallet, from_environment, local


def test_the_environments_key(monkeypatch):
    monkeypatch.setenv(KEY, "0x" + key("a").hex())
    wallet = from_environment()
    assert wallet.address == Wallet(key("a")).address
    assert key("a").hex() not in repr(wallet)


def test_no_key_is_no_wallet(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(KEYSTORE, raising=False)
    assert from_environment() is None


@pytest.mark.parametrize("text", ["zebra", "00" * 32, "ff" * 32, "01" * 31, "01" * 33])
def test_a_bad_key_is_named_but_not_shown(monkeypatch, text):
    monkeypatch.setenv(KEY, text)
    with pytest.raises(ConfigError) as caught:
        from_environment()
    assert text not in str(caught.value)


def test_a_keystore_opens_with_its_password_alone(tmp_path, monkeypatch):
    from eth_account import Account

    path = tmp_path / "keystore.json"
    path.write_text(json.dumps(Account.encrypt(key("a"), "correct horse", iterations=2)))
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setenv(KEYSTORE, str(path))
    monkeypatch.delenv(PASSWORD, raising=False)
    with pytest.raises(ConfigError, match=PASSWORD):
        from_environment()
    monkeypatch.setenv(PASSWORD, "wrong")
    with pytest.raises(ConfigError) as caught:
        from_environment()
    assert "wrong" not in str(caught.value)
    monkeypatch.setenv(PASSWORD, "correct horse")
    assert from_environment().address == Wallet(key("a")).address
    path.write_text("{}")
    with pytest.raises(ConfigError):
        from_environment()


def test_a_local_key_is_made_once_for_its_owner_alone(tmp_path):
    first = local(tmp_path, "sender")
    path = tmp_path / "keys" / "chain-sender.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert local(tmp_path, "sender").address == first.address
    assert local(tmp_path, "witnesses").address != first.address


@given(
    st.integers(1, 2**63), st.integers(0, 2**63), st.none() | st.just(Wallet(key("b")).address), st.binary(max_size=300),
    st.integers(21_000, 2**30), st.integers(0, 2**60), st.integers(0, 2**60),
)  # fmt: skip
@settings(max_examples=25)
def test_transactions_are_those_that_another_wallet_would_sign(chain_id, nonce, to, data, gas, most, tip):
    from eth_account import Account
    from eth_utils import to_checksum_address

    body = {"type": 2, "chainId": chain_id, "nonce": nonce, "gas": gas, "value": 0, "data": data}
    body |= {"to": to_checksum_address(to)} if to else {}
    wallet = Wallet(key("a"))
    raw = wallet.transaction(chain_id, nonce, to, data, gas, Fees(most, tip))
    offered = {"maxFeePerGas": most, "maxPriorityFeePerGas": tip}
    assert raw == Account.sign_transaction(body | offered, key("a")).raw_transaction
    more = {"maxFeePerGas": most + most // 8 + 1, "maxPriorityFeePerGas": tip + tip // 8 + 1}
    assert wallet.outbid(raw, Fees(0, 0)) == Account.sign_transaction(body | more, key("a")).raw_transaction


def test_a_signature_names_its_signer():
    wallet, digest = Wallet(key("a")), b"\1" * 32
    assert typed.signer(digest, wallet.sign(digest)) == wallet.address
    with pytest.raises(BadSignature):
        typed.signer(digest, typed.Signature(27, bytes(32), bytes(32)))
    with pytest.raises(BadSignature):
        typed.signer(digest, typed.Signature(99, b"\1" * 32, b"\1" * 32))
