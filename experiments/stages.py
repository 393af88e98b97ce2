"""The stages of a search run, each a function: record trees, score control arms, score candidates on dev."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import Field

from controllers.baselines import Arm, control_arms, seed_candidate
from controllers.budget import Budget
from controllers.program import NAMES, lm_component
from controllers.progress import ended_by_infrastructure
from experiments.gepa_config import GepaConfig
from experiments.wiring import Wired
from optimizers.collecting import CollectPlan, collect, tree_spec
from optimizers.evaluator import Evaluator, Request
from optimizers.proposers import Proposer
from optimizers.proposers.lm import LMProposer
from optimizers.proposers.mined import MinedProposer
from optimizers.records import TaskScore
from optimizers.reflection import Reflection
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.replaying import Replaying
from optimizers.setup import Grant
from optimizers.space import Space, space_of
from signatures.errors import StoreError, UsageError, WorkerError
from signatures.records import Amounts, Attempt, Candidate, Record, Split, Task

TREES: Final = "trees.json"
"""Kept in the run folder: which repeat of each task's tree the run replays, and what the corpus held before."""

Step = Callable[[], object]
"""Called once per finished piece of work, to move a progress bar."""


class Note(Record):
    """What a run keeps of its trees, so that a resumed run replays the same and says the same."""

    since: int = Field(ge=0)
    "mark of the corpus before the run recorded anything"
    repeats: Mapping[str, int]
    "task digest -> repeat; empty until all trees are recorded"


class Recording(NamedTuple):
    """Attempts in the trees of a run."""

    new: int
    recalled: int


class Cost(NamedTuple):
    """The most live attempts each stage can take."""

    record: int
    arms: int
    search: int
    random: int
    confirm: int
    dev: int

    @property
    def total(self) -> int:
        """All stages."""
        return sum(self)


def plan_of(config: GepaConfig, actions: Sequence[str]) -> CollectPlan:
    """How the trees of this run grow."""
    return CollectPlan(roots=config.roots, depth=config.attempts, actions=tuple(actions))


def cost_of(config: GepaConfig, actions: Sequence[str], arms: int) -> Cost:
    """The projection that a run starts with: upper bounds, since solved tasks stop early."""
    most = config.most_found
    confirmed = 0 if config.live else 2 * most + config.explore
    return Cost(
        record=(config.train + config.val_trees) * plan_of(config, actions).most_attempts,
        arms=arms * (config.val + config.dev) * config.attempts,
        search=config.max_attempts,
        random=config.max_attempts,
        confirm=confirmed * config.val * config.attempts,
        dev=(most + config.explore * (not config.live) + 1) * config.dev * config.attempts,
    )


def projection(cost: Cost, config: GepaConfig) -> str:
    """The projection in one line. Tokens are not known beforehand; `max_usd` limits the search, not what is around it.

    With a model each attempt may take a call for each of stop, topology and steer.
    """
    said = (
        f"at most {cost.total} attempts: {cost.record} recorded (reused if there), {cost.arms} in control arms, "
        f"{cost.search} in the search, {cost.random} in random search, {cost.confirm} to confirm what they found, "
        f"{cost.dev} on dev"
    )
    if config.lm is None:
        return said
    limit = "no limit in usd" if config.max_usd is None else f"at most {config.max_usd:g} usd in the search"
    return f"{said}; up to {3 * (cost.search + cost.confirm + cost.dev)} decisions by {config.lm}, {limit}"


def evaluator_of(
    wired: Wired, *, split: Split, namespace: str, replay: Replaying | None = None, budget: Amounts | None = None
) -> Evaluator:
    """An evaluator of this run with a budget and a journal namespace of its own."""
    return Evaluator(
        wired.setup,
        wired.ledger,
        wired.journal.part(namespace),
        split=split,
        budget=Budget(budget or Amounts()),
        replay=replay,
    )


