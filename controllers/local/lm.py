"""`dspy.LM`s on this room's engines: of a GGUF file, and of an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from controllers.boundary import boundary
from controllers.local.engine import AsyncChatEngine, ChatEngine, FixedSource, LocalSource
from controllers.local.options import SAVED, options_of, snapshot
from signatures.errors import ProviderError, UsageError

if TYPE_CHECKING:
    import dspy

CONNECTION: Final = frozenset({"api_base", "base_url", "api_key", "timeout"})


def local_lm(model: str, settings: Mapping[str, object]) -> dspy.LM:
    """A `dspy.LM` called `local/<file stem>@<start of its SHA-256>`, on the server of `local:PATH`.

    Raises UsageError.
    """
    options, rest = options_of(model, settings)
    rest = {key: value for key, value in rest.items() if key != "api_key"}
    return _lm(f"{SAVED}{options.name}@{snapshot(options.path)}", LocalSource(options), rest)


def is_endpoint(model: str, settings: Mapping[str, object]) -> bool:
    """Whether a model string names an OpenAI-compatible server's model of which dspy has no entry and no price."""
    address = settings.get("api_base") or settings.get("base_url")
    if not address or not model.startswith("openai/"):
        return False
    from dspy.clients.model_metadata import model_info

    return not model_info("openai", model.removeprefix("openai/"))


def endpoint_lm(model: str, settings: Mapping[str, object]) -> dspy.LM:
    """A `dspy.LM` of that name on the server at `api_base`. Raises UsageError."""
    rest: dict[str, Any] = dict(settings)
    address = str(rest.pop("api_base", None) or rest.pop("base_url", None))
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"model {model!r}: api_base={address!r} is no http address")
    source = FixedSource(
        base_url=address.rstrip("/"),
        model=model.removeprefix("openai/"),
        api_key=str(rest.pop("api_key", None) or os.environ.get("OPENAI_API_KEY") or "none"),
        timeout_s=float(rest.pop("timeout", None) or FixedSource.timeout_s),
    )
    return _lm(model, source, rest)


def takes_grammar(lm: dspy.LM) -> bool:
    """Whether the model's server is ours, and so holds an answer to a GBNF grammar."""
    return isinstance(lm.engine, ChatEngine) and isinstance(lm.engine.source, LocalSource)


def constrained(lm: dspy.LM, grammar: str) -> dspy.LM:
    """A copy whose every answer is held to a GBNF grammar; the same model where its server takes none."""
    if not takes_grammar(lm):
        return lm
    source = lm.engine.source
    return lm.copy(engine=ChatEngine(source, grammar), async_engine=AsyncChatEngine(source, grammar))


def _lm(name: str, source: LocalSource | FixedSource, settings: Mapping[str, object]) -> dspy.LM:
    import dspy

    if refused := sorted(CONNECTION & set(settings)):
        raise UsageError(f"model {name!r}: {', '.join(refused)} cannot be set here")
    engines = {"engine": ChatEngine(source), "async_engine": AsyncChatEngine(source)}
    with boundary(ProviderError, f"model {name}"):
        return dspy.LM(name, cache=False, num_retries=0, **engines, **settings)
