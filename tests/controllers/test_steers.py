from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.history import Seen
from controllers.observe import NoObserver
from controllers.scripted_engine import scripted_lm
from controllers.steers import (
    AnalystSteer,
    FixedSteer,
    NoSteer,
    PlaceboSteer,
    ReportSteer,
    RuleSteer,
    Steerer,
    report,
    steer_table,
)
from judges.records import Judgement
from signatures.digest import seed_of
from signatures.errors import FirewallBreach, ProviderError
from signatures.records import Cost, Directive, Steer
from tests.controllers.parts import DIRECTIVES, a_task, check, seen, tool

TASK = a_task()
HISTORY = (
    seen(
        0,
        checks=(check("correct", 0.5, passed=False), check("fast", 3.0, passed=True)),
        trace=(tool("ping", text="lost"), tool("ping", turn=1), tool("reset", turn=2, failed=True)),
        cost=Cost(turns=3),
    ),
)


class Lights:
    """Says where was not looked yet, and fills in a directive's text from the history."""

    def __init__(self, *untried: str) -> None:
        self.names = untried

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        return {}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        return dict.fromkeys(self.names, True)

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        return f"{action} after {len(history)}"


async def said(steerer: Steerer, history: Sequence[Seen] = HISTORY, seed: int = 0) -> Steer:
    steer, cost = await steerer.steer(TASK, history, seed)
    assert cost == Cost()
    return steer


async def test_nothing_is_said() -> None:
    assert await said(NoSteer()) == Steer(kind="none", action="none", text="")


async def test_a_fixed_directive_is_filled_in_by_the_benchmark() -> None:
    steer = await said(FixedSteer(DIRECTIVES[1], Lights()))
    assert steer == Steer(kind="fixed", action="look", text="look after 1")


@pytest.mark.parametrize(
    ("untried", "chosen"), [((), "down"), (("look",), "look"), (("down", "up"), "up"), (("elsewhere",), "down")]
)
async def test_a_rule_goes_where_nobody_looked_in_the_order_of_the_table(untried: tuple[str, ...], chosen: str) -> None:
    steer = await said(RuleSteer(DIRECTIVES, Lights(*untried)))
    assert steer == Steer(kind="rule", action="rule", text=f"{chosen} after 1")


@given(st.integers(0, 2**63 - 1))
async def test_a_placebo_is_a_directive_and_a_function_of_the_seed_alone(seed: int) -> None:
    steerer = PlaceboSteer(DIRECTIVES)
    steer = await said(steerer, seed=seed)
    assert (steer.kind, steer.action) == ("placebo", "placebo")
    assert steer.text in {d.text for d in DIRECTIVES}
    assert steer == await said(PlaceboSteer(DIRECTIVES), history=(), seed=seed)


async def test_a_placebo_draws_each_directive_as_often() -> None:
    steerer = PlaceboSteer(DIRECTIVES)
    drawn = Counter([(await said(steerer, seed=seed_of("placebo", n))).text for n in range(3000)])
    assert set(drawn) == {d.text for d in DIRECTIVES}
    assert all(900 < count < 1100 for count in drawn.values())


def test_a_report_says_what_happened() -> None:
    assert report(HISTORY) == (
        "Attempt 1 ended ok after 3 turns.\n"
        "Called: ping x2, reset x1.\n"
        "Failed: reset.\n"
        "Checks: correct 0.5 share, fast 3.0 share."
    )
    assert report(()) == ""


async def test_a_report_steer_covers_all_attempts() -> None:
    steer = await said(ReportSteer(), history=(*HISTORY, seen(1, parent=0)))
    assert (steer.kind, steer.action) == ("report", "report")
    assert "Attempt 1 ended ok" in steer.text
    assert "Attempt 2 ended ok" in steer.text


async def test_an_analyst_reads_observations_and_its_words_are_an_action_of_their_own() -> None:
    lm, engine = scripted_lm(lambda prompt: "[[ ## steer ## ]]\nUp: look round first.\n\n[[ ## completed ## ]]")
    steer, cost = await AnalystSteer(lm).steer(TASK, HISTORY, 0)
    assert steer == Steer(kind="analyst", action="text", text="Up: look round first.")
    assert TASK.prompt in engine.prompts[0]
    assert "<observation source='tool ping turn=0'>{} -&gt; lost</observation>" in engine.prompts[0]
    assert "checker correct" in engine.prompts[0]
    assert (cost.tokens_in, cost.tokens_out) == (len(engine.prompts[0].split()), 14)


@pytest.mark.parametrize("answer", ["", "no field at all", "[[ ## other ## ]]\nx"])
async def test_an_analyst_that_cannot_be_parsed_says_nothing_and_is_asked_once(answer: str) -> None:
    lm, engine = scripted_lm(lambda prompt: answer)
    steer, cost = await AnalystSteer(lm).steer(TASK, HISTORY, 0)
    assert steer == Steer(kind="analyst", action="text", text="")
    assert len(engine.prompts) == 1
    assert cost.tokens_in


async def test_an_analyst_that_cannot_be_asked_raises() -> None:
    def down(prompt: str) -> str:
        raise ConnectionError("refused")

    with pytest.raises(ProviderError):
        await AnalystSteer(scripted_lm(down)[0]).steer(TASK, HISTORY, 0)


async def test_what_was_never_validated_reaches_no_analyst() -> None:
    verdict = Judgement(score=0.25, reason="the radio is still off")
    forged = tool("ping").model_copy(update={"text": verdict})
    lm, engine = scripted_lm(lambda prompt: "")
    with pytest.raises(FirewallBreach):
        await AnalystSteer(lm).steer(TASK, [seen(0, trace=(forged,))], 0)
    assert engine.prompts == []


def test_the_table_has_the_directives_the_controls_and_text_with_a_model() -> None:
    plain = steer_table(DIRECTIVES, NoObserver())
    assert set(plain) == {"up", "look", "down", "none", "report", "placebo", "rule"}
    assert isinstance(plain["look"], FixedSteer)
    assert set(steer_table(DIRECTIVES, NoObserver(), scripted_lm(lambda _: "")[0])) == {*plain, "text"}
    assert set(steer_table((), NoObserver())) == {"none", "report"}


async def test_a_directive_gives_tier_and_tools_with_its_text() -> None:
    strong = Directive(action="strong", text="Again.", tier="strong", tools=("map",))
    given = [
        (await steerer.steer(a_task(), (), 0))[0]
        for steerer in (FixedSteer(strong, NoObserver()), RuleSteer([strong], NoObserver()), PlaceboSteer([strong]))
    ]
    assert [(one.kind, one.action) for one in given] == [("fixed", "strong"), ("rule", "rule"), ("placebo", "placebo")]
    assert {(one.tier, one.tools) for one in given} == {("strong", ("map",))}
