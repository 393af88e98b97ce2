"""What Gate A asks and how it answers: its arms, its planned contrasts, its verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

from controllers.baselines import Arm, control_arms
from experiments.gate.arms.contrasts import MORE_COMPUTE, STEERING, Measured, Versus, further_contrasts
from experiments.gate.arms.surface import FIGURE, Cell, leave_one_out
from experiments.gate.arms.within import Within
from experiments.gate.report import Contrast, GateReport, interval_text, level, points
from optimizers.setup import Grant

if TYPE_CHECKING:
    from experiments.gate.arms.gate_a import Prepared


@dataclass(frozen=True)
class Arms:
    """The arms at one budget."""

    random: Arm
    go_on: Arm
    "continue@k"
    placebo: Arm
    refine: Arm
    long: Arm
    blind: Arm

    @property
    def matched(self) -> tuple[Arm, ...]:
        """Those that are granted the same compute."""
        return (self.random, self.go_on, self.placebo, self.refine, self.long)

    @property
    def all(self) -> tuple[Arm, ...]:
        """Every arm, blind first: it is the cheapest."""
        return (self.blind, *self.matched)

    @property
    def inside(self) -> tuple[Arm, ...]:
        """Those whose episodes are looked into."""
        return (self.random, self.placebo, self.refine)


@dataclass(frozen=True)
class Found:
    """All that was measured."""

    measured: Mapping[str, Measured]
    contrasts: tuple[Contrast, ...]
    "the primary one first"
    within: tuple[Within, ...]
    cells: tuple[Cell, ...]


def arms_at(attempts: int, turns: int, refine: str) -> Arms:
    """The five arms of `attempts` attempts of `turns` turns, and blind: one attempt of as many turns, then done."""
    random, go_on, placebo, refined, long = control_arms(attempts, turns, [refine], placebo=True)
    blind = random.model_copy(update={"name": "blind", "attempts": 1})
    return Arms(random=random, go_on=go_on, placebo=placebo, refine=refined, long=long, blind=blind)


def grant_of(arm: Arm) -> Grant:
    """What one episode of an arm may spend."""
    return Grant(arm.attempts, arm.turns_per_attempt, arm.steer_legal)


def planned(arms: Arms) -> tuple[Versus, ...]:
    """The contrasts of both families, the primary one first."""
    steering = [Versus(arms.refine.name, control.name, STEERING) for control in (arms.placebo, arms.random, arms.go_on)]
    more = [
        Versus(arms.refine.name, arms.long.name, MORE_COMPUTE),
        Versus(arms.random.name, arms.blind.name, MORE_COMPUTE, matched=False),
        Versus(arms.long.name, arms.blind.name, MORE_COMPUTE, matched=False),
    ]
    return (*steering, *more)


def passes(contrasts: Sequence[Contrast], alpha: float) -> bool:
    """Whether refine beats placebo, and no other control at equal compute is credibly better than refine."""
    primary = contrasts[0]
    better = primary.decided is not None and primary.decided.decision == "promote"
    return better and all(one.evidence.p_harm > alpha for one in _others(contrasts))


def _others(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The contrasts of refine with the controls other than placebo."""
    return [one for one in contrasts[1:] if one.treatment == contrasts[0].treatment]


def sentence(plan: Prepared, contrasts: Sequence[Contrast]) -> str:
    """The verdict, and what follows from it."""
    where = f"{plan.base.benchmark.id} with {plan.who}"
    primary = contrasts[0]
    assert primary.decided is not None
    found = primary.evidence
    told = (
        f"{primary.name} = {interval_text(found)} points on {found.objective}, n = {found.n}, p = {level(found.p)}, "
        f"q = {level(found.q)}: {primary.decided.decision} ({primary.decided.reasons[0]})"
    )
    if passes(contrasts, plan.config.alpha):
        return f"Gate A passes on {where}: {told}. Within-run steering by {plan.refine} may be on here."
    worse = [one.control for one in _others(contrasts) if one.evidence.p_harm <= plan.config.alpha]
    if primary.decided.decision == "promote":
        told += f"; but {' and '.join(worse)} is credibly better at the same compute"
    return (
        f"Gate A does not pass on {where}: {told}. Within-run steering is off by default for this benchmark and "
        "worker; learning across runs stays on."
    )


def report_of(plan: Prepared, found: Found) -> GateReport:
    """The report of a finished gate. Raises EvidenceError where an arm has no episode left."""
    further = further_contrasts(found.contrasts[0])
    families = plan.base.benchmark.families("dev")
    primary = plan.terms.primary
    refine, placebo = (found.measured[arm.name].values(primary) for arm in (plan.arms.refine, plan.arms.placebo))
    left_out = leave_one_out(refine, placebo, families, primary)
    numbers = {**_arm_numbers(found, primary), **_within_numbers(found.within)}
    if left_out is not None:
        numbers |= {"effect, one family left out: least": left_out[0], "effect, one family left out: most": left_out[1]}
    told = sentence(plan, found.contrasts)
    return GateReport(
        kind="gate-a",
        title=f"Gate A on {plan.base.benchmark.id}, {plan.who}: {plan.arms.refine.name} less {plan.arms.placebo.name}",
        benchmark=plan.base.benchmark.id,
        worker=plan.base.worker.fingerprint.name,
        who=plan.who,
        seed=plan.config.seed,
        split="dev",
        config=plan.config.model_dump(mode="json"),
        sentence=told,
        contrasts=(*found.contrasts, *further),
        spend=tuple(one.spend for one in found.measured.values()),
        excluded=tuple(one.excluded for one in found.measured.values()),
        numbers=numbers,
        notes=(*precondition(found, plan.config.alpha), *_notes(plan, found)),
        figures=(FIGURE,) if found.cells else (),
        data=_data(found),
    )


