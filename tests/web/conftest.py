"""Runs as pages see them."""

from __future__ import annotations

import pytest

from web_views import make_view


@pytest.fixture(scope="session")
def finished():
    return make_view()


@pytest.fixture(scope="session")
def waiting():
    return make_view(ended=False)
