"""A transfer from its config to its report: teach, try, compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.gate.arms.workbench import begin
from experiments.gate.report import GateReport, interval_text, level, publish
from experiments.gate.workers import calls_said
from experiments.search.stages import plan_of
from experiments.transfer.domains import Domain, domains_of, sizes_said
from experiments.transfer.learning import teach
from experiments.transfer.matrix_figure import FIGURE, draw_matrix
from experiments.transfer.report import KIND, report_of
from experiments.transfer.trying import matrix_of, try_on
from signatures.digest import digest_of

if TYPE_CHECKING:
    from experiments.transfer.config import TransferConfig

LONGEST: Final = 60
"""Characters of the domains' names in a folder's."""


@dataclass(frozen=True)
class Prepared:
    """A config that can run: whatever could be wrong with it was looked at, and nothing was written."""

    config: TransferConfig
    folder: Path
    domains: tuple[Domain, ...]


class Outcome(NamedTuple):
    """A transfer that ended."""

    report: GateReport
    paths: Mapping[str, str]


class Cost(NamedTuple):
    """The most attempts of each stage."""

    trees: int
    search: int
    tries: int

    @property
    def total(self) -> int:
        """Of all stages."""
        return sum(self)


def prepare(config: TransferConfig) -> Prepared:
    """Look at everything. Raises UsageError."""
    domains = domains_of(config)
    mark = digest_of(KIND, config.identity, [domain.identity for domain in domains])[:8]
    names = "-".join(domain.name for domain in domains)[:LONGEST]
    folder = Path(config.root) / f"{KIND}-{names}-s{config.seed}-{mark}"
    return Prepared(config, folder, tuple(domain.kept_in(folder) for domain in domains))


def cost_of(plan: Prepared) -> Cost:
    """The most attempts of a run; solved tasks stop early, and what is recorded is not attempted again."""
    config, domains = plan.config, plan.domains
    pools = len(domains) > 2
    trees = sum(len(one.train) * plan_of(one.ready.config, one.legal).most_attempts for one in domains)
    lesson = sum((len(one.train) + 2 * one.ready.config.minibatch) * config.attempts for one in domains)
    search = lesson * (1 + (len(domains) - 1) * pools)
    controllers = 1 + len(domains) + pools
    tries = controllers * sum(len(one.dev) for one in domains) * config.repeats * config.attempts
    return Cost(trees, search, tries)


def projection(plan: Prepared) -> str:
    """The lines that a run starts with."""
    cost, domains = cost_of(plan), plan.domains
    calls = next((said for one in domains if (said := calls_said(one.ready, cost.total))), "")
    return "\n".join(
        [
            f"Transfer between {len(domains)} domains: at most {cost.total:,} attempts: {cost.trees:,} in recorded "
            f"trees, {cost.search:,} that searches may buy, {cost.tries:,} in trying what was learned; far fewer where "
            f"tasks are solved early{calls}",
            *(f"  {one.name}: {one.who}, {len(one.train)} search and {len(one.dev)} dev tasks" for one in domains),
            *(f"  {line}" for line in sizes_said(plan.config, domains)),
        ]
    )


async def run_transfer(plan: Prepared, say: Callable[[str], object]) -> Outcome:
    """The whole transfer in its run folder. Killed and started again, it ends the same. Raises TillerError."""
    started, config, folder = time.monotonic(), plan.config, plan.folder
    say(projection(plan))
    begin(folder, config)
    taught = await teach(plan.domains, folder, say)
    tried = [await try_on(domain, taught, config, folder, say) for domain in plan.domains]
    cells, further = matrix_of(tried, config)
    report = report_of(config, taught, tried, cells, further)
    draw_matrix(folder / FIGURE, cells, f"{report.title}; {report.whose}")
    written, line = publish(folder, report, tracking=config.tracking)
    for cell in cells:
        found, decided = cell.contrast.evidence, cell.contrast.decided
        verdict = "" if decided is None else f": {decided.decision}"
        say(f"{cell.contrast.name} = {interval_text(found)} points, n = {found.n}, q = {level(found.q)}{verdict}")
    paths = {"run": folder, "report": written.json, "page": written.markdown, "figure": folder / FIGURE}
    took = f"took {time.monotonic() - started:.0f} s"
    for text in (report.sentence, *([line] if line else []), *(f"{k}: {v}" for k, v in paths.items()), took):
        say(text)
    return Outcome(report, {name: str(path) for name, path in paths.items()})
