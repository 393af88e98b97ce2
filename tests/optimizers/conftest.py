"""A lab in a folder of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worlds.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """The planted world, wired up and closed at the end."""
    made = Lab(tmp_path)
    yield made
    made.close()
