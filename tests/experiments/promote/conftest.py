"""A run root with two promoted versions of the planted world, made once, and a copy of it for whoever changes it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.promote.config import PromoteConfig
from experiments.promote.promoting import Promoted, promote
from experiments.promote.ready import Nomination, ready
from experiments.registry import Registry
from experiments.tracking import store_of
from tests.worlds.gated import saved
from tests.worlds.lab import lamp_follower, steered

CHEATS = Path(__file__).parents[2] / "worlds" / "cheats.py"
WORLD = "tests.worlds.planted:PlantedBenchmark"


class Shop(NamedTuple):
    """A run root, two saved controllers, and what was said."""

    root: Path
    lamp: Path
    core: Path
    said: list[str]

    def config(self, **changed: object) -> PromoteConfig:
        given = {"benchmark": WORLD, "turns": 3, "root": str(self.root), "canary_states": 16, "canary_tasks": 2}
        return PromoteConfig.model_validate({**given, **changed})

    def promote(self, candidate: Path, how: str | None = None, **changed: object) -> Promoted:
        """Promote without a gate. `how`: the cheat that the canary's child is; None: the real one."""
        given = ready(self.config(**changed), Nomination(candidate, allow_ungated=True))
        return promote(given, say=self.said.append, **({} if how is None else {"program": cheat(how)}))

    @property
    def registry(self) -> Registry:
        return Registry(store_of(self.root))


def cheat(how: str) -> tuple[str, ...]:
    return (sys.executable, str(CHEATS), how)


@pytest.fixture(scope="module", autouse=True)
def _no_other_store() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def empty_shop(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, _no_other_store: None) -> Shop:
    """Nothing was promoted here yet."""
    folder = tmp_path_factory.mktemp("shop")
    root = folder / "runs"
    root.mkdir()
    shutil.copy(empty_store, root / "mlflow.db")
    lamp, core = (
        Path(saved(folder, name, made)) for name, made in (("lamp", lamp_follower()), ("core", steered("core")))
    )
    return Shop(root, lamp, core, [])


@pytest.fixture(scope="module")
def shop(empty_shop: Shop) -> Shop:
    """`core` was promoted, then `lamp`, each past the real canary: the champion is version 2."""
    empty_shop.promote(empty_shop.core)
    empty_shop.promote(empty_shop.lamp)
    return empty_shop
