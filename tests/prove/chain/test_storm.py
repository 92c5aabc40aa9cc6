"""Whatever is tried, in whatever order: nothing is minted twice and every gram stays accounted for."""

from __future__ import annotations

import pytest

from claim_storm import Storm


@pytest.mark.parametrize("seed", [1, 2])
def test_random_operations_come_out_as_the_model_foretells(seed):
    storm = Storm(seed)
    try:
        outcome = storm.blow(10_000)
    finally:
        storm.close()
    assert outcome.operations == 10_000
    assert outcome.accepted > 1_000
    assert (outcome.double_mints, outcome.surprises, outcome.unbalanced) == (0, 0, 0)