def precondition(found: Found, alpha: float) -> tuple[str, ...]:
    """Whether steering could have shown at all: pairs that differ, and attempts at one task that differ."""
    primary = found.contrasts[0].evidence
    spread = disagreement(found.measured[found.contrasts[0].control], primary.objective)
    few = primary.discordant == 0 or primary.min_p > alpha
    told = [
        f"precondition, discordant pairs: {'not ' if few else ''}met: {primary.discordant} of {primary.n} units "
        f"differ, so that p can be as small as {level(primary.min_p)}"
    ]
    seen = "not even the whole range" if primary.mde is None else f"{points(primary.mde, signed=False)} points"
    told.append(f"power: with 80 % the {primary.n} units of this spread show {seen}; smaller effects may be missed")
    if spread is None:
        told.append("precondition, spread within a task: not looked at: one seed per task")
    else:
        met = "met" if spread > 0 else "not met: attempts at one task end alike, so there is nothing to steer"
        told.append(f"precondition, spread within a task: {met}: two seeds disagree by {points(spread, signed=False)}")
    return tuple(told)


def disagreement(measured: Measured, objective: str) -> float | None:
    """Mean absolute difference between two seeds of one task under one arm; None without a task of two values."""
    gaps = []
    for repeats in measured.values(objective).values():
        known = [value for value in repeats if value is not None]
        pairs = [abs(a - b) for i, a in enumerate(known) for b in known[i + 1 :]]
        if pairs:
            gaps.append(sum(pairs) / len(pairs))
    return sum(gaps) / len(gaps) if gaps else None


def table_lines(report: GateReport) -> list[str]:
    """The contrasts on the primary objective, a line each, for whoever watches."""
    return [
        f"{one.family}: {one.name} = {interval_text(one.evidence)} points, n = {one.evidence.n}, "
        f"discordant {one.evidence.discordant}, p = {level(one.evidence.p)}, q = {level(one.evidence.q)}"
        + ("" if one.decided is None else f": {one.decided.decision}")
        for one in report.contrasts
        if one.decided is not None
    ]


def _arm_numbers(found: Found, objective: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, measured in found.measured.items():
        known = [
            sum(values) / len(values)
            for repeats in measured.values(objective).values()
            if (values := [value for value in repeats if value is not None])
        ]
        if known:
            numbers[f"{name}: mean {objective}"] = sum(known) / len(known)
        if (gap := disagreement(measured, objective)) is not None:
            numbers[f"{name}: disagreement of two seeds on a task"] = gap
    return numbers


def _within_numbers(within: Sequence[Within]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for one in within:
        shown = {
            "oracle (ceiling, selects nothing)": one.oracle,
            "rescue rate (wrong -> correct)": one.rescue_rate,
            "break rate (correct -> wrong)": one.break_rate,
            "selector flip rate on a second test": one.flip_rate,
        }
        numbers |= {f"{one.arm}: {name}": value for name, value in shown.items() if value is not None}
    return numbers


def _notes(plan: Prepared, found: Found) -> list[str]:
    unit = f"the family is the unit, {len(set(plan.terms.clusters.values()))} of them" if plan.terms.clusters else ""
    notes = [
        f"unit: {unit or 'the task, its seeds nested in it'}",
        "oracle@k is the best attempt by the judge, a ceiling line: it selects nothing and is no control",
        "cells of the surface have intervals of their own, not corrected for how many there are",
    ]
    notes += [
        f"inside {one.arm}: {one.episodes} episodes, first attempt right in {one.first_right}, selected in "
        f"{one.selected_right}; {one.rescued} rescued, {one.broken} broken; {one.flipped} of {one.retested} selections "
        f"flipped on a second test, {one.flipped_outcome} of them to another outcome"
        for one in found.within
    ]
    level_q = {one.control: one.evidence.q for one in _others(found.contrasts)}
    if beaten := [name for name, q in level_q.items() if q is None or q > plan.config.alpha]:
        notes.append(f"{plan.arms.refine.name} is not shown to beat {', '.join(beaten)} on {plan.terms.primary}")
    return notes


def _data(found: Found) -> dict[str, JsonValue]:
    return {
        "cells": [cell.model_dump(mode="json") for cell in found.cells],
        "within": [one.model_dump(mode="json") for one in found.within],
    }
