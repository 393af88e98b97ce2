"""What a corpus supports, per depth and action, and which attempts are worth buying next. Checkers' numbers only."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from optimizers.collect.collecting import CollectPlan, Purchase, unsolved
from optimizers.collect.gathering import Gathered
from signatures.records import Attempt, Finite, NonNegative, Probability, Record

PRIOR_ATTEMPTS: Final = 2.0
"""How many attempts the pooled variance counts for in a cell's own."""
WIDEST: Final = 0.25
"""The variance of a gain where nothing is recorded: the largest of a value on [0, 1]."""
FRESH: Final = (1, "none")
"""The cell of fresh attempts."""


class Cell(Record):
    """The attempts at one depth of a lineage under one action."""

    depth: int = Field(ge=1)
    "1: fresh attempts"
    action: str
    attempts: int = Field(ge=0)
    "recorded, those that infrastructure ended left out"
    in_trees: int = Field(ge=0)
    "of these in trees, the rest in stochastic episodes"
    tasks: int = Field(ge=0)
    parents: int = Field(ge=0)
    "distinct attempts that they went on from"
    passed: Probability | None
    "share that the checker of `correct` passed, of those it could say"
    gain: Finite | None
    "mean change of the checker's `correct` from the parent, for a fresh attempt from 0"
    sd: NonNegative
    "of the gain, drawn towards that of all cells"
    effective: Probability
    "effective share: (sum n)^2 / sum n^2 over tasks, of the tasks where a failed parent asks for the cell"
    price: NonNegative
    "attempts that one purchase is expected to take, with what grows below it"
    most: int = Field(ge=1)
    "attempts that one purchase can take"
    need: NonNegative
    "sd / ((attempts + 1) sqrt(price)); 0 where it cannot be bought: no recorded parent asks for it"

    @property
    def label(self) -> str:
        """The action, or `fresh`."""
        return "fresh" if self.depth == 1 else self.action


@dataclass
class _Tally:
    """What is counted of one cell; a gain is left out where the checker could not say."""

    gains: list[float] = field(default_factory=list)
    passes: list[bool] = field(default_factory=list)
    by_task: Counter[str] = field(default_factory=Counter)
    parents: set[str] = field(default_factory=set)
    in_trees: int = 0

    @property
    def squares(self) -> float:
        """Sum of squared deviations of the gains."""
        mean = sum(self.gains) / len(self.gains) if self.gains else 0.0
        return math.fsum((gain - mean) ** 2 for gain in self.gains)


def coverage(gathered: Mapping[str, Gathered], plan: CollectPlan) -> list[Cell]:
    """One cell for each depth and action of the plan, and for what else is recorded, shallow first.

    `gathered`: task digest -> its collected episodes. The price of a purchase is 1 at the plan's depth; above it
    1 + (share that fails) x (sum of the prices one level down), since what fails is grown on. `need` is, up to a
    constant, what Neyman's allocation with costs divides attempts by: cells get attempts in proportion to
    sd / sqrt(price). Source: Cochran 1977, Sampling Techniques, section 5.5.
    """
    tallies, asking = _tallies(gathered)
    for depth in range(2, plan.depth + 1):
        for action in plan.actions:
            tallies[depth, action]  # a cell that nothing is recorded of is a cell
    tallies[FRESH]
    asking[1] = set(gathered)
    freedom = sum(max(0, len(tally.gains) - 1) for tally in tallies.values())
    pooled = math.fsum(tally.squares for tally in tallies.values()) / freedom if freedom else WIDEST
    prices = _prices(tallies, plan)
    order = {action: number for number, action in enumerate(plan.actions)}
    keys = sorted(tallies, key=lambda key: (key[0], order.get(key[1], len(order)), key[1]))
    return [
        _cell(key, tallies[key], asking=asking[key[0]], pooled=pooled, price=prices.get(key[0], 1.0), plan=plan)
        for key in keys
    ]


def ranked(cells: Sequence[Cell], plan: CollectPlan) -> list[Cell]:
    """The cells that can be bought, the neediest first."""
    buyable = [cell for cell in cells if cell.need > 0 and cell.depth <= plan.depth]
    return sorted(buyable, key=lambda cell: (-cell.need, cell.depth, cell.action))


def purchases(
    gathered: Mapping[str, Gathered], cells: Sequence[Cell], plan: CollectPlan, *, attempts: int
) -> list[Purchase]:
    """What to buy for `attempts` attempts, in order: at most one purchase an attempt.

    Each time the neediest cell that can be paid for, as if what was chosen before were recorded; in it the parent
    with the fewest children under the action, and among those one of the task with the fewest attempts in the cell.
    """
    shelf = _Shelf(gathered, plan)
    left = {(cell.depth, cell.action): cell for cell in ranked(cells, plan) if cell.most <= attempts}
    found: list[Purchase] = []
    while left and len(found) < attempts:
        key, cell = min(left.items(), key=lambda item: (-item[1].need, item[0]))
        found.append(shelf.take(cell))
        more = cell.attempts + 1
        left[key] = cell.model_copy(update={"attempts": more, "need": _need(cell.sd, more, cell.price)})
    return found


