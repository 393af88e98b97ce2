"""MLflow traces as JSON: `Trace.to_json()`, a list of them, one a line, or rows of `search_traces()`.

Read: inputs and outputs of spans that are model calls, tools or the root, and tokens. Feedback is a verdict. Never
read: expectations, tags, metadata, any other attribute, and spans of type EVALUATOR with all below them; from the
root's inputs, where no model call states the task, whatever has the name of an answer is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from experiments.importing import Given
from experiments.importing.messages import Call, ChatMessage, Said, arguments_text, final_text, text_of, trace_of
from experiments.importing.reading import Read, at, begins_with, document, elements, fitted, lines, value_of
from experiments.importing.recording import Recording, Rollout, Score
from experiments.importing.spans import Talk
from signatures.errors import UsageError
from signatures.records import Cost, WorkerFingerprint

__all__ = ["MlflowSource"]

MODELS: Final = frozenset({"CHAT_MODEL", "LLM"})
TOOLS: Final = frozenset({"TOOL", "RETRIEVER"})
ANSWERS: Final = frozenset(
    {"answer", "answers", "gold", "golden", "ground_truth", "groundtruth", "label", "labels", "solution"}
    | {"expectation", "expectations", "reference", "references", "target", "targets"}
    | {"expected", "expected_answer", "expected_facts", "expected_output", "expected_response"}
)
"""Names under which an evaluation hands the answer to the function it calls."""


class Feedback(Read):
    """What somebody, or a model, said of a trace."""

    value: JsonValue = None


class Assessment(Read):
    """Feedback or an expectation; only that there is one is read of the latter."""

    assessment_name: str = ""
    feedback: Feedback | None = None
    rationale: str | None = None
    valid: bool | None = True


class TraceInfo(Read):
    """Of the trace's head what is no text of a user."""

    trace_id: str
    state: str = "OK"
    execution_duration_ms: float | None = None
    assessments: tuple[Assessment, ...] = ()


class Status(Read):
    """Whether a span failed."""

    code: str = ""
    message: str = ""


class MlSpan(Read):
    """One span."""

    span_id: str
    parent_span_id: str | None = None
    name: str = ""
    start_time_unix_nano: int = 0
    status: Status = Status()
    attributes: Mapping[str, JsonValue] = {}

    def attribute(self, name: str) -> JsonValue:
        """An attribute, which is JSON as text. Raises ValueError."""
        held = self.attributes.get(f"mlflow.{name}")
        return json.loads(held) if isinstance(held, str) else held

    @property
    def kind(self) -> str:
        """Its type, as `CHAT_MODEL`."""
        return text_of(self.attribute("spanType"))


class Data(Read):
    """The spans."""

    spans: tuple[MlSpan, ...]


class MlTrace(Read):
    """A whole trace."""

    info: TraceInfo
    data: Data


