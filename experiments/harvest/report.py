"""A harvest for people: one page of findings, new tasks and what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from experiments.harvest.harvests import Harvest
from experiments.harvest.tasks import FILE, HarvestedTask

MOST_NAMED: Final = 3
"""Episodes that the page names per finding; `findings.json` has more."""


def report_of(harvest: Harvest, tasks: Sequence[HarvestedTask]) -> str:
    """The page as Markdown."""
    lines = [f"# {harvest.name}", "", said(harvest), "", "## Findings", ""]
    if not harvest.findings:
        lines += ["None.", ""]
    for one in harvest.findings:
        again = f", first seen in {one.first_seen}" if one.first_seen else ""
        lines += [
            f"### {one.severity}: {one.said}",
            "",
            f"`{one.id}`, {one.episodes} episodes ({one.share:.0%}){again}. What to do: {one.advice}.",
            "",
        ]
        for shown in one.evidence[:MOST_NAMED]:
            attempts = f": attempts {', '.join(id[:12] for id in shown.attempts)}" if shown.attempts else ""
            lines.append(f"- episode {shown.episode[:12]}{attempts}")
        lines.append("")
    lines += ["## New tasks", "", f"{len(tasks)} in `{FILE}`.", ""]
    lines += [f"- {count} left out: {reason}" for reason, count in sorted(harvest.left_out.items())]
    lines += ["", "## Could not be analysed", ""]
    lines += [f"- episode {one.episode[:12]}: {one.error}" for one in harvest.failures] or ["Nothing."]
    return "\n".join(lines) + "\n"


def said(harvest: Harvest) -> str:
    """The harvest in one line."""
    grave = sum(one.severity == "high" for one in harvest.findings)
    failed = f", {len(harvest.failures)} could not be analysed" if harvest.failures else ""
    return (
        f"{len(harvest.analysed)} production episodes analysed{failed}: {len(harvest.findings)} findings, {grave} of "
        f"them grave; {harvest.tasks} new tasks"
    )
