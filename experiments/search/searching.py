"""The two searches of a run: GEPA, and random search with the compute that GEPA's evaluations stood for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controllers.baselines import seed_candidate
from experiments.search.job import Job
from experiments.search.narrator import Narrator
from experiments.search.stages import evaluator_of, proposer_of, start_of
from optimizers.archive import Archive
from optimizers.evaluator import Evaluator
from optimizers.records import Tally
from optimizers.search import Found, SearchPlan
from optimizers.search.gepa_search import GepaSearch
from optimizers.search.random_search import RandomSearch
from signatures.records import Amounts, Candidate

GEPA: Final = "gepa"
RANDOM: Final = "random search"


@dataclass(frozen=True)
class Searched:
    """A search that ended, as it saw things itself: by replay, where the run is not live."""

    title: str
    front: tuple[Found, ...]
    "the best on the primary objective first"
    start: Found
    aside: tuple[Found, ...]
    "what the record did not support and no attempt was left for"
    volumes: tuple[float, ...]
    tally: Tally
    spent: Amounts
    "live attempts, and what models cost"

    @classmethod
    def of(cls, title: str, archive: Archive, narrator: Narrator, evaluator: Evaluator) -> Searched:
        """What is left of a search."""
        found = narrator.found_by_digest
        return cls(
            title=title,
            front=tuple(found[entry.candidate] for entry in archive.front()),
            start=next(one for one in found.values() if one.decision == "seed"),
            aside=tuple(narrator.aside_by_digest.values()),
            volumes=tuple(narrator.volumes),
            tally=evaluator.tally,
            spent=evaluator.budget.spent,
        )


async def search_gepa(job: Job) -> Searched:
    """GEPA on the run's budget of live attempts. Raises UsageError, Outage and what else its evaluations raise."""
    budget = Amounts(attempts=job.config.max_attempts, usd=job.config.max_usd)
    evaluator = evaluator_of(job.wired, split="search", namespace=GEPA, replay=job.replay, budget=budget)
    narrator = Narrator(job.log.emit, job.console, evaluator, title=GEPA)
    proposer = proposer_of(job.wired, job.space, job.learned)
    plan = _plan(job, start_of(job.config, job.wired))
    archive = await GepaSearch().search(plan, evaluator, proposer, narrator)
    searched = Searched.of(GEPA, archive, narrator, evaluator)
    job.say(_told(searched))
    return searched


async def search_random(job: Job, rival: Searched) -> Searched:
    """Random search until its evaluations stand for as many attempts as the rival's; live, on as many as it spent."""
    budget = Amounts(attempts=max(rival.spent.attempts or 0, job.config.least_attempts))
    evaluator = evaluator_of(job.wired, split="search", namespace="random", replay=job.replay, budget=budget)
    narrator = Narrator(job.log.emit, job.console, evaluator, title=RANDOM, children=False)
    plan = _plan(job, seed_candidate(), compute=None if job.config.live else rival.tally.attempts)
    archive = await RandomSearch(job.space).search(plan, evaluator, proposer_of(job.wired, job.space), narrator)
    searched = Searched.of(RANDOM, archive, narrator, evaluator)
    job.say(_told(searched))
    return searched


def _plan(job: Job, start: Candidate, *, compute: int | None = None) -> SearchPlan:
    config, splits = job.config, job.wired.splits
    return SearchPlan(
        start=start,
        train=splits.train,
        val=splits.val,
        seed=config.seed,
        generations=config.generations,
        iterations=config.iterations,
        minibatch=config.minibatch,
        compute=compute,
    )


def _told(searched: Searched) -> str:
    """What the evaluations of a search were and took, in one line."""
    tally, spent = searched.tally, searched.spent
    said = f"{searched.title}: {tally.scores} evaluations, {tally.replayed} of them replayed from the corpus"
    if tally.aside:
        said += f", {tally.aside} without support set aside"
    said += f"; {spent.attempts or 0} live attempts"
    if tally.replayed:
        said += f", where live evaluations would have taken {tally.attempts}"
    if spent.tokens is not None:
        said += f"; {spent.tokens} tokens, {spent.usd} usd"
    if tally.asked or tally.saved:
        said += f"; replay asked models {tally.asked} times and saved {tally.saved} calls"
    return said
