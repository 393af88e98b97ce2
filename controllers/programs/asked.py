"""What a strategy program is told: attempts, features, tools and budget read off the history, a model's choice."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from controllers.policies import Around, View
from controllers.programs.wire import (
    Answer,
    BudgetCall,
    Call,
    Choice,
    ConsultCall,
    Critique,
    CritiqueCall,
    Left,
    Shot,
    Tools,
    ToolsCall,
)
from signatures.errors import ProgramFault
from signatures.records import Cost, PolicyName, Tier

if TYPE_CHECKING:
    import dspy

    from controllers.policies.lm import LMPolicy

MOST_TOOLS: Final = 64
"""Names of tools that a program is told, in their order."""
MOST_CHOICES: Final = 4_096
"""Answers of a model that are kept."""
_Question = tuple[Around, str, tuple[str, ...], PolicyName, tuple[str, ...]]


@dataclass
class Paid:
    """What a decision took: the model calls, and the observations that were shown."""

    cost: Cost = field(default_factory=Cost)
    shown: tuple[str, ...] = ()


class Asked:
    """Answers the calls of one program that launch nothing."""

    def __init__(self, source: str, lm: dspy.LM | None, tier: Tier) -> None:
        self._lm = lm
        self._tier: Tier = tier
        self._shows_features = any(
            isinstance(node, ast.Attribute) and node.attr == "features" for node in ast.walk(ast.parse(source))
        )
        self._models: dict[PolicyName, LMPolicy] = {}
        self._chosen: dict[_Question, str] = {}

    def shot(self, view: View, place: int) -> Shot:
        """The attempt at this place of the history."""
        assert view.around is not None
        attempt = view.history[place].attempt
        features = view.around.observed(view.history[: place + 1])
        return Shot(
            index=place,
            outcome=attempt.outcome,
            action=attempt.steer.action,
            passed=features.get("passed", 0.0) > 0.5,
            correct=features.get("correct", 0.0),
            progress=features.get("progress", 0.0),
            turns=attempt.cost.turns or 0,
            errors=int(features.get("errors", 0.0)),
            repeats=int(features.get("repeats", 0.0)),
            features=dict(features) if self._shows_features else {},
        )

    async def answer(self, call: Call, view: View, paid: Paid) -> Answer:
        """What the attempts in `view` say to the call; what a model was asked for is added to `paid`.

        Raises ProviderError; ProgramFault for a call that launches something.
        """
        assert view.around is not None
        if isinstance(call, ConsultCall):
            return await self._choice(call, view, paid)
        if isinstance(call, CritiqueCall):
            return Critique(features=dict(view.around.observed(view.history)))
        if isinstance(call, BudgetCall):
            left = view.around.left(view.history)
            return Left(attempts=left.attempts, turns=left.turns, usd=left.usd)
        if isinstance(call, ToolsCall):
            names = {event.name for seen in view.history for event in seen.trace if event.kind == "tool"}
            return Tools(tools=tuple(sorted(names))[:MOST_TOOLS], actions=view.around.steers)
        raise ProgramFault(f"strategy program: {type(call).__name__} has no answer", kind="protocol")

    async def _choice(self, call: ConsultCall, view: View, paid: Paid) -> Choice:
        """The option that the model of that decision is surest of; without a model the first.

        The same question after the same attempts of an episode gets the same answer, and is paid for once. Raises
        ProviderError.
        """
        assert view.around is not None
        options = tuple(dict.fromkeys(call.options))
        if self._lm is None or len(options) == 1:
            return Choice(option=options[0])
        made = tuple(seen.attempt.id for seen in view.history)
        key = (view.around, view.task.digest, made, call.policy, options)
        if key not in self._chosen:
            features = dict(view.around.observed(view.history))
            answer = await self._model(call.policy).decide(View(view.task, features, options, view.history))
            paid.cost = paid.cost.plus(answer.cost)
            paid.shown = tuple(dict.fromkeys((*paid.shown, *answer.shown)))
            if len(self._chosen) >= MOST_CHOICES:
                self._chosen.pop(next(iter(self._chosen)))
            self._chosen[key] = max(options, key=lambda option: answer.weights.get(option, 0.0))
        return Choice(option=self._chosen[key])

    def _model(self, name: PolicyName) -> LMPolicy:
        from controllers.policies.lm import LMPolicy

        if name not in self._models:
            assert self._lm is not None
            self._models[name] = LMPolicy(name, self._lm, tier=self._tier)
        return self._models[name]
