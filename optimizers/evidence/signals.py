"""Signals: what one episode shows that somebody should look at, by its checkers, its traces and its decisions.

No verdict is read: what shows in production, which has no judge, and what shows in a search are told by the same words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol

from controllers.history import Seen
from controllers.observe import correctness
from controllers.redaction import redacted
from signatures.records import Decision, Episode, PolicyName

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
            "search again with such tasks: search_run --learn-from all, with harvested=FILE for those of production",
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


class Drawn(Protocol):
    """A decision, as far as signals look at it: a record of the corpus, or one that is told."""

    @property
    def policy(self) -> PolicyName:
        """Which policy drew."""

    @property
    def action(self) -> str:
        """What it drew."""

    @property
    def features(self) -> Mapping[str, float]:
        """What was observed."""

    @property
    def tier(self) -> str:
        """Where it was made."""


def signals_of(episode: Episode, history: Sequence[Seen], decisions: Sequence[Decision]) -> list[Signal]:
    """All signals of a recorded episode, in a fixed order."""
    ended: list[_Shown] = [] if episode.failure is None else [("infrastructure", episode.failure.error, "")]
    return _collected((*ended, *_in(history, decisions, episode.selected_id)))


def signals_in(history: Sequence[Seen], decisions: Sequence[Drawn], *, selected: str | None) -> list[Signal]:
    """The signals of attempts that were made after one another, and of what was decided among them."""
    return _collected(_in(history, decisions, selected))


_Shown = tuple[Kind, str, str]


def _in(history: Sequence[Seen], decisions: Sequence[Drawn], selected: str | None) -> Iterator[_Shown]:
    yield from _infrastructure(history)
    yield from _selected(selected, history)
    yield from _stops(decisions)
    yield from _steers(history)
    for seen in history:
        yield from _inside(seen)


def _collected(shown: Iterable[_Shown]) -> list[Signal]:
    found: dict[tuple[Kind, str], list[str]] = {}
    for kind, subject, attempt in shown:
        named = found.setdefault((kind, plain(redacted(subject), 80)), [])
        if attempt and attempt not in named:
            named.append(attempt)
    return [Signal(kind, subject, tuple(attempts)) for (kind, subject), attempts in found.items()]


def plain(text: str, most: int) -> str:
    """What a worker or a disk said, as one line for a page and a terminal, cut; `?` for what could steer either."""
    line = " ".join(text.split())[:most]
    return "".join(c if c.isprintable() and c not in "`<>|" else "?" for c in line) or "(no name)"


def _infrastructure(history: Sequence[Seen]) -> Iterator[_Shown]:
    for seen in history:
        if seen.attempt.failure is not None:
            yield "infrastructure", seen.attempt.failure.error, seen.attempt.id


def _selected(selected: str | None, history: Sequence[Seen]) -> Iterator[_Shown]:
    for seen in history:
        if seen.attempt.id == selected:
            for check in seen.attempt.checks:
                if check.passed is False:
                    yield "not passed", check.objective, seen.attempt.id


def _stops(decisions: Sequence[Drawn]) -> Iterator[_Shown]:
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
