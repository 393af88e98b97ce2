from __future__ import annotations

import json
from pathlib import Path

from experiments.skill.report import PolicyReport, SkillReport, markdown_of, metrics_of, publish
from optimizers.skill.scoring import scored
from tests.worlds.asked import question, reply


def a_report() -> SkillReport:
    questions = [question(f"t{n}", families=("apn",)) for n in range(6)]
    zero = scored("zero-shot", questions, ["fanout_1"] * 2 + [None] * 4, [reply(-1, -2, -3)] * 6)
    centred = scored("demos + centred", questions, ["fanout_1"] * 5 + ["refine_last"], [reply(-1, -2, -3)] * 6)
    rules = scored("rules", questions, ["fanout_1"] * 6, [None] * 6)
    policy = PolicyReport(
        policy="topology",
        n=6,
        chance=1 / 3,
        answers=("refine_last", "fanout_1"),
        calibration=6,
        demos=2,
        mined=40,
        held_out=("apn",),
        ways=(rules, zero, centred.model_copy(update={"p_baseline": {"zero-shot": 0.25}})),
        shipped="demos + centred",
        shipped_left_out=0.5,
    )
    return SkillReport(
        model="local/m",
        benchmark="telecom",
        worker="telecom",
        corpus="c.db",
        trees=9,
        config={"seed": 1},
        policies=(policy,),
        lacking={"stop": "too few"},
        asked=36,
    )


def test_the_page_says_counts_intervals_chance_and_families() -> None:
    page = markdown_of(a_report())
    assert "zero-shot 2 of 6, best way demos + centred 5, chance 2.0" in page
    assert "| zero-shot | 2/6 (4 unread) | 0.333 [0.043, 0.777] |" in page
    assert "| demos + centred | 5/6 | 0.833 [0.359, 0.996] |" in page and "| 0.2500 |" in page
    assert "| way | apn |" in page and "- stop: too few" in page


def test_files_are_written_and_hold_the_report(tmp_path: Path) -> None:
    assert publish(tmp_path, a_report(), seed=1, tracking=False) == ""
    assert SkillReport.model_validate_json((tmp_path / "report.json").read_text()) == a_report()
    assert (tmp_path / "report.md").read_text() == markdown_of(a_report())
    last = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert "topology/zero-shot/accuracy" in json.dumps(last)


def test_metrics_are_named_by_policy_and_way() -> None:
    found = metrics_of(a_report())
    assert found["topology/demos_centred/accuracy"] == 5 / 6
    assert "topology/rules/tokens" not in found
