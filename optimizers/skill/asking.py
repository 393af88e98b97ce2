"""Asking questions of a model: one call for each question and form, kept in a file, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from controllers.choosing import action_grammar, choice_logprobs
from controllers.jsonlog import JsonLog, read_jsonlog
from controllers.lm import answered, constrained
from controllers.policies.choice import ChoiceDemo, question_text, turns_of
from controllers.retry import RetryPolicy, with_retries
from optimizers.skill.question import Question
from optimizers.skill.ways import Ask, Reply
from signatures.digest import digest_of
from signatures.errors import ProviderError, StoreError
from signatures.policies import signature_of
from signatures.records import Failure, Record

if TYPE_CHECKING:
    import dspy


class _Line(Record):
    key: str
    reply: Reply


class Asker:
    """Asks one model. `calls` counts what was asked now, `recalled` what the file answered."""

    def __init__(self, lm: dspy.LM, path: Path) -> None:
        """Raises StoreError for a file that is damaged."""
        self.calls = 0
        self.recalled = 0
        self._lm = lm
        self._known = dict(_read(path))
        self._log = JsonLog(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    async def reply(self, question: Question, ask: Ask, demos: Sequence[Question]) -> Reply:
        """The model's answer. Raises ProviderError after the last try; UsageError for a model that cannot answer so."""
        shown = [one.demo() for one in demos if one.policy == question.policy] if ask.demos else []
        key = self.key_of(question, ask, shown)
        if key in self._known:
            self.recalled += 1
            return self._known[key]
        found = await with_retries(lambda: self._asked(question, ask, shown), "a question", RetryPolicy())
        if isinstance(found, Failure):
            raise ProviderError(f"{found.where}: {found.message} (tried {found.tries} times)")
        self.calls += 1
        self._log.append(_Line(key=key, reply=found).model_dump(mode="json"))
        self._known[key] = found
        return found

    def key_of(self, question: Question, ask: Ask, demos: Sequence[ChoiceDemo]) -> str:
        """Names all that the model is shown: equal keys get equal answers."""
        told = signature_of(question.policy).instructions
        asked = [question.prompt, dict(question.features), question.observations, question.legal]
        return digest_of("skill", self._lm.model, ask.form, told, [one.model_dump(mode="json") for one in demos], asked)

    async def _asked(self, question: Question, ask: Ask, demos: Sequence[ChoiceDemo]) -> Reply:
        if ask.form == "weighed":
            return await weighed(self._lm, question, demos)
        return await named(self._lm, question, demos)


async def weighed(lm: dspy.LM, question: Question, demos: Sequence[ChoiceDemo]) -> Reply:
    """As `controllers.policies.choice.ChoicePolicy` asks. Raises ProviderError, UsageError."""
    text = question_text(question.prompt, question.features, question.observations)
    told = signature_of(question.policy).instructions
    found, cost = await choice_logprobs(lm, told, text, question.legal, before=turns_of(demos, question.legal))
    return Reply(logprobs=found, cost=cost)


async def named(lm: dspy.LM, question: Question, demos: Sequence[ChoiceDemo]) -> Reply:
    """As `controllers.policies.lm.LMPolicy` asks, of the same state as the other ways. Raises ProviderError."""
    import dspy

    predict = dspy.Predict(signature_of(question.policy))
    predict.demos = [dspy.Example(**_demo(one, question.legal)) for one in demos]
    inputs = {
        "task": question.prompt,
        "features": {name: value for name, value in question.features.items() if value},
        "observations": list(question.observations),
        "legal": list(question.legal),
    }
    answer, cost = await answered(predict, constrained(lm, action_grammar(question.legal)), inputs)
    action = str(getattr(answer, "action", "")).strip(" \n\t`'\"")
    return Reply(action=action if action in question.legal else None, cost=cost)


def _demo(one: ChoiceDemo, legal: Sequence[str]) -> dict[str, object]:
    return {
        "augmented": True,
        "task": one.task,
        "features": {name: value for name, value in one.features.items() if value},
        "observations": list(one.observations),
        "legal": list(legal),
        "action": one.action,
        "confidence": 0.9,
    }


def _read(path: Path) -> list[tuple[str, Reply]]:
    found = []
    for number, entry in enumerate(read_jsonlog(path), 1):
        try:
            line = _Line.model_validate(entry, strict=False)
        except ValidationError as error:
            raise StoreError(f"{path}:{number}: not a recorded answer: {error.errors()[0]['msg']}") from error
        found.append((line.key, line.reply))
    return found
