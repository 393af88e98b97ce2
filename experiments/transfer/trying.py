"""What was learned is tried: every controller on every domain's dev tasks, live, at one grant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from controllers.baselines import Arm, seed_candidate
from experiments.gate.arms.contrasts import Group, Measured, Terms, Versus, clusters_of, contrasts_over, measure
from experiments.gate.report import Contrast
from experiments.transfer.carrying import Carried, carry
from experiments.transfer.config import TransferConfig
from experiments.transfer.domains import Domain
from experiments.transfer.learning import Taught
from experiments.transfer.pool import POOL
from experiments.wiring import definition_of_done
from judges.manifest import require_unchanged
from judges.probes import run_probes
from signatures.digest import seed_of
from signatures.records import Candidate

FROZEN: Final = "frozen"
MATRIX: Final = "learned - frozen"
VERSUS_OWN: Final = "learned elsewhere - learned here"
OTHERS: Final = "all others"
"""What the pool of all domains but the target is called."""


@dataclass(frozen=True)
class Tried:
    """One target: what each controller reached there."""

    domain: Domain
    measured: Mapping[str, Measured]
    "by source, the frozen one first"
    carried: Mapping[str, Carried]


@dataclass(frozen=True)
class Cell:
    """One entry of the matrix."""

    source: str
    target: str
    contrast: Contrast


async def try_on(
    domain: Domain, taught: Taught, config: TransferConfig, folder: Path, say: Callable[[str], object]
) -> Tried:
    """The frozen controller and all learned ones on one domain. Controllers that came out equal are played once."""
    carried = {
        source: carry(candidate, benchmark=domain.id, legal=domain.legal)
        for source, candidate in {FROZEN: seed_candidate(), **taught.candidates_for(domain.name)}.items()
    }
    seeds = [seed_of("transfer", config.seed, repeat) for repeat in range(config.repeats)]
    played: dict[str, Measured] = {}
    measured: dict[str, Measured] = {}
    with domain.opened(folder) as parts:
        for source, one in carried.items():
            digest = one.candidate.digest
            if digest not in played:
                arm = _arm(f"transfer {digest[:12]}", one.candidate, domain, config)
                played[digest] = await measure(
                    parts, arm, domain.dev, seeds=seeds, namespace="transfer", step=lambda: None
                )
            name = arm_name(source, domain.name)
            measured[source] = replace(played[digest], arm=_arm(name, one.candidate, domain, config))
        require_unchanged(
            folder / domain.name / "manifest.json", definition_of_done(parts.benchmark, domain.ready.splits)
        )
        await run_probes(parts.setup.judge, parts.benchmark.probes())
    say(f"{domain.name}: {len(played)} different controllers tried on {len(domain.dev)} dev tasks")
    return Tried(domain, measured, carried)


def arm_name(source: str, target: str) -> str:
    """`frozen on T`, or `S -> T`."""
    if source == FROZEN:
        return f"{FROZEN} on {target}"
    return f"{OTHERS if source == POOL else source} -> {target}"


def matrix_of(tried: Sequence[Tried], config: TransferConfig) -> tuple[tuple[Cell, ...], tuple[Contrast, ...]]:
    """The matrix, one family over all of it; and what was learned elsewhere less what was learned here, another.

    Raises EvidenceError where infrastructure took more episodes from one controller than chance does.
    """
    found = contrasts_over([_group(one, config) for one in tried])
    cells: list[Cell] = []
    further: list[Contrast] = []
    for one, contrasts in zip(tried, found, strict=True):
        sources = [source for source in one.measured if source != FROZEN]
        target = one.domain.name
        cells += [Cell(s, target, c) for s, c in zip(sources, contrasts[: len(sources)], strict=True)]
        further += contrasts[len(sources) :]
    return tuple(cells), tuple(further)


def _group(tried: Tried, config: TransferConfig) -> Group:
    domain, arms = tried.domain, {one.name: one for one in tried.measured.values()}
    target = domain.name
    sources = [source for source in tried.measured if source != FROZEN]
    frozen, own = arm_name(FROZEN, target), arm_name(target, target)
    matrix = [Versus(arm_name(source, target), frozen, MATRIX) for source in sources]
    elsewhere = [Versus(arm_name(source, target), own, VERSUS_OWN) for source in sources if source != target]
    terms = Terms(
        (domain.ready.benchmark.objectives[0].name,),
        config.alpha,
        config.min_effect or None,
        clusters=clusters_of(domain.ready.benchmark.families("dev"), domain.dev),
    )
    return Group(arms, (*matrix, *elsewhere), terms)


def _arm(name: str, candidate: Candidate, domain: Domain, config: TransferConfig) -> Arm:
    return Arm(
        name=name,
        candidate=candidate,
        steer_legal=domain.legal,
        attempts=config.attempts,
        turns_per_attempt=config.turns,
    )
