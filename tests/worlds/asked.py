"""Questions made by hand, and replies that a model might have given to them."""

from __future__ import annotations

from collections.abc import Mapping

from optimizers.skill.question import Question
from optimizers.skill.ways import Reply
from signatures.records import Cost, PolicyName

LEGAL = ("refine_last", "refine_best", "fanout_1")


def question(
    task: str,
    label: str = "fanout_1",
    *,
    families: tuple[str, ...] = ("f",),
    features: Mapping[str, float] | None = None,
    policy: PolicyName = "topology",
) -> Question:
    """A question about `task` with that answer."""
    values = {name: 1.0 if name == label else 0.5 for name in LEGAL}
    return Question.of(
        policy=policy,
        task=task,
        families=families,
        prompt=f"Do {task}.",
        features=dict(features or {"attempts": 2.0}),
        observations=("Attempt 1:",),
        legal=LEGAL,
        label=label,
        margin=0.5,
        values=values,
    )


def reply(*logprobs: float) -> Reply:
    """A reply with these log-probabilities of the legal actions."""
    cost = Cost(tokens_in=10, tokens_out=1, wall_s=0.5)
    return Reply(logprobs=dict(zip(LEGAL, logprobs, strict=True)), cost=cost)
