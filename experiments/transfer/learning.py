"""What is learned: a controller for each domain on its own trees, and one for each on those of all others together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from controllers.baselines import seed_candidate
from experiments.gate.learned.learning import Learned, Lesson, Trees, learn, recorded, replay_of
from experiments.search.stages import space_from
from experiments.transfer.domains import Domain
from experiments.transfer.pool import POOL, PoolBenchmark
from experiments.wiring import Ready, Splits, Wired, definition_of_done, wired
from judges.probes import run_probes
from optimizers.setup import Grant
from signatures.digest import digest_of
from signatures.records import Candidate

LESSON: Final = "transfer"
"""Of this name are all lessons: their searches share a seed, and differ in what they learn from."""


@dataclass(frozen=True)
class Taught:
    """What learning gave, and took."""

    own: Mapping[str, Learned]
    "by domain that it was learned on"
    pooled: Mapping[str, Learned]
    "by domain that it was *not* learned on: the others together; none with two domains, where that is one domain"
    recorded: Mapping[str, int]
    "attempts of each domain's trees"

    def candidates_for(self, target: str) -> dict[str, Candidate]:
        """Source -> controller to be tried on `target`, the target's own first."""
        first = {target: self.own[target].candidate}
        others = {name: one.candidate for name, one in self.own.items() if name != target}
        both = {POOL: self.pooled[target].candidate} if target in self.pooled else {}
        return {**first, **others, **both}


async def teach(domains: Sequence[Domain], folder: Path, say: Callable[[str], object]) -> Taught:
    """All lessons, from their journals where those hold them. Raises WorkerError where no attempt worked, Outage."""
    own: dict[str, Learned] = {}
    trees: dict[str, Trees] = {}
    for domain in domains:
        with domain.opened(folder) as parts:
            await run_probes(parts.setup.judge, parts.benchmark.probes())
            trees[domain.name] = await recorded(
                domain.ready.config, parts, folder / domain.name / "trees", parts.splits.train
            )
            say(f"{domain.name}: {len(domain.train)} trees recorded, {trees[domain.name].attempts} new attempts")
            own[domain.name] = await _learned(domain, trees[domain.name], parts)
        say(f"{domain.name}: {lesson_said(own[domain.name])}")
    pooled: dict[str, Learned] = {}
    for target in domains if len(domains) > 2 else ():
        others = [domain for domain in domains if domain is not target]
        pooled[target.name] = await _together(others, trees, folder / f"without-{target.name}")
        names = ", ".join(one.name for one in others)
        say(f"{names} together, for {target.name}: {lesson_said(pooled[target.name])}")
    return Taught(own, pooled, {name: one.attempts for name, one in trees.items()})


def lesson_said(one: Learned) -> str:
    """What a lesson took, in words."""
    return f"{one.evaluations} evaluations on {len(one.tasks)} trees, {one.live} live attempts"


async def _learned(domain: Domain, trees: Trees, parts: Wired) -> Learned:
    config = domain.ready.config
    space = space_from(trees.replay, trees.tasks, parts.actions, config.attempts)
    return await learn(Lesson(config, trees, seed_candidate(), space, LESSON), parts)


async def _together(domains: Sequence[Domain], trees: Mapping[str, Trees], folder: Path) -> Learned:
    """One lesson on the trees of several domains, by the actions and features that all of them have."""
    pool = PoolBenchmark(domains)
    given = _ready(pool, folder)
    with wired(given, folder) as opened:
        opened.journal.require_same(digest_of([one.identity for one in domains]))
        config = given.config
        grant = Grant(config.attempts, config.turns, pool.legal)
        parts = replace(opened, setup=replace(opened.setup, steers=pool.steers(), grant=grant))
        merged = {digest: tree for one in domains for digest, tree in trees[one.name].replay.trees.items()}
        tasks = pool.tasks("search")
        both = Trees(tasks, replay_of(merged, parts), 0)
        space = pool.shared(space_from(both.replay, tasks, pool.legal, config.attempts))
        return await learn(Lesson(config, both, seed_candidate(), space, LESSON), parts)


def _ready(pool: PoolBenchmark, folder: Path) -> Ready:
    """The pool with a folder and a corpus of its own."""
    folder.mkdir(exist_ok=True)
    tasks = pool.tasks("search")
    config = pool.domains[0].ready.config.model_copy(
        update={
            "benchmark": POOL,
            "options": {},
            "corpus": str(folder / "pool.db"),
            "minibatch": min(sum(one.ready.config.minibatch for one in pool.domains), len(tasks)),
        }
    )
    splits = Splits(train=tasks, val=(), dev=())
    return Ready(config, pool, pool.worker(None, None), splits, definition_of_done(pool, splits), None)
