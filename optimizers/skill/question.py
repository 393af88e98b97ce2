"""A recorded decision as a question: the state, the legal actions, and the one that was best by the checkers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from controllers.policies.choice import ChoiceDemo
from signatures.digest import digest_of
from signatures.records import Finite, PolicyName, Record


class Question(Record):
    """One decision with its answer. The answer rests on checker results alone, as does all that is shown."""

    id: str
    policy: PolicyName
    task: str
    "digest"
    families: tuple[str, ...]
    "of the task; for splits and reports, never shown"
    prompt: str
    features: Mapping[str, Finite]
    observations: tuple[str, ...]
    "as many as fit, rendered: what every way of asking shows"
    legal: tuple[str, ...]
    label: str
    "the action with the highest value"
    margin: Finite = Field(ge=0)
    "its value less that of the second best"
    values: Mapping[str, Finite]
    "expected best `correct` by the checkers after each action, on the recorded attempts"

    @classmethod
    def of(cls, **fields: object) -> Self:
        """The question of these fields, its id their digest."""
        return cls.model_validate({**fields, "id": digest_of("question", fields)})

    def demo(self) -> ChoiceDemo:
        """The question with its answer, to be shown before another."""
        return ChoiceDemo(task=self.prompt, features=self.features, observations=self.observations, action=self.label)
