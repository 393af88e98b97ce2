"""Drift of a release, measured on the production episodes of a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from controllers import Corpus
from experiments import Benchmark
from experiments.drift.states import episodes_of, fresh_of, state_of, success_of
from optimizers.drift.explored import most_weight, weight_of
from optimizers.drift.fallen import Success, success_drift
from optimizers.drift.records import FeatureDrift, Limits, ObjectiveDrift, SuccessDrift
from optimizers.drift.shifted import State, feature_drifts
from signatures.records import Decision, Episode, Record
from signatures.release import Reference, Release

PRODUCTION: Final = "production"
LIMITS: Final = Limits()
_NAMED: Final = 3


class DriftReport(Record):
    """What is known of one release's drift now."""

    name: str
    "of the registered model"
    release: str
    candidate: str
    "digests"
    limits: Limits
    episodes: int = Field(ge=0)
    "production episodes of this candidate that ended"
    failed: int = Field(ge=0)
    "of these, ended by infrastructure: their success is not counted"
    unreadable: int = Field(ge=0)
    "first attempts without a state: infrastructure ended them, or their trace is damaged"
    features: tuple[FeatureDrift, ...]
    unknown: tuple[str, ...] = ()
    "features of production that the reference does not have, so that nothing can be said of them"
    success: SuccessDrift | None
    alarm: bool
    sentence: str


@dataclass
class Production:
    """What the production episodes of one candidate were, in order of arrival."""

    states: list[State] = field(default_factory=list)
    successes: list[Success] = field(default_factory=list)
    episodes: int = 0
    failed: int = 0
    unreadable: int = 0


async def drift_of(
    corpus: Corpus, benchmark: Benchmark, release: Release, *, limits: Limits = LIMITS, until: int | None = None
) -> DriftReport:
    """Compare the production episodes of a release's candidate with its reference; asking again costs nothing.

    Episodes count in order of arrival, up to the mark `until` of the corpus. An alarm stays: it says that something
    was found, not that it is still so. Raises StoreError.
    """
    return report_of(await production_of(corpus, benchmark, release, until=until), release, limits)


async def production_of(
    corpus: Corpus, benchmark: Benchmark, release: Release, *, until: int | None = None
) -> Production:
    """Read the production episodes of a release's candidate. Raises StoreError."""
    found = Production()
    until = await corpus.high_water() if until is None else until  # one for all that is read, and asked for once
    where = {"candidate": release.candidate, "split": PRODUCTION, "benchmark": benchmark.id}
    async for episode, attempts in episodes_of(corpus, where, until=until):
        found.episodes += 1
        first = fresh_of(attempts)
        state = None if first is None else await state_of(corpus, benchmark, first)
        if state is None:
            found.unreadable += 1
        else:
            found.states.append(state)
        if episode.failure is not None:
            found.failed += 1
        else:
            success = success_of(episode, attempts, benchmark.objectives)
            weight = await _weight(corpus, episode, release, until=until)
            found.successes.append(_kept(success, weight))
    return found


def _kept(success: Success, weight: float | None) -> Success:
    """With its weight; without one nothing of it can be compared."""
    return success._replace(values={}) if weight is None else success._replace(weight=weight)


async def _weight(corpus: Corpus, episode: Episode, release: Release, *, until: int) -> float | None:
    """What the episode says of the controller without exploration; None where that cannot be told from its draws."""
    if not release.exploration:
        return 1.0
    made = [one async for one in corpus.scan(Decision, {"episode_id": episode.id}, until=until)]
    if not {one.id for one in made} >= set(episode.decision_ids):
        return None
    return weight_of([one for one in made if one.id in episode.decision_ids], release.exploration)


def report_of(production: Production, release: Release, limits: Limits = LIMITS) -> DriftReport:
    """The report on what was read."""
    reference = release.reference or Reference(features={}, success={})
    features = feature_drifts(reference.features, production.states, limits)
    success = success_drift(reference.success, production.successes, limits, most=most_weight(release))
    names = {name for state in production.states for name in state.features}
    report = DriftReport(
        name=release.name,
        release=release.digest,
        candidate=release.candidate,
        limits=limits,
        episodes=production.episodes,
        failed=production.failed,
        unreadable=production.unreadable,
        features=features,
        unknown=tuple(sorted(names - set(reference.features))) if reference.features else (),
        success=success,
        alarm=any(one.alarm for one in features) or (success is not None and success.alarm),
        sentence="",
    )
    return report.model_copy(update={"sentence": sentence_of(report, has_reference=release.reference is not None)})


def sentence_of(report: DriftReport, *, has_reference: bool) -> str:
    """The report in one sentence."""
    seen = f"{report.episodes:,} production episode{'' if report.episodes == 1 else 's'}"
    if not has_reference:
        return f"drift is not measured: the release holds no reference ({seen})"
    if not report.episodes:
        return f"nothing to compare yet: {'; '.join(_compared(report))}"
    if not report.alarm:
        return f"no drift shown in {seen}: {'; '.join(_compared(report))}"
    shifted = sorted((one for one in report.features if one.alarm), key=lambda one: one.p)
    alarms = [*(_fallen(one) for one in _objectives(report)), *(_shifted(one) for one in shifted)]
    more = f", and {len(alarms) - _NAMED} more" if len(alarms) > _NAMED else ""
    return f"drift in {seen}: {', '.join(alarms[:_NAMED])}{more}"


def _objectives(report: DriftReport) -> list[ObjectiveDrift]:
    return [] if report.success is None else [one for one in report.success.objectives if one.alarm]


def _compared(report: DriftReport) -> Iterator[str]:
    tasks = max((one.reference_n for one in report.features), default=0)
    yield f"{len(report.features)} features against {tasks} tasks" if tasks else "no feature has a reference"
    if report.success is None:
        yield "no success at a gate to compare with"
        return
    first = report.success.objectives[0]
    mean = "not measured yet" if first.mean is None else f"{first.mean:.3f} of {first.n} tasks{_alone(first)}"
    yield f"{first.objective} {mean}, at the gate {first.reference.mean:.3f} of {first.reference.n}"
    if first.unmeasured:
        yield f"{first.unmeasured:,} episodes without a value of {first.objective}"


def _alone(one: ObjectiveDrift) -> str:
    return "" if one.unexplored is None else f" ({one.unexplored:.3f} without exploration)"


def _shifted(one: FeatureDrift) -> str:
    where = "" if one.window is None else f" in episodes {one.window[0]:,} to {one.window[1]:,}"
    return f"{one.feature} shifted (PSI {one.window_psi or 0.0:.2f}{where})"


def _fallen(one: ObjectiveDrift) -> str:
    since = "" if one.since is None else f", bets from episode {one.since:,} on"
    fell = f"{one.objective} fell to {one.mean or 0.0:.3f}{_alone(one)} from {one.reference.mean:.3f} at the gate"
    return f"{fell} (e-value {one.e_value:.3g}{since})"
