"""Factors on and off, every combination of them at one grant, and what each factor adds on average over the others.

A factor is one row of `FACTORS`: what it changes in how a controller is made. A further row gives a further factor,
with all combinations and its marginal effect; what it changes is a field of `Making`, read in `controller_of`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from controllers.baselines import Arm
from experiments.gate.arms.contrasts import Measured, measure, paired_values, require_equal_exclusion
from experiments.gate.learned.ablation_config import AblationConfig
from experiments.gate.learned.learning import Learned, Lesson, Trees, learn
from experiments.gate.report import Contrast
from experiments.search.stages import Step, arms_of, space_from
from experiments.search_config import SearchConfig
from experiments.wiring import Wired
from optimizers.gate.evidence import evidence_of
from optimizers.gate.families import with_q
from optimizers.gate.records import Evidence
from optimizers.gate.spend import Spend, confounded, spend_of
from optimizers.levels.settings import SearchSettings
from optimizers.space import Space
from signatures.digest import seed_of
from signatures.records import Amounts

MARGINAL: Final = "marginal effects"
INTERACTION: Final = "interactions, exploratory"
FURTHER: Final = "further objectives"


@dataclass(frozen=True)
class Making:
    """How a cell's controller is made; everything is off at first."""

    refine: bool = False
    "go on from the last attempt with a steer read off its trace; else every attempt is fresh and untold"
    learned: bool = False
    "searched offline on recorded trees, from the controller that is there without"
    tuned: bool = False
    "searched with settings that were tuned at level two; where nothing is learned it changes nothing"


@dataclass(frozen=True)
class Factor:
    """One thing that is on or off."""

    name: str
    turned_on: Callable[[Making], Making]


FACTORS: Final = (
    Factor("refine", lambda making: replace(making, refine=True)),
    Factor("learned", lambda making: replace(making, learned=True)),
    Factor("tuned", lambda making: replace(making, tuned=True)),
)


@dataclass(frozen=True)
class Cell:
    """One combination of levels."""

    levels: tuple[bool, ...]
    "of the factors, in their order"
    name: str
    making: Making


@dataclass(frozen=True)
class Bench:
    """What cells are made and measured with."""

    config: AblationConfig
    search: SearchConfig
    wired: Wired
    trees: Trees
    settings: SearchSettings
    "of the searches of cells that are tuned"


def cells_of(factors: Sequence[Factor]) -> tuple[Cell, ...]:
    """All combinations, everything off first."""
    cells = []
    for levels in itertools.product((False, True), repeat=len(factors)):
        making = Making()
        for factor, on in zip(factors, levels, strict=True):
            making = factor.turned_on(making) if on else making
        names = [factor.name for factor, on in zip(factors, levels, strict=True) if on]
        cells.append(Cell(levels, "+".join(names) or "none", making))
    return tuple(cells)


async def arm_of(bench: Bench, cell: Cell) -> tuple[Arm, Learned | None]:
    """The arm of a cell, at the grant that all cells have, and its lesson where it was learned."""
    arms = arms_of(bench.search, bench.wired.actions)
    first = next(a for a in arms if a.name.startswith("refine@" if cell.making.refine else "random@"))
    legal = tuple(dict.fromkeys((*bench.wired.actions, *first.steer_legal))) if cell.making.refine else ("none",)
    arm = first.model_copy(update={"name": cell.name, "steer_legal": legal})
    if not cell.making.learned:
        return arm, None
    space = space_from(bench.trees.replay, bench.trees.tasks, bench.wired.actions, bench.config.attempts)
    if not cell.making.refine:
        space = fresh_only(space)
    # Tuned or not, a lesson of one name has one seed: the settings are all that differs.
    name = f"learn {'refine+' if cell.making.refine else ''}learned"
    settings = bench.settings if cell.making.tuned else None
    lesson = Lesson(bench.search, bench.trees, arm.candidate, space, name, settings)
    learned = await learn(lesson, bench.wired)
    return arm.model_copy(update={"candidate": learned.candidate}), learned


