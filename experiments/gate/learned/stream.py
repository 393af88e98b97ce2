"""A stream of runs: disjoint slices of tasks, each played by every arm, and a lesson from each slice for later ones.

Run by run: the arms play slice N; then trees of some of its tasks are recorded; then a controller for run N + 1 is
searched on the trees of slices 1 to N, from the first controller on. So what a controller of run N learned from has
no task of slice N in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import Field, ValidationError

from controllers.baselines import seed_candidate
from controllers.spec import Rollout
from experiments.gate.learned.learning import Learned, Lesson, Trees, learn, recorded
from experiments.gate.learned.stream_config import GateBConfig
from experiments.search.stages import evaluator_of, space_from
from experiments.search_config import SearchConfig
from experiments.whole_file import read_whole, write_whole
from experiments.wiring import Wired
from optimizers.evaluator import Request, Scored
from optimizers.records import TaskScore
from optimizers.scoring import episode_values
from signatures.digest import digest_of, seed_of
from signatures.errors import StoreError, UsageError
from signatures.records import Candidate, Objective, Record, Task

LEARNED: Final = "learned"
FROZEN: Final = "frozen"
NULL: Final = "null"
FINAL: Final = "final"
AGAIN: Final = 2
"""Times that an episode which infrastructure ended is run again before it is left out."""
RecordT = TypeVar("RecordT", bound=Record)


class Played(Record):
    """One slice under some arms; values are the checkers' alone."""

    run: int = Field(ge=1)
    candidates: Mapping[str, Candidate]
    "arm -> its controller"
    scores: Mapping[str, tuple[tuple[TaskScore, ...], ...]]
    "arm -> by seed, in the order of the tasks"


@dataclass(frozen=True)
class Stream:
    """What the runs of a stream share."""

    config: GateBConfig
    learner: SearchConfig
    wired: Wired
    folder: Path
    slices: tuple[tuple[Task, ...], ...]
    say: Callable[[str], object] = lambda line: None


@dataclass(frozen=True)
class Streamed:
    """A stream that ended."""

    runs: tuple[Played, ...]
    back: tuple[Played, ...]
    "the final controller on the first slices, beside what `runs` has of them"
    lessons: tuple[Learned, ...]
    recorded: int
    "attempts that recording trees took"


def slices_of(tasks: Sequence[Task], *, runs: int, size: int, seed: int) -> tuple[tuple[Task, ...], ...]:
    """So many disjoint slices, in an order that the seed and the tasks decide and the order given does not.

    Raises UsageError where there are too few tasks, or one comes twice.
    """
    by_digest = {task.digest: task for task in tasks}
    if len(by_digest) < len(tasks):
        raise UsageError("a task comes twice: slices would overlap")
    if runs * size > len(tasks):
        raise UsageError(f"{runs} runs of {size} tasks need {runs * size}, the search split has {len(tasks)}")
    order = sorted(by_digest, key=lambda digest: digest_of("slice", seed, digest))
    return tuple(tuple(by_digest[d] for d in order[n * size : (n + 1) * size]) for n in range(runs))


