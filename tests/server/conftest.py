"""Fixtures of the server's integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from screens import Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A running server whose canvases `left` and `right` paint, and an engine that counts."""
    async with running_site(tmp_path) as site:
        yield site


@pytest.fixture
async def still_site(tmp_path: Path) -> AsyncIterator[Site]:
    """A running server whose canvases `left` and `right` have nothing to do."""
    async with running_site(tmp_path, default_prompt="") as site:
        yield site
