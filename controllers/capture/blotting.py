"""Secrets that are known by value blotted out of text: those of the environment, and the keys that a proxy holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from controllers.redaction import MARK
from signatures.records import TraceEvent

_NAMED: Final = re.compile(r"(?i)(?:key|token|secret|passwd|password|passphrase|credentials?)$")
SHORTEST: Final = 8
"characters; a shorter value would blot out words that are no secret"


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables whose names end like a secret's, the longest first."""
    return long_enough(*(value for name, value in environment.items() if _NAMED.search(name)))


def long_enough(*secrets: str) -> tuple[str, ...]:
    """Those that can be blotted out, each once, the longest first."""
    return tuple(sorted({one for one in secrets if len(one) >= SHORTEST}, key=lambda one: (-len(one), one)))


def blotted(text: str, secrets: Sequence[str]) -> str:
    """`text` with each of `secrets` replaced by `[redacted]`."""
    for secret in secrets:
        text = text.replace(secret, MARK)
    return text


def blotted_trace(trace: Sequence[TraceEvent], secrets: Sequence[str]) -> tuple[TraceEvent, ...]:
    """The same events without them; an event that holds none is itself."""
    return tuple(_blotted_event(event, secrets) for event in trace)


def _blotted_event(event: TraceEvent, secrets: Sequence[str]) -> TraceEvent:
    if not any(secret in text for secret in secrets for text in (event.name, event.arguments, event.text)):
        return event
    clean = {name: blotted(getattr(event, name), secrets) for name in ("name", "arguments", "text")}
    return event.model_copy(update=clean)
