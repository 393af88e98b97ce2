"""The recorded trees of a search run: grown or recalled, joined with all that was bought for them, and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import Field

from controllers.baselines import seed_candidate
from controllers.history import Seen
from controllers.progress import ended_by_infrastructure
from experiments.search.replayed import require_recorded
from experiments.search.stages import Step, evaluator_of, plan_of
from experiments.search_config import SearchConfig
from experiments.whole_file import read_whole, write_whole
from experiments.wiring import Wired
from optimizers.collect.collecting import Collected, CollectPlan, collect, tree_spec
from optimizers.collect.gathering import gather, made_with, outputs_of, seen_of
from optimizers.evaluator import Evaluator
from optimizers.replay.tree import Tree, TreeReplay
from signatures.errors import StoreError, WorkerError
from signatures.records import Attempt, Record, Task

TREES: Final = "trees.json"
"""Kept in the run folder: which repeat of each task's tree the run replays, and what the corpus held before."""


class Note(Record):
    """What a run keeps of its trees, so that a resumed run replays the same and says the same."""

    since: int = Field(ge=0)
    "mark of the corpus before the run recorded anything"
    until: int | None = None
    "mark of the corpus once all trees were recorded: what is bought for them later is not replayed"
    repeats: Mapping[str, int]
    "task digest -> repeat; empty until all trees are recorded"


class Recording(NamedTuple):
    """Attempts that a run recorded for its trees, or that the corpus held when it began."""

    new: int
    recalled: int


class Recorded(NamedTuple):
    """What a run replays."""

    replay: TreeReplay
    outputs: tuple[tuple[Task, str], ...]
    "one of each task, for judging a second time"
    recording: Recording


async def record_trees(config: SearchConfig, wired: Wired, step: Step) -> Recorded:
    """Record, or recall, a tree for each train task and some val tasks; join it with what was bought; judge it all.

    A tree that infrastructure spoilt is grown again; which trees a run replays is kept in its folder, so that a
    resumed run replays the same. Of a recording, trees of all tasks are recalled. Raises WorkerError where no attempt
    worked, UsageError where a recording lacks a tree.
    """
    plan, setup = plan_of(config, wired.actions), wired.setup
    parts = setup.parts(seed_candidate())
    kept = wired.journal.path.with_name(TREES)
    known = read_note(kept) or Note(since=await setup.corpus.high_water(), repeats={})
    write_whole(kept, known.model_dump_json() + "\n")
    repeats: dict[str, int] = {}

    async def grow(task: Task) -> Collected:
        spec = tree_spec(setup, task, plan, repeat=known.repeats.get(task.digest, 0))
        while task.digest not in known.repeats and await ended_by_infrastructure(spec, parts):
            spec = spec.model_copy(update={"repeat": spec.repeat + 1})
        repeats[task.digest] = spec.repeat
        grown = await collect(spec, parts, plan)
        step()
        return grown

    tasks = (*wired.splits.train, *wired.splits.val[: config.val_trees])
    if wired.recorded:
        tasks = (*tasks, *wired.splits.dev)
        await require_recorded(wired, plan, tasks, parts)
    grown = await setup.executor.map(grow, tasks)
    if not any(outputs for _, _, outputs in grown):
        failures = [seen.attempt.failure for _, history, _ in grown for seen in history]
        raise WorkerError(f"no attempt could be recorded; {next((f.message for f in failures if f), 'none was made')}")
    note = Note(since=known.since, until=known.until or await setup.corpus.high_water(), repeats=repeats)
    write_whole(kept, note.model_dump_json() + "\n")
    evaluator = evaluator_of(wired, split="search", namespace="record")

    async def join(made: tuple[Task, Collected]) -> Tree:
        return await _joined(made[0], made[1], wired, plan, evaluator=evaluator, until=note.until)

    trees = await setup.executor.map(join, list(zip(tasks, grown, strict=True)))
    by_task = {task.digest: tree for task, tree in zip(tasks, trees, strict=True)}
    replay = TreeReplay(by_task, setup.observer, setup.objectives, setup.grant)
    first = [(task, output) for task, (_, _, outputs) in zip(tasks, grown, strict=True) for output in outputs.values()]
    outputs = {task.digest: (task, output) for task, output in reversed(first)}
    recording = await _took(wired, [seen for _, history, _ in grown for seen in history], replay, note.since)
    return Recorded(replay, tuple(outputs[task.digest] for task in tasks if task.digest in outputs), recording)


async def _joined(
    task: Task, made: Collected, wired: Wired, plan: CollectPlan, *, evaluator: Evaluator, until: int | None
) -> Tree:
    """The tree of a task with all that the corpus holds for it, and the judge's number of every attempt in it."""
    corpus = wired.setup.corpus
    history = {seen.attempt.id: seen for seen in made[1]}
    found = await gather(corpus, task.digest, made_with(wired.setup, task, plan), depth=plan.depth, until=until)
    verdicts: dict[str, float | None] = {}
    for part in found.branching:
        outputs = made[2] if part.episode.id == made[0].id else await outputs_of(corpus, part.attempts)
        kept = {attempt.id for attempt in part.attempts}
        verdicts |= await evaluator.verdicts(task, part.episode, {id: outputs[id] for id in outputs if id in kept})
    return Tree([history.get(a.id) or await seen_of(corpus, a) for a in found.tree], verdicts)


async def _took(wired: Wired, made: Sequence[Seen], replay: TreeReplay, since: int) -> Recording:
    """How many attempts of the trees the run made, and how many the corpus held at the mark `since`."""
    joined = (seen for tree in replay.trees.values() for seen in tree.history)
    episodes = {seen.attempt.id: seen.attempt.episode_id for seen in (*made, *joined)}
    before = 0
    for id in sorted(set(episodes.values())):
        async for attempt in wired.setup.corpus.scan(Attempt, {"episode_id": id}, until=since):
            before += attempt.id in episodes
    return Recording(new=len(episodes) - before, recalled=before)


def read_note(path: Path) -> Note | None:
    """What the run noted of its trees; None where it has not recorded yet. Raises StoreError."""
    text = read_whole(path)
    try:
        return None if text is None else Note.model_validate_json(text)
    except ValueError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