def fresh_only(space: Space) -> Space:
    """The space without going on from an attempt, and without a word to the worker."""
    fanouts = tuple(action for action in space.actions["topology"] if action.startswith("fanout"))
    return replace(space, actions={**space.actions, "topology": fanouts, "steer": ("none",)})


async def measure_cells(bench: Bench, arms: Sequence[Arm], step: Step) -> dict[str, Measured]:
    """Every cell on the same dev tasks and seeds. Raises Outage."""
    seeds = [seed_of("ablation", bench.config.seed, repeat) for repeat in range(bench.config.repeats)]
    tasks = bench.wired.splits.dev
    found = {}
    for arm in arms:
        found[arm.name] = await measure(bench.wired, arm, tasks, seeds=seeds, namespace="ablation", step=step)
    return found


def effects_of(
    measured: Mapping[str, Measured], factors: Sequence[Factor], objectives: Sequence[str], config: AblationConfig
) -> tuple[Contrast, ...]:
    """Each factor's marginal effect on the first objective, one family; then on the others; then interactions.

    Marginal: on - off, each the mean over all levels of the other factors, by task. Interaction: half of how much
    more a factor adds where another is on; on the first objective. Raises EvidenceError where infrastructure took
    more episodes from one side than chance does.
    """
    cells, primary = cells_of(factors), objectives[0]
    marginal = {factor.name: [cell.levels[i] for cell in cells] for i, factor in enumerate(factors)}
    crossed = {
        f"{one.name} x {other.name}": [cell.levels[i] == cell.levels[j] for cell in cells]
        for (i, one), (j, other) in itertools.combinations(enumerate(factors), 2)
    }
    for one, other in itertools.combinations(measured.values(), 2):
        require_equal_exclusion(one, other)
    table = _Table(measured, [cell.name for cell in cells], config)
    found = table.contrasts(marginal, primary, MARGINAL)
    for objective in objectives[1:]:
        found += table.contrasts(marginal, objective, FURTHER, corrected=False)
    return (*found, *table.contrasts(crossed, primary, INTERACTION))


@dataclass(frozen=True)
class _Table:
    """The measured cells, and contrasts between two halves of them."""

    measured: Mapping[str, Measured]
    names: Sequence[str]
    config: AblationConfig

    def contrasts(
        self, halves: Mapping[str, Sequence[bool]], objective: str, family: str, *, corrected: bool = True
    ) -> tuple[Contrast, ...]:
        """For each name the cells that are True less those that are False, with q within the family."""
        evidence = {name: self._evidence(half, objective) for name, half in halves.items()}
        if corrected:
            evidence = with_q(evidence)
        return tuple(
            Contrast(
                name=name,
                family=family,
                treatment=" & ".join(self._cells(halves[name], on=True)),
                control=" & ".join(self._cells(halves[name], on=False)),
                evidence=found,
                confounded=self._confounded(halves[name], name) if family == MARGINAL else (),
            )
            for name, found in evidence.items()
        )

    def _cells(self, half: Sequence[bool], *, on: bool) -> list[str]:
        return [name for name, level in zip(self.names, half, strict=True) if level == on]

    def _evidence(self, half: Sequence[bool], objective: str) -> Evidence:
        sides = []
        for on in (False, True):
            values: dict[str, list[float | None]] = {}
            for name in self._cells(half, on=on):
                for task, repeats in self.measured[name].values(objective).items():
                    values.setdefault(task, []).extend(repeats)
            sides.append(values)
        pairs = paired_values(sides[0], sides[1], objective, {})
        return evidence_of(pairs, alpha=self.config.alpha, min_effect=self.config.min_effect)

    def _confounded(self, half: Sequence[bool], name: str) -> tuple[str, ...]:
        return confounded(self._spend(half, name, on=True), self._spend(half, f"without {name}", on=False))

    def _spend(self, half: Sequence[bool], name: str, *, on: bool) -> Spend:
        total: dict[str, list[Amounts]] = {}
        for cell in self._cells(half, on=on):
            for task, spent in self.measured[cell].spent.items():
                total.setdefault(task, []).extend(spent)
        return spend_of(name, total)
