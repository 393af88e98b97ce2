"""One corpus for all tests of this folder: trees of the planted world, and episodes that a model steered."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.worlds.tiered import grow, model, play, saved_controller, steered_by

TASKS = 90


class Recorded(NamedTuple):
    root: Path
    controller: str


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Nothing but new run folders may be added to its root."""
    root = tmp_path_factory.mktemp("tiered")
    path = grow(root, tasks=TASKS)
    lm, _ = model()
    play(path, steered_by(lm), lm, tasks=TASKS)
    return Recorded(root, saved_controller(root / "saved", steered_by(lm), lm))
