"""The costliest f(trace): a model that drives its own reading, with tools over the attempts so far."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from controllers.history import Seen
from controllers.lm import billed
from controllers.prompts import render, require_observation
from signatures.records import CheckerResult, Cost, Steer, Task

if TYPE_CHECKING:
    import dspy

AGENT: Final = "agent"
"""The name by which an arm asks for it."""
STEPS: Final = 6
"""Tools that it may use before it must write; each is a model call, and so is the writing."""
PAGE: Final = 20
"""Observations that one reading shows."""


class Attempts:
    """The attempts so far, as tools read them: observations alone, delimited and capped like in any prompt.

    Raises FirewallBreach at once for anything else: inside a tool the breach would be told to the model.
    """

    def __init__(self, history: Sequence[Seen]) -> None:
        self._shown = tuple(seen.observations() for seen in history)
        for one in itertools.chain.from_iterable(self._shown):
            require_observation(one)

    def overview(self) -> list[str]:
        """What the checkers said of every attempt, oldest first."""
        every = itertools.chain.from_iterable(self._shown)
        return render([one for one in every if isinstance(one.source, CheckerResult)])

    def read_attempt(self, number: int, first: int = 0) -> str:
        """Observations of attempt `number`, counted from 1, a page of them from position `first` on."""
        if not 1 <= number <= len(self._shown):
            return f"there are attempts 1 to {len(self._shown)}"
        found = self._shown[number - 1]
        page = found[max(0, first) : max(0, first) + PAGE]
        head = f"attempt {number}, {len(page)} of {len(found)} observations from {max(0, first)} on"
        return "\n".join([head, *render(page)])

    def find(self, word: str) -> str:
        """The latest observations of all attempts whose text holds `word`."""
        every = itertools.chain.from_iterable(self._shown)
        found = [one for one in every if word in one.source.model_dump_json()]
        return "\n".join([f"{len(found)} observations hold it, the latest are", *render(found, last=PAGE)])


class AgentSteer:
    """A model reads the attempts with tools, then writes the steer. Every call is billed; its action is `text`."""

    def __init__(self, lm: dspy.LM, *, steps: int = STEPS) -> None:
        self.lm = lm
        self.steps = steps

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """The steer and what all calls cost; an answer that cannot be parsed says nothing. Raises ProviderError."""
        import dspy
        from dspy.utils.exceptions import AdapterParseError

        from signatures.analysis import Analyse

        attempts = Attempts(history)
        overview = attempts.overview()
        driver = dspy.ReAct(Analyse, tools=[attempts.read_attempt, attempts.find], max_iters=self.steps)

        async def ask(own: dspy.LM) -> dspy.Prediction | None:
            try:
                with dspy.context(lm=own, adapter=dspy.ChatAdapter(use_json_adapter_fallback=False)):
                    return await driver.acall(task=task.prompt, observations=overview)
            except AdapterParseError:
                return None

        answer, cost = await billed(self.lm, ask)
        text = "" if answer is None else str(answer.steer or "")
        return Steer(kind="analyst", action="text", text=text), cost
