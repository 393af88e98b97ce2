"""A service of the planted world, open for one test, with its files below a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from pydantic import JsonValue

from experiments.serve.config import ServeConfig
from experiments.serve.service import Service
from experiments.serve.serving import serving
from tests.worlds.harness import BENCHMARK
from tests.worlds.shipped import ship

Opening = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def told() -> list[str]:
    """What the service said."""
    return []


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., ServeConfig]:
    """A config whose release, once shipped, is in `release/`."""

    def made(**changed: JsonValue) -> ServeConfig:
        given = {"benchmark": BENCHMARK, "release": str(tmp_path / "release"), "root": str(tmp_path / "runs")}
        return ServeConfig.model_validate({**given, "every_s": 0.02, **changed})

    return made


@pytest.fixture
def opening(tmp_path: Path, configured: Callable[..., ServeConfig], told: list[str]) -> Opening:
    """Opens the service of that config; a release is shipped where there is none."""

    def opened(**changed: JsonValue) -> AbstractAsyncContextManager[Service]:
        if not (tmp_path / "release").exists():
            ship(tmp_path / "release")
        return serving(configured(**changed), told.append)

    return opened
