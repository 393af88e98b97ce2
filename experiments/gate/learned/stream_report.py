"""What a stream of runs says: slopes and their verdict, levels at the end and in back-test, and the report of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from controllers.baselines import Arm
from experiments.gate.arms.contrasts import Measured, Terms, Versus, contrasts_of, further_contrasts, pairs_between
from experiments.gate.learned.slope_figure import FIGURE, Point
from experiments.gate.learned.stream import FINAL, FROZEN, LEARNED, NULL, Played, Stream, Streamed, ends_of
from experiments.gate.report import Contrast, GateReport, interval_text, level
from experiments.gate.workers import said_of
from experiments.search.narrator import interval_of
from optimizers.gate.slope import Course, Slope, SlopeVerdict, said, slope_of, verdict_of, with_q
from optimizers.gate.spend import confounded, spend_of
from signatures.digest import seed_of

KIND: Final = "gate-b"
MARGIN: Final = 0.05
"""Loss on a further objective that still counts as not worse."""
WORDS: Final[Mapping[str, str]] = {
    "slope": "learning shows: later runs stand higher than earlier ones, more than their order explains. This is one "
    "learner on one stream, whose lessons persist: repeat it with other seeds",
    "no slope": "the runs could have come in any order: what was learned does not show from run to run",
    "falls": "the learner does worse from run to run",
    "underpowered": "there are too few runs to say anything",
    "confounded": "the learner spent more than its control, so nothing can be said",
    "instrument": "the null learner, which learns nothing, shows a slope as well, so nothing can be said",
}


@dataclass(frozen=True)
class Found:
    """What was computed from a stream."""

    learned: tuple[Slope, ...]
    "by objective, the primary one first"
    null: tuple[Slope, ...]
    verdict: SlopeVerdict
    contrasts: tuple[Contrast, ...]
    arms: Mapping[str, Measured]
    "all runs together"
    points: tuple[Point, ...]


def found_in(stream: Stream, streamed: Streamed) -> Found:
    """The verdict, and all that it rests on. Raises EvidenceError where infrastructure took more from one arm."""
    names = tuple(objective.name for objective in stream.wired.setup.objectives)
    arms = {arm: measured(stream, arm, streamed.runs) for arm in (LEARNED, FROZEN, NULL)}
    contrasts = _levels(stream, streamed, names)
    learned = slopes_of(stream, streamed, LEARNED, names)
    null = slopes_of(stream, streamed, NULL, names)
    reasons = confounded(arms[LEARNED].spend, arms[FROZEN].spend)
    verdict = verdict_of(learned, null, alpha=stream.config.alpha, confounded=reasons)
    return Found(learned, null, verdict, contrasts, arms, points_of(streamed, names))


def measured(stream: Stream, arm: str, runs: Sequence[Played]) -> Measured:
    """One arm over some runs, as if they were one."""
    grant = stream.wired.setup.grant
    body = Arm(
        name=arm,
        candidate=runs[-1].candidates[arm],
        steer_legal=grant.steer_legal,
        attempts=grant.attempts,
        turns_per_attempt=grant.turns_per_attempt,
    )
    seeds = range(stream.config.repeats)
    return Measured(body, tuple(tuple(one for run in runs for one in run.scores[arm][seed]) for seed in seeds))


def slopes_of(stream: Stream, streamed: Streamed, arm: str, objectives: Sequence[str]) -> tuple[Slope, ...]:
    """The slope of (arm - frozen) on each objective, paired by task and seed, with q over the objectives."""
    slopes = []
    for objective in objectives:
        pairs = [
            pairs_between(measured(stream, arm, [run]), measured(stream, FROZEN, [run]), objective, {})
            for run in streamed.runs
        ]
        course = Course(
            arm, FROZEN, objective, tuple(one.difference_T for one in pairs), sum(one.missing for one in pairs)
        )
        slopes.append(slope_of(course, alpha=stream.config.alpha, seed=seed_of("slope", stream.config.seed)))
    return with_q(slopes)


def points_of(streamed: Streamed, objectives: Sequence[str]) -> tuple[Point, ...]:
    """Mean and interval of each arm on each run and objective."""
    points = []
    for objective in objectives:
        for played in (*streamed.runs, *streamed.back):
            for arm, repeats in played.scores.items():
                found = interval_of([one for repeat in repeats for one in repeat], objective)
                points.append(Point(arm, objective, played.run, found.mean, found.lo, found.hi))
    return tuple(points)


def report_of(stream: Stream, streamed: Streamed, found: Found) -> GateReport:
    """The whole result as one report."""
    config, setup = stream.config, stream.wired.setup
    back = measured(stream, FINAL, streamed.back)
    arms = [*found.arms.values(), back]
    slopes: list[JsonValue] = [one.model_dump(mode="json") for one in (*found.learned, *found.null)]
    return GateReport(
        kind=KIND,
        title="Gate B: does learning from run to run show",
        benchmark=stream.wired.benchmark.id,
        worker=setup.worker.fingerprint.name,
        who=said_of(setup.worker.fingerprint, stream.wired.benchmark.id),
        seed=config.seed,
        split="search",
        config=config.model_dump(mode="json"),
        sentence=sentence_of(found),
        contrasts=found.contrasts,
        spend=tuple(one.spend for one in arms),
        excluded=tuple(one.excluded for one in arms),
        numbers=_numbers(streamed, found),
        notes=(*found.verdict.reasons, *_notes(stream, streamed, found)),
        figures=(FIGURE,),
        data={
            "verdict": found.verdict.model_dump(mode="json"),
            "slopes": slopes,
            "points": [list(point) for point in found.points],
            "turns": {arm: _turns(stream, arm, streamed.runs) for arm in (LEARNED, FROZEN, NULL)},
        },
    )


def sentence_of(found: Found) -> str:
    """The verdict in words, and the level at the end where there is no slope to tell."""
    text = f"{found.verdict.verdict}: {WORDS[found.verdict.verdict]}. {found.verdict.reasons[0]}."
    end = found.contrasts[0].evidence
    where = "above" if (end.effect or 0.0) >= 0 else "below"
    return (
        f"{text} In the last {found.learned[0].ends} runs the learned controllers stand {where} the frozen one by"
        f" {interval_text(end)} points on {end.objective} (n = {end.n}, p = {level(end.p)})."
    )


def _levels(stream: Stream, streamed: Streamed, names: tuple[str, ...]) -> tuple[Contrast, ...]:
    """Learned - frozen over the last runs, final - frozen in back-test, null - frozen over all: each a family."""
    ends = ends_of(len(streamed.runs))
    last, first = streamed.runs[-ends:], streamed.runs[:ends]
    planned = (
        (Versus(LEARNED, FROZEN, "level over the last runs"), last, last),
        (Versus(FINAL, FROZEN, "back-test on the first runs"), streamed.back, first),
        (Versus(NULL, FROZEN, "null learner, all runs"), streamed.runs, streamed.runs),
    )
    terms = Terms(names, alpha=stream.config.alpha, margins=dict.fromkeys(names[1:], MARGIN))
    found: list[Contrast] = []
    for versus, theirs, ours in planned:
        arms = {
            versus.treatment: measured(stream, versus.treatment, theirs),
            FROZEN: measured(stream, FROZEN, ours),
        }
        one = contrasts_of(arms, [versus], terms)[0]
        family = versus.family
        found += [one, *(more.model_copy(update={"family": f"{family}, further"}) for more in further_contrasts(one))]
    return tuple(found)


def _turns(stream: Stream, arm: str, runs: Sequence[Played]) -> list[JsonValue]:
    """Turns per episode of an arm, run by run; None: not measured."""
    found: list[JsonValue] = []
    for run in runs:
        spent = measured(stream, arm, [run]).spent
        spend = spend_of(arm, spent) if spent else None
        found.append(None if spend is None or spend.turns is None else spend.turns / spend.episodes)
    return found


def _numbers(streamed: Streamed, found: Found) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for one in (*found.learned, *found.null):
        shown = {
            "slope": one.slope,
            "lo": one.lo,
            "hi": one.hi,
            "shown_lo": one.shown_lo,
            "shown_hi": one.shown_hi,
            "p": one.p,
            "p_fall": one.p_fall,
            "q": one.q,
            "min_p": one.min_p,
            "mde": one.mde,
            "lift": one.lift,
            "lift_lo": one.lift_lo,
            "lift_hi": one.lift_hi,
        }
        for name, value in shown.items():
            if value is not None:
                numbers[f"slope/{one.arm}/{one.objective}/{name}"] = value
    numbers["learning/recorded_attempts"] = float(streamed.recorded)
    numbers["learning/live_attempts"] = float(sum(lesson.live for lesson in streamed.lessons))
    return numbers


def _notes(stream: Stream, streamed: Streamed, found: Found) -> list[str]:
    live = sum(lesson.live for lesson in streamed.lessons)
    changed = len({lesson.candidate.digest for lesson in streamed.lessons})
    return [
        *(said(one) for one in found.learned[1:]),
        f"learning took {streamed.recorded} attempts of recorded trees and {live} live ones, all on earlier slices; it"
        f" is not part of what the arms spent. {len(streamed.lessons)} lessons gave {changed} different controllers",
        "values are the checkers' alone; searches between runs may use the judge's number on earlier slices",
        "the final controller was learned on the very slices of its back-test: it is shown, and proves nothing",
        f"one run is one point of the slope; where the gain comes at once, R runs give no p below 1/R"
        f" (R = {len(streamed.runs)})",
    ]