class _Shelf:
    """The parents in recorded trees, by how often each was gone on from."""

    def __init__(self, gathered: Mapping[str, Gathered], plan: CollectPlan) -> None:
        self._children: Counter[tuple[str, str, str]] = Counter()
        self._in_cell: Counter[tuple[str, int, str]] = Counter()
        self._tried: Counter[tuple[str, str, str]] = Counter()
        self._parents: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        self._heaps: dict[tuple[int, str], list[tuple[int, int, str, str]]] = {}
        self._parents[1] = [(task, "") for task in gathered]
        for task, found in gathered.items():
            depths = depths_of(found.tree)
            for attempt in found.tree:
                depth = depths[attempt.id]
                self._children[task, attempt.parent_id or "", attempt.steer.action] += 1
                self._in_cell[task, depth, attempt.steer.action] += 1
                if unsolved(attempt) and depth < plan.depth:
                    self._parents[depth + 1].append((task, attempt.id))
            for (parent, action), repeats in found.tried.items():
                self._tried[task, parent, action] = repeats

    def take(self, cell: Cell) -> Purchase:
        """The next purchase in a cell, counted as made."""
        place = cell.depth, cell.action
        heap = self._heaps.get(place)
        if heap is None:
            heap = self._heaps[place] = [self._entry(cell, *parent) for parent in self._parents[cell.depth]]
            heapq.heapify(heap)
        while (fresh := self._entry(cell, *heap[0][2:])) != heap[0]:  # counts only grow: what is stale is too small
            heapq.heapreplace(heap, fresh)
        task, parent = heap[0][2:]
        key = task, parent, cell.action
        repeat = self._tried[key]
        self._children[key] += 1
        self._tried[key] += 1
        self._in_cell[task, *place] += 1
        return Purchase(task_digest=task, parent_id=parent or None, action=cell.action, depth=cell.depth, repeat=repeat)

    def _entry(self, cell: Cell, task: str, parent: str) -> tuple[int, int, str, str]:
        children = self._children[task, parent, cell.action]
        return children, self._in_cell[task, cell.depth, cell.action], task, parent


def depths_of(attempts: Sequence[Attempt]) -> dict[str, int]:
    """The depth of each attempt in its lineage, 1 for a root; parents come before their children."""
    depths: dict[str, int] = {}
    for attempt in attempts:
        depths[attempt.id] = 1 + (0 if attempt.parent_id is None else depths[attempt.parent_id])
    return depths


def _tallies(
    gathered: Mapping[str, Gathered],
) -> tuple[defaultdict[tuple[int, str], _Tally], defaultdict[int, set[str]]]:
    """What is counted by depth and action, and for each depth the tasks where a failed parent asks for a child."""
    tallies: defaultdict[tuple[int, str], _Tally] = defaultdict(_Tally)
    asking: defaultdict[int, set[str]] = defaultdict(set)
    for task, found in gathered.items():
        drawn = tuple(attempt for part in found.drawn for attempt in part.attempts)
        for attempts, in_tree in ((found.tree, True), (drawn, False)):
            by_id, depths = {attempt.id: attempt for attempt in attempts}, depths_of(attempts)
            for attempt in attempts:
                if attempt.outcome == "infra_error":
                    continue
                tally = tallies[depths[attempt.id], attempt.steer.action]
                _count(tally, attempt, by_id.get(attempt.parent_id or ""), task, in_tree=in_tree)
                if in_tree and unsolved(attempt):
                    asking[depths[attempt.id] + 1].add(task)
    return tallies, asking


def _count(tally: _Tally, attempt: Attempt, parent: Attempt | None, task: str, *, in_tree: bool) -> None:
    correct = attempt.check("correct")
    if correct is not None and correct.passed is not None:
        tally.passes.append(correct.passed)
    if correct is not None and correct.value is not None:
        before = 0.0 if parent is None else _value(parent)
        if before is not None:
            tally.gains.append(correct.value - before)
    tally.by_task[task] += 1
    tally.in_trees += in_tree
    if parent is not None:
        tally.parents.add(parent.id)


def _value(attempt: Attempt) -> float | None:
    check = attempt.check("correct")
    return None if check is None else check.value


def _prices(tallies: Mapping[tuple[int, str], _Tally], plan: CollectPlan) -> dict[int, float]:
    """Depth -> attempts that one purchase is expected to take; where nothing is recorded, all fail."""
    prices = {plan.depth: 1.0}
    for depth in range(plan.depth - 1, 0, -1):
        passes = [passed for (at, _), tally in tallies.items() if at == depth for passed in tally.passes]
        fails = 1 - sum(passes) / len(passes) if passes else 1.0
        prices[depth] = 1 + fails * len(plan.actions) * prices[depth + 1]
    return prices


def _cell(
    key: tuple[int, str], tally: _Tally, *, asking: set[str], pooled: float, price: float, plan: CollectPlan
) -> Cell:
    n, measured = tally.by_task.total(), len(tally.gains)
    variance = (PRIOR_ATTEMPTS * pooled + tally.squares) / (PRIOR_ATTEMPTS + max(0, measured - 1))
    sd = math.sqrt(variance)
    spread = sum(count**2 for count in tally.by_task.values())
    wanted = max(len(asking), len(tally.by_task))
    buyable = key == FRESH or (1 < key[0] <= plan.depth and key[1] in plan.actions)
    return Cell(
        depth=key[0],
        action=key[1],
        attempts=n,
        in_trees=tally.in_trees,
        tasks=len(tally.by_task),
        parents=len(tally.parents),
        passed=sum(tally.passes) / len(tally.passes) if tally.passes else None,
        gain=math.fsum(tally.gains) / measured if measured else None,
        sd=sd,
        effective=min(1.0, n**2 / spread / wanted) if spread else 0.0,
        price=price,
        most=plan.most_from(min(key[0], plan.depth)),
        need=_need(sd, n, price) if asking and buyable else 0.0,
    )


def _need(sd: float, attempts: int, price: float) -> float:
    return sd / ((attempts + 1) * math.sqrt(price))
