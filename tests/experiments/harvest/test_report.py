"""The page of a harvest: what it found, what to do, what could not be read."""

from __future__ import annotations

from experiments.harvest.findings import findings_of
from experiments.harvest.harvests import Harvest, Unread
from experiments.harvest.report import MOST_NAMED, report_of, said
from experiments.harvest.tasks import HarvestedTask
from optimizers.evidence.signals import Signal
from signatures.records import Task

SHOWN = [(f"episode{n:09}", [Signal("not passed", "correct", (f"attempt{n:09}",))]) for n in range(5)]
HARVEST = Harvest(
    name="planted-harvest-2",
    benchmark="planted",
    until=9,
    findings=findings_of("planted", SHOWN, evidence=5, before={}),
    failures=(Unread(episode="damaged00001", error="no blob abc"),),
    tasks=1,
    left_out={"in the dev split": 2},
    analysed=tuple(id for id, _ in SHOWN),
)
TASKS = [HarvestedTask(task=Task(digest="t", benchmark="planted", prompt="Do."), episodes=("e",))]


def test_the_page_names_findings_evidence_tasks_and_failures() -> None:
    page = report_of(HARVEST, TASKS)
    assert page.startswith("# planted-harvest-2\n\n5 production episodes analysed, 1 could not be analysed: 1 findings")
    assert "### high: the checker of `correct` did not pass what was selected" in page
    assert f"`{HARVEST.findings[0].id}`, 5 episodes (100%). What to do: search again" in page
    assert page.count("- episode episode0") == MOST_NAMED
    assert "1 in `tasks.jsonl`." in page
    assert "- 2 left out: in the dev split" in page
    assert "- episode damaged00001: no blob abc" in page


def test_a_harvest_of_nothing_says_so() -> None:
    empty = HARVEST.model_copy(update={"findings": (), "failures": (), "tasks": 0, "left_out": {}, "analysed": ()})
    page = report_of(empty, [])
    assert "## Findings\n\nNone.\n" in page
    assert page.endswith("## Could not be analysed\n\nNothing.\n")
    assert said(empty) == "0 production episodes analysed: 0 findings, 0 of them grave; 0 new tasks"
