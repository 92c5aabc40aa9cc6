"""Every law of the store is asked of both databases."""

from __future__ import annotations

import pytest

from heliotrope.config import Settings
from heliotrope.store import Store


@pytest.fixture
def settings(store_settings, tmp_path):
    return Settings(home=str(tmp_path), store=store_settings)


@pytest.fixture
def store(settings):
    made = Store.of(settings)
    yield made
    made.close()