class Usage(Read):
    """Tokens of a call."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class MlflowSource:
    """One trace is one attempt."""

    patterns = ("*.json", "*.jsonl", "*.json.gz", "*.jsonl.gz")

    def recordings(self, file: Path, given: Given) -> Iterator[tuple[str, Recording]]:
        """One episode of one attempt per trace."""
        for place, value in _values(file):
            if isinstance(value, dict) and "trace" in value:  # a row of search_traces()
                value = value["trace"]
            if isinstance(value, str):
                value = value_of(value, place)
            with at(place):
                recording = _recording(fitted(MlTrace, value, place), given, place)
            yield place, recording


def _values(file: Path) -> Iterator[tuple[str, JsonValue]]:
    if begins_with(file) == "[":
        for number, (line, value) in enumerate(elements(file), 1):
            yield f"{file}, line {line}, trace {number}", value
    elif _one_a_line(file):
        for at_line, text in lines(file):
            yield f"{file}, line {at_line}", value_of(text, file, line=at_line)
    else:
        yield str(file), document(file)


def _one_a_line(file: Path) -> bool:
    """Whether a second line begins as a trace does: a pretty-printed one has its braces indented."""
    return sum(line.startswith(("{", '"')) for _, line in lines(file)) > 1


def _recording(trace: MlTrace, given: Given, place: str) -> Recording:
    try:
        spans = _kept(sorted(trace.data.spans, key=lambda span: span.start_time_unix_nano))
        talk = _talk(spans, place)
        root = next((span for span in spans if span.parent_span_id is None), None)
        prompt = talk.prompt() or _asked(root)
        output = _answer(root) or final_text(talk.messages)
        cost, model = _cost(spans, place), _model(spans)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: an attribute of a span cannot be read: {error}") from error
    failed = trace.info.state == "ERROR"
    rollout = Rollout(
        output=output,
        trace=trace_of(talk.without_prompt()),
        outcome="infra_error" if failed else "ok" if output or talk.messages else "empty",
        failure=(root.status.message if root else "") or "the trace ended in an error" if failed else None,
        cost=cost.model_copy(update={"wall_s": _seconds(trace.info.execution_duration_ms)}),
        scores=_scores(trace.info.assessments, given),
    )
    return Recording(
        benchmark=given.benchmark or "mlflow",
        prompt=prompt,
        key="" if prompt else trace.info.trace_id,
        run=trace.info.trace_id,
        worker=WorkerFingerprint(name=root.name if root and root.name else "mlflow", model=given.model or model),
        rollouts=(rollout,),
    )


def _kept(spans: Sequence[MlSpan]) -> list[MlSpan]:
    """The spans that are the worker's: no evaluator's, and none below one."""
    parents = {span.span_id: span.parent_span_id for span in spans}
    judging = {span.span_id for span in spans if span.kind == "EVALUATOR"}

    def below(id: str | None) -> bool:
        seen: set[str] = set()
        while id is not None and id not in seen:
            if id in judging:
                return True
            seen.add(id)
            id = parents.get(id)
        return False

    return [span for span in spans if not below(span.span_id)]


def _talk(spans: Sequence[MlSpan], place: str) -> Talk:
    talk = Talk()
    for span in spans:
        if span.kind in MODELS:
            talk.model_call(*_spoken(span, place))
        elif span.kind in TOOLS:
            failed = span.status.code == "STATUS_CODE_ERROR"
            outputs = span.attribute("spanOutputs")
            text = text_of(outputs) if outputs is not None else span.status.message
            arguments = arguments_text(span.attribute("spanInputs") or "")
            talk.tool_call(Call("", span.name, arguments), text, failed=failed)
    return talk


def _spoken(span: MlSpan, place: str) -> tuple[list[Said], list[Said]]:
    """A model's inputs and outputs, in the shape of OpenAI's chat or as text."""
    inputs, outputs = span.attribute("spanInputs"), span.attribute("spanOutputs")
    messages = inputs.get("messages", inputs.get("prompt")) if isinstance(inputs, dict) else inputs
    told = [Said("user", messages)] if isinstance(messages, str) else _messages(messages, place)
    answers = outputs.get("choices") if isinstance(outputs, dict) else None
    if isinstance(answers, list):
        said = _messages([one["message"] for one in answers if isinstance(one, dict) and "message" in one], place)
    elif isinstance(outputs, dict) and "role" in outputs:
        said = _messages([outputs], place)
    else:
        said = [Said("assistant", text_of(outputs))] if outputs is not None else []
    return told, said


def _messages(value: JsonValue, place: str) -> list[Said]:
    if not isinstance(value, list):
        return []
    return [fitted(ChatMessage, one, place).said() for one in value if isinstance(one, dict) and "role" in one]


def _asked(root: MlSpan | None) -> str:
    """The root's inputs without what is named like an answer."""
    inputs = None if root is None else _without_answers(root.attribute("spanInputs"))
    if isinstance(inputs, dict) and len(inputs) == 1:
        (inputs,) = inputs.values()
    return arguments_text(inputs) if inputs else ""


def _without_answers(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _without_answers(one) for name, one in value.items() if name.lower() not in ANSWERS}
    if isinstance(value, list):
        return [_without_answers(one) for one in value]
    return value


def _answer(root: MlSpan | None) -> str:
    outputs = None if root is None or root.kind in MODELS else root.attribute("spanOutputs")
    return outputs if isinstance(outputs, str) else ""


def _cost(spans: Sequence[MlSpan], place: str) -> Cost:
    total = Cost()
    for span in spans:
        if span.kind in MODELS and (held := span.attribute("chat.tokenUsage")) is not None:
            usage = fitted(Usage, held, place)
            cached = usage.cache_read_input_tokens
            total = total.plus(Cost(tokens_in=usage.input_tokens, tokens_out=usage.output_tokens, tokens_cached=cached))
    return total


def _model(spans: Sequence[MlSpan]) -> str | None:
    named = (span.attribute("llm.model") for span in spans if span.kind in MODELS)
    return next((name for name in named if isinstance(name, str)), None)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _scores(assessments: Sequence[Assessment], given: Given) -> tuple[Score, ...]:
    """The last valid feedback of each name."""
    held = {one.assessment_name: one for one in assessments if one.feedback is not None and one.valid is not False}
    counts = given.score or next(iter(held), "")
    found = []
    for name, one in held.items():
        value = one.feedback.value if one.feedback else None
        number = float(value) if isinstance(value, bool | int | float) else _WORDS.get(str(value).lower())
        reason = f"{name}: {one.rationale or ''}"
        found.append(Score(value=number, reason=reason, name="" if name == counts else name))
    return tuple(found)


_WORDS: Final[Mapping[str, float]] = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
