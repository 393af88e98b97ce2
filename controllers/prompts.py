"""The one boundary where evidence becomes prompt text: observations in, anything else is a breach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from signatures.errors import FirewallBreach
from signatures.records import CheckerResult, Observation, TraceEvent

TEXT_CAP: Final = 600
"""Characters kept of each side of one observation's text; the record keeps it whole."""


def render(observations: Sequence[Observation], *, cap: int = TEXT_CAP, last: int = 60) -> list[str]:
    """The last `last` observations as delimited, length-capped lines.

    Raises FirewallBreach for anything that is not an `Observation` born of a trace or a checker: text of
    unknown origin and verdicts have no way in, whatever they say.
    """
    for item in observations:
        require_observation(item)
    return [_line(item, cap) for item in observations[-last:]]


def require_observation(item: object) -> None:
    """Raises FirewallBreach unless `item` is an observation whose source is a trace event or a checker result."""
    if type(item) is not Observation:
        raise FirewallBreach(f"only observations may be shown; this is a {type(item).__name__}")
    if type(item.source) not in (TraceEvent, CheckerResult):
        raise FirewallBreach(f"an observation of unknown origin: {type(item.source).__name__}")


def _line(item: Observation, cap: int) -> str:
    source = item.source
    if isinstance(source, TraceEvent):
        failed = " failed" if source.failed else ""
        head = f"{source.kind} {source.name}{failed} turn={source.turn}"
        body = f"{source.arguments} -> {source.text}" if source.arguments else source.text
    else:
        head = f"checker {source.objective}"
        body = f"value={source.value} {source.unit} passed={source.passed} {source.detail}"
    return f"<observation source='{_escape(head, 120)}'>{_escape(body, cap)}</observation>"


def _escape(text: str, cap: int) -> str:
    """Angle brackets cannot close the delimiter; the middle of a long text is left out and said so."""
    if len(text) > 2 * cap:
        text = f"{text[:cap]} [... {len(text) - 2 * cap} characters left out ...] {text[-cap:]}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;")
