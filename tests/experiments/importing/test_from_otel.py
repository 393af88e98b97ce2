"""GenAI spans: OTLP's JSON, spans one a line, messages as attributes and as events."""

from __future__ import annotations

import json

import pytest

from signatures.errors import UsageError


def part(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


CALL = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}}]}
REPLY = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "red"}]}
ASK = part("user", "what colour?")
SAID = part("assistant", "red")


def span(name: str, start: int, events: object = (), trace: str = "t1", **attributes: object) -> dict[str, object]:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return {
        "traceId": trace,
        "spanId": f"{trace}{start}",
        "name": name,
        "startTimeUnixNano": str(10**18 + start),
        "attributes": {f"gen_ai.{key}": value for key, value in named.items()},
        "events": list(events),
        "status": {},
    }


FIRST = span(
    "chat",
    1,
    operation__name="chat",
    request__model="m",
    response__model="m-1",
    input__messages=json.dumps([ASK]),
    output__messages=json.dumps([CALL]),
    usage__input_tokens=10,
    usage__output_tokens=2,
)
TOOL = span("execute_tool look", 2, operation__name="execute_tool", tool__name="look", tool__call__id="c1")
LAST = span(
    "chat",
    3,
    operation__name="chat",
    input__messages=json.dumps([ASK, CALL, REPLY]),
    output__messages=json.dumps([SAID]),
    usage__input_tokens=20,
    usage__output_tokens=3,
)
SCORE = {
    "name": "gen_ai.evaluation.result",
    "attributes": {"gen_ai.evaluation.name": "ok", "gen_ai.evaluation.score.value": 1},
}
EVENTS = [(0, "message", ""), (1, "tool", "red"), (2, "message", "red")]


def typed(value: object) -> dict[str, object]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [typed(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": typed(one)} for key, one in value.items()]}}
    return {"stringValue": value}


def exported(*spans: dict[str, object]) -> dict[str, object]:
    def listed(attributes: dict[str, object]) -> list[object]:
        return [{"key": key, "value": typed(value)} for key, value in attributes.items()]

    def one(span: dict[str, object]) -> dict[str, object]:
        events = [{**event, "attributes": listed(event["attributes"])} for event in span["events"]]
        return {**span, "attributes": listed(span["attributes"]), "events": events}

    resource = {"attributes": listed({"service.name": "agent"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [one(span) for span in spans]}]}]}


def test_a_trace_is_an_attempt_told_once(read, written) -> None:
    (found,) = read("otel", written(exported(LAST, {**FIRST, "events": [SCORE]})))
    (attempt,) = found.rollouts
    assert (found.prompt, found.benchmark, found.worker.model, attempt.output) == (
        "what colour?",
        "agent",
        "m-1",
        "red",
    )
    assert [(e.turn, e.kind, e.text) for e in attempt.trace] == [(1, "tool", "red"), (2, "message", "red")]
    assert attempt.trace[0].arguments == '{"at":1}'
    assert (attempt.cost.tokens_in, attempt.cost.tokens_out, attempt.cost.usd) == (30, 5, None)
    assert [(one.value, one.name) for one in attempt.scores] == [(1.0, "")]


def test_attributes_may_be_structured(read, written) -> None:
    plain = exported(FIRST, LAST)
    structured = [
        {**one, "attributes": {k: json.loads(v) if "messages" in k else v for k, v in one["attributes"].items()}}
        for one in (FIRST, LAST)
    ]
    assert read("otel", written(exported(*structured))) == read("otel", written(plain, "b.json"))


def test_a_tools_own_span_is_its_result(read, written) -> None:
    tool = {**TOOL, "attributes": {**TOOL["attributes"], "gen_ai.tool.call.result": "blue"}, "status": {"code": 2}}
    (attempt,) = read("otel", written(exported(FIRST, tool, LAST)))[0].rollouts
    assert [(e.kind, e.text, e.failed) for e in attempt.trace] == [("tool", "blue", True), ("message", "red", False)]


def test_spans_one_a_line_in_both_styles(read, written) -> None:
    def printed(span: dict[str, object]) -> dict[str, object]:
        return {
            "name": span["name"],
            "context": {"trace_id": span["traceId"], "span_id": span["spanId"]},
            "start_time": f"2026-01-01T00:00:0{span['startTimeUnixNano'][-1]}Z",
            "attributes": span["attributes"],
            "events": span["events"],
            "status": {"status_code": "UNSET"},
            "resource": {"attributes": {"service.name": "agent"}},
        }

    lines = "\n".join(json.dumps(printed(one)) for one in (LAST, FIRST))
    assert read("otel", written(lines, "a.ndjson")) == read("otel", written(exported(FIRST, LAST)))
    per_line = "\n".join(json.dumps(exported(one)) for one in (LAST, FIRST))
    assert read("otel", written(per_line, "b.jsonl")) == read("otel", written(exported(FIRST, LAST)))
    assert len(read("otel", written("\n".join(json.dumps(one) for one in (LAST, FIRST)), "c.ndjson"))) == 1


def test_events_of_older_versions(read, written) -> None:
    events = [
        {"name": "gen_ai.system.message", "attributes": {"content": "be brief"}},
        {"name": "gen_ai.user.message", "attributes": {"content": "hello"}},
        {"name": "gen_ai.choice", "attributes": {"index": 0, "message": '{"role": "assistant", "content": "hi"}'}},
    ]
    details = {"gen_ai.input.messages": json.dumps([ASK]), "gen_ai.output.messages": json.dumps([SAID])}
    newer = [{"name": "gen_ai.client.inference.operation.details", "attributes": details}]
    spans = [span("chat", 1, events, operation__name="chat"), span("chat", 1, newer, "t2", operation__name="chat")]
    old, new = read("otel", written(exported(*spans)))
    assert (old.prompt, old.rollouts[0].output) == ("hello", "hi")
    assert [event.text for event in old.rollouts[0].trace] == ["be brief", "hi"]
    assert (new.prompt, new.rollouts[0].output) == ("what colour?", "red")


def test_a_call_that_failed_at_the_end_is_infrastructure(read, written) -> None:
    gone = {**span("chat", 9, operation__name="chat"), "status": {"code": 2, "message": "429"}}
    (attempt,) = read("otel", written(exported(FIRST, gone)))[0].rollouts
    assert (attempt.outcome, attempt.failure) == ("infra_error", "429")


def test_other_traces_are_passed_over_and_none_is_refused(read, written) -> None:
    other = span("GET /", 1, trace="t9")
    assert len(read("otel", written(exported(other, FIRST)))) == 1
    with pytest.raises(UsageError, match=r"no span with gen_ai\.operation\.name"):
        read("otel", written(exported(other)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"traceId": "t", "name": "x"}\n{"traceId": \n', "a.ndjson, line 2: is not JSON"),
        ('{"name": "x"}', "a.ndjson, line 1: is no span"),
        (
            '{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}',
            r"resourceSpans\[0\]\.scopeSpans\[0\]\.spans\[0\]: is no",
        ),
        ('{"resourceSpans": 3}', "wanted a list"),
        ('{"traceId": "t", "attributes": 3}', "attributes: wanted"),
        ("", "is not JSON"),
    ],
)
def test_what_is_malformed_names_its_place(read, written, content, says) -> None:
    with pytest.raises(UsageError, match=says):
        read("otel", written(content, "a.ndjson"))
