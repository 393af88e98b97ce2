"""Wordnet's checker of *correct*: what of the question's conditions holds for the answer, on what was read.

It would run in production as it is: it has the question, WordNet and the state, not the hidden entry. The condition
told in other words is none that a program can check, so an answer that passes can be wrong.
"""

from __future__ import annotations

from functools import partial

from controllers.worlds.wordnet import Reading, WordnetWorld
from controllers.worlds.wordnet_question import conditions_of, holds
from signatures.errors import UsageError
from signatures.records import AttemptResult, CheckerResult, Task

__all__ = ["WordnetChecker"]

OPENED = "the answer was opened"


class WordnetChecker:
    """The share of conditions that a program can check which hold for the answer by what was read; passes at all.

    That the answer was opened counts as one more. Without an answer the share is 0; without a state, or for a question
    in another form, there is no value.
    """

    def __init__(self, world: WordnetWorld) -> None:
        self._world = world

    @property
    def objective(self) -> str:
        """correct"""
        return "correct"

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """Check the answer of the state against the prompt's conditions; `detail` names those not shown to hold."""
        try:
            reading = Reading.of(result.output if result.state is None else result.state)
        except UsageError as error:
            return self._result(None, str(error))
        crisp = [condition for condition in conditions_of(task.prompt) if condition.crisp]
        if not crisp:
            return self._result(None, "the prompt is no wordnet question")
        answer = reading.answer
        if answer is None:
            return self._result(0.0, "no answer")
        look = partial(reading.look, self._world.lexicon)
        held = {OPENED: answer in reading.visited and answer in reading.read}
        held.update({condition.text: holds(condition, answer, look) for condition in crisp})
        missing = [name for name, found in held.items() if not found]
        return self._result(1 - len(missing) / len(held), "not shown: " + " ".join(missing) if missing else "")

    def _result(self, value: float | None, detail: str) -> CheckerResult:
        passed = None if value is None else value == 1.0
        return CheckerResult(objective=self.objective, value=value, unit="share", passed=passed, detail=detail)
