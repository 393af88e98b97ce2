"""What one production episode shows that somebody should look at: by its checkers, its traces and its decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from controllers.history import Seen
from controllers.observe import correctness
from controllers.redaction import redacted
from signatures.records import Decision, Episode

Kind = Literal[
    "infrastructure",
    "not passed",
    "stopped early",
    "went on",
    "steer harmed",
    "odd outcome",
    "tool failed",
    "call repeated",
]
REPEATS: Final = 3
"""Calls of one tool with the same arguments and answer in one attempt, from which on they are a signal."""


class Meaning(NamedTuple):
    """What a kind of signal says, and what to do about it; `{subject}` is filled in."""

    said: str
    advice: str
    serious: bool
    "whether an episode is spoilt by it; else it costs turns"


MEANING: Final[Mapping[Kind, Meaning]] = MappingProxyType(
    {
        "infrastructure": Meaning(
            "attempts or policies could not be run: {subject}",
            "look at the provider and the worker; these episodes teach nothing and are in no rate",
            serious=True,
        ),
        "not passed": Meaning(
            "the checker of `{subject}` did not pass what was selected",
            "search again with the tasks harvested here: gepa_run --learn-from all harvested=FILE",
            serious=True,
        ),
        "stopped early": Meaning(
            "the stop policy ({subject}) ended the episode with attempts left and `correct` not passed",
            "search the stop policy again; its rule holds where it should not",
            serious=True,
        ),
        "steer harmed": Meaning(
            "an attempt steered with `{subject}` was worse by `correct` than the one it went on from",
            "look at these traces; where they agree, a condition should keep `{subject}` away",
            serious=True,
        ),
        "odd outcome": Meaning(
            "attempts ended as {subject}",
            "look at these traces: a limit, or a worker that refuses",
            serious=True,
        ),
        "went on": Meaning(
            "the stop policy ({subject}) went on although `correct` had passed",
            "search the stop policy again; stopping there is cheaper and not worse",
            serious=False,
        ),
        "tool failed": Meaning(
            "calls of `{subject}` failed",
            "look at the arguments in these traces; the worker may be told what the tool takes",
            serious=False,
        ),
        "call repeated": Meaning(
            f"`{{subject}}` was called {REPEATS} times or more in one attempt, with the same arguments and answer",
            "look for a loop in these traces; a smaller grant of turns may lose nothing",
            serious=False,
        ),
    }
)


class Signal(NamedTuple):
    """One thing that an episode shows; of one kind and subject at most one an episode."""

    kind: Kind
    subject: str
    attempts: tuple[str, ...] = ()
    "ids of the attempts that show it, where attempts do"


def signals_of(episode: Episode, history: Sequence[Seen], decisions: Sequence[Decision]) -> list[Signal]:
    """All signals of an episode, in a fixed order. No verdict is read: production has none."""
    found: dict[tuple[Kind, str], list[str]] = {}
    for kind, subject, attempt in (
        *_infrastructure(episode, history),
        *_selected(episode, history),
        *_stops(decisions),
        *_steers(history),
        *(one for seen in history for one in _inside(seen)),
    ):
        named = found.setdefault((kind, plain(redacted(subject), 80)), [])
        if attempt and attempt not in named:
            named.append(attempt)
    return [Signal(kind, subject, tuple(attempts)) for (kind, subject), attempts in found.items()]


def plain(text: str, most: int) -> str:
    """What a worker or a disk said, as one line for a page and a terminal, cut; `?` for what could steer either."""
    line = " ".join(text.split())[:most]
    return "".join(c if c.isprintable() and c not in "`<>|" else "?" for c in line) or "(no name)"


_Shown = tuple[Kind, str, str]


def _infrastructure(episode: Episode, history: Sequence[Seen]) -> Iterator[_Shown]:
    if episode.failure is not None:
        yield "infrastructure", episode.failure.error, ""
    for seen in history:
        if seen.attempt.failure is not None:
            yield "infrastructure", seen.attempt.failure.error, seen.attempt.id


def _selected(episode: Episode, history: Sequence[Seen]) -> Iterator[_Shown]:
    for seen in history:
        if seen.attempt.id == episode.selected_id:
            for check in seen.attempt.checks:
                if check.passed is False:
                    yield "not passed", check.objective, seen.attempt.id


def _stops(decisions: Sequence[Decision]) -> Iterator[_Shown]:
    for one in decisions:
        passed = one.features.get("best_passed")
        if one.policy == "stop" and one.action == "done" and passed == 0 and one.features.get("attempts_left", 0) > 0:
            yield "stopped early", one.tier, ""
        if one.policy == "stop" and one.action == "continue" and passed == 1:
            yield "went on", one.tier, ""


def _steers(history: Sequence[Seen]) -> Iterator[_Shown]:
    by_id = {seen.attempt.id: seen.attempt for seen in history}
    for attempt in by_id.values():
        parent = by_id.get(attempt.parent_id or "")
        if parent is None or "infra_error" in (attempt.outcome, parent.outcome):
            continue
        if correctness(attempt) < correctness(parent):
            yield "steer harmed", attempt.steer.action, attempt.id


def _inside(seen: Seen) -> Iterator[_Shown]:
    attempt = seen.attempt
    if attempt.outcome in ("refusal", "empty", "timeout"):
        yield "odd outcome", attempt.outcome, attempt.id
    calls = Counter((event.name, event.arguments, event.text) for event in seen.trace if event.kind == "tool")
    for event in seen.trace:
        if event.kind == "tool" and event.failed:
            yield "tool failed", event.name, attempt.id
    for (name, _, _), times in calls.items():
        if times >= REPEATS:
            yield "call repeated", name, attempt.id
