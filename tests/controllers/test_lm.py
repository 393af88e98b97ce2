from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import dspy
import pytest

from controllers.lm import answered, billed, make_lm
from controllers.scripted_engine import scripted_lm
from signatures.errors import FirewallBreach, ProviderError, UsageError
from signatures.records import Cost
from tests.controllers.serving import recording

PREDICT = dspy.Predict("question -> answer")


def test_retries_and_cache_are_ours_and_off_in_dspy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    lm = make_lm("openai/gpt-4o-mini", {"temperature": 0.5})
    assert (lm.model, lm.cache, lm.num_retries, lm.kwargs["temperature"]) == ("openai/gpt-4o-mini", False, 0, 0.5)


@pytest.mark.parametrize(
    ("model", "key"),
    [("openai/gpt-4o-mini", "OPENAI_API_KEY"), ("anthropic/claude-3-haiku-20240307", "ANTHROPIC_API_KEY")],
)
def test_a_missing_key_is_named(model: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(key, raising=False)
    with pytest.raises(UsageError, match=f"{model}.* needs {key}"):
        make_lm(model)


@pytest.mark.parametrize("settings", [{"api_key": "sk-test"}, {"api_base": "http://127.0.0.1:9"}])
def test_a_key_or_an_own_server_needs_no_environment(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert make_lm("openai/gpt-4o-mini", settings).model == "openai/gpt-4o-mini"


def test_a_model_string_of_a_file_makes_a_local_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.gguf: No such file"):
        make_lm(f"local:{tmp_path / 'nowhere.gguf'}")


async def test_a_named_endpoint_is_asked_by_its_own_name_and_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with recording() as server:
        for name in ("my-model", "gpt-4o-mini"):  # one that dspy knows nothing of, one that it knows
            lm = make_lm(f"openai/{name}", {"api_base": server.url})
            answer, cost = await billed(lm, lambda own: own.acall("Hi"))
            await lm.aclose()
            assert (answer, cost.tokens_cached) == (["hello"], 3)
    assert [body["model"] for body in server.bodies] == ["my-model", "gpt-4o-mini"]
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer none"] * 2


async def test_a_call_costs_what_its_model_reported() -> None:
    lm, engine = scripted_lm(lambda prompt: "[[ ## answer ## ]]\nfour little words here")
    answer, cost = await answered(PREDICT, lm, {"question": "How many?"})
    assert answer is not None
    assert answer.answer == "four little words here"
    assert (cost.tokens_in, cost.tokens_out) == (len(engine.prompts[0].split()), 9)
    assert (cost.usd, cost.tokens_cached, cost.turns) == (None, None, None)
    assert cost.wall_s is not None
    assert cost.wall_s > 0


async def test_what_does_not_parse_is_no_answer_and_is_billed() -> None:
    lm, engine = scripted_lm(lambda prompt: "nothing to parse")
    answer, cost = await answered(PREDICT, lm, {"question": "How many?"})
    assert answer is None
    assert len(engine.prompts) == 1
    assert cost.tokens_out == 3


async def test_calls_at_once_are_billed_apart() -> None:
    lm, _ = scripted_lm(lambda prompt: "[[ ## answer ## ]]\n" + "word " * prompt.count("x"))
    found = await asyncio.gather(*(answered(PREDICT, lm, {"question": "x" * n}) for n in range(5)))
    out = [cost.tokens_out for _, cost in found]
    assert all(cost.tokens_in is not None for _, cost in found)
    assert [b - a for a, b in pairwise(out)] == [1, 1, 1, 1]  # type: ignore[operator]


async def test_several_calls_under_one_bill_add_up() -> None:
    lm, engine = scripted_lm(lambda prompt: "[[ ## answer ## ]]\nyes")

    async def twice(own: dspy.LM) -> str:
        await PREDICT.acall(lm=own, question="one")
        return str((await PREDICT.acall(lm=own, question="two words")).answer)

    value, cost = await billed(lm, twice)
    assert value == "yes"
    assert cost.tokens_in == sum(len(prompt.split()) for prompt in engine.prompts)


async def test_nothing_asked_costs_nothing_measured() -> None:
    async def nothing(own: dspy.LM) -> int:
        return 1

    value, cost = await billed(scripted_lm(lambda _: "")[0], nothing)
    assert (value, cost) == (1, Cost(wall_s=cost.wall_s))


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("bad"), ProviderError), (FirewallBreach("verdict"), FirewallBreach), (UsageError("x"), UsageError)],
)
async def test_a_failed_call_is_classified_once(error: Exception, kind: type[Exception]) -> None:
    async def failing(own: dspy.LM) -> None:
        raise error

    with pytest.raises(kind):
        await billed(scripted_lm(lambda _: "")[0], failing)
