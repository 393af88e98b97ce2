"""The searches of a run: its engine's, and random search with the compute that the engine's evaluations stood for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controllers.baselines import seed_candidate
from experiments.search.engines import OWN_FLOOR, RIVAL, kit_of, limits_of, start_of
from experiments.search.job import Job
from experiments.search.narrator import Narrator
from experiments.search.spending import kept_spend
from experiments.search.stages import evaluator_of, proposer_of
from optimizers.archive import Archive
from optimizers.engines import engine_of
from optimizers.evaluator import Evaluator
from optimizers.evidence.contrast import tree_pairs
from optimizers.meter import Limits, Spend
from optimizers.proposers.lm import Material
from optimizers.records import Tally
from optimizers.search import Found, Kit, SearchPlan
from signatures.records import Amounts, Candidate

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
    spend: Spend
    "of everything: compute, live attempts, tokens, usd and wall time"

    @classmethod
    def of(cls, title: str, archive: Archive, narrator: Narrator, spend: Spend) -> Searched:
        """What is left of a search."""
        found = narrator.found_by_digest
        return cls(
            title=title,
            front=tuple(found[entry.candidate] for entry in archive.front()),
            start=next(one for one in found.values() if one.decision == "seed"),
            aside=tuple(narrator.aside_by_digest.values()),
            volumes=tuple(narrator.volumes),
            tally=narrator.evaluator.tally,
            spend=spend,
        )


async def search_main(job: Job) -> Searched:
    """The run's engine, on its limits and its budget of live attempts.

    Raises UsageError, Outage and what else its evaluations raise.
    """
    config, title = job.config, job.config.engine_name
    evaluator = evaluator_of(
        job.wired,
        split="search",
        namespace=title,
        replay=job.replay,
        budget=Amounts(attempts=0 if job.wired.recorded else config.max_attempts),
        limits=limits_of(config),
    )
    proposer = proposer_of(job.wired, job.space, _material(job), job.recurrent)
    engine = engine_of(config.engine, kit_of(job))
    narrator = Narrator(job.log.emit, job.console, evaluator, title=title)
    archive = await engine.search(_plan(job, start_of(config, job.wired.lm)), evaluator, proposer, narrator)
    return _ended(job, title, archive, narrator)


async def search_rival(job: Job, main: Searched) -> Searched | None:
    """Random search until its evaluations stand for as many attempts as the engine's; live, on as many as it spent.

    None beside an engine that needs no floor.
    """
    if job.config.engine in OWN_FLOOR:
        return None
    limits = Limits() if job.config.live else Limits(compute=max(1, main.tally.attempts))
    least = 0 if job.wired.recorded else job.config.least_attempts
    budget = Amounts(attempts=max(main.spend.attempts, least))
    evaluator = evaluator_of(
        job.wired, split="search", namespace="random", replay=job.replay, budget=budget, limits=limits
    )
    proposer = proposer_of(job.wired, job.space)
    engine = engine_of(RIVAL, Kit(space=job.space, steer_legal=tuple(job.wired.actions)))
    narrator = Narrator(job.log.emit, job.console, evaluator, title=RANDOM, children=False)
    archive = await engine.search(_plan(job, seed_candidate()), evaluator, proposer, narrator)
    return _ended(job, RANDOM, archive, narrator)


def _ended(job: Job, title: str, archive: Archive, narrator: Narrator) -> Searched:
    """What is left of a search, its spend kept in the run folder, and one line on what it took."""
    searched = Searched.of(title, archive, narrator, kept_spend(job.folder, title, narrator.evaluator.meter.spent()))
    job.say(_told(searched, narrator.evaluator))
    return searched


def _material(job: Job) -> Material:
    """What a proposer is told beside its minibatch: of all train tasks, and of other runs where the run learns."""
    train = [task.digest for task in job.wired.splits.train]
    return Material(
        learned=job.learned,
        pairs=[] if job.wired.lm is None else tree_pairs(job.replay.trees, train),
        findings=job.findings,
        most_chars=job.config.most_chars,
    )


def _plan(job: Job, start: Candidate) -> SearchPlan:
    config, splits = job.config, job.wired.splits
    return SearchPlan(
        start=start,
        train=splits.train,
        val=splits.val,
        seed=config.seed,
        generations=config.generations,
        iterations=config.iterations,
        minibatch=config.minibatch,
    )


def _told(searched: Searched, evaluator: Evaluator) -> str:
    """What the evaluations of a search were and took, in one line."""
    tally, spend = searched.tally, searched.spend
    said = f"{searched.title}: {tally.scores} evaluations, {tally.replayed} of them replayed from the corpus"
    if tally.aside:
        said += f", {tally.aside} without support set aside"
    said += f"; {spend.attempts} live attempts"
    if tally.replayed:
        said += f", where live evaluations would have taken {tally.attempts}"
    if spend.tokens or spend.usd:
        said += f"; {spend.tokens} tokens, {spend.usd:.4f} usd"
    if tally.asked or tally.saved:
        said += f"; replay asked models {tally.asked} times and saved {tally.saved} calls"
    reached = evaluator.meter.over()
    return f"{said}; ended by its limit of {reached}" if reached else said
