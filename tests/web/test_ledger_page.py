"""The Ledger page shows claims as the log has them, and witnesses as far as they have seen."""

from __future__ import annotations

from hashlib import sha256

from heliotrope.config import ProveSettings, Settings
from heliotrope.prove.claims import leaf
from heliotrope.web import gather
from heliotrope.web.house import House
from heliotrope.web.pages import html

OWNER = "0x" + "ab" * 20
MAY = 1_777_593_600


def claim_of(programme):
    method = sha256(b"method").digest()
    end_s, expiry_s = MAY + 30 * 86_400, MAY + 400 * 86_400
    number = leaf.claim_id(method, end_s, expiry_s, leaf.serial_of(programme, MAY, end_s))
    return leaf.Claim(number, 12_500, OWNER, method, MAY, end_s, expiry_s, sha256(b"evidence").digest())


def test_claims_are_shown_as_the_log_has_them(tmp_path):
    house = House(Settings(home=str(tmp_path), fleet="example"))
    claim = claim_of("programme")
    with house.store.write() as tx:
        raw = leaf.leaf_data(claim, 31_337, OWNER)
        index = house.ledger.append(tx, [raw])
        tx.execute(
            "INSERT INTO claim (id, chain_id, leaf_index, leaf, evidence) VALUES (?, ?, ?, ?, ?)",
            (claim.name, 31_337, index, raw, b"{}"),
        )
    (row,) = gather.ledger_state(house).claims
    assert (row.name, row.grams, row.start_s, row.index) == (claim.name, 12_500, MAY, index)
    page = html.ledger(house, {})
    assert "12.5 kg" in page
    assert claim.name in page
    assert "being asked" in page
    house.chain.wait()
    later = html.ledger(house, {})
    assert "being asked" not in later or "could not be asked" in later
    house.controller.close()


def test_a_home_without_witnesses_says_that_it_vouches_for_itself(tmp_path):
    house = House(Settings(home=str(tmp_path), fleet="example", prove=ProveSettings(origin="example.org/log")))
    page = html.ledger(house, {})
    assert "vouches for itself alone" in page
    assert "Nothing is published yet" in page
    assert "nobody but this home has computed its numbers" in page
    house.controller.close()
