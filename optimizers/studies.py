"""A study: Optuna's sampler as a function of its seed and of what it was told, and a view of it on disk.

The sampler works on a study in memory. What it was told is also written, trial by trial, as a journal that Optuna and
its dashboard can open. Nothing ever reads that file back: a search is resumed from its own journal alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from optimizers.knobs.knob import Choice, Count, Knob, Value

if TYPE_CHECKING:
    import optuna

Sampler = Literal["tpe", "nsga2"]
Directions = Sequence[Literal["minimize", "maximize"]]
SHORT: Final = "without support"
"""The constraint's name: the share of tasks that the record did not support. A trial with any is not feasible."""


class Asked(NamedTuple):
    """One setting of the knobs to be tried."""

    number: int
    values: Mapping[str, Value]


@dataclass(frozen=True)
class StudyConfig:
    """How a study samples and where it can be looked at."""

    sampler: Sampler = "tpe"
    seed: int = 0
    startup: int = 10
    "TPE: random trials before it models anything"
    population: int = 16
    "NSGA-II: trials of a generation"
    name: str = "search"
    folder: Path | None = None
    "where the journal is written; None: nowhere"


class Study:
    """Knobs and objectives, all maximised. Every setting that is asked for is told or failed before the next."""

    def __init__(self, knobs: Sequence[Knob], objectives: Sequence[str], config: StudyConfig) -> None:
        import optuna

        self._knobs = {knob.name: _distribution(knob) for knob in knobs}
        self._optuna = optuna
        directions: Directions = ["maximize" for _ in objectives]
        with _quiet():
            self._study = optuna.create_study(
                storage=optuna.storages.InMemoryStorage(),
                sampler=_sampler(config),
                study_name=config.name,
                directions=directions,
            )
            self._view = None if config.folder is None else _view(config.folder, config.name, directions)
            for study in (self._study, self._view):
                if study is not None:
                    study.set_metric_names(list(objectives))
        self._asked: optuna.Trial | None = None

    def begin(self, values: Mapping[str, Value]) -> None:
        """Let the next setting be this one."""
        self._study.enqueue_trial(dict(values))

    def ask(self) -> Asked:
        """The next setting."""
        with _quiet():
            self._asked = self._study.ask(self._knobs)
        return Asked(self._asked.number, dict(self._asked.params))

    def tell(self, values: Sequence[float], *, short: float = 0.0, notes: Mapping[str, str] | None = None) -> None:
        """What the setting asked for last is worth, by objective; `short` is the share of tasks without support."""
        trial = self._noted(notes)
        trial.set_constraint(SHORT, short)
        self._ended(trial, values)

    def fail(self, notes: Mapping[str, str] | None = None) -> None:
        """The setting asked for last has no value at all: the sampler learns nothing from it."""
        self._ended(self._noted(notes), None)

    def _noted(self, notes: Mapping[str, str] | None) -> optuna.Trial:
        assert self._asked is not None, "ask comes before tell"
        for name, text in (notes or {}).items():
            self._asked.set_user_attr(name, text)
        return self._asked

    def _ended(self, trial: optuna.Trial, values: Sequence[float] | None) -> None:
        state = self._optuna.trial.TrialState.FAIL if values is None else None
        with _quiet():
            ended = self._study.tell(trial, values, state=state)
            if self._view is not None:
                self._view.add_trial(ended)
        self._asked = None


def journal_of(folder: Path, name: str) -> Path:
    """Where a study in `folder` can be opened: `optuna-dashboard FILE`."""
    return folder / f"optuna-{name}.journal"


def _view(folder: Path, name: str, directions: Directions) -> optuna.Study:
    """An empty study on disk, in place of one that an earlier execution of the same search wrote."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    folder.mkdir(parents=True, exist_ok=True)
    path = journal_of(folder, name)
    path.unlink(missing_ok=True)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(storage=storage, study_name=name, directions=directions)


def _sampler(config: StudyConfig) -> optuna.samplers.BaseSampler:
    from optuna.samplers import NSGAIISampler, TPESampler

    if config.sampler == "nsga2":
        return NSGAIISampler(seed=config.seed, population_size=config.population)
    return TPESampler(seed=config.seed, n_startup_trials=config.startup)


def _distribution(knob: Knob) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(knob, Choice):
        return CategoricalDistribution(knob.options)
    return IntDistribution(knob.low, knob.high) if isinstance(knob, Count) else FloatDistribution(knob.low, knob.high)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's log lines and notes on what is experimental are not ours; both are as before afterwards."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
