"""OpenTelemetry spans after the GenAI semantic conventions: one trace is one attempt.

Read: messages (attributes, and the events of older versions), tool calls, tokens, names. `gen_ai.evaluation.result`
events are verdicts. No other attribute and no other event is read. The spans of a file are held in memory, since
those of one trace may stand anywhere in it. Traces without a span of a model or a tool are passed over.
Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from experiments.importing import Given
from experiments.importing.messages import Call, Said, arguments_text, final_text, text_of, trace_of
from experiments.importing.otlp import Attributes, Span, spans
from experiments.importing.reading import at, value_of
from experiments.importing.recording import Recording, Rollout, Score
from experiments.importing.spans import Talk
from signatures.errors import UsageError
from signatures.records import Cost, WorkerFingerprint

__all__ = ["OtelSource"]

MODEL: Final = frozenset({"chat", "text_completion", "generate_content"})
TOOL: Final = "execute_tool"
AGENT: Final = "invoke_agent"
DETAILS: Final = "gen_ai.client.inference.operation.details"
OLD_INPUTS: Final = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}


class OtelSource:
    """OTLP's JSON, and spans one a line."""

    patterns = ("*.json", "*.jsonl", "*.ndjson", "*.json.gz", "*.jsonl.gz")

    def recordings(self, file: Path, given: Given) -> Iterator[tuple[str, Recording]]:
        """One episode of one attempt per trace, in order of their first spans. Raises UsageError."""
        traces: defaultdict[str, list[Span]] = defaultdict(list)
        for span in spans(file):
            traces[span.trace].append(span)
        found = False
        for trace, members in traces.items():
            members.sort(key=lambda span: span.start)
            if any(_operation(span) for span in members):
                found = True
                with at(f"{members[0].place}, trace {trace}"):
                    recording = _recording(trace, members, given)
                yield f"{file}, trace {trace}", recording
        if not found:
            raise UsageError(f"{file}: holds no span with gen_ai.operation.name")


def _recording(trace: str, members: Sequence[Span], given: Given) -> Recording:
    talk, calls = Talk(), [span for span in members if _operation(span) in MODEL]
    speakers = calls or [span for span in members if _operation(span) == AGENT]
    for span in members:
        if _operation(span) == TOOL:
            _add_tool(talk, span)
        elif span in speakers:
            talk.model_call(*_spoken(span))
    answered = any(one.role == "assistant" for one in talk.messages)
    failure = next((span.message or "the span failed" for span in speakers if span.failed), None)
    ended = None if answered and not (speakers and speakers[-1].failed) else failure
    service = next((span.service for span in members if span.service), "")
    prompt = talk.prompt()
    rollout = Rollout(
        output=final_text(talk.messages),
        trace=trace_of(talk.without_prompt()),
        outcome="infra_error" if ended else "ok" if answered else "empty",
        failure=ended,
        cost=_cost(speakers),
        scores=_scores(members, given),
    )
    return Recording(
        benchmark=given.benchmark or service or "otel",
        prompt=prompt,
        key="" if prompt else f"trace {trace}",
        run=trace,
        worker=WorkerFingerprint(
            name=_first(members, "gen_ai.agent.name") or service or "otel",
            model=given.model
            or _first(speakers, "gen_ai.response.model")
            or _first(speakers, "gen_ai.request.model")
            or None,
        ),
        rollouts=(rollout,),
    )


def _operation(span: Span) -> str:
    return str(span.attributes.get("gen_ai.operation.name") or "")


def _add_tool(talk: Talk, span: Span) -> None:
    held = span.attributes
    id, name = (str(held.get(f"gen_ai.tool.{part}") or "") for part in ("call.id", "name"))
    arguments = arguments_text(held.get("gen_ai.tool.call.arguments") or "")
    result = held.get("gen_ai.tool.call.result")
    text = text_of(result) if result is not None else span.message
    talk.tool_call(Call(id, name or span.name, arguments), text, failed=span.failed)


