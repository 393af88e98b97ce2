"""Ways of asking a policy's question, each one file: what is asked of the model, and how its answers are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from optimizers.skill.question import Question
from signatures.records import Cost, Finite, Record

Form = Literal["named", "weighed"]
"""`named`: a `dspy.Predict` names an action; `weighed`: one token is asked and its log-probabilities are read."""


class Ask(NamedTuple):
    """What is asked of the model; ways that ask the same share the answers."""

    form: Form
    demos: bool


class Reply(Record):
    """What the model said to one question."""

    action: str | None = None
    "of `named`; None: the answer did not parse"
    logprobs: Mapping[str, Finite] = {}
    "of `weighed`, natural logarithms, by action"
    cost: Cost = Cost()


Known = Sequence[tuple[Question, Reply | None]]
"""Calibration questions with what the model said; None where the way asks no model."""
Decider = Callable[[Question, Reply | None], str | None]
"""The action that is chosen; None: none could be read."""


class Way(Protocol):
    """One way: fitted on calibration questions, tried on the test ones."""

    @property
    def id(self) -> str:
        """The name in tables."""

    @property
    def ask(self) -> Ask | None:
        """What it asks; None: no model."""

    @property
    def fits(self) -> bool:
        """Whether it has to ask the calibration questions too."""

    def fit(self, known: Known) -> Decider:
        """What decides, from answered calibration questions. Raises NoSupport where there are none."""


class Calibration(Record):
    """What a calibrated choice subtracts: see `controllers/policies/choice.py`."""

    bias: Mapping[str, Finite] = {}
    scale: Finite = 1.0
