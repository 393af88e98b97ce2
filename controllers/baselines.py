"""The control arms: named ways to spend a budget, each a controller like any other.

arm           state    steer
random@k      fresh    none
continue@k    carried  none
placebo@k     carried  a random directive of the same shape
refine@k      carried  f(trace)
long@1        one attempt with k times the turns
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from controllers.program import rule_component
from signatures.records import Candidate

STOP_WHEN_PASSED: Final[list[dict[str, object]]] = [
    {"when": [{"feature": "passed", "op": ">", "value": 0.5}], "then": {"done": 1.0}}
]
FRESH_FIRST: Final[list[dict[str, object]]] = [
    {"when": [{"feature": "attempts", "op": "<=", "value": 0.0}], "then": {"fanout_1": 1.0}}
]


class Arm(BaseModel):
    """A control arm: its name, its controller, and the attempts its budget is cut into."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    candidate: Candidate
    steer_legal: tuple[str, ...] = ("none",)
    attempts: int
    turns_per_attempt: int | None


def controller_components(*, refine: bool, steer: Mapping[str, float]) -> dict[str, str]:
    """Stop when the checker of `correct` passes; go on from the last attempt or start afresh; a constant steer."""
    topology = rule_component(FRESH_FIRST, {"refine_last": 1.0}) if refine else rule_component([], {"fanout_1": 1.0})
    return {
        "stop": rule_component(STOP_WHEN_PASSED, {"continue": 1.0}),
        "topology": topology,
        "steer": rule_component([], steer),
    }


def control_arms(k: int, turns: int | None, refine_actions: Sequence[str], *, placebo: bool) -> tuple[Arm, ...]:
    """The compute-matched arms for `k` attempts of `turns` turns; each refine action is one f(trace) of refine@k."""

    def arm(name: str, steer: str, *, refine: bool = True) -> Arm:
        candidate = Candidate(components=controller_components(refine=refine, steer={steer: 1.0}))
        return Arm(name=name, candidate=candidate, steer_legal=(steer,), attempts=k, turns_per_attempt=turns)

    arms = [arm(f"random@{k}", "none", refine=False), arm(f"continue@{k}", "none")]
    if placebo:
        arms.append(arm(f"placebo@{k}", "placebo"))
    arms += [arm(f"refine@{k}/{action}", action) for action in refine_actions]
    if turns is not None:
        long = {"name": "long@1", "attempts": 1, "turns_per_attempt": k * turns}
        arms.append(arm("long@1", "none", refine=False).model_copy(update=long))
    return tuple(arms)


def recorded_arms(k: int, turns: int, actions: Sequence[str]) -> tuple[Arm, ...]:
    """The control arms that recorded trees can tell: all but long@1, since no attempt was granted more turns.

    Placebo is one of `actions`, the directives of the table, drawn with equal chance, and refine@k is one of them
    throughout: of a placebo's own text, and of one that a rule or a model chooses, nothing was recorded.
    """
    fresh, carried, *refined = control_arms(k, None, actions, placebo=False)
    arms = [fresh, carried, *refined]
    if actions:
        drawn = Candidate(components=controller_components(refine=True, steer=dict.fromkeys(actions, 1.0)))
        placebo = {"name": f"placebo@{k}", "candidate": drawn, "steer_legal": ("none", *actions)}
        arms = [fresh, carried, carried.model_copy(update=placebo), *refined]
    return tuple(arm.model_copy(update={"turns_per_attempt": turns}) for arm in arms)


def exploring_candidate(actions: Sequence[str]) -> Candidate:
    """The controller that fills a corpus: it goes on until the checker passes, mostly from the last attempt, and says
    any of `actions` with equal chance. Drawn with a floor, whatever is legal happens now and then.
    """
    topology = rule_component(FRESH_FIRST, {"refine_last": 8.0, "refine_best": 1.0, "fanout_1": 1.0})
    steer = rule_component([], dict.fromkeys(actions, 1.0))
    components = controller_components(refine=True, steer={"none": 1.0})
    return Candidate(components={**components, "topology": topology, "steer": steer})


def seed_candidate() -> Candidate:
    """Where a search starts: continue@k, which says nothing to the worker."""
    return Candidate(components=controller_components(refine=True, steer={"none": 1.0}))
