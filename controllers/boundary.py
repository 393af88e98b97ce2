"""Where foreign errors become ours: every failure is classified here, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, Literal

from signatures.errors import InfraError, ProviderError, TillerError, UsageError

Handling = Literal["retry", "give_up", "usage"]

LM_ERRORS: Final[Mapping[str, Handling]] = MappingProxyType(
    {
        "LMError": "give_up",
        "LMTransportError": "retry",
        "LMLockTimeoutError": "retry",
        "LMCollectionLimitError": "give_up",
        "LMConfigurationError": "usage",
        "LMNotConfiguredError": "usage",
        "LMUnsupportedFeatureError": "usage",
        "LMProviderError": "give_up",
        "LMUnexpectedError": "give_up",
        "LMStreamAssemblyError": "retry",
        "LMAuthError": "usage",
        "LMBillingError": "give_up",
        "LMRateLimitError": "retry",
        "LMInvalidRequestError": "give_up",
        "ContextWindowExceededError": "give_up",
        "LMUnsupportedModelError": "usage",
        "LMTimeoutError": "retry",
        "LMServerError": "retry",
    }
)
"""How each of dspy's LM errors is handled. By name, so that classifying imports nothing."""

_TRANSIENT: Final = (ConnectionError, TimeoutError, InterruptedError, SystemError)
"""What passes by itself. Python 3.11 raises SystemError where two threads parse code at once
(https://github.com/python/cpython/issues/106905): a worker's change and what checks another's meet in this way."""


@contextmanager
def boundary(kind: type[InfraError], where: str) -> Iterator[None]:
    """Map any foreign exception raised inside to `kind` (or ProviderError, or UsageError for a bad model setting).

    Tiller's own errors pass through unchanged; cancellation and interrupts are not exceptions here.
    """
    try:
        yield
    except TillerError:
        raise
    except Exception as error:
        raise classify(error, kind, where) from error


def classify(error: Exception, kind: type[InfraError], where: str) -> TillerError:
    """The typed error for a foreign one: names where it happened and keeps `Retry-After` if one was given."""
    message = f"{where}: {type(error).__name__}: {_one_line(error)}"
    handling = _lm_handling(error)
    if handling == "usage":
        return UsageError(message)
    if handling is not None:
        # An answer that says OK and cannot be read was cut off on its way: worth another try.
        unreadable = getattr(error, "status", None) == 200
        retryable = handling == "retry" or unreadable
        return ProviderError(message, retryable=retryable, retry_after_s=_retry_after(error))
    return kind(message, retryable=isinstance(error, _TRANSIENT), retry_after_s=_retry_after(error))


def _lm_handling(error: Exception) -> Handling | None:
    for cls in type(error).__mro__:
        if cls.__module__.startswith("dspy.") and cls.__name__ in LM_ERRORS:
            return LM_ERRORS[cls.__name__]
    return None


def _retry_after(error: BaseException | None) -> float | None:
    """Seconds the provider asked for: dspy's own field, or the header that LiteLLM keeps on the error below it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        headers = getattr(error, "litellm_response_headers", None)
        asked = getattr(error, "retry_after", None) or (headers.get("retry-after") if headers is not None else None)
        if isinstance(asked, int | float | str) and str(asked).replace(".", "", 1).isdecimal():
            return float(asked)
        error = error.__cause__
    return None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 500 else text[:500] + " ..."
