"""The folder of one run of a gate: a number of its own, and the config it was made with, so that it can go on."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

from experiments.config import RunConfig, dump, merge
from experiments.whole_file import write_whole
from signatures.errors import UsageError

CONFIG: Final = "config.toml"
ConfigT = TypeVar("ConfigT", bound=RunConfig)


def claim_folder(config: RunConfig, root: Path, name: str) -> Path:
    """Make the first free folder `<root>/<name>-<n>` with the config in it; of several processes each gets its own.

    Raises UsageError where nothing can be written there.
    """
    stem = name.replace(":", ".").replace("/", ".")
    number = 1
    while True:
        folder = root / f"{stem}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            continue
        except OSError as error:
            raise UsageError(f"{root}: cannot make a run folder: {error}") from error
        write_whole(folder / CONFIG, dump(config))
        return folder


def config_in(folder: Path, model: type[ConfigT]) -> ConfigT:
    """The config that a run folder was made with. Raises UsageError for what is no folder of such a run."""
    if not (folder / CONFIG).is_file():
        raise UsageError(f"{folder}: is no run folder, it has no {CONFIG}")
    return merge(model, folder / CONFIG)
