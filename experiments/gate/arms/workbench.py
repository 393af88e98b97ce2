"""Where a gate works: a benchmark that is ready, a run folder that equal configs share, and its stores, opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from pydantic import BaseModel, JsonValue

from experiments.config import dump
from experiments.gate.workers import require_live, worker_asked
from experiments.places import CONFIG, corpus_path
from experiments.search_config import SearchConfig
from experiments.whole_file import write_whole
from experiments.wiring import Ready, Wired, ready, wired
from judges.probes import run_probes
from signatures.digest import digest_of
from signatures.errors import UsageError

ELSEWHERE: Final = frozenset({"root", "corpus", "concurrency", "tracking"})
"""What changes neither an attempt nor a verdict: where a run lies, how many episodes at once, who watches."""
TRAIN: Final = 1
VAL: Final = 2
"""Search tasks that a ready benchmark must name, although no gate here touches them."""


class OnBenchmark(Protocol):
    """A command's config, as far as it says what is attempted, by whom and where it is kept."""

    @property
    def benchmark(self) -> str: ...

    @property
    def options(self) -> Mapping[str, JsonValue]: ...

    @property
    def worker(self) -> str | None: ...

    @property
    def lm(self) -> str | None: ...

    @property
    def worker_lm(self) -> str | None: ...

    @property
    def api_base(self) -> str | None: ...

    @property
    def seed(self) -> int: ...

    @property
    def tasks(self) -> int: ...

    @property
    def attempts(self) -> int: ...

    @property
    def turns(self) -> int: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def root(self) -> str: ...

    @property
    def corpus(self) -> str | None: ...


def ready_for(config: OnBenchmark, *, options: Mapping[str, JsonValue] | None = None) -> Ready:
    """The benchmark with its first `tasks` dev tasks, and nothing written. Raises UsageError, for a recording too.

    `options` are put over those of the config, such as another noise. All of them share one corpus.
    """
    asked = SearchConfig(
        benchmark=config.benchmark,
        options={**config.options, **(options or {})},
        worker=worker_asked(config.worker, config.worker_lm),
        lm=config.lm,
        worker_lm=config.worker_lm,
        api_base=config.api_base,
        seed=config.seed,
        attempts=config.attempts,
        turns=config.turns,
        train=TRAIN,
        val=VAL,
        minibatch=TRAIN,
        dev=config.tasks,
        concurrency=config.concurrency,
        root=config.root,
        corpus=config.corpus,
        tracking=False,
    )
    found = require_live(ready(asked))
    corpus = corpus_path(config, Path(config.root), found.benchmark.id)
    return replace(found, config=asked.model_copy(update={"corpus": str(corpus)}))


def folder_for(kind: str, config: BaseModel, worlds: Sequence[Ready]) -> Path:
    """The run folder of this config on these worlds: started again, it is the same one and goes on.

    Its name holds a digest of what decides the result, judge and worker among it; other parts, another folder.
    """
    asked = worlds[0].config
    parts = [digest_of(world.manifest, world.worker.fingerprint) for world in worlds]
    mark = digest_of(kind, config.model_dump(mode="json", exclude=set(ELSEWHERE)), parts)[:8]
    return Path(asked.root) / f"{asked.benchmark.replace(':', '.')}-{kind}-s{asked.seed}-{mark}"


def begin(folder: Path, config: BaseModel) -> None:
    """Make the run folder, with the config in it, unless it is there. Raises UsageError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot make a run folder: {error}") from error
    write_whole(folder / CONFIG, dump(config))


@contextmanager
def opened(world: Ready, folder: Path) -> Iterator[Wired]:
    """The stores of one world of a run, in a folder of its own. Raises UsageError, StoreError."""
    folder.mkdir(exist_ok=True)
    with wired(world, folder) as parts:
        parts.journal.require_same(digest_of("gate", parts.manifest, world.worker.fingerprint))
        yield parts


async def probe(parts: Wired) -> None:
    """Ask the judge what is known: whether the known-good pass and the known-bad fail. Raises what probes raise."""
    await run_probes(parts.setup.judge, parts.benchmark.probes())
