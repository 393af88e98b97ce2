"""A transfer that takes seconds: two planted worlds under different noise, and one whose table has other words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from controllers.history import Seen
from experiments.config import merge
from experiments.transfer.config import TransferConfig
from signatures.records import Directive
from tests.worlds.planted import PlantedBenchmark, PlantedConfig

SMALL: Final[dict[str, JsonValue]] = {
    "domains": [
        "quiet=tests.worlds.planted:PlantedBenchmark",
        "loud=tests.worlds.planted:PlantedBenchmark",
        "renamed=tests.worlds.transferred:RenamedBenchmark",
    ],
    "options": {"loud": {"noise": 0.4}},
    "attempts": 2,
    "turns": 3,
    "train": 4,
    "roots": 1,
    "tasks": 8,
    "repeats": 1,
    "generations": 2,
    "iterations": 2,
    "minibatch": 4,
    "tracking": False,
}
RENAMED: Final = "my_"


class RenamedBenchmark(PlantedBenchmark):
    """The planted world with an id, actions and features of its own; the fan is called as it is there."""

    id = "renamed"
    directives = tuple(
        Directive(action=one.action if one.action == "fan" else RENAMED + one.action, text=one.text)
        for one in PlantedBenchmark.directives
    )

    def __init__(self, config: PlantedConfig | None = None) -> None:
        super().__init__(config)

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """Under its own prefix."""
        return {name.replace("planted.", "renamed."): value for name, value in super().features(history).items()}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """By its own actions."""
        found = super().untried(history)
        return {one.action: found[one.action.removeprefix(RENAMED)] for one in self.directives}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """Its directives' texts."""
        return super().directive_text(action.removeprefix(RENAMED), history)


def small_transfer(root: Path, **changed: JsonValue) -> TransferConfig:
    """The config, with its files below `root`."""

    given = {**SMALL, "root": str(root), **changed}
    return merge(TransferConfig, None, [f"{name}={dumps(value)}" for name, value in given.items()])
