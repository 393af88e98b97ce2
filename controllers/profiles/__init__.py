"""How headless coding agents are spoken to and read: the protocol. The file name is the id, one class each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from signatures.records import Cost, TraceEvent


class Ask(NamedTuple):
    """What an agent is asked beside its task."""

    model: str | None = None
    turns_limit: int | None = None
    "model turns that the attempt may take; only some agents can be told"
    base_url: str | None = None
    "of the OpenAI-compatible endpoint it must use, with its `/v1`; None: its own"
    words: tuple[str, ...] = ()
    "the user's own, which follow the profile's"

    def has(self, *options: str) -> bool:
        """Whether the user's words hold one of `options`: most command lines refuse an option that comes twice."""
        return any(word.partition("=")[0] in options for word in self.words)


class Said(NamedTuple):
    """What an agent left behind, decoded: any bytes it wrote, whole or cut."""

    stdout: str
    report: str | None = None
    "the file `{report}` of its words, None where there is none"


class Ending(NamedTuple):
    """How an agent says that it ended.

    done; refusal: its model would not; limit: turns, money, tokens or context were used up; error: its own failure;
    provider: the model could not be had, which is infrastructure; cut: it did not say.
    """

    kind: Literal["done", "refusal", "limit", "error", "provider", "cut"]
    text: str = ""
    retryable: bool = False
    "whether another try may go better, where the provider failed"


class Account(NamedTuple):
    """An agent's own account of its attempt. What it does not report is None in `cost`."""

    answer: str
    events: tuple[TraceEvent, ...]
    cost: Cost
    ending: Ending
    started: bool
    "whether anything it said could be read"


class Profile(Protocol):
    """One agent's command line. It never raises for what an agent said."""

    def words(self, ask: Ask) -> tuple[str, ...]:
        """What follows the program's name, before the user's own words.

        They may hold `{task}` and `{report}` (a file outside the workspace); without `{task}` the task comes on
        standard input. The task's text is the prompt and, below it, the steer.
        """

    def settings(self, ask: Ask) -> Mapping[str, str]:
        """Variables of its environment; never a key."""

    def read(self, said: Said) -> Account:
        """What happened, from what the agent said."""
