"""From a command's config to the parts of a search: benchmark, worker, stores, splits and the frozen manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controllers import Worker
from controllers.corpus import SqliteCorpus
from controllers.executor import AsyncExecutor
from controllers.steers import steer_table
from controllers.workers.recorded import RecordedWorker
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.harvest.tasks import read_tasks, require_new
from experiments.places import corpus_path, ledger_beside, require_usable, require_writable
from experiments.search.engines import require_engine
from experiments.search.learned import corpora_named, require_readable
from experiments.search_config import SearchConfig
from judges.ledger import VerdictLedger
from judges.manifest import Manifest, freeze, manifest_of
from optimizers.journal import Journal
from optimizers.setup import Grant, Setup
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Split, Task

if TYPE_CHECKING:
    import dspy


@dataclass(frozen=True)
class Splits:
    """The tasks of one run: train and val are disjoint parts of the search split."""

    train: tuple[Task, ...]
    "the harvested ones last, where the run has any"
    val: tuple[Task, ...]
    dev: tuple[Task, ...]


@dataclass(frozen=True)
class Ready:
    """A config that can run: whatever could be wrong with it was looked at, and nothing was written."""

    config: SearchConfig
    benchmark: Benchmark
    worker: Worker
    splits: Splits
    manifest: Manifest
    lm: dspy.LM | None

    @property
    def actions(self) -> tuple[str, ...]:
        """What a steer policy may draw: nothing, or a directive of the table."""
        return ("none", *(directive.action for directive in self.benchmark.directives))

    @property
    def recorded(self) -> bool:
        """Whether of the worker only a recording is left: then nothing is attempted."""
        return isinstance(self.worker, RecordedWorker)


@dataclass(frozen=True)
class Wired:
    """The parts of one run, opened."""

    benchmark: Benchmark
    setup: Setup
    splits: Splits
    manifest: Manifest
    ledger: VerdictLedger
    journal: Journal
    lm: dspy.LM | None

    @property
    def actions(self) -> tuple[str, ...]:
        """What a steer policy may draw: nothing, or a directive of the table."""
        return self.setup.grant.steer_legal

    @property
    def recorded(self) -> bool:
        """Whether of the worker only a recording is left: then nothing is attempted."""
        return isinstance(self.setup.worker, RecordedWorker)


def ready(config: SearchConfig, *, root: Path | None = None, lm: dspy.LM | None = None) -> Ready:
    """Look at everything a run needs and write nothing. Raises UsageError for a config that cannot run.

    `root` is where the folder of a run that goes on is; `lm` is used instead of the model that the config names.
    """
    begins, root = root is None, root or Path(config.root)
    require_search_budget(config)
    benchmark = load_benchmark(config.benchmark, config.options)
    lm = lm or model_of(config.lm, config.api_base, config.lm_max_tokens)
    worker_lm = model_of(config.worker_lm, config.api_base) or lm if config.worker in (None, "chat") else None
    worker = benchmark.worker(config.worker, worker_lm)
    splits = split_tasks(benchmark, config, recorded=isinstance(worker, RecordedWorker))
    require_engine(config, lm, ("none", *(directive.action for directive in benchmark.directives)))
    require_usable(corpus_path(config, root, benchmark.id))
    others = corpora_named(config, root, benchmark.id)
    if begins:
        require_readable(others)
    require_writable(root)
    return Ready(config, benchmark, worker, splits, definition_of_done(benchmark, splits), lm)


@contextmanager
def wired(given: Ready, run_folder: Path) -> Iterator[Wired]:
    """Open the stores of a run, and close them. Raises UsageError where the folder is another run's, StoreError."""
    config, benchmark, lm = given.config, given.benchmark, given.lm
    freeze(run_folder / "manifest.json", given.manifest)
    path, manifest = corpus_path(config, run_folder.parent, benchmark.id), given.manifest
    with (
        closing(SqliteCorpus(path)) as corpus,
        VerdictLedger(ledger_beside(path)) as ledger,
        closing(Journal(run_folder / "journal.jsonl")) as journal,
    ):
        setup = Setup(
            worker=given.worker,
            checkers=benchmark.checkers(),
            judge=benchmark.judge(),
            objectives=benchmark.objectives,
            steers=steer_table(benchmark.directives, benchmark, lm),
            observer=benchmark,
            corpus=corpus,
            grant=Grant(config.attempts, config.turns, given.actions),
            revision=revision_of(manifest),
            lm=lm,
            executor=AsyncExecutor(config.concurrency),
        )
        yield Wired(benchmark, setup, given.splits, manifest, ledger, journal, lm)


