"""Replay before live attempts: what recorded trees answer of an evaluation, exactly for rules, by walks for models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers.budget import add_amounts, amounts_of
from controllers.policies import View, Weights
from controllers.program import Controller
from optimizers.evidence.reflection import Reflection
from optimizers.records import TaskScore
from optimizers.replay.estimates import MAX_UNSUPPORTED
from optimizers.replay.tree import Replayed, TreeReplay
from optimizers.replay.walk import walked
from signatures.errors import InfraError, Outage, ProgramFault, StoreError
from signatures.records import Cost, Failure, PolicyName, Task

if TYPE_CHECKING:
    from optimizers.replay.asking import Asking

WALKS: Final = 1
"""Episodes walked per task for a controller that asks a model: as many as a live evaluation plays."""
ROUNDING: Final = 1e-9
"""Unsupported mass below this is none."""


class Answer(NamedTuple):
    """What the record says of one task, and what asking for it took."""

    replayed: Replayed
    asked: tuple[str, ...] = ()
    "digests of the inputs that a model was asked for it"
    saved: int = 0
    "inputs whose answer was there"
    cost: Cost = Cost()
    "of `asked`"
    worth: Cost = Cost()
    "what all its answers cost when they were given: a live episode would have paid that"
    failure: Failure | None = None
    "set where a model could not be asked"
    fault: ProgramFault | None = None
    "set where the program failed, for which models may have been asked before"

    @property
    def counts(self) -> bool:
        """Whether the tree holds enough of what the candidate would do."""
        return self.replayed.unsupported <= MAX_UNSUPPORTED


@dataclass(frozen=True)
class Replaying:
    """Recorded trees as an evaluator uses them."""

    trees: TreeReplay
    asking: Asking | None = None
    "answers of models; without it only controllers of rules are replayed"
    walks: int = WALKS
    answers: bool = True
    "False: the trees show recorded moves to proposers and everything is attempted live"

    def covers(self, controller: Controller) -> bool:
        """Whether this controller is replayed at all."""
        return self.answers and (self.asking is not None or ruled(controller))

    def moves(self, task_digest: str) -> list[Reflection]:
        """The moves that the recorded tree of a task shows."""
        return self.trees.moves(task_digest)

    async def answer(self, controller: Controller, task: Task, billed: set[str], *, seed: int) -> Answer | None:
        """The replay of `task`; None where nothing of it is recorded. Raises Outage where no model answers.

        `billed` holds the digests of inputs that somebody paid for already; those asked here are added.
        """
        if self.asking is None or ruled(controller):
            return await self._enumerated(controller, task)
        bill = _Bill(self.asking, controller, billed)
        failure = None
        try:
            begins = controller.begins_with_stop
            value = await walked(self.trees, task, bill.weights, walks=self.walks, seed=seed, begins_with_stop=begins)
        except _UnaskedError as error:
            value, failure = self.trees.unknown(), error.failure
        except ProgramFault as fault:
            cost = bill.cost if fault.cost is None else bill.cost.plus(fault.cost)
            worth = _shared(bill.worth, self.walks)
            return Answer(self.trees.unknown(), tuple(bill.asked), bill.saved, cost, worth, fault=fault)
        if value is None:
            return None
        return Answer(value, tuple(bill.asked), bill.saved, bill.cost, _shared(bill.worth, self.walks), failure)

    async def _enumerated(self, controller: Controller, task: Task) -> Answer | None:
        """The answer of rules and of programs without a model, which nobody is paid for."""
        try:
            value = await self.trees.value(controller, task)
        except ProgramFault as fault:
            return Answer(self.trees.unknown(), fault=fault)
        return None if value is None else Answer(value)


class _UnaskedError(Exception):
    """A policy's model could not be asked; it never leaves this module."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Bill:
    """Asks the policies of one controller for the walks on one task, and adds up what that took."""

    def __init__(self, asking: Asking, controller: Controller, billed: set[str]) -> None:
        self._asking = asking
        self._controller = controller
        self._billed = billed
        self.asked: list[str] = []
        self.saved = 0
        self.cost = Cost()
        self.worth = Cost()

    async def weights(self, policy: PolicyName, view: View) -> Weights:
        """The policy's weights: a rule's own, a model's asked for once per distinct input."""
        from optimizers.replay.asking import input_digest

        chosen = self._controller.policies[policy]
        if chosen.tier == "rule":
            return await chosen.decide(view)
        try:
            answer = await self._asking.weights(chosen, view)
        except (Outage, StoreError):
            raise
        except InfraError as error:
            failure = Failure(error=type(error).__name__, message=str(error), where=f"policy {policy}")
            raise _UnaskedError(failure.encodable()) from error
        self.worth = self.worth.plus(answer.cost)
        key = input_digest(chosen, view)
        if key in self._billed:
            self.saved += 1
        else:
            self._billed.add(key)
            self.asked.append(key)
            self.cost = self.cost.plus(answer.cost)
        return answer


def with_answer(score: TaskScore, answer: Answer | None) -> TaskScore:
    """The score with the share that its tree did not hold, and with what was spent on asking models for the replay.

    In a live score that is money spent beside the episode, and no part of what the episode took.
    """
    if answer is None:
        return score
    share = answer.replayed.unsupported
    if share <= ROUNDING and not (answer.asked or answer.saved or answer.failure or answer.fault or score.unsupported):
        return score  # a rule on a tree that holds all of it: nothing was asked, nothing is to be added
    replayed = score.source == "replay" and not score.set_aside
    return score.model_copy(
        update={
            "unsupported": min(1.0, share) if share > ROUNDING else 0.0,
            "failure": score.failure or answer.failure,
            "asked": answer.asked,
            "saved": answer.saved,
            "spent": add_amounts(score.spent, amounts_of(answer.cost)),
            "used": add_amounts(score.used, amounts_of(answer.worth)) if replayed else score.used,
        }
    )


def ruled(controller: Controller) -> bool:
    """Whether no policy of the controller asks a model."""
    return all(policy.tier == "rule" for policy in controller.policies.values())


def _shared(cost: Cost, walks: int) -> Cost:
    """What one of several walks cost on average."""

    def part(amount: int | None) -> int | None:
        return None if amount is None else round(amount / walks)

    return Cost(
        tokens_in=part(cost.tokens_in),
        tokens_out=part(cost.tokens_out),
        usd=None if cost.usd is None else cost.usd / walks,
    )