def _spoken(span: Span) -> tuple[list[Said], list[Said]]:
    """What went into a call and what came out, from attributes or events."""
    held = {**next((found for name, found in span.events if name == DETAILS), {}), **span.attributes}
    inputs = [
        Said("system", text_of(parts))
        for parts in [_json(held.get("gen_ai.system_instructions"), span)]
        if parts is not None
    ]
    for message in _many(_json(held.get("gen_ai.input.messages"), span)):
        inputs += _messages(message, span)
    outputs = [s for one in _many(_json(held.get("gen_ai.output.messages"), span)) for s in _messages(one, span)]
    for name, event in span.events:
        if name in OLD_INPUTS:
            inputs += _old(event, OLD_INPUTS[name], span)
        elif name == "gen_ai.choice":
            outputs += _old(event, "assistant", span)
    return inputs, outputs


def _messages(message: JsonValue, span: Span) -> list[Said]:
    """One message, or several where it holds the results of several calls."""
    if not isinstance(message, dict):
        raise UsageError(f"{span.place}: a message is no object")
    parts = _many(message.get("parts", message.get("content")))
    calls, results = [], []
    for part in parts:
        if not isinstance(part, dict):
            continue
        id, name = str(part.get("id") or ""), str(part.get("name") or "")
        if part.get("type") == "tool_call":
            calls.append(Call(id, name, arguments_text(part.get("arguments") or "")))
        elif part.get("type") == "tool_call_response":
            result = part.get("response", part.get("result"))
            results.append(Said("tool", text_of(result), (), id, name))
    kept = [p for p in parts if not isinstance(p, dict) or p.get("type") != "tool_call_response"]
    said = Said(str(message.get("role") or "user"), text_of(kept), tuple(calls))
    return [*([said] if said.text or said.calls or not results else []), *results]


def _old(event: Attributes, role: str, span: Span) -> list[Said]:
    """A message as an event, of the conventions before 1.37."""
    held = _json(event.get("message"), span)
    body = {**event, **held} if isinstance(held, dict) else dict(event)
    calls = []
    for one in _many(_json(body.get("tool_calls"), span)):
        if isinstance(one, dict) and isinstance(function := one.get("function"), dict):
            arguments = arguments_text(function.get("arguments") or "")
            calls.append(Call(str(one.get("id") or ""), str(function.get("name") or ""), arguments))
    answers = str(body.get("id") or "") if role == "tool" else ""
    return [Said(role, text_of(body.get("content")), tuple(calls), answers)]


def _cost(speakers: Sequence[Span]) -> Cost:
    total = Cost()
    for span in speakers:
        counts = (
            _count(span, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
            _count(span, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
            _count(span, "gen_ai.usage.cache_read.input_tokens"),
        )
        total = total.plus(Cost(tokens_in=counts[0], tokens_out=counts[1], tokens_cached=counts[2]))
    return total


def _count(span: Span, *names: str) -> int | None:
    return next((value for name in names if type(value := span.attributes.get(name)) is int), None)


def _scores(members: Sequence[Span], given: Given) -> tuple[Score, ...]:
    held = [event for span in members for name, event in span.events if name == "gen_ai.evaluation.result"]
    names = [str(event.get("gen_ai.evaluation.name") or "") for event in held]
    counts = given.score or next(iter(names), "")
    found: dict[str, Score] = {}
    for name, event in zip(names, held, strict=True):
        value = event.get("gen_ai.evaluation.score.value")
        number = float(value) if isinstance(value, int | float | bool) else None
        reason = f"{name}: {event.get('gen_ai.evaluation.score.label') or ''}".strip()
        found[name] = Score(value=number, reason=reason, name="" if name == counts else name)
    return tuple(found.values())


def _json(value: JsonValue, span: Span) -> JsonValue:
    """An attribute that holds JSON as text, which is what most exporters can carry."""
    return value_of(value, span.place) if isinstance(value, str) and value.lstrip()[:1] in ("[", "{") else value


def _many(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _first(members: Sequence[Span], name: str) -> str:
    return next((str(found) for span in members if (found := span.attributes.get(name))), "")
