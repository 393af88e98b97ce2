"""One cell of the contest: one engine with one seed in one world, and what it was worth on dev at each spend."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.contest.stock import STOCK
from bench.contest.worlds import Arena
from experiments.whole_file import write_whole
from signatures.digest import digest_of
from signatures.errors import TillerError

if TYPE_CHECKING:
    from optimizers.archive import Archive
    from optimizers.evaluator import Evaluator
    from optimizers.search import Engine, Found, Kit
    from signatures.records import Candidate

MARKS: Final = (0.125, 0.25, 0.5, 1.0)
"""Shares of the compute at which a search is looked at."""
Cell = dict[str, object]


@dataclass
class Watch:
    """The listener of a cell: what was accepted, and what the search had spent by then."""

    evaluator: Evaluator
    met: list[tuple[int, Found]] = field(default_factory=list)
    decided: dict[str, int] = field(default_factory=dict)

    def found(self, found: Found) -> None:
        """One candidate was decided on."""
        self.decided[found.decision] = self.decided.get(found.decision, 0) + 1
        if found.decision in ("seed", "accepted"):
            self.met.append((self.evaluator.meter.spent().compute, found))

    def generation(self, number: int, archive: Archive) -> None:
        """Nothing."""


def file_of(arena: Arena, work: Path, engine: str, seed: int) -> Path:
    """Where the cell is kept."""
    world = arena.world
    return work / "cells" / f"{world.name}-{digest_of([*world])[:8]}-{engine.replace(':', '.')}-s{seed}.json"


async def play(arena: Arena, work: Path, engine: str, seed: int) -> Cell:
    """The cell, played now unless it is kept. An engine that cannot play here is a cell with a `refused` line."""
    kept = file_of(arena, work, engine, seed)
    if kept.exists():
        found: Cell = json.loads(kept.read_text(encoding="utf-8"))
        return found
    kept.parent.mkdir(parents=True, exist_ok=True)
    journal = kept.with_suffix(".journal.jsonl")
    journal.unlink(missing_ok=True)
    try:
        cell = await _played(arena, journal, engine, seed)
    except TillerError as error:
        cell = {"refused": str(error)}
    journal.unlink(missing_ok=True)
    shutil.rmtree(journal.with_suffix(""), ignore_errors=True)
    cell |= {"world": arena.world.name, "engine": engine, "seed": seed}
    write_whole(kept, json.dumps(cell) + "\n")
    return cell


async def _played(arena: Arena, journal: Path, engine: str, seed: int) -> Cell:
    from controllers.baselines import seed_candidate
    from controllers.budget import Budget
    from optimizers.evaluator import Evaluator
    from optimizers.journal import Journal
    from optimizers.meter import Limits
    from optimizers.proposers.mined import MinedProposer
    from optimizers.search import Kit, SearchPlan
    from signatures.records import Amounts

    world, config, parts = arena.world, arena.config, arena.wired
    # Live, the limit of compute is the one that ends a search: the pool would refuse the evaluation that reaches it.
    pool = 2 * world.compute if world.live else config.least_attempts
    with closing(Journal(journal)) as opened:
        evaluator = Evaluator(
            parts.setup,
            parts.ledger,
            opened.part(engine),
            split="search",
            budget=Budget(Amounts(attempts=pool)),
            replay=arena.replay,
            limits=Limits(compute=world.compute),
        )
        proposer = MinedProposer(arena.space)
        kit = Kit(
            space=arena.space,
            folder=journal.with_suffix(""),
            states=arena.states,
            replay=arena.replay,
            steer_legal=tuple(parts.actions),
        )
        plan = SearchPlan(
            start=seed_candidate(),
            train=parts.splits.train,
            val=parts.splits.val,
            seed=seed,
            generations=config.generations,
            iterations=config.iterations,
            minibatch=config.minibatch,
        )
        watch, began = Watch(evaluator), time.process_time()
        await built(engine, kit).search(plan, evaluator, proposer, watch)
        cpu_s, spent = time.process_time() - began, evaluator.meter.spent()
    marks = [await _mark(arena, watch, plan.start, round(share * world.compute)) for share in MARKS]
    counts = {"evaluations": evaluator.tally.scores, "replayed": evaluator.tally.replayed}
    return {
        "marks": marks,
        "spent": {**spent._asdict(), "cpu_s": cpu_s},
        "decided": watch.decided,
        **counts,
    }


def built(engine: str, kit: Kit) -> Engine:
    """The engine of that name. Raises UsageError."""
    from optimizers.engines import engine_of

    return STOCK[engine]() if engine in STOCK else engine_of(engine, kit)


async def _mark(arena: Arena, watch: Watch, start: Candidate, spend: int) -> dict[str, object]:
    """What the search would have returned at that spend, on dev: its choice's value, its front's hypervolume.

    Chosen on search, as ever: the best of the front there. Before anything was found the start stands.
    """
    import numpy as np

    from optimizers.archive import Archive, hypervolume
    from optimizers.vectors import entry_of

    objectives = arena.wired.setup.objectives
    archive, known = Archive(objectives), {start.digest: start}
    for at, found in watch.met:
        if at <= spend:
            archive.add(entry_of(found.scores, objectives, generation=found.generation))
            known[found.candidate.digest] = found.candidate
    front = [known[entry.candidate] for entry in archive.front()] or [start]
    vectors = [await arena.dev_vector(candidate) for candidate in front]
    valued = [vector for vector in vectors if vector is not None]
    reference = np.array([objective.reference for objective in objectives])
    chosen = next((vector for vector in vectors if vector is not None), None)
    return {
        "compute": spend,
        "best": None if chosen is None else chosen[0],
        "hypervolume": hypervolume(np.array(valued), reference) if valued else None,
        "front": len(front),
        "unvalued": len(front) - len(valued),
        "accepted": len(known) - 1,
    }
