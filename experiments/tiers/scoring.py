"""The scoreboard of a corpus: read, drawn, written, and told to the tracker period by period."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from controllers.corpus import SqliteCorpus
from experiments.catalogue import load_benchmark
from experiments.events import ArtifactWritten, EventLog, GenerationDone, SearchFinished, SearchStarted
from experiments.gate.report import mirrored
from experiments.gate.run_folder import claim_folder
from experiments.places import corpus_path, require_writable
from experiments.tiers.config import TiersConfig
from experiments.tiers.figure import draw_tiers
from experiments.whole_file import write_whole
from optimizers.tiers.scoreboard import TierRow, by_period, by_run, row_of
from signatures.errors import NoSupport
from signatures.records import Decision, Episode, Record

SCORES: Final = "tiers.json"
PICTURE: Final = "tiers.png"


class Scoreboard(Record):
    """Who decides in one corpus."""

    benchmark: str
    corpus: str
    total: TierRow
    runs: tuple[TierRow, ...]
    "by split, condition and candidate"
    periods: tuple[TierRow, ...]
    "in order of arrival; a corpus keeps no clock"


class Scored(NamedTuple):
    """A scoreboard that was written."""

    board: Scoreboard
    folder: Path
    tracked: str
    "one line on MLflow; empty without tracking"


async def run_tiers(config: TiersConfig) -> Scored:
    """Count, draw, write, mirror. Raises UsageError, StoreError; NoSupport where nothing was decided."""
    root = Path(config.root)
    require_writable(root)
    board = await scoreboard_of(config)
    folder = claim_folder(config, root, f"{board.benchmark}-tiers")
    write_whole(folder / SCORES, json.dumps(board.model_dump(mode="json"), indent=1) + "\n")
    draw_tiers(folder / PICTURE, board.periods, title=f"{board.benchmark}: decisions by tier")
    lines: list[str] = []
    with mirrored(folder, lines, tracking=config.tracking) as listen, EventLog(folder, listen=listen) as log:
        tell(log, folder, board, config)
    return Scored(board, folder, "".join(lines))


async def scoreboard_of(config: TiersConfig) -> Scoreboard:
    """The scoreboard of the corpus as it is now."""
    benchmark = load_benchmark(config.benchmark, config.options)
    path = corpus_path(config, Path(config.root), benchmark.id)
    with closing(SqliteCorpus.open_readonly(path)) as corpus:
        mark = await corpus.high_water()
        episodes = [
            one
            async for one in corpus.scan(Episode, until=mark)
            if one.benchmark == benchmark.id and config.split in (None, one.split)
        ]
        ids = {one.id for one in episodes}
        made: defaultdict[str, list[Decision]] = defaultdict(list)
        async for decision in corpus.scan(Decision, until=mark):
            if decision.episode_id in ids:
                made[decision.episode_id].append(decision)
    if not made:
        raise NoSupport(f"{path}: holds no decision of {benchmark.id}" + (f" on {config.split}" * bool(config.split)))
    return Scoreboard(
        benchmark=benchmark.id,
        corpus=str(path),
        total=row_of("all", episodes, made),
        runs=tuple(by_run(episodes, made)),
        periods=tuple(by_period(episodes, made, periods=config.periods)),
    )


def tell(log: EventLog, folder: Path, board: Scoreboard, config: TiersConfig) -> None:
    """One MLflow run: a step per period, the whole corpus at the end, the two files. Raises StoreError."""
    flat = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.model_dump(mode="json").items()}
    log.emit(
        SearchStarted(
            run_id=folder.name,
            benchmark=board.benchmark,
            engine="tiers",
            seed=0,
            config=flat,
            tags={"tiller.corpus": board.corpus, "tiller.split": config.split or "all"},
        )
    )
    for number, row in enumerate(board.periods):
        log.emit(GenerationDone(generation=number, metrics={**row.metrics(), "episodes": float(row.episodes)}))
    for path in (SCORES, PICTURE):
        log.emit(ArtifactWritten.of(folder, path))
    log.emit(SearchFinished(metrics={f"all/{name}": value for name, value in board.total.metrics().items()}))
