"""Whole episodes as proposers are told them: every turn, tool error and check, every decision with its alternatives.

`optimizers/evidence/episodes_read.py` reads them. Text of workers and tools passes through
`controllers/prompts.render` alone; no verdict is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from controllers.history import Seen
from controllers.observe import correctness
from controllers.selector import select
from signatures.digest import canonical_json, digest_of
from signatures.records import CheckerResult, PolicyName

LINES: Final = 60
"""Observations of one attempt that are told at most; how many are left out is said."""
FEWEST_LINES: Final = 6
"""Observations of one attempt that are told however little room there is: checks and errors come first."""

Telling = Callable[[int], Mapping[str, object]]
"""Something as a model is shown it, by how many observations of each attempt it may hold."""
Source = Literal["live", "walk", "branch"]
SAID: Final[Mapping[Source, str]] = {
    "live": "an episode of this candidate",
    "walk": "what this candidate does on recorded attempts",
    "branch": "recorded attempts, each branch of which was tried",
}


class Tried(NamedTuple):
    """What is recorded of one action in one place: attempts, and how they changed `correct` on average."""

    attempts: int
    change: float


class Choice(NamedTuple):
    """One decision with its alternatives."""

    policy: PolicyName
    made: int
    "attempts made before it"
    features: Mapping[str, float]
    legal: tuple[str, ...]
    action: str
    "what was drawn; empty where the record holds nothing of what comes next"
    chances: Mapping[str, float] | None = None
    "probability of each legal action in the draw; None where branches were collected, one for each action"
    tier: str = ""
    recorded: Mapping[str, Tried] = {}
    "what the tree holds of each action from here"

    def shown(self, *, features: bool = True) -> dict[str, object]:
        """As a model is shown it; without `features` where the decision before it was made on the same."""
        seen = {name: round(value, 4) for name, value in sorted(self.features.items()) if value}
        odds = {} if self.chances is None else {"probabilities": {a: round(p, 3) for a, p in self.chances.items()}}
        tried = {
            action: {"attempts": n, "mean change of `correct` by the checkers": round(change, 3)}
            for action, (n, change) in self.recorded.items()
        }
        return {
            "decision": self.policy,
            **({"by": self.tier} if self.tier else {}),
            "legal": list(self.legal),
            **odds,
            "drawn": self.action or "(nothing of it is recorded)",
            **({"features": seen} if features else {}),
            **({"recorded from here": tried} if tried else {}),
        }


class EpisodeTold(NamedTuple):
    """One episode."""

    task: str
    source: Source
    attempts: tuple[Seen, ...]
    choices: tuple[Choice, ...] = ()
    unread: int = 0
    "decisions whose record is not there"

    @property
    def correct(self) -> float:
        """`correct` of the attempt that would be selected, by the checkers; 0 without one."""
        chosen = select(self.attempts)
        return 0.0 if chosen is None else correctness(chosen.attempt)

    @property
    def turns(self) -> int:
        """Turns of all attempts."""
        return sum(seen.attempt.cost.turns or 0 for seen in self.attempts)

    @property
    def id(self) -> str:
        """Names the episode by its attempts and what was decided."""
        decided = [(choice.policy, choice.made, choice.action) for choice in self.choices]
        return digest_of("told", self.task, [seen.attempt.id for seen in self.attempts], decided)

    def shown(self, *, lines: int = LINES, since: int = 0) -> dict[str, object]:
        """As a model is shown it, in order; `since`: attempts that are left to another telling.

        Raises FirewallBreach as `render` does.
        """
        chosen = select(self.attempts)
        return {
            "what": SAID[self.source],
            "task": self.task[:12],
            "`correct` of what is selected, by the checkers": round(self.correct, 4),
            "selected attempt": None if chosen is None else self._place(chosen.attempt.id),
            "turns": self.turns,
            **({"decisions that could not be read": self.unread} if self.unread else {}),
            "steps": list(self.steps(lines=lines, since=since)),
        }

    def telling(self) -> Telling:
        """`shown` by the number of observations of each attempt."""
        return lambda lines: self.shown(lines=lines)

    def steps(self, *, lines: int = LINES, since: int = 0) -> Iterator[dict[str, object]]:
        """Decisions and attempts in the order in which they happened, from attempt `since` on."""
        for number in range(since, len(self.attempts) + 1):
            here = [choice for choice in self.choices if choice.made == number]
            for place, choice in enumerate(here):
                yield choice.shown(features=not place or choice.features != here[place - 1].features)
            if number < len(self.attempts):
                yield self._attempt(number, lines)

    def _attempt(self, number: int, lines: int) -> dict[str, object]:
        seen = self.attempts[number]
        told, left_out = observations_told(seen, lines)
        attempt = seen.attempt
        failure = {} if attempt.failure is None else {"could not be run": attempt.failure.error}
        return {
            "attempt": number,
            "goes on from": "nothing" if attempt.parent_id is None else self._place(attempt.parent_id),
            "told": attempt.steer.action,
            "outcome": attempt.outcome,
            **failure,
            "turns": attempt.cost.turns,
            "what happened": told,
            **({"observations left out": left_out} if left_out else {}),
        }

    def _place(self, id: str) -> int | str:
        places = {seen.attempt.id: number for number, seen in enumerate(self.attempts)}
        return places.get(id, "an attempt that is not told here")


def observations_told(seen: Seen, most: int) -> tuple[list[str], int]:
    """The observations of an attempt as rendered lines, at most `most`, and how many are left out.

    Checks come before errors, errors before the last turns; what is told stays in its order.
    """
    lines = [one.line for one in seen.shown()]
    if len(lines) <= most:
        return lines, 0
    sources = [one.source for one in seen.observations()]

    def weight(number: int) -> tuple[int, int]:
        source = sources[number]
        rank = 0 if isinstance(source, CheckerResult) else 1 if source.failed or source.kind == "error" else 2
        return rank, -number

    kept = sorted(sorted(range(len(lines)), key=weight)[:most])
    return [lines[number] for number in kept], len(lines) - most


def shown_episodes(episodes: Sequence[EpisodeTold], *, most_chars: int) -> list[str]:
    """The episodes as JSON texts, in this order, of about `most_chars` characters together.

    Longer attempts lose observations before an episode is left out; the last line says how many are, if any is.
    """
    return within([one.telling() for one in episodes], "episodes", most_chars)


def within(tellings: Sequence[Telling], what: str, most_chars: int) -> list[str]:
    """The first of these that fit, each as JSON with as many observations an attempt as its share allows."""
    told: list[str] = []
    room = most_chars
    for number, telling in enumerate(tellings):
        share = room // (len(tellings) - number)
        lines = LINES
        text = canonical_json(telling(lines))
        while len(text) > share and lines > FEWEST_LINES:
            lines = max(FEWEST_LINES, lines // 2)
            text = canonical_json(telling(lines))
        if len(text) > room:
            return [*told, f"{len(tellings) - number} more {what} are left out"]
        told.append(text)
        room -= len(text)
    return told
