"""What one model call cost, by LiteLLM's table of list prices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from controllers.capture.dialects import Usage

TIERED_FROM: Final = 128_000
"tokens of input from which some models have another price: those calls are not priced where the table has one"


def usd_of(model: str, usage: Usage) -> float | None:
    """The price in dollars; None where the model or its usage is not known. Takes a second the first time."""
    if not model or usage.tokens_in is None or usage.tokens_out is None:
        return None
    entry = _entry(model)
    dear = [name for name in entry if "_above_" in name]
    fresh_price, out_price = _price(entry, "input_cost_per_token"), _price(entry, "output_cost_per_token")
    if fresh_price is None or out_price is None or (dear and usage.tokens_in > TIERED_FROM):
        return None
    cached, written = usage.cached or 0, usage.written or 0
    read_price = _price(entry, "cache_read_input_token_cost")
    write_price = _price(entry, "cache_creation_input_token_cost")
    return (
        max(0, usage.tokens_in - cached - written) * fresh_price
        + cached * (fresh_price if read_price is None else read_price)
        + written * (fresh_price if write_price is None else write_price)
        + usage.tokens_out * out_price
    )


def _entry(model: str) -> Mapping[str, object]:
    """The row of the table; empty where there is none."""
    # Without it the first use waits ten seconds for a price list where there is no internet.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    for name in (model, model.rpartition("/")[2]):
        entry = litellm.model_cost.get(name)
        if isinstance(entry, Mapping):
            return entry
    return {}


def _price(entry: Mapping[str, object], name: str) -> float | None:
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
