"""What a meta run says: what each level adds to the one below, with its interval, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from experiments.gate.arms.contrasts import paired_values
from experiments.gate.report import Contrast, GateReport, interval_text, level
from experiments.gate.workers import said_of
from experiments.meta.config import MetaConfig
from experiments.meta.tuned import Tuned
from experiments.wiring import Wired
from optimizers.gate.evidence import evidence_of
from optimizers.gate.families import with_q
from optimizers.intervals import mean_interval
from optimizers.levels.settings import SearchSettings
from optimizers.vectors import mean_vector

KIND: Final = "meta"
FAMILY: Final = "levels"
Played = Mapping[str, list[float | None]]
"""Dev task digest -> the judge's number."""


class Lifts(NamedTuple):
    """The same dev tasks at each level."""

    one: Played
    "the worker alone: one attempt"
    start: Played
    "the controller that searches start from"
    searched: Played
    "what a search with default settings found"
    tuned: Played
    "what a search with tuned settings found"
    problem: Mapping[str, str]
    "dev task digest -> the search problem whose controllers played it"


STEPS: Final = (
    ("controller - worker", "start", "one"),
    ("search - controller", "searched", "start"),
    ("tuned search - search", "tuned", "searched"),
)


def report_of(config: MetaConfig, wired: Wired, found: Tuned, lifts: Lifts) -> GateReport:
    """The whole result as one report."""
    contrasts = contrasts_of(config, wired, lifts)
    numbers: dict[str, float] = {"tuning/searches": float(found.searches)}
    for name in ("one", "start", "searched", "tuned"):
        mean = mean_interval(getattr(lifts, name)).mean
        if mean is not None:
            numbers[f"mean/{name}"] = mean
    same = found.settings == SearchSettings()
    return GateReport(
        kind=KIND,
        title="Level two: what tuning the search adds",
        benchmark=wired.benchmark.id,
        worker=wired.setup.worker.fingerprint.name,
        who=said_of(wired.setup.worker.fingerprint, wired.benchmark.id),
        seed=config.seed,
        split="dev",
        config=config.model_dump(mode="json"),
        sentence=sentence_of(contrasts, config.alpha, same=same),
        contrasts=contrasts,
        numbers=numbers,
        notes=tuple(tried(found)),
        data={"settings": found.settings.model_dump(mode="json")},
    )


def contrasts_of(config: MetaConfig, wired: Wired, lifts: Lifts) -> tuple[Contrast, ...]:
    """Each level less the one below on the first objective, one family.

    The unit is the dev task, and where a search comes in the search problem: what was found on one plays all its dev
    tasks, so that those are no independent draws of a search.
    """
    primary = wired.setup.objectives[0].name
    evidence = {}
    for name, upper, lower in STEPS:
        clusters = {} if lower == "one" else lifts.problem
        pairs = paired_values(getattr(lifts, lower), getattr(lifts, upper), primary, clusters)
        evidence[name] = evidence_of(pairs, alpha=config.alpha, min_effect=config.min_effect)
    found = with_q(evidence)
    return tuple(
        Contrast(name=name, family=FAMILY, treatment=upper, control=lower, evidence=found[name])
        for name, upper, lower in STEPS
    )


def sentence_of(contrasts: tuple[Contrast, ...], alpha: float, *, same: bool) -> str:
    """What each level adds, in words."""
    said = []
    for one in contrasts:
        n = f"n = {one.evidence.n} {'tasks' if one.control == 'one' else 'problems'}"
        shown = f"{interval_text(one.evidence)} points ({n}, q = {level(one.evidence.q)})"
        if one.evidence.q is not None and one.evidence.q <= alpha:
            said.append(f"{one.name}: adds {shown}")
        elif one.evidence.p_harm <= alpha:
            said.append(f"{one.name}: harms, {shown}")
        else:
            said.append(f"{one.name}: not shown to add anything, {shown}")
    if same:
        said.append("no settings were better than the default, so that both searches are one and their difference is 0")
    return "; ".join(said)


def tried(found: Tuned) -> list[str]:
    """One line for each settings that were looked at on the problems."""
    from optimizers.levels.problems import OBJECTIVES

    lines = []
    for one in found.found:
        text = one.candidate.components["search"]
        scores = one.scores
        values = ", ".join(f"{v:.3f}" for v in mean_vector(scores, OBJECTIVES)) if scores else "-"
        lines.append(f"{one.name} {one.decision} on {len(scores)} problems ({values}): {text}")
    return lines
