"""Contract suite for engines: subclass it, give the fixture `engine`, and pytest runs it on your engine.

The fixture returns a function that makes the engine of a `Kit`, as `engine_of` would. The tests are async: they need
pytest-asyncio with `asyncio_mode = "auto"`. `optimizers.testing_world` is the planted problem that they run on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest

from optimizers.archive import Archive, Entry
from optimizers.meter import Limits, Spend
from optimizers.search import Engine, Kit, SearchPlan
from optimizers.testing_world import ASKED, PRICE, Editing, PlantedObserver, PlantedWorker, Problem, Told
from optimizers.vectors import mean_vector

Maker = Callable[[Kit], Engine]


class Ended(NamedTuple):
    """A search that ended."""

    told: Told
    front: tuple[Entry, ...]
    members: int
    spent: Spend
    own_archive: bool
    "whether it returned the evaluator's"
    over: str | None


@dataclass(frozen=True)
class Case:
    """An engine on a problem, in a folder."""

    engine: Maker
    folder: Path
    problem: Problem

    async def search(self, plan: SearchPlan, *, limits: Limits | None = None, told: Told | None = None) -> Ended:
        """Run the engine to its end."""
        told = Told() if told is None else told
        with self.problem.evaluator(self.folder, limits) as evaluator:
            made = self.engine(self.problem.kit(self.folder))
            archive: Archive = await made.search(plan, evaluator, Editing(), told)
            own, over = archive is evaluator.archive, evaluator.meter.over()
            return Ended(told, archive.front(), len(archive), evaluator.meter.spent(), own, over)


class EngineContract:
    """Subclass it as `class TestMine(EngineContract)` with a fixture `engine` that returns a `Maker`."""

    owns_its_loop: ClassVar[bool] = False
    "whether a library drives it, so that limits on proposals hold to within one batch and not one attempt"
    draws: ClassVar[bool] = True
    "whether another seed may find something else"

    def problem(
        self,
        *,
        worker: PlantedWorker | None = None,
        observer: PlantedObserver | None = None,
        concurrency: int = 4,
    ) -> Problem:
        """The problem of each test; an engine that needs a model overrides this with `Problem(..., lm=...)`."""
        return Problem(worker or PlantedWorker(), observer or PlantedObserver(), concurrency=concurrency)

    async def test_the_same_seed_and_answers_give_the_same(self, engine: Maker, tmp_path: Path) -> None:
        """Whatever runs at once, and wherever."""
        first = await Case(engine, tmp_path / "a", self.problem()).search(self.problem().plan())
        second = await Case(engine, tmp_path / "b", self.problem(concurrency=1)).search(self.problem().plan())
        assert first.told.found_all == second.told.found_all, "equal seeds and answers, other candidates"
        assert first.front == second.front and first.told.fronts == second.told.fronts
        assert first.spent._replace(wall_s=0) == second.spent._replace(wall_s=0)

    async def test_other_seeds_find_other_candidates(self, engine: Maker, tmp_path: Path) -> None:
        """The plan's seed is the only source of chance."""
        found = []
        for seed in range(4):
            ended = await Case(engine, tmp_path / str(seed), self.problem()).search(self.problem().plan(seed=seed))
            found.append(frozenset(one.candidate.digest for one in ended.told.found_all))
        assert len(set(found)) > 1 or not self.draws, "four seeds, the same candidates"

    async def test_its_archive_is_the_evaluators_and_all_of_it_was_told(self, engine: Maker, tmp_path: Path) -> None:
        """Names are unique, generations are told in order from the start alone on, each with its front."""
        ended = await Case(engine, tmp_path, self.problem()).search(self.problem().plan())
        told, kept = ended.told, [f for f in ended.told.found_all if f.decision in ("seed", "accepted")]
        assert ended.own_archive, "there is one archive, the evaluator's"
        assert kept[0].decision == "seed" and kept[0].candidate == self.problem().plan().start
        assert len({f.candidate.digest for f in kept}) == ended.members, "the archive holds what was never told"
        assert {entry.candidate for entry in ended.front} <= {f.candidate.digest for f in kept}
        assert told.generations == list(range(len(told.generations))), "generations are told in order, none left out"
        assert told.fronts[0] == (kept[0].candidate.digest,)
        assert told.fronts[-1] == tuple(entry.candidate for entry in ended.front), "the last generation was not told"
        assert len({f.name for f in told.found_all}) == len(told.found_all), "two candidates have one name"

    async def test_every_candidate_has_a_hypothesis_and_its_own_scores(self, engine: Maker, tmp_path: Path) -> None:
        """Accepted ones on all val tasks in their order; parents are candidates that were told before."""
        plan = self.problem().plan()
        ended = await Case(engine, tmp_path, self.problem()).search(plan)
        known: set[str] = set()
        for found in ended.told.found_all:
            assert found.hypothesis, f"{found.name} has no hypothesis"
            assert set(found.parents) <= known, f"{found.name} has a parent that nobody was told of"
            assert all(score.candidate == found.candidate.digest for score in found.scores)
            if found.decision in ("seed", "accepted"):
                assert [score.task_digest for score in found.scores] == [task.digest for task in plan.val]
                known.add(found.candidate.digest)

    async def test_duplicates_are_not_evaluated_again(self, engine: Maker, tmp_path: Path) -> None:
        """A candidate is looked at once; later it is told as a duplicate, without scores."""
        ended = await Case(engine, tmp_path, self.problem()).search(self.problem().plan(generations=4))
        looked = [f.candidate.digest for f in ended.told.found_all if f.decision != "duplicate"]
        assert len(looked) == len(set(looked)), "a candidate was evaluated twice"
        assert all(f.scores == () for f in ended.told.found_all if f.decision == "duplicate")

    @pytest.mark.parametrize(
        "limits",
        [Limits(compute=70), Limits(attempts=70), Limits(tokens=7_000), Limits(usd=0.7)],
        ids=["compute", "attempts", "tokens", "usd"],
    )
    async def test_it_stops_at_each_limit(self, engine: Maker, tmp_path: Path, limits: Limits) -> None:
        """Within one attempt, proposals included; an engine that owns its loop within one batch of proposals."""
        ended = await Case(engine, tmp_path, self.problem()).search(self.problem().plan(generations=30), limits=limits)
        batch = 12 if self.owns_its_loop else 1
        tokens = (PRICE.tokens_in or 0) + (PRICE.tokens_out or 0) + batch * 50
        one = Spend(1, 1, tokens, (PRICE.usd or 0.0) + batch * (ASKED.usd or 0.0), 0.0)
        for name in ("compute", "attempts", "tokens", "usd"):
            limit = getattr(limits, name)
            if limit is not None:
                assert getattr(ended.spent, name) <= limit + getattr(one, name) + 1e-9, f"{name}: {ended.spent}"
        assert ended.told.found_all[0].decision == "seed"

    async def test_a_limit_that_ends_it_in_the_middle_ends_it_the_same_again(
        self, engine: Maker, tmp_path: Path
    ) -> None:
        """What was cut short is journaled as that, so that another execution attempts nothing more."""
        problem, limits = self.problem(concurrency=1), Limits(attempts=53)
        first = await Case(engine, tmp_path, problem).search(problem.plan(generations=30), limits=limits)
        attempts = problem.worker.attempts
        second = await Case(engine, tmp_path, problem).search(problem.plan(generations=30), limits=limits)
        assert problem.worker.attempts == attempts <= 53
        assert second.told.found_all == first.told.found_all and second.front == first.front

    async def test_it_resumes_from_a_journal_cut_at_every_line(self, engine: Maker, tmp_path: Path) -> None:
        """To the same archive, told the same; also where a line was half written."""
        plan = self.problem().plan(generations=1, iterations=3)
        whole = await Case(engine, tmp_path / "whole", self.problem()).search(plan)
        lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
        for kept in range(len(lines) + 1):
            folder = tmp_path / f"cut{kept}"
            folder.mkdir()
            torn = lines[kept][: len(lines[kept]) // 2] if kept % 2 and kept < len(lines) else b""
            (folder / "journal.jsonl").write_bytes(b"".join(lines[:kept]) + torn)
            again = await Case(engine, folder, self.problem()).search(plan)
            assert again.front == whole.front, f"another archive from the first {kept} of {len(lines)} lines"
            assert again.told.found_all == whole.told.found_all, f"told otherwise from the first {kept} lines"

    async def test_it_stops_when_it_is_halted(self, engine: Maker, tmp_path: Path) -> None:
        """Between candidates; a library's loop by the end of its batch."""
        told, problem = Told(), self.problem()
        plan = replace(problem.plan(generations=30), halted=lambda: len(told.found_all) >= 3)
        await Case(engine, tmp_path, problem).search(plan, told=told)
        looked = [found for found in told.found_all if found.decision != "duplicate"]
        assert len(looked) <= (15 if self.owns_its_loop else 4), "it went on after it was halted"

    async def test_an_infrastructure_failure_is_no_score(self, engine: Maker, tmp_path: Path) -> None:
        """A task that cannot be attempted has no value, and counts for nobody's mean."""
        plan = self.problem().plan()
        gone = plan.val[2].digest
        worker = PlantedWorker(fails=lambda task: OSError("no machine") if task.digest == gone else None)
        ended = await Case(engine, tmp_path, self.problem(worker=worker)).search(plan)
        vectors = {entry.candidate: entry for entry in ended.front}
        for found in ended.told.found_all:
            for score in found.scores:
                assert score.task_digest != gone or set(score.values.values()) == {None}
            entry = vectors.get(found.candidate.digest)
            if entry is not None and found.decision in ("seed", "accepted") and entry.n < len(plan.val):
                objectives = self.problem().setup.objectives
                assert entry.vector == mean_vector(found.scores, objectives), "not the mean of what was measured"

    async def test_a_candidate_with_a_fault_is_never_accepted(self, engine: Maker, tmp_path: Path) -> None:
        """Here every candidate fails by its own doing on one val task."""
        plan = self.problem().plan()
        observer = PlantedObserver(faulty=frozenset({plan.val[3].digest}))
        ended = await Case(engine, tmp_path, self.problem(observer=observer)).search(plan)
        for found in ended.told.found_all:
            faults = [score for score in found.scores if score.fault]
            assert not faults or found.decision in ("seed", "rejected"), f"{found.name} has a fault and was kept"
            assert all(set(score.values.values()) == {0.0} for score in faults)
        assert any(score.fault for score in ended.told.found_all[0].scores), "the start has one"
