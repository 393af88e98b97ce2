"""What one attempt said to its model: every call as trace events and as cost."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from controllers.accounts import parsed, text_at
from controllers.capture.blotting import blotted_trace
from controllers.capture.dialects import Part, Reply, Usage, answered, asked
from controllers.replies import encodable
from signatures.digest import canonical_json, digest_of
from signatures.records import Cost, TraceEvent

OVER: Final = "not kept: the attempt's record is full"


class Exchange(NamedTuple):
    """One call as it went over the wire."""

    path: str
    request: bytes
    status: int | None = None
    "None: nothing came back"
    content_type: str = ""
    encoding: str = ""
    reply: bytes = b""
    "as it came, up to what is kept"
    size: int = 0
    "bytes of the reply"
    ended: str = ""
    "what went wrong on the way; empty where nothing did"
    left: bool = False
    "the agent closed its end, which many do as soon as they have all they need"
    first_s: float | None = None
    "until the first byte of the reply's body"
    wall_s: float = 0.0


class Call(NamedTuple):
    """One call as the meter sees it."""

    model: str
    usage: Usage
    answered: bool
    asks: int


class Session:
    """The record of one attempt. `note` is called once a call, when it is over; what it keeps holds no secret."""

    def __init__(self, token: str, secrets: tuple[str, ...], record_limit_bytes: int) -> None:
        """`record_limit_bytes`: of all requests and replies that are kept; beyond it a call is one line."""
        self.token = token
        self.calls: list[Call] = []
        self._secrets = secrets
        self._room = record_limit_bytes
        self._events: list[TraceEvent] = []
        self._shown: tuple[str, ...] = ()
        self._names: dict[str, tuple[str, str]] = {}

    @property
    def room(self) -> int:
        """Bytes that may still be kept."""
        return self._room

    @property
    def trace(self) -> tuple[TraceEvent, ...]:
        """Events in the order in which calls ended; `turn` is the call's number."""
        return blotted_trace(self._events, self._secrets)

    @property
    def tokens(self) -> Cost:
        """Tokens of all calls; none where a call that was answered did not say its own."""
        good = [call.usage for call in self.calls if call.answered]
        if not good or any(usage.tokens_in is None or usage.tokens_out is None for usage in good):
            return Cost()
        return Cost(
            tokens_in=sum(usage.tokens_in or 0 for usage in good),
            tokens_out=sum(usage.tokens_out or 0 for usage in good),
            tokens_cached=sum(usage.cached or 0 for usage in good) if any(u.cached is not None for u in good) else None,
        )

    @property
    def turns(self) -> int:
        """Tool calls that its model asked for, or model calls where it asked for none."""
        return sum(call.asks for call in self.calls) or sum(call.answered for call in self.calls)

    def note(self, exchange: Exchange) -> None:
        """Put a call on the record."""
        self._room = max(0, self._room - len(exchange.request))
        full = not self._room or exchange.size > len(exchange.reply)
        self._room = max(0, self._room - len(exchange.reply))
        body = parsed(exchange.request)
        reply = _read(exchange)
        model = reply.model or text_at(body, "model")
        ended = exchange.ended
        if exchange.left and (exchange.status is None or reply.trouble):
            ended = "the agent left before the reply was over"
        good = exchange.status is not None and exchange.status < 400 and not ended
        self._requests(asked(exchange.path, body))
        self._names.update({ask.id: (ask.name, ask.arguments) for ask in reply.asks})
        if exchange.status is not None and exchange.status < 400:
            self._add("message", "assistant", reply.text, arguments=_asks(reply) if reply.asks else "")
        if exchange.status is not None and exchange.status >= 400:
            self._add("error", f"status {exchange.status}", reply.text)
        for trouble in (ended, reply.trouble if good else "", OVER if full else ""):
            if trouble:
                self._add("error", "model call", trouble)
        about = {
            "path": exchange.path,
            "model": model,
            "status": exchange.status,
            "finish": reply.finish,
            "first_s": exchange.first_s,
            "wall_s": exchange.wall_s,
            "bytes": exchange.size,
            "tokens_in": reply.usage.tokens_in,
            "tokens_out": reply.usage.tokens_out,
        }
        text = f"status {exchange.status}" if exchange.status is not None else "no answer"
        self._add("process", "model call", text, arguments=canonical_json(about), failed=not good)
        self.calls.append(Call(model, reply.usage, good, len(reply.asks)))

    def _requests(self, parts: tuple[Part, ...]) -> None:
        """What this request says beyond the one before it: conversations are sent whole each time."""
        shown = tuple(digest_of(list(part)) for part in map(_clean, parts))
        again = shown[: len(self._shown)] == self._shown
        fresh = parts[len(self._shown) :] if again else parts
        if again and self._shown:  # the reply that was noted when it came
            while fresh and fresh[0].role == "assistant":
                fresh = fresh[1:]
        self._shown = shown
        for part in fresh:
            if part.role == "tool":
                name, arguments = self._names.get(part.id, ("", ""))
                self._add("tool", name, part.text, arguments=arguments, failed=part.failed)
            else:
                self._add("message", part.role, part.text)

    def _add(self, kind: str, name: str, text: str, *, arguments: str = "", failed: bool = False) -> None:
        if kind == "message" and not text and not arguments:
            return
        event = {"turn": len(self.calls), "kind": kind, "name": encodable(name), "text": encodable(text)}
        self._events.append(
            TraceEvent.model_validate({**event, "arguments": encodable(arguments), "failed": failed or kind == "error"})
        )


def _clean(part: Part) -> Part:
    return part._replace(text=encodable(part.text), role=encodable(part.role), id=encodable(part.id))


def _asks(reply: Reply) -> str:
    return canonical_json([ask._asdict() for ask in reply.asks])


def _read(exchange: Exchange) -> Reply:
    if exchange.status is None:
        return Reply()
    data = decoded(exchange.reply, exchange.encoding, most=max(1 << 20, 4 * len(exchange.reply)))
    if data is None:
        return Reply(trouble=f"the reply's encoding {exchange.encoding!r} cannot be read")
    return answered(exchange.path, exchange.content_type, data)


def decoded(body: bytes, encoding: str, *, most: int) -> bytes | None:
    """The bytes behind a content encoding, at most `most` of them; None where they cannot be had."""
    if encoding.lower() in ("", "identity"):
        return body
    if encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        return None
    try:
        return zlib.decompressobj(wbits=47 if "gzip" in encoding.lower() else 15).decompress(body, most)
    except zlib.error:
        return None
