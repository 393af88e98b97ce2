"""What an ablation says: the mean of each combination, what each factor adds, and what making them took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from experiments.gate.arms.contrasts import Measured
from experiments.gate.learned.ablation import INTERACTION, MARGINAL, Bench
from experiments.gate.learned.learning import Learned
from experiments.gate.report import Contrast, GateReport, interval_text, level
from experiments.gate.workers import said_of
from optimizers.intervals import mean_interval

KIND: Final = "ablation"


def report_of(
    bench: Bench, measured: Mapping[str, Measured], effects: Sequence[Contrast], lessons: Sequence[Learned]
) -> GateReport:
    """The whole result as one report."""
    config, setup = bench.config, bench.wired.setup
    primary = setup.objectives[0].name
    numbers: dict[str, float] = {"learning/recorded_attempts": float(bench.trees.attempts)}
    notes = []
    for name, one in measured.items():
        for objective in (objective.name for objective in setup.objectives):
            found = mean_interval(one.values(objective))
            if found.mean is not None:
                numbers[f"mean/{name}/{objective}"] = found.mean
            if objective == primary and found.mean is not None and found.lo is not None and found.hi is not None:
                shown = f"{100 * found.mean:.1f} [{100 * found.lo:.1f}, {100 * found.hi:.1f}]"
                notes.append(f"{name}: {primary} {shown} over {found.n} tasks")
    for lesson in lessons:
        notes.append(
            f"{lesson.name}: {lesson.evaluations} evaluations on {len(lesson.tasks)} trees, {lesson.live} live attempts"
            "; it is not part of what the combinations spent"
        )
    return GateReport(
        kind=KIND,
        title="Ablation: what each factor adds",
        benchmark=bench.wired.benchmark.id,
        worker=setup.worker.fingerprint.name,
        who=said_of(setup.worker.fingerprint, bench.wired.benchmark.id),
        seed=config.seed,
        split="dev",
        config=config.model_dump(mode="json"),
        sentence=sentence_of(effects, config.alpha),
        contrasts=tuple(effects),
        spend=tuple(one.spend for one in measured.values()),
        excluded=tuple(one.excluded for one in measured.values()),
        numbers=numbers,
        notes=(*notes, *(f"{one.name}: {reason}" for one in effects for reason in one.confounded)),
    )


def sentence_of(effects: Sequence[Contrast], alpha: float) -> str:
    """Each marginal effect in words, then the interactions."""
    said = []
    for one in effects:
        found = one.evidence
        if one.family not in (MARGINAL, INTERACTION):
            continue
        shown = f"{interval_text(found)} points of {found.objective} (n = {found.n}, q = {level(found.q)})"
        if one.family == INTERACTION:
            said.append(f"half of the interaction {one.name} is {shown}")
        elif one.confounded:
            said.append(f"{one.name} cannot be told from what it spent more: {shown}")
        elif (found.q if found.q is not None else found.p) <= alpha:
            said.append(f"{one.name} adds {shown}")
        elif found.p_harm <= alpha:
            said.append(f"{one.name} harms: {shown}")
        else:
            said.append(f"{one.name} is not shown to add anything: {shown}")
    return "; ".join(said)
