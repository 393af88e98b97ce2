"""The author with a language model: it reads the losses and writes a whole program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from controllers.lm import answered
from controllers.programs.language import GUIDE, canonical
from optimizers.authors import Losses
from optimizers.authors.shapes import argument, gives, shot_calls
from optimizers.evidence.episodes_told import Telling, within
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.space import Space
from signatures.errors import UsageError
from signatures.records import Cost

if TYPE_CHECKING:
    import dspy

MOST_MOVES: Final = 16
"""Moves shown: half those with the largest loss, half those with the largest gain."""
MOST_EPISODES: Final = 6
MOST_CHARS: Final = 60_000
"""Characters of evidence in one question; a small model is given less."""
MOST_MATES: Final = 2
MOST_HYPOTHESIS: Final = 400
"""Characters kept of what the model supposes."""
_FENCE: Final = re.compile(r"```(?:python|py)?\s*\n(.*?)```", re.DOTALL)


class LMAuthor:
    """Asks a model for a program. One that is not in the language is shown once more with its error, then dropped."""

    reads = True

    def __init__(self, lm: dspy.LM, space: Space, *, most_chars: int = MOST_CHARS) -> None:
        import dspy

        from signatures.authoring import Author

        self.lm = lm
        self.space = space
        self.most_chars = most_chars
        self.name = str(lm.model)
        self.predict = dspy.Predict(Author)

    async def write(self, parent: str, losses: Losses, *, seed: int) -> tuple[Proposal | None, Cost]:
        """The model's program in canonical form, if it is in the language and another one. Raises ProviderError."""
        inputs: dict[str, object] = {
            "language": language_text(self.space),
            "current": parent,
            "records": self._records(losses),
            "others": list(losses.mates[:MOST_MATES]),
            "problem": "",
        }
        cost = Cost()
        for _ in range(2):
            answer, asked = await answered(self.predict, self.lm, inputs)
            cost = cost.plus(asked)
            if answer is None:
                inputs["problem"] = "the answer had no program in it"
                continue
            try:
                source = program_in(str(answer.program or ""), self.space)
            except UsageError as error:
                inputs["problem"] = str(error)
                continue
            if source == canonical(parent):
                return None, cost
            hypothesis = " ".join(str(answer.hypothesis or "").split())[:MOST_HYPOTHESIS]
            return Proposal(
                text=source,
                hypothesis=hypothesis or "the model did not say what it expects",
                evidence=str(answer.evidence or ""),
                proposer=self.name,
            ), cost
        return None, cost

    def _records(self, losses: Losses) -> list[str]:
        """Pairs within half of the room, then moves within the rest; what is left out is said."""
        told: list[str] = []
        for text in losses.told[:MOST_EPISODES]:
            if sum(map(len, told)) + len(text) > self.most_chars // 2:
                told.append("more pairs are left out")
                break
            told.append(text)
        moves = [_telling(row) for row in telling(losses.moves)]
        return [*told, *within(moves, "records", self.most_chars - sum(map(len, told)))]


def _telling(row: Reflection) -> Telling:
    return lambda lines: row.shown(lines=lines)


def program_in(text: str, space: Space) -> str:
    """The program in an answer, in canonical form: the whole text, or the one fenced block in it.

    Raises UsageError with what is wrong: not in the language, a steer that is not in the table or has no start.
    """
    fenced = _FENCE.findall(text)
    source = canonical((fenced[0] if len(fenced) == 1 else text).strip() + "\n")
    for call in shot_calls(source):
        steer = argument(call, "steer")
        if isinstance(steer, str) and steer not in {"none", *space.actions["steer"]}:
            known = ", ".join(space.actions["steer"])
            raise UsageError(f"line {call.lineno}: no steer is called {steer}; there are {known}")
        if steer not in (None, "none") and not gives(call, "start"):
            raise UsageError(f"line {call.lineno}: a fresh attempt is told nothing; with a steer give start as well")
    return source


def telling(moves: Sequence[Reflection], *, most: int = MOST_MOVES) -> list[Reflection]:
    """The moves that say most, of the policies with something to choose: half the worst, half the best by gain."""
    rows = sorted((m for m in moves if m.policy != "stop"), key=lambda m: (m.gain, m.content_digest()))
    if len(rows) <= most:
        return rows
    half = most // 2
    return [*rows[:half], *rows[-half:]]


def language_text(space: Space) -> str:
    """What a program may say, with the features and steers of this benchmark."""
    features = "; ".join(f"{name} (values apart at {_limits(values)})" for name, values in space.thresholds.items())
    return (
        f"{GUIDE}Legal steers: {', '.join(space.actions['steer'])}.\n"
        f"Features, read as shot.features.get(NAME, 0.0): {features or 'none'}.\n"
    )


def _limits(values: Sequence[float]) -> str:
    return " or ".join(f"{value:g}" for value in values)
