"""Optuna's samplers over all numbers and choices of a controller: TPE, or NSGA-II, on every objective at once.

The sampler sees the knobs of a family (`optimizers/knobs/`), begins at the start's own setting, and is told what each
candidate is worth beside the start. Sources: Watanabe 2023, "Tree-Structured Parzen Estimator"; Deb et al. 2002,
"A fast and elitist multiobjective genetic algorithm: NSGA-II"; Akiba et al. 2019, "Optuna".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import Field

from optimizers.archive import Archive
from optimizers.book import Behaviour, Book
from optimizers.evaluator import Evaluator
from optimizers.ideas import Idea
from optimizers.knobs.family import Family
from optimizers.knobs.programs import built_in
from optimizers.paying import require_budget
from optimizers.proposers import Proposer
from optimizers.records import TaskScore
from optimizers.search import Engine, Found, Kit, Listener, SearchPlan
from optimizers.space import Space
from optimizers.studies import Sampler, Study, StudyConfig
from optimizers.vectors import complete, mean_vector
from signatures.records import Objective, Record

if TYPE_CHECKING:
    import dspy

SEEDS: Final = 2**32
"""Optuna's seeds are below it."""


class Options(Record):
    """The engine's own settings."""

    sampler: Sampler = "tpe"
    startup: int = Field(default=10, ge=1)
    "TPE: random candidates before it models anything"
    population: int = Field(default=16, ge=2)
    "NSGA-II: candidates of one of its generations"
    programs: bool = True
    "the built-in strategy programs are a choice beside decision lists"
    models: bool = True
    "where there is a model, it is a choice of each policy"


class Worth(NamedTuple):
    """What the sampler is told of a candidate."""

    values: tuple[float, ...] | None
    "by objective; None: it has none"
    short: float
    "share of the tasks that were looked at and not supported"


class OptunaSearch:
    """Turns the knobs of the family around the plan's start."""

    def __init__(
        self,
        space: Space,
        options: Options | None = None,
        *,
        lm: dspy.LM | None = None,
        folder: Path | None = None,
        known: Behaviour | None = None,
    ) -> None:
        self.space = space
        self.options = options or Options()
        self.lm = lm
        self.folder = folder
        self.known = known

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Consider what the sampler asks for; a controller that was there before is told its known worth again."""
        require_budget(plan, evaluator)
        objectives = evaluator.setup.objectives
        family = self._family(plan, evaluator)
        study = Study(family.knobs, [objective.name for objective in objectives], self._config(plan))
        book = Book(plan, evaluator, listener, letter="o", known=self.known)
        start = await book.start()
        told = {plan.start.digest: worth(start.scores, start.scores, objectives)}
        study.begin(family.defaults)
        study.ask()
        _tell(study, told[plan.start.digest], start)
        while book.open:
            values = study.ask().values
            candidate = family.candidate_of(values)
            name = f"optuna {self.options.sampler}"
            found = await book.consider(Idea(candidate, name, family.hypothesis(values)))
            first = await book.twin(candidate) or candidate.digest
            if first not in told:
                # What another engine of the same search looked at has its scores in the book, if it was accepted.
                elsewhere = book.scores_of(first) if found.decision == "duplicate" and first in book.known else ()
                told[first] = worth(found.scores or elsewhere, start.scores, objectives)
            _tell(study, told[first], found)
        return book.close()

    def _family(self, plan: SearchPlan, evaluator: Evaluator) -> Family:
        options = self.options
        return Family(
            plan.start,
            self.space,
            evaluator.setup.grant.attempts,
            lm=self.lm if options.models else None,
            sketches=built_in(self.space) if options.programs else {},
        )

    def _config(self, plan: SearchPlan) -> StudyConfig:
        return StudyConfig(
            sampler=self.options.sampler,
            seed=plan.seed_for("optuna") % SEEDS,
            startup=self.options.startup,
            population=self.options.population,
            name=f"{plan.label}search",
            folder=self.folder,
        )


def worth(scores: Sequence[TaskScore], start: Sequence[TaskScore], objectives: Sequence[Objective]) -> Worth:
    """The mean by objective that a candidate would have on all val tasks, from those that it was looked at on.

    The start's mean on all tasks plus the mean difference to it on the tasks that both have: of a candidate on all
    tasks its own mean. Where a race ended early that takes out how hard the tasks of the race's first looks are.
    """
    if not scores:
        return Worth(None, 0.0)
    base = {score.task_digest: score for score in start if complete(score, objectives)}
    pairs = [(s, base[s.task_digest]) for s in scores if s.task_digest in base and complete(s, objectives)]
    short = sum(score.set_aside for score in scores) / len(scores)
    if not pairs:
        return Worth(None, short)
    own, rival = (mean_vector(side, objectives) for side in zip(*pairs, strict=True))
    whole = mean_vector(list(base.values()), objectives)
    return Worth(tuple(w + (a - b) for w, a, b in zip(whole, own, rival, strict=True)), short)


def engine(kit: Kit) -> Engine:
    """With the kit's space, model and folder."""
    options = kit.settings(Options, "optuna_search")
    return OptunaSearch(kit.space, options, lm=kit.lm, folder=kit.folder, known=kit.behaviour())


def _tell(study: Study, known: Worth, found: Found) -> None:
    notes = {"name": found.name, "candidate": found.candidate.digest, "decision": found.decision}
    if known.values is None:
        study.fail(notes)
    else:
        study.tell(known.values, short=known.short, notes=notes)
