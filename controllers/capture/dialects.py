"""A recorded model call read: who said what, which tools were asked for, and the usage, in each API's own words.

OpenAI chat completions and Responses, Anthropic messages; another API's bodies are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from controllers.accounts import Found, as_json, as_text, at, count, items, parsed, text_at, total

MODEL_CALLS: Final = ("/chat/completions", "/completions", "/responses", "/messages", "/embeddings")


class Part(NamedTuple):
    """Something in a request: a message of a role, or what came back from the tool call `id`."""

    role: str
    text: str
    id: str = ""
    failed: bool = False


class ToolAsk(NamedTuple):
    """A tool call that a reply asks for."""

    id: str
    name: str
    arguments: str


class Usage(NamedTuple):
    """Tokens of one call, None where the reply does not say. `tokens_in` holds the cached and the written ones."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    cached: int | None = None
    written: int | None = None
    "to the provider's cache"


class Reply(NamedTuple):
    """What came back, as far as it can be read."""

    text: str = ""
    asks: tuple[ToolAsk, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    "as the provider names it"
    finish: str = ""
    "why the model stopped, in the provider's word"
    trouble: str = ""
    "why it cannot be read whole; empty where it can"


def asked(path: str, body: Found) -> tuple[Part, ...]:
    """The parts of a request, in order."""
    if path.endswith("/responses"):
        return tuple(_responses_parts(body))
    if at(body, "messages") is not None:
        return tuple(_message_parts(body))
    return (Part("user", as_text(at(body, "prompt") or at(body, "input") or body)),)


def answered(path: str, content_type: str, body: bytes) -> Reply:
    """The reply, whether it came whole or as a stream of events."""
    if not content_type.startswith("text/event-stream"):
        whole = parsed(body)
        if not isinstance(whole, dict):
            return Reply(text=body.decode(errors="backslashreplace"), trouble="the reply is no JSON object")
        return _whole(path, whole)
    events, trouble = _events(body)
    if path.endswith("/chat/completions"):
        reply, ended = _chat_stream(events)
    elif path.endswith("/responses"):
        reply, ended = _responses_stream(events)
    elif path.endswith("/messages"):
        reply, ended = _messages_stream(events)
    else:
        return Reply(text=body.decode(errors="backslashreplace"), usage=_usage(events[-1] if events else None))
    return reply._replace(trouble=trouble or ("" if ended else "the stream ended early"))


def _message_parts(body: Found) -> Iterator[Part]:
    if system := as_text(at(body, "system")):
        yield Part("system", system)
    for message in items(at(body, "messages")):
        role, content = text_at(message, "role"), at(message, "content")
        if role == "tool":
            yield Part("tool", as_text(content), text_at(message, "tool_call_id"))
            continue
        results = [block for block in items(content) if at(block, "type") == "tool_result"]
        for block in results:
            failed = at(block, "is_error") is True
            yield Part("tool", as_text(at(block, "content")), text_at(block, "tool_use_id"), failed)
        rest = [block for block in items(content) if block not in results] if results else content
        calls = at(message, "tool_calls")
        text = as_text(rest) if rest else ""
        if text or calls:
            yield Part(role, "\n".join(part for part in (text, as_json(calls) if calls else "") if part))


def _responses_parts(body: Found) -> Iterator[Part]:
    if system := text_at(body, "instructions"):
        yield Part("system", system)
    given = at(body, "input")
    if isinstance(given, str):
        yield Part("user", given)
    for item in items(given):
        if at(item, "type") == "function_call_output":
            yield Part("tool", as_text(at(item, "output")), text_at(item, "call_id"))
        elif at(item, "role"):
            yield Part(text_at(item, "role"), as_text(at(item, "content")))
        else:
            yield Part("assistant", as_json(item))


def _whole(path: str, body: Mapping[str, Found]) -> Reply:
    if error := body.get("error"):
        return Reply(text=text_at(error, "message") or as_text(error), trouble="the reply is an error")
    if path.endswith("/chat/completions"):
        choice = (items(body.get("choices")) or (None,))[0]
        return _reply(body, as_text(at(choice, "message", "content")), at(choice, "message", "tool_calls"))._replace(
            finish=text_at(choice, "finish_reason")
        )
    if path.endswith("/responses"):
        return _responses_reply(body)
    if path.endswith("/messages"):
        return _messages_reply(body, items(body.get("content")))
    return Reply(text=as_json(body), usage=_usage(body), model=text_at(body, "model"))


def _reply(body: Found, text: str, calls: Found) -> Reply:
    asks = tuple(
        ToolAsk(text_at(call, "id"), text_at(call, "function", "name"), text_at(call, "function", "arguments"))
        for call in items(calls)
    )
    return Reply(text, asks, _usage(body), text_at(body, "model"))


def _responses_reply(body: Found) -> Reply:
    texts, asks = [], []
    for item in items(at(body, "output")):
        if at(item, "type") == "function_call":
            asks.append(ToolAsk(text_at(item, "call_id"), text_at(item, "name"), text_at(item, "arguments")))
        elif at(item, "type") == "message":
            texts.append(as_text(at(item, "content")))
        else:
            texts.append(as_json(item))
    return Reply("\n".join(texts), tuple(asks), _usage(body), text_at(body, "model"), text_at(body, "status"))


def _messages_reply(body: Found, blocks: tuple[Found, ...]) -> Reply:
    asks = tuple(
        ToolAsk(text_at(block, "id"), text_at(block, "name"), as_json(at(block, "input")))
        for block in blocks
        if at(block, "type") == "tool_use"
    )
    said = [text_at(block, "text") or text_at(block, "thinking") for block in blocks]
    text = "\n".join(part for part in said if part)
    return Reply(text, asks, _usage(body), text_at(body, "model"), text_at(body, "stop_reason"))


def _usage(body: Found) -> Usage:
    """OpenAI counts cached tokens among its input tokens; Anthropic and (for thoughts) Gemini count beside."""
    usage = at(body, "usage") or at(body, "usageMetadata")
    read, written = count(at(usage, "cache_read_input_tokens")), count(at(usage, "cache_creation_input_tokens"))
    cached = (
        at(usage, "prompt_tokens_details", "cached_tokens")
        or at(usage, "input_tokens_details", "cached_tokens")
        or at(usage, "cachedContentTokenCount")
    )
    fresh = _first(usage, "prompt_tokens", "input_tokens", "promptTokenCount")
    out = _first(usage, "completion_tokens", "output_tokens", "candidatesTokenCount")
    thoughts = count(at(usage, "thoughtsTokenCount"))
    return Usage(total(fresh, read, written), total(out, thoughts), total(count(cached), read), written)


def _first(usage: Found, *names: str) -> int | None:
    """Some servers give one number under two names."""
    return next((found for name in names if (found := count(at(usage, name))) is not None), None)


def _events(body: bytes) -> tuple[list[Mapping[str, Found]], str]:
    """The JSON objects of a stream of server-sent events, and what was wrong with it."""
    found: list[Mapping[str, Found]] = []
    trouble = ""
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(lines)
        if not data.strip():
            continue
        event = {"done": True} if data.strip() == b"[DONE]" else parsed(data)
        if isinstance(event, dict):
            found.append(event)
        else:
            trouble = "an event of the stream is no JSON object"
    return found, trouble


def _chat_stream(events: list[Mapping[str, Found]]) -> tuple[Reply, bool]:
    texts: list[str] = []
    calls: dict[int, list[str]] = {}
    usage, model, finish, done = Usage(), "", "", False
    for event in events:
        done = done or event.get("done") is True
        model = text_at(event, "model") or model
        usage = _usage(event) if isinstance(event.get("usage"), dict) else usage
        for choice in items(event.get("choices"))[:1]:
            texts.append(text_at(choice, "delta", "content"))
            finish = text_at(choice, "finish_reason") or finish
            for call in items(at(choice, "delta", "tool_calls")):
                kept = calls.setdefault(count(at(call, "index")) or 0, ["", "", ""])
                for place, path in enumerate((("id",), ("function", "name"), ("function", "arguments"))):
                    kept[place] += text_at(call, *path)
    asks = tuple(ToolAsk(*kept) for _, kept in sorted(calls.items()))
    return Reply("".join(texts), asks, usage, model, finish), done or bool(finish)


def _responses_stream(events: list[Mapping[str, Found]]) -> tuple[Reply, bool]:
    for event in reversed(events):
        if event.get("type") in ("response.completed", "response.incomplete", "response.failed"):
            return _responses_reply(event.get("response")), True
    said = [text_at(event, "delta") for event in events if event.get("type") == "response.output_text.delta"]
    return Reply("".join(said)), False


def _messages_stream(events: list[Mapping[str, Found]]) -> tuple[Reply, bool]:
    blocks: dict[int, dict[str, Found]] = {}
    pieces: dict[int, str] = {}
    message: dict[str, Found] = {}
    usage: dict[str, Found] = {}
    ended = False
    for event in events:
        index = count(event.get("index")) or 0
        for given in (at(event, "message"), at(event, "delta"), event):
            usage.update(_known(at(given, "usage")))
        match event.get("type"):
            case "message_start":
                message.update(_known(event.get("message")))
            case "content_block_start":
                blocks[index] = _known(event.get("content_block"))
            case "content_block_delta":
                block = blocks.setdefault(index, {"type": "text"})
                for name in ("text", "thinking"):
                    if piece := text_at(event, "delta", name):
                        block[name] = as_text(block.get(name)) + piece
                pieces[index] = pieces.get(index, "") + text_at(event, "delta", "partial_json")
            case "message_delta":
                message.update(_known(event.get("delta")))
            case "message_stop":
                ended = True
    for index, written in pieces.items():
        if written:
            blocks[index]["input"] = written
    message["usage"] = usage
    return _messages_reply(message, tuple(block for _, block in sorted(blocks.items()))), ended


def _known(value: Found) -> dict[str, Found]:
    """The entries of an object that are not null: a later event does not take back what an earlier one said."""
    return {str(name): one for name, one in value.items() if one is not None} if isinstance(value, Mapping) else {}
