"""Predictions are kept append-only and read back; and nothing that accepts a candidate can take one."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from optimizers.archive import Archive, Entry
from optimizers.episode_log import Target
from optimizers.records import TaskScore
from optimizers.replay.estimates import Bound, Estimate
from optimizers.reward.calibration import Calibration
from optimizers.reward.prediction_log import Prediction, PredictionLog, Trained
from optimizers.reward_model import RewardModel
from optimizers.vectors import entry_of, mean_vector, table, worth_keeping
from signatures.errors import StoreError
from signatures.records import Objective

OPTIMIZERS = Path(__file__).resolve().parents[3] / "optimizers"
CORRECT = Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge")
CALIBRATION = Calibration(
    objective="correct",
    kind="classifier",
    n=10,
    tasks=5,
    ece=0.1,
    brier=0.2,
    base_brier=0.25,
    spearman=None,
    options=1,
    options_spearman=None,
)


def prediction(candidate: str = "c", value: float = 0.9) -> Prediction:
    return Prediction(
        candidate=candidate,
        predicted={"correct": value},
        unsupported=1.0,
        fingerprint="model",
        version="1",
        question=f"asked of {candidate}",
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    log = PredictionLog(path)
    log.write_trained(Trained(fingerprint="model", version="1", calibration=(CALIBRATION,)))
    log.write_predictions([prediction("a"), prediction("b", 0.1)])
    log.write_predictions([])
    log.close()
    again = PredictionLog(path)
    assert len(again) == 2
    assert again.prediction("model", "b", "asked of b") == prediction("b", 0.1)
    assert again.prediction("other model", "b", "asked of b") is None
    assert again.prediction("model", "b", "asked of a") is None
    trained = again.trained("model")
    assert trained is not None
    assert trained.calibration == (CALIBRATION,)
    assert again.trained("other model") is None
    again.close()


def test_what_was_written_stays_and_a_known_model_is_not_written_again(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "predictions.jsonl")
    trained = Trained(fingerprint="model", version="1", calibration=())
    log.write_trained(trained)
    before = log.path.read_bytes()
    log.write_trained(trained)
    assert log.path.read_bytes() == before
    log.write_predictions([prediction()])
    assert log.path.read_bytes().startswith(before)
    log.close()


def test_a_torn_line_is_dropped_and_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    log = PredictionLog(path)
    log.write_predictions([prediction()])
    log.close()
    path.write_bytes(path.read_bytes() + b'{"predictions": [{"cand')
    again = PredictionLog(path)
    assert len(again) == 1
    again.close()
    for line in ('{"search":"x"}', '{"predictions":[{"candidate":"c"}]}', '{"trained":{"fingerprint":1}}'):
        path.write_text(line + "\n")
        with pytest.raises(StoreError, match="not an entry of a prediction log"):
            PredictionLog(path)


def test_a_prediction_is_a_value_on_the_unit_interval() -> None:
    with pytest.raises(ValidationError):
        prediction(value=1.1)


def test_the_archive_takes_no_prediction() -> None:
    """Neither as it is nor made into an entry; what it held stays."""
    archive = Archive([CORRECT])
    with pytest.raises(AttributeError):
        archive.add(prediction())  # type: ignore[arg-type]  # the type checker refuses it already
    assert len(archive) == 0 and archive.front() == ()
    for taken in (Entry, TaskScore, Estimate, Bound):
        with pytest.raises(ValidationError):
            taken.model_validate(prediction().model_dump())


def test_no_comparison_takes_a_prediction() -> None:
    good = TaskScore(
        candidate="p", condition="x", task_digest="t", seed=0, split="search", values={"correct": 0.1}, source="live"
    )
    for compare in (
        lambda: mean_vector([prediction()], [CORRECT]),  # type: ignore[list-item]  # as above
        lambda: entry_of([prediction()], [CORRECT], generation=0),  # type: ignore[list-item]
        lambda: worth_keeping(table([prediction()], [CORRECT]), table([good], [CORRECT])),  # type: ignore[list-item]
    ):
        with pytest.raises(AttributeError):
            compare()


def test_a_prediction_shares_no_number_with_what_is_compared() -> None:
    numbers = {"predicted", "unsupported"}
    assert numbers <= set(Prediction.model_fields)
    for compared in (Entry, Estimate):
        assert not numbers & set(compared.model_fields)
    assert "predicted" not in TaskScore.model_fields and "values" not in Prediction.model_fields


def imports(path: Path) -> set[str]:
    """The modules of this package that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
        found |= {name for name in names if name.startswith("optimizers")}
    return found


def reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Everything that a module imports, directly or not."""
    found: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in graph and name not in found:
            found.add(name)
            todo += graph[name]
    return found


def test_nothing_that_scores_compares_or_accepts_can_reach_the_reward_model() -> None:
    graph = {
        ".".join(path.relative_to(OPTIMIZERS.parent).with_suffix("").parts).removesuffix(".__init__"): imports(path)
        for path in sorted(OPTIMIZERS.rglob("*.py"))
    }
    model = {"optimizers.reward_model", "optimizers.reward.prediction_log"}
    assert model <= reached("optimizers.reward_model", graph), "the walk finds what is imported"
    deciding = {
        "archive",
        "evaluator",
        "journal",
        "records",
        "scoring",
        "vectors",
        "setup",
        "intervals",
        "gepa_adapter",
    }
    accepting = {f"optimizers.{name}" for name in deciding}
    accepting |= {name for name in graph if name.startswith(("optimizers.replay", "optimizers.gate"))}
    assert accepting <= set(graph) and len(accepting) > len(deciding)
    assert {name for name in accepting if reached(name, graph) & model} == set()


def test_a_target_takes_no_predictions_and_a_model_gives_nothing_else() -> None:
    """What a model answers is predictions only: it has no way to answer with an estimate."""
    assert inspect.signature(RewardModel.rank).return_annotation == "list[Prediction]"
    with pytest.raises((TypeError, ValueError)):
        Target(("c",), np.array([[prediction()]], dtype=np.float64))
