"""The lines between parent and child, and what a controller does in a state."""

from __future__ import annotations

from pathlib import Path

from controllers.arms import draw
from controllers.policies.choice import ChoiceBody, ChoicePolicy
from controllers.policies.lm import LMPolicy
from controllers.program import Controller, controller_of
from controllers.programs import builtin
from controllers.release import Champion
from controllers.scripted_engine import scripted_lm
from experiments.promote.questions import SAID, Answer, Call, Refused, State, answers_to, canary_spec
from signatures.digest import digest_text
from signatures.records import AttemptContext, Steer
from tests.worlds.choosing import choosing_model
from tests.worlds.lab import lamp_follower
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.released import released

LIT = State(policy="steer", features={"planted.lit.pump": 1.0}, legal=("none", "pump", "core"), seed=7)


async def test_a_rule_is_drawn_as_production_draws_it() -> None:
    controller = controller_of(lamp_follower())
    (found,) = await answers_to(controller, [LIT], 0.1)
    expected = draw({"pump": 1.0}, LIT.legal, seed=7, floor=0.1)
    assert (found.probabilities, found.action) == (expected.probabilities, expected.action)
    assert (found.tier, found.prompt) == ("rule", None)
    assert found.policy_digest == digest_text(controller.policies["steer"].text)


async def test_of_a_model_the_prompt_is_the_answer_and_nobody_is_asked() -> None:
    lm, engine = scripted_lm(lambda prompt: "no")
    rules = controller_of(lamp_follower()).policies

    def with_steer(instructions: str | None) -> Controller:
        asking = LMPolicy("steer", lm, instructions=instructions)
        return Controller(stop=rules["stop"], topology=rules["topology"], steer=asking)

    (one,) = await answers_to(with_steer(None), [LIT], 0.1)
    (again,) = await answers_to(with_steer(None), [LIT], 0.1)
    (other,) = await answers_to(with_steer("Always say pump."), [LIT], 0.1)
    (elsewhere,) = await answers_to(with_steer(None), [LIT.model_copy(update={"legal": ("none", "pump")})], 0.1)
    assert engine.prompts == []
    assert one == again and one.probabilities == {}
    assert len({one.prompt, other.prompt, elsewhere.prompt}) == 3


async def test_of_a_calibrated_choice_likewise() -> None:
    rules = controller_of(lamp_follower()).policies
    lm, engine = choosing_model()

    def choosing(instructions: str) -> Controller:
        asking = ChoicePolicy("steer", lm, ChoiceBody(model=lm.model, instructions=instructions))
        return Controller(stop=rules["stop"], topology=rules["topology"], steer=asking)

    (one,) = await answers_to(choosing("Choose."), [LIT], 0.1)
    (again,) = await answers_to(choosing("Choose."), [LIT], 0.1)
    (other,) = await answers_to(choosing("Choose pump."), [LIT], 0.1)
    assert engine.prompts == []
    assert one == again and one.probabilities == {} and one.prompt != other.prompt


def test_a_canary_episode_is_productions_but_for_split_condition_and_seed(tmp_path: Path) -> None:
    champion: Champion = released(tmp_path / "r", lamp_follower())
    task = PlantedBenchmark().tasks("search")[0]
    spec, other = canary_spec(champion, task, "n1"), canary_spec(champion, task, "n2")
    assert (spec.split, spec.condition) == ("search", "canary")
    assert spec.seed != other.seed
    assert (spec.floor, spec.revision) == (champion.release.exploration, champion.release.digest)


def test_what_is_said_is_one_line_and_reads_back() -> None:
    context = AttemptContext(attempt_id="a", steer=Steer(text="two\nlines"), seed=1)
    for said in (
        Call(number=1, task="t", context=context, start="s"),
        Answer(nonce="n", release="r", candidate="c", states=(), episodes=("e",)),
        Refused(error="UsageError", message="no"),
    ):
        line = SAID.dump_json(said)
        assert b"\n" not in line
        assert SAID.validate_json(line) == said


async def test_of_a_program_the_text_is_the_answer() -> None:
    one, other = controller_of(builtin.refine("fan")), controller_of(builtin.refine("core"))
    (mine,), (theirs,) = await answers_to(one, [LIT], 0.1), await answers_to(other, [LIT], 0.1)
    assert mine.policy_digest == digest_text(one.policies["steer"].text) != theirs.policy_digest
    assert (mine.tier, mine.probabilities, mine.prompt) == ("rule", {}, None)
