"""One look at drift: load the release, read the corpus, leave a report and a picture in a folder of their own."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from controllers.corpus import SqliteCorpus
from controllers.release import FolderSource, Here, ReleaseSource, load_champion
from experiments.catalogue import load_benchmark
from experiments.drift.config import DriftConfig
from experiments.drift.figure import draw_drift
from experiments.drift.measured import DriftReport, production_of, report_of
from experiments.gate.run_folder import claim_folder
from experiments.places import corpus_path
from experiments.whole_file import write_whole
from experiments.wiring import model_of
from optimizers.drift.records import Limits
from signatures.errors import UsageError
from signatures.release import Release

REPORT: Final = "drift.json"
PICTURE: Final = "drift.png"


class Measured(NamedTuple):
    """A look, and where it is kept."""

    report: DriftReport
    folder: Path


async def measure(config: DriftConfig) -> Measured:
    """Compare production with what the champion was learned on. Raises UsageError, StoreError."""
    root = Path(config.root)
    benchmark = load_benchmark(config.benchmark, config.options)
    release = release_of(config)
    path = corpus_path(config, root, benchmark.id)
    if not path.is_file():
        raise UsageError(f"{path}: no such corpus; nothing was played here yet")
    with closing(SqliteCorpus.open_readonly(path)) as corpus:
        production = await production_of(corpus, benchmark, release)
    report = report_of(production, release, limits_of(config))
    folder = claim_folder(config, root, f"{benchmark.id}-drift")
    write_whole(folder / REPORT, json.dumps(report.model_dump(mode="json"), indent=1) + "\n")
    draw_drift(folder / PICTURE, report, production.successes)
    return Measured(report, folder)


def limits_of(config: DriftConfig) -> Limits:
    """The config's limits as a record."""
    return Limits(
        alpha=config.alpha,
        least_psi=config.least_psi,
        tolerance=config.tolerance,
        window=config.window,
        every=config.every,
    )


def release_of(config: DriftConfig) -> Release:
    """The release that the config names, loaded and checked as production does. Raises UsageError, StoreError."""
    benchmark = load_benchmark(config.benchmark, config.options)
    names = [name.strip() for name in (config.lm or "").split(",") if name.strip()]
    models = {name: lm for name in names if (lm := model_of(name, config.api_base)) is not None}
    name = config.name or benchmark.id
    here = Here(lm=models or None, name=config.name if config.release else name)
    release = load_champion(_source(config, name), here).release
    if release.benchmark != benchmark.id:
        raise UsageError(f"release {release.name} was made for {release.benchmark}, not {benchmark.id}")
    return release


def _source(config: DriftConfig, name: str) -> ReleaseSource:
    if config.release is not None:
        return FolderSource(Path(config.release))
    from experiments.registry import RegistrySource
    from experiments.tracking import store_of

    return RegistrySource(name, config.alias, store_of(Path(config.root)))
