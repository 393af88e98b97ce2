"""What a canary is asked and what it says: one JSON object a line, from the parent and back.

The child is a fresh process, so that what it loads is what production would load. The attempts of its live tasks are
asked of the parent, which runs the worker itself: that the worker was called is then nobody's claim.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, JsonValue, TypeAdapter

from controllers.arms import draw
from controllers.policies import Policy, View
from controllers.production import production_spec
from controllers.programs.policy import ProgramPolicy
from signatures.digest import digest_text, seed_of
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Finite, PolicyName, Probability, Record, Task, Tier

if TYPE_CHECKING:
    from controllers.program import Controller
    from controllers.release import Champion
    from controllers.spec import EpisodeSpec

CANARY: Final = "canary"
"""The condition of every canary episode."""


class State(Record):
    """A state that a policy must decide: as a recorded decision has it, with a seed to draw by."""

    policy: PolicyName
    features: Mapping[str, Finite]
    legal: tuple[str, ...]
    seed: int


class StateAnswer(Record):
    """What a controller does in a state."""

    tier: Tier
    policy_digest: str
    prompt: str | None = None
    "digest of what a model would be asked; None: no model is asked"
    probabilities: Mapping[str, Probability] = Field(default_factory=dict)
    "floor included; empty where a model would say"
    action: str = ""
    "drawn by the state's seed"


class Question(Record):
    """What the child is told: where the release is, and what to do with it. No answer is in it."""

    nonce: str
    "of this canary alone: seeds are made of it, so that an earlier canary's episodes are not this one's"
    name: str
    alias: str
    root: str
    "the run root, which says where the registry is"
    benchmark: str | None = None
    "id or `package.module:Class`; None: no task is played"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    worker: str | None = None
    lm: str | None = None
    worker_lm: str | None = None
    api_base: str | None = None
    states: tuple[State, ...] = ()
    tasks: tuple[str, ...] = ()
    "digests, of the search split"
    corpus: str = ""
    "file to record the live episodes in, which is not there yet"


class Call(Record):
    """An attempt that the child asks its parent for."""

    kind: Literal["call"] = "call"
    number: int
    task: str
    "digest"
    context: AttemptContext
    start: str | None = None


class Reply(Record):
    """The attempt, or why there is none."""

    number: int
    result: AttemptResult | None = None
    error: str = ""


class Answer(Record):
    """What the child did, as it says; the parent believes none of it unseen."""

    kind: Literal["answer"] = "answer"
    nonce: str
    release: str
    "digest of the release that was loaded"
    candidate: str
    states: tuple[StateAnswer, ...]
    episodes: tuple[str, ...]
    "ids, in the order of the tasks"


class Refused(Record):
    """Why the child could not do it."""

    kind: Literal["refused"] = "refused"
    error: str
    "class name in the error tree"
    message: str


Said = Call | Answer | Refused
SAID: Final[TypeAdapter[Said]] = TypeAdapter(Annotated[Said, Field(discriminator="kind")])


async def answers_to(controller: Controller, states: Sequence[State], floor: float) -> tuple[StateAnswer, ...]:
    """What the controller does in each state. No model is asked: of its policies, the prompt is the answer.

    A program decides from attempts, which a state does not hold: of it the text is the answer, and the live tasks tell.
    Raises UsageError where `floor` cannot hold for the legal actions.
    """
    return tuple([await _answer(controller.policies[state.policy], state, floor) for state in states])


async def _answer(policy: Policy, state: State, floor: float) -> StateAnswer:
    view = View(Task(digest=CANARY, benchmark=CANARY, prompt=""), state.features, state.legal)
    digest = digest_text(policy.text)
    if isinstance(policy, ProgramPolicy):
        return StateAnswer(tier=policy.tier, policy_digest=digest)
    if policy.tier != "rule":
        return StateAnswer(tier=policy.tier, policy_digest=digest, prompt=await _prompt(policy, view))
    drawn = draw((await policy.decide(view)).weights, state.legal, seed=state.seed, floor=floor)
    return StateAnswer(tier=policy.tier, policy_digest=digest, probabilities=drawn.probabilities, action=drawn.action)


async def _prompt(policy: Policy, view: View) -> str:
    """The digest of all that the policy would ask its model: seen by a model that listens and says nothing."""
    from controllers.scripted_engine import scripted_lm

    lm, engine = scripted_lm(lambda prompt: "")
    listening = copy.deepcopy(policy)
    listening.lm = lm  # type: ignore[attr-defined]  # every policy beyond the rule tier has a model
    with suppress(UsageError):  # it gives no log-probabilities: what it was asked is there all the same
        await listening.decide(view)
    return digest_text("\n\0\n".join(engine.prompts))


def canary_spec(champion: Champion, task: Task, nonce: str) -> EpisodeSpec:
    """The spec of a live canary episode: production's own, but for its split, its condition and its seed."""
    spec = production_spec(champion, task, seed=seed_of(CANARY, nonce, task.digest))
    return spec.model_copy(update={"split": "search", "condition": CANARY})
