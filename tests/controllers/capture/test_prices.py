"""A call's price, against LiteLLM's own sum."""

from __future__ import annotations

import os

import pytest

from controllers.capture.dialects import Usage
from controllers.capture.prices import usd_of

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


@pytest.mark.parametrize("name", ["gpt-4o-mini", "openai/gpt-4o-mini"])
def test_the_price_is_litellms(name: str) -> None:
    import litellm

    wanted = sum(
        litellm.cost_per_token("gpt-4o-mini", prompt_tokens=1000, completion_tokens=200, cache_read_input_tokens=400)
    )
    assert usd_of(name, Usage(1000, 200, 400)) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("no-such-model", Usage(1, 1)),
        ("", Usage(1, 1)),
        ("gpt-4o-mini", Usage(None, 1)),
        ("gpt-4o-mini", Usage(1, None)),
    ],
)
def test_what_is_not_known_has_no_price(model: str, usage: Usage) -> None:
    assert usd_of(model, usage) is None


def test_a_call_beyond_a_models_first_tier_has_no_price() -> None:
    import litellm

    tiered = next(
        name
        for name, entry in litellm.model_cost.items()
        if "input_cost_per_token_above_200k_tokens" in entry and entry.get("input_cost_per_token")
    )
    assert usd_of(tiered, Usage(1000, 1)) is not None
    assert usd_of(tiered, Usage(300_000, 1)) is None