def revision_of(manifest: Manifest) -> str:
    """What decides an episode beside its spec: the judge and the checkers, not the splits."""
    return digest_of(manifest.judge, manifest.judge_source, dict(manifest.checkers))


def model_of(name: str | None, api_base: str | None, max_tokens: int | None = None) -> dspy.LM | None:
    """The model of that name, where one is named. Raises UsageError where its provider or its key is missing."""
    if name is None:
        return None
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    from controllers.lm import make_lm
    from controllers.local.options import is_local

    litellm.suppress_debug_info = True  # else it prints advice to stdout, into the JSON
    if not is_local(name):
        try:
            litellm.get_llm_provider(name, api_base=api_base)
        except litellm.BadRequestError as error:
            raise UsageError(f"model {name!r}: LiteLLM knows no such provider; write PROVIDER/MODEL") from error
    settings = {"api_base": api_base or None, "max_tokens": max_tokens}
    return make_lm(name, {key: value for key, value in settings.items() if value is not None})


def require_search_budget(config: SearchConfig) -> None:
    """Raises UsageError where the search could not evaluate its first candidate and one proposal."""
    need = config.least_attempts
    if config.max_attempts < need:
        raise UsageError(
            f"max_attempts={config.max_attempts} is too small: one evaluation and one proposal may take {need}"
        )


def definition_of_done(benchmark: Benchmark, splits: Splits) -> Manifest:
    """The manifest of a run, from the code and settings as they are now."""
    return manifest_of(
        judge=benchmark.judge(),
        checkers=benchmark.checkers(),
        splits={"search": (*splits.train, *splits.val), "dev": splits.dev},
        objectives=benchmark.objectives,
        directives=benchmark.directives,
    )


def split_tasks(benchmark: Benchmark, config: SearchConfig, *, recorded: bool = False) -> Splits:
    """Train and val from the front of the search split, dev from the dev split. Raises UsageError.

    No split may share a task with another: the holdout is named for that, and not read. Harvested tasks, which no
    split has, are train tasks as well. Where of the worker only a recording is left, which is of search tasks, `dev`
    are the search tasks after val: no candidate is compared on them, but their families are those of the others.
    """
    search, dev, holdout = benchmark.tasks("search"), benchmark.tasks("dev"), benchmark.tasks("holdout")
    require_disjoint({"search": search, "dev": dev, "holdout": holdout})
    harvested = () if config.harvested is None else read_tasks(Path(config.harvested), benchmark.id)
    require_new(harvested, {"search": search, "dev": dev, "holdout": holdout})
    used = config.train + config.val
    wants = [("train + val", used, search), ("dev", config.dev, dev)]
    if recorded:
        require_replayable(config)
        wants = [("train + val + dev, of a recording", used + config.dev, search)]
    for name, wanted, there in wants:
        if wanted > len(there):
            raise UsageError(f"{name}: {wanted} tasks asked, the split has {len(there)}")
    train, val = search[: config.train], search[config.train : used]
    last = search[used:] if recorded else dev
    return Splits(train=(*train, *harvested), val=val, dev=last[: config.dev])


def require_replayable(config: SearchConfig) -> None:
    """Raises UsageError for what a run on a recording cannot do."""
    asked = {
        "live": config.live,
        "harvested": config.harvested is not None,
        "recorded_val": config.val_trees < config.val,
    }
    for name, wanted in asked.items():
        if wanted:
            raise UsageError(f"{name}: of this worker only a recording is here, and nothing is attempted; leave it out")


def require_disjoint(splits: Mapping[Split, Sequence[Task]]) -> None:
    """Raises UsageError listing task digests that are in two splits, or twice in one."""
    seen: dict[str, str] = {}
    for split, tasks in splits.items():
        digests = [task.digest for task in tasks]
        if shared := [digest for digest in digests if digest in seen]:
            named = ", ".join(shared[:5])
            raise UsageError(f"splits overlap: {len(shared)} tasks of {split} are in another split: {named}")
        if len(set(digests)) < len(digests):
            raise UsageError(f"{split} names a task twice: {max(digests, key=digests.count)}")
        seen.update(dict.fromkeys(digests, split))
