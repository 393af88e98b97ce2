"""One answer per experiment of a pairs file: the verdict, what it rests on, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from experiments.config import RunConfig
from experiments.gate.pairs.options import margins_of
from experiments.gate.pairs.pairs_file import PairsFile
from experiments.gate.pairs.units import Paired, paired
from optimizers.gate.records import Change, Decision, Evidence
from signatures.errors import UsageError
from signatures.records import Finite, NonNegative, Probability, Record

if TYPE_CHECKING:
    from optimizers.gate.decide import Question


class DecideConfig(RunConfig):
    """Which pairs, and what was agreed beforehand."""

    pairs: Path
    ranges: tuple[str, ...] = ()
    "`lo,hi` for all objectives, or `name=lo,hi`; an objective without one: 0,1"
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: float | None = Field(default=None, gt=0)
    "smallest effect of interest on the primary objective, in units of its value"
    margins: tuple[str, ...] = ()
    "`x` for all further objectives, or `name=x`, in units of the value; without one: 5 % of the range"
    optional_stopping: bool = False
    "the number of pairs was not fixed beforehand: the test stays valid, and is weaker"
    family: bool = False
    "the experiments are one family: Benjamini-Hochberg over their primary objectives"


class Answer(Record):
    """One experiment's line; the numbers are of the primary objective and say what `Evidence` says."""

    experiment: str | None
    "None: the file has no such column"
    verdict: Decision
    n: int
    "units with both sides"
    effect: Finite | None
    lo: Finite | None
    hi: Finite | None
    e_value: NonNegative
    p: Probability
    mde: NonNegative | None
    power: Mapping[str, Probability]
    reasons: tuple[str, ...]
    alpha: Probability
    q: Probability | None
    unit: Literal["task", "cluster"]
    tasks: int
    clusters: int | None
    changes: Mapping[str, Change]
    "by objective"
    margins: Mapping[str, NonNegative]
    "by further objective"
    evidence: tuple[Evidence, ...]
    "all of it, the primary objective first"


def answers_of(config: DecideConfig, file: PairsFile) -> Iterator[Answer]:
    """One answer per experiment, in the file's order. Raises UsageError before the first one: a bad option."""
    primary = next(iter(file.ranges.values()))
    if config.min_effect is not None and config.min_effect > primary.width:
        raise UsageError(f"--min-effect {config.min_effect:g}: no difference can be above {primary.width:g}")
    margins = margins_of(file.ranges, config.margins)
    arrival = config.optional_stopping
    units = [paired(file, tasks, arrival=arrival) for tasks in file.experiments.values()]
    found = _evidence(config, units)
    if config.family:
        found = _with_q(found)
    for name, one, evidence in zip(file.experiments, units, found, strict=True):
        yield _answer(name, one, _question(config, file, margins, evidence))


def _evidence(config: DecideConfig, units: Sequence[Paired]) -> list[tuple[Evidence, ...]]:
    """By experiment, of each objective; experiments go together, which is what makes thousands fast."""
    from optimizers.gate.evidence import evidence_of_each

    by_objective = [
        evidence_of_each(
            pairs,
            alpha=config.alpha,
            min_effect=None if i else config.min_effect,
            optional_stopping=config.optional_stopping,
        )
        for i, pairs in enumerate(zip(*(one.pairs for one in units), strict=True))
    ]
    return list(zip(*by_objective, strict=True))


def _with_q(found: Sequence[tuple[Evidence, ...]]) -> list[tuple[Evidence, ...]]:
    from optimizers.gate.families import with_q

    primaries = with_q({i: primary for i, (primary, *_) in enumerate(found)})
    return [(primaries[i], *others) for i, (_, *others) in enumerate(found)]


def _question(
    config: DecideConfig, file: PairsFile, margins: Mapping[str, float], evidence: tuple[Evidence, ...]
) -> Question:
    from optimizers.gate.decide import Question

    return Question(
        evidence=evidence,
        margins=margins,
        alpha=config.alpha,
        min_effect=config.min_effect,
        points={name: one.points for name, one in file.ranges.items()},
    )


def _answer(name: str | None, one: Paired, question: Question) -> Answer:
    from optimizers.gate.decide import decide

    decided, primary = decide(question), question.primary
    verdict, reasons = decided.decision, decided.reasons
    if verdict == "promote" and one.over_tasks < 0:
        verdict = "hold"
        reasons = ("better by clusters and worse by tasks: a few large clusters decide which", *reasons)
    return Answer(
        experiment=name,
        verdict=verdict,
        n=primary.n,
        effect=primary.effect,
        lo=primary.lo,
        hi=primary.hi,
        e_value=primary.e_value,
        p=primary.p,
        mde=primary.mde,
        power=primary.power,
        reasons=(*reasons, *([one.note] if one.note else [])),
        alpha=question.alpha,
        q=primary.q,
        unit=one.unit,
        tasks=one.tasks,
        clusters=one.clusters,
        changes=decided.changes,
        margins=question.margins,
        evidence=decided.evidence,
    )
