"""The parts of a production run: a config that was looked at, where its releases come from, what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from controllers import Worker
from controllers.champion import ChampionWatch
from controllers.release import Champion, FolderSource, Here, ReleaseSource
from controllers.steers import Steerer, steer_table
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.places import corpus_path, require_usable, require_writable
from experiments.production.asked import TaskList, asked_of
from experiments.production.config import ProductionConfig, champion_cache
from experiments.production.prompts import prompts_path
from experiments.wiring import model_of
from signatures.digest import digest_of
from signatures.errors import UsageError

if TYPE_CHECKING:
    import dspy

    from controllers.program import Models


@dataclass(frozen=True)
class Prepared:
    """A config that can run, as far as it says itself: nothing was written, and no release was looked at."""

    config: ProductionConfig
    benchmark: Benchmark
    worker: Worker
    asked: TaskList
    lm: Models
    root: Path

    @property
    def corpus(self) -> Path:
        """The corpus that the episodes go to."""
        return corpus_path(self.config, self.root, self.benchmark.id)

    @property
    def prompts(self) -> Path:
        """The file that the prompts go to."""
        return prompts_path(self.root, self.benchmark.id)

    @property
    def identity(self) -> str:
        """Of what is played, whatever decides: a run goes on with the same."""
        tasks = [task.digest for task in self.asked.tasks]
        return digest_of(self.benchmark.id, dict(self.config.options), self.worker.fingerprint, tasks)

    @property
    def steers(self) -> Mapping[str, Steerer]:
        """Every action that a steer policy may draw here."""
        one = None if isinstance(self.lm, Mapping) else self.lm
        return steer_table(self.benchmark.directives, self.benchmark, one)

    def watch(self, told: Callable[[str], None], *, cached: bool = True) -> ChampionWatch:
        """What follows the releases; without a cache nothing is written."""
        config, name = self.config, self.config.name or self.benchmark.id
        wanted = config.name if config.release else name
        return ChampionWatch(
            _source(config, name, self.root),
            here=Here(lm=self.lm, worker=self.worker.fingerprint, name=wanted),
            cache=champion_cache(self.root, name) if cached else None,
            every_s=config.every_s,
            told=told,
        )

    def require_fit(self, champion: Champion) -> None:
        """Raises UsageError for a release of another benchmark, or with a steer that there is not here."""
        release = champion.release
        if release.benchmark != self.benchmark.id:
            raise UsageError(f"release {release.name} was made for {release.benchmark}, not {self.benchmark.id}")
        if missing := [action for action in release.steer_legal if action not in self.steers]:
            mend = "; name its model with --lm" if missing[0] == "text" else ""
            raise UsageError(f"release {release.name} may steer by {missing[0]!r}, which there is not here{mend}")


def prepare(config: ProductionConfig, *, root: Path | None = None) -> Prepared:
    """Look at what a run needs beside the release, and write nothing. Raises UsageError for what cannot run.

    `root` is where the run folder is, if not where the config says.
    """
    root = root or Path(config.root)
    benchmark = load_benchmark(config.benchmark, config.options)
    lm = policy_models(config)
    one = None if isinstance(lm, Mapping) else lm
    worker_lm = model_of(config.worker_lm, config.api_base) or one if config.worker == "chat" else None
    worker = benchmark.worker(config.worker, worker_lm)
    given = Prepared(config, benchmark, worker, asked_of(config, benchmark), lm, root)
    require_usable(given.corpus)
    require_writable(root)
    return given


def policy_models(config: ProductionConfig) -> Models:
    """The model that the config names for policies, or several by name. Raises UsageError as `model_of` does."""
    names = [name.strip() for name in (config.lm or "").split(",") if name.strip()]
    made: dict[str, dspy.LM] = {}
    for name in names:
        lm = model_of(name, config.api_base)
        if lm is not None:
            made[lm.model] = lm  # as a saved controller names it, which for a file is not as it was given
    return made if len(made) > 1 else next(iter(made.values()), None)


class Most(NamedTuple):
    """The most that episodes may take; None: without a limit."""

    episodes: int
    attempts: int | None
    turns: int | None
    questions: int | None
    "to models, by policies"
    usd: float | None


def most_of(champion: Champion, episodes: int) -> Most:
    """What this release grants so many episodes."""
    granted = champion.release.granted
    each, asking = granted.attempts, len(_asking(champion))
    each_question = None if champion.controller.program is not None else each  # a program asks as often as it likes
    return Most(
        episodes=episodes,
        attempts=None if each is None else episodes * each,
        turns=None if granted.turns is None else episodes * granted.turns,
        questions=0 if not asking else None if each_question is None else episodes * each_question * asking,
        usd=None if granted.usd is None else episodes * granted.usd,
    )


def cost_line(given: Prepared, champion: Champion, episodes: int) -> str:
    """The most that so many episodes may take under this release."""
    release, most = champion.release, most_of(champion, episodes)
    if most.attempts is None:
        return f"{episodes:,} episodes; the release grants any number of attempts"
    parts = [f"at most {most.attempts:,} attempts in {episodes:,} episodes of {release.granted.attempts}"]
    if most.turns is not None:
        parts.append(f"{most.turns:,} worker turns")
    if most.questions:
        models = ", ".join(release.fingerprints.models)
        parts.append(f"{most.questions:,} questions to {models} ({', '.join(_asking(champion))})")
    elif most.questions is None:
        parts.append(f"as many questions to {', '.join(release.fingerprints.models)} as its program asks")
    if most.usd is not None:
        parts.append(f"${most.usd:,.2f}")
    return "; ".join(parts)


def _asking(champion: Champion) -> list[str]:
    """The policies that ask a model."""
    return [name for name, policy in champion.controller.policies.items() if policy.tier != "rule"]


def _source(config: ProductionConfig, name: str, root: Path) -> ReleaseSource:
    if config.release is not None:
        return FolderSource(Path(config.release))
    from experiments.registry import RegistrySource
    from experiments.tracking import store_of

    return RegistrySource(name, config.alias, store_of(root))
