"""Search problems as tasks: a search is an attempt, what it found its output, judged on tasks it did not see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from optimizers.evaluator import Evaluator, Request, evaluator_in
from optimizers.levels.problems import FoundChecker, Ground, SearchWorker, held_judge, problems_of, search_setup
from optimizers.levels.settings import SearchSettings
from optimizers.replay.tree import TreeReplay
from optimizers.setup import Grant
from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import AttemptContext, Steer
from tests.worlds.lab import STEERS, Lab, lamp_follower

SIZES = (4, 5, 6)


@pytest.fixture
async def ground(lab: Lab) -> AsyncIterator[Ground]:
    """Three problems on recorded trees of fifteen tasks."""
    lab.grant = Grant(2, 4, STEERS)
    tasks = lab.benchmark.tasks("search")[:15]
    replay = await lab.replay(tasks)
    problems = {one.task.digest: one for one in problems_of(tasks, SIZES, count=3, seed=0)}
    yield Ground(lab.setup(), replay, lab.space(replay), problems, 60, lab.folder / "searches")


@pytest.fixture
def above(ground: Ground, tmp_path: Path) -> Iterator[Evaluator]:
    """The evaluator of level two."""
    folder = tmp_path / "above"
    folder.mkdir()
    with evaluator_in(folder, search_setup(ground, ground.setup, revision="two")) as evaluator:
        yield evaluator


def test_problems_are_disjoint_within_and_a_function_of_the_seed(lab: Lab) -> None:
    tasks = lab.benchmark.tasks("search")[:20]
    found = problems_of(tasks, SIZES, count=4, seed=3)
    assert found == problems_of(tasks, SIZES, count=4, seed=3) != problems_of(tasks, SIZES, count=4, seed=4)
    assert len({one.task.digest for one in found}) == 4 == len({one.seed for one in found})
    for one in found:
        parts = [{task.digest for task in part} for part in (one.train, one.val, one.held)]
        assert tuple(map(len, parts)) == SIZES
        assert len(set.union(*parts)) == sum(SIZES)
    with pytest.raises(UsageError, match="does not fit into 14"):
        problems_of(tasks[:14], SIZES, count=1, seed=0)


async def test_one_evaluation_is_one_search_per_problem(ground: Ground, above: Evaluator) -> None:
    tasks = [one.task for one in ground.problems.values()]
    asked = Request(SearchSettings().candidate, tasks, seed=1, keep_rollouts=True)
    scored = await above.evaluate(asked)
    for task, one in zip(tasks, scored, strict=True):
        assert one.rollout is not None and one.rollout.output is not None
        body = json.loads(one.rollout.output)
        (seen,) = one.rollout.history
        assert len(seen.trace) == seen.attempt.cost.turns, "its trace is what it found"
        assert body["compute"] <= ground.compute
        judged = await held_judge(ground).judge(task, one.rollout.output)
        assert one.score.values == {"correct": judged.score, "volume": pytest.approx(body["volume"])}
        check = seen.attempt.check("correct")
        assert check is not None and check.value == body["val"]
    assert above.tally.attempts == len(tasks)


async def test_it_is_answered_from_the_journal_and_recalled_from_the_corpus(ground: Ground, tmp_path: Path) -> None:
    tasks = [one.task for one in ground.problems.values()]
    asked = Request(SearchSettings().candidate, tasks, seed=1, keep_rollouts=True)
    ends = []
    for _ in range(2):
        with evaluator_in(tmp_path, search_setup(ground, ground.setup, revision="two")) as evaluator:
            ends.append(await evaluator.evaluate(asked))
        journals = sorted((p, p.stat().st_mtime_ns) for p in ground.folder.rglob("journal.jsonl"))
        ends.append(journals)
    assert ends[0] == ends[2], "the same scores and rollouts"
    assert ends[1] == ends[3] and len(ends[1]) == len(tasks), "no search was made again"


async def test_a_search_that_was_begun_goes_on_from_its_own_journal(ground: Ground) -> None:
    (task, *_) = [one.task for one in ground.problems.values()]
    worker = SearchWorker(ground, SearchSettings())
    context = AttemptContext(attempt_id="a", steer=Steer(), seed=0)
    whole = await worker.attempt(task, context, None)
    journal = ground.folder / "a" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))
    again = await worker.attempt(task, context, None)
    assert again == whole and journal.read_bytes() == b"".join(lines)


async def test_the_judge_pays_for_what_holds_elsewhere(ground: Ground) -> None:
    task = next(iter(ground.problems.values())).task

    async def judged(components: object) -> float | None:
        return (await held_judge(ground).judge(task, canonical_json({"components": components, "val": 1.0}))).score

    plain, better = await judged(dict(seed_candidate().components)), await judged(dict(lamp_follower().components))
    assert plain is not None and better is not None and better > plain + 0.1, "whatever the output claims of itself"
    bare = replace(ground, trees=TreeReplay({}, ground.setup.observer, ground.setup.objectives, ground.setup.grant))
    output = canonical_json({"components": dict(seed_candidate().components)})
    assert (await held_judge(bare).judge(task, output)).score is None, "nothing recorded: it cannot say"


async def test_other_settings_or_another_size_are_another_worker(ground: Ground) -> None:
    prints = [
        SearchWorker(ground, SearchSettings()).fingerprint,
        SearchWorker(ground, SearchSettings(minibatch=3)).fingerprint,
        SearchWorker(replace(ground, compute=61), SearchSettings()).fingerprint,
    ]
    assert len({canonical_json(one) for one in prints}) == 3
    assert prints[0] == SearchWorker(ground, SearchSettings()).fingerprint


def test_checkers_read_what_the_search_measured_itself() -> None:
    assert [FoundChecker(name).objective for name in ("correct", "volume")] == ["correct", "volume"]
