"""What the commands of learning across runs share: a run in a folder of its own that goes on with `--resume`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from experiments.cli import exits
from experiments.config import RunConfig, merge
from signatures.errors import UsageError

ConfigT = TypeVar("ConfigT", bound=RunConfig)
ConfigT_contra = TypeVar("ConfigT_contra", bound=RunConfig, contravariant=True)


class Arguments(NamedTuple):
    """The options as they were given."""

    config: Path | None
    overrides: list[str]
    seed: int | None
    quick: bool
    resume: Path | None = None
    as_json: bool = False


class Run(Protocol[ConfigT_contra]):
    """A module's `run`."""

    def __call__(
        self,
        config: ConfigT_contra,
        *,
        resume: Path | None,
        say: Callable[[str], object],
        began: Callable[[Path], object],
    ) -> dict[str, object]:
        """The report as JSON-able data."""


def resolved(model: type[ConfigT], small: Mapping[str, int], asked: Arguments) -> ConfigT:
    """The config of file and overrides, over what `--quick` sets. Raises UsageError in one line."""
    flags = [f"seed={asked.seed}"] if asked.seed is not None else []
    quick = [f"{name}={value}" for name, value in small.items()] if asked.quick else []
    return merge(model, asked.config, [*quick, *asked.overrides, *flags])


def play(module: str, model: type[ConfigT], small: Mapping[str, int], run: Run[ConfigT], asked: Arguments) -> None:
    """Run, or go on; where it stops, say the command that goes on. With `--json` the lines go to stderr."""
    began: list[Path] = []

    def again() -> str | None:
        return f"python -m {module} --resume {shlex.quote(str(began[0]))}" if began else None

    def say(line: str) -> None:
        print(line, file=sys.stderr if asked.as_json else sys.stdout)

    with exits(again):
        config = resolved(model, small, asked) if asked.resume is None else _resumed(model, asked, asked.resume)
        result = run(config, resume=asked.resume, say=say, began=began.append)
        if asked.as_json:
            print(json.dumps(result, indent=1))


def _resumed(model: type[ConfigT], asked: Arguments, folder: Path) -> ConfigT:
    from experiments.gate.run_folder import config_in

    if asked.config or asked.overrides or asked.quick or asked.seed is not None:
        raise UsageError("--resume goes on with the run's own config; it takes no other config")
    return config_in(folder, model)