def ends_of(runs: int) -> int:
    """How many runs the first, or the last, part of a stream has."""
    return max(1, runs // 3)


async def run_stream(stream: Stream) -> Streamed:
    """All runs, their lessons, and the final controller on the first slices.

    What a file of the folder or the journal holds already is not done again. Raises Outage, WorkerError, StoreError.
    """
    config, first = stream.config, seed_candidate()
    runs: list[Played] = []
    lessons: list[Learned] = []
    trees: Trees | None = None
    controller = first
    for number, tasks in enumerate(stream.slices, 1):
        runs.append(await _played(stream, number, {LEARNED: controller, FROZEN: first, NULL: first}))
        if number == len(stream.slices):
            break
        grown = await recorded(
            stream.learner, stream.wired, stream.folder / f"slice-{number:02d}", tasks[: config.trees]
        )
        trees = grown if trees is None else trees.plus(grown, stream.wired)
        lessons.append(await _lesson(stream, number + 1, trees))
        controller = lessons[-1].candidate
    back = [await _played(stream, number, {FINAL: controller}) for number in range(1, ends_of(len(runs)) + 1)]
    return Streamed(tuple(runs), tuple(back), tuple(lessons), 0 if trees is None else trees.attempts)


async def _played(stream: Stream, run: int, candidates: Mapping[str, Candidate]) -> Played:
    """One slice under these arms, from its file where that is there."""
    path = stream.folder / f"played-{run:02d}-{'-'.join(candidates)}.json"
    kept = _read(path, Played)
    if kept is None:
        tasks = stream.slices[run - 1]
        scores = {arm: await _arm(stream, arm, candidate, tasks, run) for arm, candidate in candidates.items()}
        kept = Played(run=run, candidates=candidates, scores=scores)
        write_whole(path, kept.model_dump_json() + "\n")
    elif dict(kept.candidates) != dict(candidates):
        raise StoreError(f"{path}: was played by other controllers than those of this stream")
    means = ", ".join(f"{arm} {_mean(kept.scores[arm], stream.wired.setup.objectives[0].name)}" for arm in candidates)
    stream.say(f"run {run} of {len(stream.slices)}: {means}")
    return kept


async def _arm(
    stream: Stream, arm: str, candidate: Candidate, tasks: Sequence[Task], run: int
) -> tuple[tuple[TaskScore, ...], ...]:
    """Every task under every seed. All arms but the null learner share their seeds."""
    family = "null" if arm == NULL else "stream"
    seeds = [seed_of(family, stream.config.seed, run, repeat) for repeat in range(stream.config.repeats)]
    return tuple(
        [await _asked(stream.wired, Request(candidate, tasks, seed, arm, keep_rollouts=True)) for seed in seeds]
    )


async def _asked(wired: Wired, request: Request) -> tuple[TaskScore, ...]:
    """Live, graded by checkers; what infrastructure ended is run again a few times, then left without values."""
    found: dict[str, TaskScore] = {}
    todo = list(request.tasks)
    for again in range(AGAIN + 1):
        evaluator = evaluator_of(wired, split="search", namespace=f"stream-{again}")
        asked = Request(request.candidate, todo, request.seed, request.condition, keep_rollouts=True)
        found |= {one.score.task_digest: graded(one, wired.setup.objectives) for one in await evaluator.evaluate(asked)}
        todo = [task for task in todo if found[task.digest].failure is not None]
        if not todo:
            break
    return tuple(found[task.digest] for task in request.tasks)


def graded(one: Scored, objectives: Sequence[Objective]) -> TaskScore:
    """The score with each objective as the checkers see the selected attempt; the judge's word is in no value.

    A failure of the judge is none here.
    """
    rollout: Rollout | None = one.rollout
    if rollout is None or rollout.episode.selected_id is None:
        return one.score
    selected = next(seen.attempt for seen in rollout.history if seen.attempt.id == rollout.episode.selected_id)
    judged = next((objective.name for objective in objectives if objective.over == "judge"), "")
    check = selected.check(judged)
    values = episode_values(rollout.history, selected.id, None if check is None else check.value, objectives)
    return one.score.model_copy(update={"values": values, "failure": rollout.episode.failure})


async def _lesson(stream: Stream, run: int, trees: Trees) -> Learned:
    """What run `run` plays: searched from the first controller on all trees, not from what few trees once suggested."""
    path = stream.folder / f"learned-{run:02d}.json"
    kept = _read(path, Learned)
    if kept is None:
        wired, config = stream.wired, stream.learner
        space = space_from(trees.replay, trees.tasks, wired.actions, config.attempts)
        lesson = Lesson(config, trees, seed_candidate(), space, f"learn-{run:02d}")
        kept = await learn(lesson, wired)
        write_whole(path, kept.model_dump_json() + "\n")
    stream.say(
        f"learned for run {run} from {len(kept.tasks)} trees: {kept.evaluations} evaluations, {kept.live} live attempts"
    )
    return kept


def _read(path: Path, model: type[RecordT]) -> RecordT | None:
    text = read_whole(path)
    try:
        return None if text is None else model.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error


def _mean(scores: Sequence[Sequence[TaskScore]], objective: str) -> str:
    values = [value for repeat in scores for one in repeat if (value := one.values.get(objective)) is not None]
    return f"{sum(values) / len(values):.3f}" if values else "-"
