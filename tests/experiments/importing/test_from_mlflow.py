"""MLflow traces: those of a real store, one by one, in a list, and as rows of a table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from experiments.importing.from_mlflow import MlflowSource
from experiments.tracking import Store, connect
from signatures.errors import UsageError


def span(id: str, start: int, kind: str, parent: str | None = None, **attributes: object) -> dict[str, object]:
    held = {"spanType": kind, **{name.replace("__", "."): value for name, value in attributes.items()}}
    return {
        "span_id": id,
        "parent_span_id": parent,
        "name": attributes.get("spanFunctionName", kind.lower()),
        "start_time_unix_nano": start,
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {f"mlflow.{name}": json.dumps(value) for name, value in held.items()},
    }


def trace(*spans: dict[str, object], assessments: object = (), state: str = "OK") -> dict[str, object]:
    info = {"trace_id": "tr-1", "state": state, "execution_duration_ms": 1500, "assessments": list(assessments)}
    return {"info": info, "data": {"spans": list(spans)}}


ROOT = span("r", 1, "AGENT", spanInputs={"question": "what?", "expected_answer": "gold"}, spanOutputs="red")
TOOL = span("t", 2, "TOOL", "r", spanInputs={"at": 1}, spanOutputs=["a", "b"], spanFunctionName="look")


@pytest.fixture
def real(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A trace as a real store gives it back: a model's call, a tool's that fails, feedback and an expectation."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    import mlflow

    client = connect(Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path))
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        experiment = client.create_experiment("traces", artifact_location=(tmp_path / "artifacts").as_uri())
        root = client.start_trace("agent", span_type="AGENT", inputs={"q": "what?"}, experiment_id=experiment)
        id, above = root.trace_id, root.span_id
        messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "what?"}]
        call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "x"}'}}
        chat = client.start_span("chat", id, above, span_type="CHAT_MODEL", inputs={"model": "m", "messages": messages})
        chat.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13})
        said = {"role": "assistant", "content": None, "tool_calls": [call]}
        client.end_span(id, chat.span_id, outputs={"choices": [{"message": said}]})
        tool = client.start_span("look", id, above, span_type="TOOL", inputs={"at": "x"})
        client.end_span(id, tool.span_id, outputs="nothing", status="ERROR")
        client.end_trace(id, outputs="It is red")
        mlflow.log_feedback(trace_id=id, name="right", value=True, rationale="looks right")
        mlflow.log_expectation(trace_id=id, name="expected_response", value="gold")
        return client.get_trace(id).to_json()
    finally:
        mlflow.set_tracking_uri(before)


def test_a_trace_of_a_real_store(read, written, real: str) -> None:
    assert '"gold"' in real
    (found,) = read("mlflow", written(real))
    (attempt,) = found.rollouts
    assert (found.prompt, found.worker.name, found.worker.model) == ("what?", "agent", "m")
    assert [(e.turn, e.kind, e.name, e.text, e.failed) for e in attempt.trace] == [
        (0, "message", "system", "be brief", False),
        (1, "tool", "look", "nothing", True),
    ]
    assert (attempt.output, attempt.cost.tokens_in, attempt.cost.tokens_out) == ("It is red", 10, 3)
    assert [(one.value, one.name) for one in attempt.scores] == [(1.0, "")]
    rest = found.model_dump_json(exclude={"rollouts": {0: {"scores"}}})
    assert "gold" not in rest
    assert "looks right" not in rest


def test_every_way_to_write_several_traces(read, written) -> None:
    one = trace(ROOT, TOOL)
    expected = [*read("mlflow", written(one)), *read("mlflow", written(one))]
    rows = [{"trace": json.dumps(one), "state": "OK"}] * 2
    for number, content in enumerate(([one, one], [json.dumps(one)] * 2, rows)):
        assert read("mlflow", written(content, f"{number}.json")) == expected
    assert read("mlflow", written(f"{json.dumps(one)}\n{json.dumps(one)}\n", "a.jsonl")) == expected
    assert read("mlflow", written(json.dumps(one, indent=1), "pretty.json")) == expected[:1]


def test_a_run_without_a_models_span(read, written) -> None:
    (found,) = read("mlflow", written(trace(ROOT, TOOL)))
    assert (found.prompt, found.rollouts[0].output, found.rollouts[0].cost.wall_s) == ("what?", "red", 1.5)
    assert [(e.name, e.arguments, e.text) for e in found.rollouts[0].trace] == [("look", '{"at":1}', "a\nb")]


def test_what_an_evaluator_did_is_not_the_workers(read, written) -> None:
    judge = span("e", 3, "EVALUATOR", "r", spanInputs={"target": "gold"})
    below = span("j", 4, "CHAT_MODEL", "e", spanInputs={"messages": [{"role": "user", "content": "is it gold?"}]})
    assert read("mlflow", written(trace(ROOT, judge, below))) == read("mlflow", written(trace(ROOT)))


def test_a_trace_that_failed_is_censored(read, written) -> None:
    (attempt,) = read("mlflow", written(trace(ROOT, state="ERROR")))[0].rollouts
    assert (attempt.outcome, attempt.failure) == ("infra_error", "the trace ended in an error")


def test_what_is_malformed_names_its_place(read, written) -> None:
    assert MlflowSource.patterns
    with pytest.raises(UsageError, match=r"source\.json, line 1, trace 2: info: Field required"):
        read("mlflow", written([trace(ROOT), {}]))
    broken = {**ROOT, "attributes": {"mlflow.spanType": "{"}}
    with pytest.raises(UsageError, match="an attribute of a span cannot be read"):
        read("mlflow", written(trace(broken)))
    with pytest.raises(UsageError, match=r"a\.jsonl, line 2: is not JSON"):
        read("mlflow", written(json.dumps(trace(ROOT)) + "\n{\n", "a.jsonl"))
    usage = span("c", 2, "CHAT_MODEL", "r", chat__tokenUsage={"input_tokens": "many"})
    with pytest.raises(UsageError, match="input_tokens"):
        read("mlflow", written(trace(ROOT, usage)))
