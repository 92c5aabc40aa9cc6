"""Every law of the store is asked of both databases."""

from __future__ import annotations

import pytest

from heliotrope.config import Settings, StoreSettings
from heliotrope.store import Store


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))])
def settings(request, tmp_path):
    """Of a home whose store is in the one or the other."""
    url = request.getfixturevalue("postgres").fresh() if request.param == "postgres" else ""
    return Settings(home=str(tmp_path), store=StoreSettings(url))


@pytest.fixture
def store(settings):
    made = Store.of(settings)
    yield made
    made.close()
