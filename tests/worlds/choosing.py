"""A model that gives log-probabilities: it reads the last lamp that is lit, but likes the first letter far too much."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from controllers.scripted_engine import AsyncScriptedEngine, ScriptedEngine, prompt_text
from tests.worlds.model import GROUPS, answer

if TYPE_CHECKING:
    import dspy

MODEL: Final = "openai/choosing"
LIKED: Final = 3.0
"""How much more likely, in logarithms, the first letter is than it should be."""


class ChoosingEngine(ScriptedEngine):
    """As ScriptedEngine; where log-probabilities are asked for, it gives those of the letters."""

    def complete(self, request: Any) -> Any:
        """One response."""
        from dataclasses import replace

        from dspy.lm15 import TokenLogprob, TopLogprob

        found = super().complete(request)
        if not request.config.logprobs:
            return found
        choices = re.findall(r"^([A-Z])\) (.+)$", prompt_text(request).rpartition("What happened:")[2], re.MULTILINE)
        wanted = wanted_by(prompt_text(request))
        logs = {letter: 1.0 * (name == wanted) + LIKED * (letter == "A") for letter, name in choices}
        total = math.log(sum(math.exp(value) for value in logs.values()))
        top = tuple(TopLogprob(token=letter, logprob=value - total) for letter, value in logs.items())
        return replace(found, logprobs=(TokenLogprob(token=top[0].token, logprob=top[0].logprob, top=top),))


def wanted_by(prompt: str) -> str:
    """The action that it reads off the last observations: the group of a lit lamp, `done` where none is."""
    lit = re.findall(r"lit: ([a-z ]+)", prompt)
    if lit and lit[-1].startswith("nothing"):
        return "done"
    return next((group for group in GROUPS if lit and group in lit[-1]), "core")


def said(prompt: str) -> str:
    """The answer of a `dspy.Predict`, else a letter."""
    return answer(prompt) if "starting with the field" in prompt else "A"


def choosing_model() -> tuple[dspy.LM, ChoosingEngine]:
    """The model in this process, and its engine, whose `prompts` say what was asked."""
    import dspy

    engine = ChoosingEngine(said)
    lm = dspy.LM(MODEL, engine=engine, async_engine=AsyncScriptedEngine(engine), cache=False, num_retries=0)
    return lm, engine
