"""What a plan still asks for: stochastic episodes, trees and purchases, each as work with a price."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from controllers.baselines import exploring_candidate, seed_candidate
from controllers.loop import run_episode
from controllers.progress import ended_by_infrastructure
from controllers.spec import EpisodeSpec, Parts, episode_id
from experiments.collect.parts import Opened, Prepared, drawn_spec
from optimizers.collect.collecting import Collected, Purchase, buy, collect, purchase_spec, tree_spec
from optimizers.collect.gathering import Gathered, Part, outputs_of, seen_of
from optimizers.collect.purse import Work, spent_on
from optimizers.setup import Setup
from signatures.records import Amounts, Attempt, Episode, Task


@dataclass(frozen=True)
class Item:
    """One episode to be played; a spec whose repeat is past all that infrastructure ended."""

    kind: str
    "episode, tree, or purchase"
    task: Task
    spec: EpisodeSpec
    most: int
    purchase: Purchase | None = None


@dataclass
class Todo:
    """What is to be done, in order, and what is there."""

    items: list[Item] = field(default_factory=list)
    there: dict[str, int] = field(default_factory=lambda: {"episode": 0, "tree": 0, "purchase": 0})
    "by kind, how many of the plan are recorded"
    spent: list[Amounts] = field(default_factory=list)
    "of the plan, by what is recorded, what infrastructure ended included"
    limit: Amounts | None = None
    "of a top-up; None: that of the config"

    def most(self, kind: str) -> int:
        """Attempts that the items of a kind can take."""
        return sum(item.most for item in self.items if item.kind == kind)

    def count(self, kind: str) -> int:
        """Items of a kind."""
        return sum(item.kind == kind for item in self.items)


async def todo_of(given: Prepared, setup: Setup, gathered: Mapping[str, Gathered]) -> Todo:
    """What the plan asks for and the corpus does not hold: stochastic episodes, one round of tasks after the other,
    then trees, task by task.
    """
    todo = Todo()
    config = given.config
    if config.plan != "branching":
        parts = setup.parts(exploring_candidate(given.plan.actions))
        for number in range(config.episodes_per_task):
            for task in given.tasks:
                item = Item("episode", task, drawn_spec(given, setup, task, number), config.attempts)
                await _ask_for(todo, item, parts)
    if config.plan != "stochastic":
        parts = setup.parts(seed_candidate())
        for task in given.tasks:
            for item in _tree_items(given, setup, task, gathered[task.digest]):
                await _ask_for(todo, item, parts)
            todo.spent.append(spent_on(gathered[task.digest].tree))
            todo.there["tree"] += gathered[task.digest].roots >= given.plan.roots
    return todo


async def bought_of(given: Prepared, setup: Setup, purchases: Sequence[Purchase]) -> Todo:
    """The purchases that are not recorded yet. One of a task that is not collected any more is left out."""
    todo, parts = Todo(), setup.parts(seed_candidate())
    tasks = {task.digest: task for task in given.tasks}
    for one in purchases:
        if one.task_digest in tasks:
            await _ask_for(todo, _purchase_item(given, setup, tasks[one.task_digest], one), parts)
    return todo


def _tree_items(given: Prepared, setup: Setup, task: Task, found: Gathered) -> list[Item]:
    """The tree of a task; where one with fewer roots is recorded, the roots that it lacks."""
    if not found.roots:
        return [Item("tree", task, tree_spec(setup, task, given.plan), given.plan.most_attempts)]
    fresh = Purchase(task_digest=task.digest, parent_id=None, action="none", depth=1)
    tried = found.tried.get(("", "none"), 0)
    return [
        _purchase_item(given, setup, task, fresh.model_copy(update={"repeat": tried + n}))
        for n in range(given.plan.roots - found.roots)
    ]


def _purchase_item(given: Prepared, setup: Setup, task: Task, one: Purchase) -> Item:
    spec = purchase_spec(setup, task, given.plan, one)
    return Item("purchase", task, spec, given.plan.most_from(one.depth), one)


async def _ask_for(todo: Todo, item: Item, parts: Parts) -> None:
    """Add the item, unless it is recorded; what infrastructure ended is counted and asked for again."""
    spec, corpus = item.spec, parts.corpus
    while await ended_by_infrastructure(spec, parts):
        todo.spent.append(spent_on([a async for a in corpus.scan(Attempt, {"episode_id": episode_id(spec, parts)})]))
        spec = spec.model_copy(update={"repeat": spec.repeat + 1})
    episode = await corpus.get(Episode, episode_id(spec, parts))
    if episode is None:
        todo.items.append(Item(item.kind, item.task, spec, item.most, item.purchase))
        return
    todo.there[item.kind] += 1
    todo.spent.append(episode.spent)


def work_of(parts: Opened, item: Item, gathered: Mapping[str, Gathered], spoilt: list[str]) -> Work:
    """The item as work; the ids of episodes that infrastructure ended are added to `spoilt`."""
    play: Callable[[], Awaitable[tuple[Episode, Sequence[Attempt]]]]
    if item.kind == "episode":
        play = partial(_draw, parts, item)
    elif item.purchase is None:
        play = partial(_grow, parts, item)
    else:
        play = partial(_buy, parts, item, item.purchase, gathered[item.task.digest].tree)

    async def run() -> Amounts:
        episode, attempts = await play()
        if episode.failure is not None:
            spoilt.append(episode.id)
        return spent_on(attempts)

    return Work(item.most, run)


async def _draw(parts: Opened, item: Item) -> tuple[Episode, Sequence[Attempt]]:
    """A stochastic episode; its selected attempt is judged."""
    rollout = await run_episode(item.spec, parts.setup.parts(exploring_candidate(parts.given.plan.actions)))
    if rollout.output is not None and rollout.episode.selected_id is not None:
        await parts.evaluator.verdicts(item.task, rollout.episode, {rollout.episode.selected_id: rollout.output})
    return rollout.episode, [seen.attempt for seen in rollout.history]


async def _grow(parts: Opened, item: Item) -> tuple[Episode, Sequence[Attempt]]:
    setup = parts.setup
    return await _judged(parts, item, await collect(item.spec, setup.parts(seed_candidate()), parts.given.plan))


async def _buy(
    parts: Opened, item: Item, purchase: Purchase, tree: Sequence[Attempt]
) -> tuple[Episode, Sequence[Attempt]]:
    by_id, above = {attempt.id: attempt for attempt in tree}, []
    at = by_id.get(purchase.parent_id or "")
    while at is not None:
        above.append(await seen_of(parts.setup.corpus, at))
        at = by_id.get(at.parent_id or "")
    seed_parts = parts.setup.parts(seed_candidate())
    bought = await buy(item.spec, seed_parts, parts.given.plan, purchase.action, above=above[::-1])
    return await _judged(parts, item, bought)


async def _judged(parts: Opened, item: Item, collected: Collected) -> tuple[Episode, Sequence[Attempt]]:
    """Every attempt of a tree is judged: any may be the one that a replayed candidate selects."""
    episode, history, outputs = collected
    await parts.evaluator.verdicts(item.task, episode, outputs)
    return episode, [seen.attempt for seen in history]


async def judge_recorded(parts: Opened, gathered: Mapping[str, Gathered]) -> None:
    """Judge what a killed run had recorded and not judged; what the ledger holds is not judged again."""
    tasks = {task.digest: task for task in parts.given.tasks}

    async def one(item: tuple[str, Part]) -> None:
        task, part = tasks[item[0]], item[1]
        chosen = part.attempts if part.depth else [a for a in part.attempts if a.id == part.episode.selected_id]
        outputs = await outputs_of(parts.setup.corpus, chosen)
        await parts.evaluator.verdicts(task, part.episode, outputs)

    recorded = [(digest, part) for digest, found in gathered.items() for part in (*found.branching, *found.drawn)]
    await parts.setup.executor.map(one, recorded)
