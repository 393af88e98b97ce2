"""What a release did in production, counted from the corpus; and how much of that replay can use for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from controllers.corpus import SqliteCorpus
from controllers.history import Seen
from controllers.production import PRODUCTION
from experiments import Benchmark
from signatures.digest import digest_text
from signatures.records import Attempt, Decision, Episode, Objective, Record, Tier
from signatures.release import Level, Release

UNEXPLORED: Final = "some action could not be drawn"
"""Why an episode with every draw on record still teaches nothing of other candidates."""


class Served(Record):
    """The finished production episodes of one release's candidate, in numbers."""

    release: str
    candidate: str
    "digests"
    exploration: float
    "as the release has it now; episodes count as they were drawn"
    episodes: int = Field(ge=0)
    failed: int = Field(ge=0)
    "of the episodes, those that infrastructure ended"
    attempts: int = Field(ge=0)
    decisions: int = Field(ge=0)
    by_tier: Mapping[Tier, int]
    "decisions"
    fallbacks: int = Field(ge=0)
    "decisions that the rule tier took because the policy's model was down"
    success: Mapping[str, Level]
    "objective -> mean over episodes of the checkers' value on [0, 1]; an objective that nothing measured is left out"
    usable: int = Field(ge=0)
    "episodes that replay can use for other candidates: whatever those would draw, it could have been drawn"
    left_out: Mapping[str, int]
    "the other episodes by reason"
    sentence: str
    "the last three in words"


@dataclass
class _Gathered:
    """The records of the episodes."""

    episodes: list[Episode] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


async def served_of(
    corpus: SqliteCorpus, benchmark: Benchmark, release: Release, *, only: Collection[str] | None = None
) -> Served:
    """What production recorded of the release's candidate until now, by checkers alone. Raises StoreError.

    `only`: ids of the episodes to look at; None: all. An episode under way has no record yet and is not counted.
    """
    found = await _gather(corpus, benchmark, release, only)
    by_episode: dict[str, list[Attempt]] = {}
    for attempt in found.attempts:
        by_episode.setdefault(attempt.episode_id, []).append(attempt)
    rewards = [reward_of(one, by_episode.get(one.id, ()), benchmark.objectives) for one in found.episodes]
    usable, left_out = _usable(found, benchmark)
    return Served(
        release=release.digest,
        candidate=release.candidate,
        exploration=release.exploration,
        episodes=len(found.episodes),
        failed=sum(one.failure is not None for one in found.episodes),
        attempts=len(found.attempts),
        decisions=len(found.decisions),
        by_tier=Counter(one.tier for one in found.decisions),
        fallbacks=sum(is_fallback(one, release) for one in found.decisions),
        success=_levels(rewards, benchmark.objectives),
        usable=usable,
        left_out=left_out,
        sentence=sentence_of(release.exploration, len(found.episodes), usable, left_out),
    )


def reward_of(
    episode: Episode, attempts: Sequence[Attempt], objectives: Sequence[Objective]
) -> dict[str, float | None]:
    """The checkers' vector of one production episode on [0, 1]; what was not measured is None.

    Where a benchmark has a judge for an objective, the value of its checker on the selected attempt stands in: there
    is no judge in production. What infrastructure ended is not measured; an episode that attempted nothing earned 0.
    """
    from optimizers.scoring import episode_values, unselected_values

    history = [Seen(one, ()) for one in sorted(attempts, key=lambda one: one.index)]
    selected = next((one for one in attempts if one.id == episode.selected_id), None)
    if selected is None or episode.failure is not None:
        return unselected_values(history, episode.failure, objectives)
    values: dict[str, float | None] = {}
    for objective in objectives:
        values.update(episode_values(history, selected.id, _checked(selected, objective.name), [objective]))
    return values


def is_fallback(decision: Decision, release: Release) -> bool:
    """Whether the registered rule decided where the release has a model or a program: only such a policy has one."""
    behind = release.fallback.get(decision.policy)
    return behind is not None and decision.tier == "rule" and decision.policy_digest == digest_text(behind)


def sentence_of(exploration: float, episodes: int, usable: int, left_out: Mapping[str, int]) -> str:
    """How many of the episodes replay can use for other candidates, and why not the others."""
    if not episodes:
        return "no episode was played in production yet"
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
    if not exploration and not usable:
        return f"exploration is 0: replay can use none of the {episodes:,} episodes for other candidates"
    rate = f"exploration is {exploration:g}: " if exploration else "exploration is 0 now: "
    told = f"{rate}replay can use {usable:,} of the {episodes:,} episodes for other candidates"
    return f"{told} (left out: {reasons})" if reasons else told


async def _gather(
    corpus: SqliteCorpus, benchmark: Benchmark, release: Release, only: Collection[str] | None
) -> _Gathered:
    """Up to one mark, so that every attempt and decision of a finished episode is there."""
    wanted = None if only is None else frozenset(only)
    found, mark = _Gathered(), await corpus.high_water()
    where = {"candidate": release.candidate, "split": PRODUCTION, "benchmark": benchmark.id}
    async for episode in corpus.scan(Episode, where, until=mark):
        if wanted is not None and episode.id not in wanted:
            continue
        found.episodes.append(episode)
        of_it = {"episode_id": episode.id}
        found.attempts += [one async for one in corpus.scan(Attempt, of_it, until=mark)]
        found.decisions += [one async for one in corpus.scan(Decision, of_it, until=mark)]
    return found


def _checked(attempt: Attempt, objective: str) -> float | None:
    check = attempt.check(objective)
    return None if check is None else check.value


def _usable(found: _Gathered, benchmark: Benchmark) -> tuple[int, dict[str, int]]:
    """Episodes that the estimators take and in which every legal action had a chance; the others by reason."""
    from controllers.corpus.columns import table_of
    from optimizers.features import Tables, logged

    if not found.episodes:
        return 0, {}
    tables = Tables(
        table_of("attempts", found.attempts),
        table_of("decisions", found.decisions),
        table_of("episodes", found.episodes),
    )
    correct = {one.id: _checked(one, "correct") for one in found.attempts}
    outcomes = {one.id: correct.get(one.selected_id or "") for one in found.episodes}
    log = logged(tables, outcomes, benchmark.objectives, split=PRODUCTION)
    drawn = {one.episode_id for one in found.decisions}
    fixed = {one.episode_id for one in found.decisions if not all(one.probabilities.get(a) for a in one.legal)}
    usable = sum(id in drawn and id not in fixed for id in log.episode_ids)
    unexplored = len(log.episode_ids) - usable
    return usable, {**log.log.left_out, **({UNEXPLORED: unexplored} if unexplored else {})}


def _levels(rewards: Iterable[Mapping[str, float | None]], objectives: Sequence[Objective]) -> dict[str, Level]:
    known: dict[str, list[float]] = {}
    for reward in rewards:
        for name, value in reward.items():
            if value is not None:
                known.setdefault(name, []).append(value)
    named = [objective.name for objective in objectives if objective.name in known]
    return {name: Level(mean=sum(known[name]) / len(known[name]), n=len(known[name])) for name in named}
