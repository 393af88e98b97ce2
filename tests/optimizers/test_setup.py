"""A setup: what every evaluation shares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controllers.baselines import seed_candidate
from controllers.program import lm_component, program_candidate
from controllers.programs import builtin
from controllers.scripted_engine import scripted_lm
from controllers.spec import episode_id
from optimizers.setup import MOST_PROGRAMS, Grant
from signatures.errors import UsageError
from signatures.records import Amounts, Candidate
from tests.worlds.lab import GRANT, Lab, steered, with_components


@pytest.mark.parametrize(
    ("grant", "amounts"),
    [(Grant(3, 12, ("none",)), Amounts(attempts=3, turns=36)), (Grant(2, None, ("none",)), Amounts(attempts=2))],
)
def test_a_grant_is_attempts_and_their_turns(grant: Grant, amounts: Amounts) -> None:
    assert grant.amounts == amounts


def test_the_parts_of_a_candidate(lab: Lab) -> None:
    setup = lab.setup()
    parts = setup.parts(steered("fan"))
    assert parts.controller.candidate == steered("fan")
    assert (parts.worker, parts.corpus, parts.observer) == (lab.worker, lab.corpus, lab.benchmark)
    assert parts.breaker is setup.breaker, "failures are counted over the whole run"
    assert set(lab.grant.steer_legal) <= set(parts.steers)


@pytest.mark.parametrize(
    "candidate", [Candidate(components={"stop": "{}"}), with_components(steer="nonsense"), with_components(stop="{}")]
)
def test_a_candidate_that_does_not_load_is_refused(lab: Lab, candidate: Candidate) -> None:
    with pytest.raises(UsageError):
        lab.setup().parts(candidate)


def test_a_models_policy_needs_the_model(lab: Lab) -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    candidate = with_components(steer=lm_component("steer", lm))
    with pytest.raises(UsageError, match="--lm"):
        lab.setup().parts(candidate)
    assert replace(lab.setup(), lm=lm).parts(candidate).controller.candidate == candidate


def test_a_spec_names_all_that_decides_an_episode(lab: Lab) -> None:
    setup, task = lab.setup(), lab.benchmark.tasks("search")[0]

    def id_of(candidate: Candidate = seed_candidate(), **more: object) -> str:  # noqa: B008
        asked = {"condition": "candidate", "split": "search", "seed": 1, **more}
        spec = setup.spec(task, candidate, **asked)  # type: ignore[arg-type]
        return episode_id(spec, setup.parts(candidate))

    spec = setup.spec(task, seed_candidate(), condition="candidate", split="search", seed=1)
    assert (spec.granted, spec.turns_per_attempt, spec.steer_legal) == (GRANT.amounts, 3, GRANT.steer_legal)
    assert spec.revision == "planted"
    others = [
        id_of(steered("fan")),
        id_of(seed=2),
        id_of(split="dev"),
        id_of(condition="arm"),
        id_of(grant=Grant(1, 9, GRANT.steer_legal)),
    ]
    assert len({id_of(), *others}) == 6
    assert id_of() == id_of(grant=GRANT)


def test_a_program_is_loaded_once_as_long_as_it_is_used(lab: Lab) -> None:
    """Its process starts once, however often it is evaluated."""
    setup, mine = lab.setup(), builtin.refine("fan")
    first = setup.parts(mine).controller
    assert setup.parts(builtin.refine("fan")).controller is first
    assert setup.parts(steered("fan")).controller is not setup.parts(steered("fan")).controller
    for patience in range(1, MOST_PROGRAMS + 1):
        setup.parts(builtin.adaptive_refine(patience=patience))
    again = setup.parts(mine).controller
    assert again is not first and again.candidate == mine
    source = "async def strategy(ctx):\n    shot = await ctx.shot()\n"
    lms = [scripted_lm(lambda prompt: "")[0] for _ in range(2)]
    consulting = program_candidate(source, lms[0])
    one, other = (replace(setup, lm=lm).parts(consulting).controller for lm in lms)
    assert one.program is not None and other.program is not None
    assert (one.program.lm, other.program.lm) == (lms[0], lms[1])
