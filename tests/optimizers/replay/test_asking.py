"""Asking: one call per distinct input, in memory, across concurrent askers and across runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.policies import View, Weights
from controllers.policies.constant import ConstantPolicy
from controllers.policies.lm import LMPolicy
from controllers.retry import Breaker, RetryPolicy
from controllers.scripted_engine import scripted_lm
from optimizers.replay.asking import Asking, input_digest
from signatures.errors import InfraError, Outage, ProviderError, StoreError, WorkerError
from signatures.records import Cost, Task, Tier
from tests.controllers.parts import seen, tool

TASK = Task(digest="t", benchmark="b", prompt="do it")
AT_ONCE = RetryPolicy(tries=3, base_s=0.0)


class Counting:
    """A model-like policy that says how often it was asked, and fails as told."""

    tier: Tier = "frontier"

    def __init__(self, text: str = "{}", fails: tuple[InfraError, ...] = ()) -> None:
        self.text = text
        self.fails = list(fails)
        self.asked: list[View] = []

    async def decide(self, view: View) -> Weights:
        self.asked.append(view)
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails.pop(0)
        return Weights({action: float(n) for n, action in enumerate(view.legal, 1)}, ("o",), Cost(usd=0.5, tokens_in=3))


def view(attempts: float = 1.0, legal: tuple[str, ...] = ("a", "b")) -> View:
    return View(TASK, {"attempts": attempts}, legal)


async def test_the_same_input_is_asked_once_and_billed_once() -> None:
    ask, policy = Asking(), Counting()
    first, second = await ask.weights(policy, view()), await ask.weights(policy, view())
    assert first == second == Weights({"a": 1.0, "b": 2.0}, ("o",), Cost(usd=0.5, tokens_in=3))
    assert (len(policy.asked), ask.calls, ask.saved, ask.cost.usd) == (1, 1, 1, 0.5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), max_size=30))
def test_those_who_ask_the_same_meanwhile_share_one_call(inputs: list[float]) -> None:
    async def run() -> None:
        ask, policy = Asking(), Counting()
        await asyncio.gather(*(ask.weights(policy, view(attempts)) for attempts in inputs))
        assert ask.calls == len(policy.asked) == len(set(inputs))
        assert ask.saved == len(inputs) - ask.calls

    asyncio.run(run())


async def test_another_policy_or_input_is_another_question() -> None:
    ask = Asking()
    for policy in (Counting("{}"), Counting('{"other":1}')):
        for one in (view(), view(2.0), view(legal=("b", "a")), view()._replace(history=(seen(0),))):
            await ask.weights(policy, one)
    assert (ask.calls, ask.saved) == (8, 0)


async def test_rules_are_answered_without_being_counted() -> None:
    ask = Asking()
    assert (await ask.weights(ConstantPolicy({"a": 1.0}), view())).weights == {"a": 1.0}
    assert (ask.calls, ask.saved, ask.cost) == (0, 0, Cost())


async def test_a_later_run_answers_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "asked" / "answers.jsonl"
    with Asking(path) as first:
        answers = [await first.weights(Counting(), view(float(n))) for n in range(3)]
    with path.open("ab") as file:
        file.write(b'{"key": "cut off in mid-w')
    policy = Counting()
    with Asking(path) as later:
        assert [await later.weights(policy, view(float(n))) for n in (0, 1, 2, 2)] == answers + answers[2:]
        assert (later.calls, later.saved, later.cost, later.recalled_cost.usd) == (0, 4, Cost(), 1.5)
        await later.weights(policy, view(9.0))
    assert (len(policy.asked), later.calls, later.cost.usd) == (1, 1, 0.5)
    with Asking(path) as last:
        await last.weights(policy, view(9.0))
        assert last.calls == 0


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"key": 3}\n')
    with pytest.raises(StoreError, match=r"answers\.jsonl:1"):
        Asking(path)


async def test_a_failure_is_tried_again_and_then_raised_and_not_kept() -> None:
    flaky = ProviderError("busy", retryable=True)
    ask, policy = Asking(retry=AT_ONCE), Counting(fails=(flaky, flaky))
    await ask.weights(policy, view())
    assert (len(policy.asked), ask.calls) == (3, 1)
    gone = Counting(fails=(flaky, flaky, flaky))
    with pytest.raises(ProviderError, match=r"busy \(tried 3 times\)"):
        await ask.weights(gone, view(2.0))
    assert (await ask.weights(gone, view(2.0))).weights == {"a": 1.0, "b": 2.0}
    with pytest.raises(InfraError, match="worker"):
        await ask.weights(Counting(fails=(WorkerError("a worker"),)), view(3.0))


async def test_too_many_failures_in_a_row_stop_the_asking() -> None:
    fails = tuple(ProviderError("down") for _ in range(5))
    ask, policy = Asking(retry=AT_ONCE, breaker=Breaker(2)), Counting(fails=fails)
    with pytest.raises(ProviderError):
        await ask.weights(policy, view(0.0))
    with pytest.raises(Outage):
        await ask.weights(policy, view(1.0))
    with pytest.raises(Outage):
        await ask.weights(policy, view(2.0))
    assert len(policy.asked) == 2


def test_a_model_is_named_by_its_prompt_and_not_by_ids() -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    policy = LMPolicy("steer", lm)
    ping, other = (tool("ping"),), (tool("reset"),)
    base = View(TASK, {"x": 1.0, "y": 2.0}, ("a", "b"), (seen(0, trace=ping),))
    same = base._replace(features={"y": 2.0, "x": 1.0}, history=(seen(7, trace=ping),))
    assert input_digest(policy, base) == input_digest(policy, same)
    differing = [
        base._replace(task=TASK.model_copy(update={"prompt": "do another"})),
        base._replace(history=(seen(0, trace=other),)),
        base._replace(legal=("b", "a")),
        base._replace(features={"x": 1.0}),
    ]
    assert len({input_digest(policy, one) for one in (base, *differing)}) == 5
    assert input_digest(LMPolicy("topology", lm), base) != input_digest(policy, base)
    rule = ConstantPolicy({"a": 1.0})
    assert input_digest(rule, base) == input_digest(rule, base._replace(history=()))


async def test_a_models_answer_counts_its_tokens() -> None:
    lm, engine = scripted_lm(lambda prompt: "[[ ## action ## ]]\na\n[[ ## confidence ## ]]\n1.0\n[[ ## completed ## ]]")
    ask, policy = Asking(), LMPolicy("steer", lm)
    for _ in range(3):
        assert (await ask.weights(policy, view())).weights == {"a": 1.0, "b": 0.0}
    assert (len(engine.prompts), ask.calls, ask.saved) == (1, 1, 2)
    assert ask.cost.tokens_in == len(engine.prompts[0].split())