async def record_trees(config: GepaConfig, wired: Wired, step: Step) -> tuple[TreeReplay, list[tuple[Task, str]]]:
    """Record, or recall, a tree for each train task and some val tasks, and judge every attempt in them.

    A tree that infrastructure spoilt is grown again; which trees a run replays is kept in its folder, so that a
    resumed run replays the same. The replay comes with one output per task, for judging a second time. Raises
    WorkerError where no attempt worked.
    """
    plan, evaluator = plan_of(config, wired.actions), evaluator_of(wired, split="search", namespace="record")
    parts = wired.setup.parts(seed_candidate())
    kept = wired.journal.path.with_name(TREES)
    known = read_note(kept) or Note(since=await wired.setup.corpus.high_water(), repeats={})
    write_whole(kept, known.model_dump_json() + "\n")
    repeats: dict[str, int] = {}

    async def one(task: Task) -> tuple[Task, Tree, str | None]:
        spec = tree_spec(wired.setup, task, plan, repeat=known.repeats.get(task.digest, 0))
        while task.digest not in known.repeats and await ended_by_infrastructure(spec, parts):
            spec = spec.model_copy(update={"repeat": spec.repeat + 1})
        repeats[task.digest] = spec.repeat
        episode, history, outputs = await collect(spec, parts, plan)
        verdicts = await evaluator.verdicts(task, episode, outputs)
        step()
        return task, Tree(history, verdicts), next(iter(outputs.values()), None)

    tasks = (*wired.splits.train, *wired.splits.val[: config.val_trees])
    grown = await wired.setup.executor.map(one, tasks)
    trees = {task.digest: tree for task, tree, _ in grown}
    if all(output is None for _, _, output in grown):
        failures = [seen.attempt.failure for tree in trees.values() for seen in tree.history]
        raise WorkerError(f"no attempt could be recorded; {next((f.message for f in failures if f), 'none was made')}")
    write_whole(kept, Note(since=known.since, repeats=repeats).model_dump_json() + "\n")
    replay = TreeReplay(trees, wired.setup.observer, wired.setup.objectives, wired.setup.grant)
    return replay, [(task, output) for task, _, output in grown if output is not None]


async def recording_took(wired: Wired, replay: TreeReplay) -> Recording:
    """How many attempts of the trees this run made, and how many the corpus held when it began."""
    note = read_note(wired.journal.path.with_name(TREES))
    if note is None:
        raise UsageError("no tree was recorded by this run")
    of_trees = {seen.attempt.episode_id for tree in replay.trees.values() for seen in tree.history}
    before = 0
    for id in of_trees:
        async for _ in wired.setup.corpus.scan(Attempt, {"episode_id": id}, until=note.since):
            before += 1
    total = sum(len(tree.history) for tree in replay.trees.values())
    return Recording(new=total - before, recalled=before)


def read_note(path: Path) -> Note | None:
    """What the run noted of its trees; None where it has not recorded yet. Raises StoreError."""
    text = read_whole(path)
    try:
        return None if text is None else Note.model_validate_json(text)
    except ValueError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error


def read_whole(path: Path) -> str | None:
    """What `write_whole` wrote; None where there is no such file. Raises StoreError."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all. Raises StoreError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error


def space_from(replay: TreeReplay, tasks: Sequence[Task], actions: Sequence[str], attempts: int) -> Space:
    """The space that the recorded moves of these tasks span."""
    records: list[Reflection] = [move for task in tasks for move in replay.moves(task.digest)]
    fanouts = tuple(f"fanout_{n}" for n in range(1, min(2, attempts) + 1))
    return space_of(
        records,
        {"stop": ("continue", "done"), "topology": ("refine_last", *fanouts), "steer": tuple(actions)},
    )


def proposer_of(wired: Wired, space: Space) -> Proposer:
    """The model if one was named, else the mined proposer."""
    return MinedProposer(space) if wired.lm is None else LMProposer(wired.lm, space)


def start_of(config: GepaConfig, wired: Wired) -> Candidate:
    """Where the search starts: rules, or with a model its policies under their signatures' own instructions."""
    if wired.lm is None:
        return seed_candidate()
    return Candidate(components={name: lm_component(name, wired.lm, tier=config.tier) for name in NAMES})


def arms_of(config: GepaConfig, actions: Sequence[str]) -> tuple[Arm, ...]:
    """The control arms: refine@k with a rule-chosen directive, with `untried` where there is one, with a model's text.

    A benchmark without directives has no placebo, and its f(trace) is the compressed report.
    """
    directives = len(actions) > 1
    refines = ["rule" if directives else "report", *(["text"] if config.lm is not None else [])]
    if "untried" in actions:
        refines.insert(0, "untried")
    return control_arms(config.attempts, config.turns, refines, placebo=directives)


async def score_arm(evaluator: Evaluator, arm: Arm, tasks: Sequence[Task], *, seed: int) -> tuple[TaskScore, ...]:
    """One control arm on some tasks at its cut of the budget."""
    grant = Grant(arm.attempts, arm.turns_per_attempt, arm.steer_legal)
    scored = await evaluator.evaluate(Request(arm.candidate, tasks, seed=seed, condition=arm.name, grant=grant))
    return tuple(one.score for one in scored)


async def score_candidates(
    evaluator: Evaluator, candidates: Mapping[str, Candidate], tasks: Sequence[Task], *, seed: int, step: Step
) -> dict[str, tuple[TaskScore, ...]]:
    """Each candidate on the same tasks with the same seed, by name."""
    scores: dict[str, tuple[TaskScore, ...]] = {}
    for name, candidate in candidates.items():
        scored = await evaluator.evaluate(Request(candidate, tasks, seed=seed))
        scores[name] = tuple(one.score for one in scored)
        step()
    return scores
