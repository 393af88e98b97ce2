from __future__ import annotations

import math
import string
from collections.abc import Iterator

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.choosing import action_grammar, choice_logprobs, letter_logprobs, log_sum, normalised
from controllers.lm import make_lm
from controllers.scripted_engine import scripted_lm
from signatures.errors import ProviderError, UsageError
from signatures.records import Cost
from tests.controllers.serving import Recording, recording, top

LOGPROBS = st.lists(st.floats(-50, 0), min_size=1, max_size=26)


@pytest.fixture
def server() -> Iterator[Recording]:
    with recording() as found:
        found.finish = "length"
        yield found


def lm_of(server: Recording) -> dspy.LM:
    return make_lm("openai/some-model", {"api_base": server.url, "temperature": 0.9, "max_tokens": 500})


async def test_a_choice_has_the_share_of_its_letter(server: Recording) -> None:
    server.logprobs = top(The=math.log(0.2), A=math.log(0.1), C=math.log(0.3), B=math.log(0.2), x=math.log(0.01))
    found, cost = await choice_logprobs(lm_of(server), "You choose.", "Which?", ["stop", "go", "wait"])
    assert {name: math.exp(value) for name, value in found.items()} == pytest.approx(
        {"stop": 1 / 6, "go": 1 / 3, "wait": 1 / 2}
    )
    assert (cost.tokens_in, cost.tokens_out) == (11, 5)
    (body,) = server.bodies
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"], body["temperature"]) == (1, True, 20, 0.0)
    assert "grammar" not in body
    assert body["messages"][0] == {"role": "system", "content": "You choose."}
    assert body["messages"][1]["content"] == "Which?\n\nA) stop\nB) go\nC) wait\n\nAnswer with one letter."


async def test_demonstrations_show_letters(server: Recording) -> None:
    server.logprobs = top(A=-1.0, B=-2.0)
    before = [("Red?", "stop"), ("Why?", "because")]
    await choice_logprobs(lm_of(server), "", "Green?", ["go", "stop"], before=before)
    said = server.bodies[0]["messages"]
    assert [turn["role"] for turn in said] == ["user", "assistant", "user", "assistant", "user"]
    assert [turn["content"] for turn in said[1::2]] == ["B", "because"]
    assert all("A) go\nB) stop" in turn["content"] for turn in said[::2])


async def test_a_server_without_log_probabilities_is_refused(server: Recording) -> None:
    for lm in (lm_of(server), scripted_lm(lambda _: "A")[0]):
        with pytest.raises(UsageError, match="gives no log-probabilities"):
            await choice_logprobs(lm, "", "Which?", ["a", "b"])


async def test_a_failing_server_is_a_provider_error(server: Recording) -> None:
    server.status = 500
    with pytest.raises(ProviderError):
        await choice_logprobs(lm_of(server), "", "Which?", ["a", "b"])


async def test_a_single_choice_is_certain_and_asks_nobody(server: Recording) -> None:
    assert await choice_logprobs(lm_of(server), "", "Which?", ["only"]) == ({"only": 0.0}, Cost())
    assert server.bodies == []


@pytest.mark.parametrize("choices", [[], ["a", "a"], [str(n) for n in range(27)]])
async def test_what_cannot_be_chosen_from_is_refused(server: Recording, choices: list[str]) -> None:
    with pytest.raises(UsageError, match="1 to 26 different"):
        await choice_logprobs(lm_of(server), "", "Which?", choices)


def test_a_letter_has_the_mass_of_its_spellings_and_a_missing_one_the_floor() -> None:
    reported = [("A", math.log(0.3)), (" A", math.log(0.1)), ("AB", math.log(0.2)), ("\n", math.log(0.05))]
    found = letter_logprobs(reported, 2)
    assert [math.exp(one) for one in found] == pytest.approx([0.4, 0.05])


@given(LOGPROBS)
def test_probabilities_add_up_to_one_and_keep_their_ratios(values: list[float]) -> None:
    named = dict(zip(string.ascii_uppercase, values, strict=False))
    found = normalised(named)
    assert sum(math.exp(value) for value in found.values()) == pytest.approx(1.0)
    assert all(
        named[one] - named[other] == pytest.approx(found[one] - found[other]) for one in named for other in named
    )


@given(LOGPROBS)
def test_the_log_of_a_sum_is_no_less_than_its_largest_part(values: list[float]) -> None:
    assert max(values) <= log_sum(values) <= max(values) + math.log(len(values)) + 1e-9


def test_a_grammar_names_every_legal_action_and_quotes_it() -> None:
    assert r'action ::= "refine_last" | "say \"no\""' in action_grammar(["refine_last", 'say "no"'])
