"""An imported corpus under replay: what it can answer, and what it says it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controllers.baselines import control_arms, controller_components, seed_candidate
from controllers.program import controller_of
from experiments.importing.benchmark import ImportedBenchmark, ImportedOptions
from experiments.replay_run import ReplayConfig, require_an_estimate, run
from optimizers.replay.estimates import Estimate, Refusal
from signatures.errors import JudgeUnavailable, NoSupport, UsageError
from signatures.records import Candidate

ID = "experiments.importing.benchmark:ImportedBenchmark"
REFINING = Candidate(components=controller_components(refine=True, steer={"none": 1.0}))


@pytest.fixture
def recorded(written, bring_in, corpus: Path) -> Path:
    """Four tasks, four trials each, passing as often as the task's number says; one says what it was told."""
    held = {"benchmark": "b", "worker": "w"}
    told = {"steer": {"kind": "fixed", "action": "hint", "text": "Look again."}}
    lines = [
        {
            **held,
            "key": f"t{task}",
            "run": str(trial),
            "output": f"{task} {trial}",
            "score": int(trial < task),
            **(told if trial == 3 else {}),
        }
        for task in range(4)
        for trial in range(4)
    ]
    bring_in("jsonl", written("\n".join(map(json.dumps, lines)), "a.jsonl"))
    return corpus


def config(recorded: Path, tmp_path: Path, candidate: Candidate, *estimators: str, attempts: int = 1) -> ReplayConfig:
    file = tmp_path / "candidate.json"
    file.write_text(controller_of(candidate).dumps(), encoding="utf-8")
    return ReplayConfig(
        corpus=str(recorded),
        candidates=(str(file),),
        benchmark=ID,
        options={"corpus": str(recorded)},
        estimators=estimators,
        attempts=attempts,
    )


def test_fresh_attempts_are_replayed(recorded: Path, tmp_path: Path) -> None:
    arm = control_arms(1, None, (), placebo=False)[0].candidate
    (found,) = run(config(recorded, tmp_path, arm, "tree"))
    assert isinstance(found, Estimate)
    assert found.values["correct"].value == pytest.approx((0 + 1 + 2 + 3) / 16)


def test_what_was_never_refined_is_refused(recorded: Path, tmp_path: Path) -> None:
    found = run(config(recorded, tmp_path, REFINING, attempts=3))
    assert all(isinstance(one, Refusal) for one in found)
    assert "in no recorded tree" in found[0].reason
    with pytest.raises(NoSupport, match="candidate"):
        require_an_estimate(found)


def test_weighting_is_refused_without_propensities(recorded: Path, tmp_path: Path) -> None:
    (found,) = run(config(recorded, tmp_path, seed_candidate(), "snips"))
    assert isinstance(found, Refusal) and "no recorded episode says how likely" in found.reason
    with pytest.raises(NoSupport, match="candidate"):
        require_an_estimate([found])


def test_what_it_holds_and_refuses(recorded: Path) -> None:
    held = ImportedBenchmark(ImportedOptions(corpus=str(recorded)))
    assert (held.id, len(held.tasks("search")), held.checkers()) == ("b", 4, ())
    assert [(one.action, one.text) for one in held.directives] == [("hint", "Look again.")]
    assert held.directive_text("hint", ()) == "Look again."
    with pytest.raises(UsageError, match="no dev split"):
        held.tasks("dev")
    with pytest.raises(UsageError, match="cannot be attempted"):
        held.worker(None, None)
    with pytest.raises(UsageError, match="it holds b"):
        ImportedBenchmark(ImportedOptions(corpus=str(recorded), benchmark="c"))
    with pytest.raises(UsageError, match="give the option corpus"):
        ImportedBenchmark()


async def test_its_judge_cannot_be_asked(recorded: Path) -> None:
    held = ImportedBenchmark(ImportedOptions(corpus=str(recorded)))
    with pytest.raises(JudgeUnavailable, match="imported@1"):
        await held.judge().judge(held.tasks("search")[0], "x")
