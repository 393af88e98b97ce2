"""Settings tuned on recorded trees: the searches of level two, kept in a folder so that they go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from controllers.baselines import seed_candidate
from controllers.corpus import SqliteCorpus
from experiments.gate.learned.ablation_config import AblationConfig
from experiments.gate.learned.learning import Trees
from experiments.meta.config import MetaConfig
from experiments.search.stages import space_from
from experiments.wiring import Wired
from optimizers.evaluator import Evaluator, evaluator_in
from optimizers.levels.problems import Ground, Kept, Problem, problems_of, search_setup
from optimizers.levels.settings import SearchSettings
from optimizers.levels.tuning import tune
from optimizers.search import Found, SearchPlan
from optimizers.space import Space
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Candidate


@dataclass(frozen=True)
class Below:
    """What the searches of level two are made of: parts, trees, and the size of one search."""

    wired: Wired
    trees: Trees
    compute: int
    start: Candidate | None = None
    "None: what searches start from"
    space: Space | None = None
    "None: what the recorded moves span"


class Tuned(NamedTuple):
    """What tuning came to."""

    settings: SearchSettings
    found: tuple[Found, ...]
    searches: int
    "that were made, or recalled"


@contextmanager
def above(below: Below, problems: Sequence[Problem], folder: Path) -> Iterator[Evaluator]:
    """The evaluator of level two on these problems: its journal, ledger and corpus are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    setup = below.wired.setup
    tasks, actions = below.trees.tasks, below.wired.actions
    ground = Ground(
        setup=setup,
        trees=below.trees.replay,
        space=below.space or space_from(below.trees.replay, tasks, actions, setup.grant.attempts),
        problems={problem.task.digest: problem for problem in problems},
        compute=below.compute,
        folder=folder / "searches",
        start=below.start or seed_candidate(),
    )
    revision = digest_of(setup.revision, [task.digest for task in tasks])
    with closing(SqliteCorpus(folder / "corpus.db")) as corpus:
        own = search_setup(ground, replace(setup, corpus=corpus), revision=revision)
        with evaluator_in(folder, own) as evaluator:
            yield evaluator


async def tuned(
    below: Below, problems: Sequence[Problem], choices: Mapping[str, Sequence[JsonValue]], folder: Path, *, most: int
) -> Tuned:
    """The best of the default and at most `most` other settings on these problems. Raises Outage."""
    kept = Kept()
    plan = SearchPlan(
        start=SearchSettings().candidate,
        train=(),
        val=[problem.task for problem in problems],
        seed=problems[0].seed,
        generations=1,
        iterations=most,
        minibatch=1,
    )
    with above(below, problems, folder) as evaluator:
        settings = await tune(plan, evaluator, choices, kept)
        return Tuned(settings, tuple(kept.found_all), evaluator.tally.scores)


async def settings_for(config: AblationConfig, wired: Wired, trees: Trees, folder: Path) -> SearchSettings:
    """Those in the config's file, or tuned on these trees, where a third of a problem's tasks is what it is judged on.

    Raises UsageError for a file that holds no settings.
    """
    if config.settings is not None:
        return read_settings(Path(config.settings))
    held = max(1, len(trees.tasks) // 3)
    train = max(1, (len(trees.tasks) - held) // 2)
    sizes = train, len(trees.tasks) - held - train, held
    problems = problems_of(trees.tasks, sizes, count=config.problems, seed=config.seed)
    compute = config.generations * config.iterations * sizes[1] * config.attempts
    below = Below(wired, trees, compute)
    found = await tuned(below, problems, MetaConfig().choices, folder / "tuning", most=config.candidates)
    return found.settings


def read_settings(path: Path) -> SearchSettings:
    """The settings in a file that a meta run wrote. Raises UsageError."""
    try:
        return SearchSettings.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: holds no settings of a search: {error}") from error
