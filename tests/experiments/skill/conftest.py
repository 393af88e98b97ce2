"""One small corpus for the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worlds.skilled import grow


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a corpus with trees."""
    return grow(tmp_path_factory.mktemp("skill"))
