"""Calling a language model: one place that builds it, calls it once and bills the call."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from controllers.boundary import boundary
from controllers.local.lm import constrained, endpoint_lm, is_endpoint, local_lm, takes_grammar
from controllers.local.options import is_local
from signatures.errors import ProviderError, UsageError
from signatures.records import Cost

if TYPE_CHECKING:
    import dspy

__all__ = ["answered", "billed", "constrained", "make_lm", "takes_grammar"]

T = TypeVar("T")


def make_lm(model: str, settings: Mapping[str, object] | None = None) -> dspy.LM:
    """A `dspy.LM`, with dspy's own cache and retries off.

    `model`: `local:PATH` of a GGUF file, which a child process serves from the first call on (its `settings`, beside
    those of the sampler: `controllers.local.options.ServerOptions`); `openai/NAME` with the setting `api_base`, for any
    OpenAI-compatible endpoint; or a LiteLLM model string. Raises UsageError where the file, its server or the key that
    the model's provider needs is missing.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    settings = dict(settings or {})
    if is_local(model):
        return local_lm(model, settings)
    if is_endpoint(model, settings):
        return endpoint_lm(model, settings)
    import dspy
    import litellm

    if model.startswith("openai/") and settings.get("api_base") and not os.environ.get("OPENAI_API_KEY"):
        settings.setdefault("api_key", "none")
    if "api_key" not in settings and "api_base" not in settings:
        known = litellm.validate_environment(model)
        if known["missing_keys"] and not known["keys_in_environment"]:
            raise UsageError(f"model {model!r} needs {' or '.join(known['missing_keys'])} in the environment")
    with boundary(ProviderError, f"model {model}"):
        return dspy.LM(model, cache=False, num_retries=0, **settings)


async def billed(lm: dspy.LM, call: Callable[[dspy.LM], Awaitable[T]]) -> tuple[T, Cost]:
    """The value of `call` and what its model calls cost; tokens and usd are None where nobody reported them.

    Each call gets a copy of the model, because the copy's history then holds this call's usage and no other's.
    """
    own = lm.copy()
    started = time.perf_counter()
    with boundary(ProviderError, f"model {lm.model}"):
        value = await call(own)
    return value, _cost(own.history, time.perf_counter() - started)


async def answered(
    predict: dspy.Predict, lm: dspy.LM, inputs: Mapping[str, object]
) -> tuple[dspy.Prediction | None, Cost]:
    """One call of `predict` and its cost; None for an answer that does not parse, which is not asked again.

    It is dspy's own call, with its trace, history and callbacks; the types of the inputs, which are ours, are not
    looked at again.
    """
    import dspy
    from dspy.utils.exceptions import AdapterParseError

    from controllers.adapter import quick_chat

    async def ask(own: dspy.LM) -> dspy.Prediction | None:
        try:
            with dspy.context(adapter=quick_chat(), warn_on_type_mismatch=False):
                return await predict.acall(lm=own, **inputs)
        except AdapterParseError:
            return None

    return await billed(lm, ask)


def _cost(history: list[dict[str, Any]], wall_s: float) -> Cost:
    total = Cost(wall_s=wall_s)
    for entry in history:
        usage = dict(entry.get("usage") or {})
        total = total.plus(
            Cost(
                tokens_in=usage.get("prompt_tokens"),
                tokens_out=usage.get("completion_tokens"),
                tokens_cached=_cached(usage),
                usd=entry.get("cost"),
            )
        )
    return total


def _cached(usage: Mapping[str, object]) -> int | None:
    details = usage.get("prompt_tokens_details") or {}
    found = details.get("cached_tokens") if isinstance(details, Mapping) else getattr(details, "cached_tokens", None)
    return found if isinstance(found, int) else None
