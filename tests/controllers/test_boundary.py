from __future__ import annotations

import asyncio
from collections.abc import Iterator

import dspy  # noqa: F401 - importing all of dspy is what brings every LMError into being
import pytest
from dspy.utils import exceptions as dspy_errors
from dspy.utils.exceptions import LMError

from controllers.boundary import LM_ERRORS, boundary, classify
from signatures.errors import (
    BudgetExceeded,
    FirewallBreach,
    InfraError,
    ProviderError,
    StoreError,
    UsageError,
    WorkerError,
)


def lm_errors(kind: type[LMError] = LMError) -> Iterator[type[LMError]]:
    """The class and everything below it that dspy itself defines."""
    if kind.__module__.startswith("dspy."):
        yield kind
    for child in kind.__subclasses__():
        yield from lm_errors(child)


def made(name: str) -> LMError:
    """One error of that name, whatever its constructor asks for."""
    kind = getattr(dspy_errors, name)
    error: LMError = kind.__new__(kind)
    LMError.__init__(error, "it failed", retry_after=4)
    return error


def test_every_error_of_dspy_is_mapped_and_nothing_else() -> None:
    assert {kind.__name__ for kind in lm_errors()} == set(LM_ERRORS)


@pytest.mark.parametrize("name", LM_ERRORS)
def test_an_lm_error_is_handled_as_the_table_says(name: str) -> None:
    said = pytest.raises((ProviderError, UsageError), match=f"model x: {name}: it failed")
    with said as caught, boundary(WorkerError, "model x"):
        raise made(name)
    error = caught.value
    if LM_ERRORS[name] == "usage":
        assert isinstance(error, UsageError)
    else:
        assert isinstance(error, ProviderError)
        assert error.retryable == (LM_ERRORS[name] == "retry")
        assert error.retry_after_s == 4.0
    assert type(error.__cause__).__name__ == name


def test_the_errors_that_pass_by_themselves_are_retried() -> None:
    again = {name for name, handling in LM_ERRORS.items() if handling == "retry"}
    assert {"LMRateLimitError", "LMTimeoutError", "LMServerError", "LMTransportError"} <= again
    assert not again & {"LMAuthError", "LMBillingError", "LMInvalidRequestError", "ContextWindowExceededError"}


def test_an_error_below_a_mapped_one_is_handled_as_its_parent() -> None:
    class OurRateLimitError(dspy_errors.LMRateLimitError):
        pass

    error = classify(OurRateLimitError("slow", retry_after=2.5), WorkerError, "model x")
    assert isinstance(error, ProviderError)
    assert (error.retryable, error.retry_after_s) == (True, 2.5)


def test_a_foreign_class_of_the_same_name_is_no_lm_error() -> None:
    class LMRateLimitError(Exception):
        pass

    error = classify(LMRateLimitError("x"), WorkerError, "worker w")
    assert type(error) is WorkerError


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ConnectionResetError("gone"), True),
        (TimeoutError("late"), True),
        (InterruptedError("hm"), True),
        (SystemError("AST constructor recursion depth mismatch (before=18, after=14)"), True),
        (ValueError("bad"), False),
        (OSError("disk"), False),
        (KeyError("missing"), False),
    ],
)
def test_a_plain_error_becomes_the_kind_of_the_place(error: Exception, retryable: bool) -> None:
    said = pytest.raises(StoreError, match=f"corpus: {type(error).__name__}")
    with said as caught, boundary(StoreError, "corpus"):
        raise error
    assert caught.value.retryable is retryable
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(("given", "kept"), [(3, 3.0), (0.5, 0.5), (-1, None), ("soon", None), (float("nan"), None)])
def test_retry_after_is_kept_where_it_is_a_time(given: object, kept: float | None) -> None:
    error = ConnectionError("busy")
    error.retry_after = given  # type: ignore[attr-defined]
    found = classify(error, WorkerError, "worker w")
    assert isinstance(found, InfraError)
    assert found.retry_after_s == kept


@pytest.mark.parametrize(
    ("header", "kept"), [("7", 7.0), ("0.5", 0.5), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("²", None), ("-1", None)]
)
def test_the_header_below_an_lm_error_is_found(header: str, kept: float | None) -> None:
    below = RuntimeError("429")
    below.litellm_response_headers = {"retry-after": header}  # type: ignore[attr-defined]
    error = dspy_errors.LMRateLimitError("slow")
    error.__cause__ = ValueError("between")
    error.__cause__.__cause__ = below
    found = classify(error, WorkerError, "model x")
    assert isinstance(found, ProviderError)
    assert found.retry_after_s == kept


def test_an_error_that_is_its_own_cause_is_classified_too() -> None:
    error = ValueError("round")
    error.__cause__ = error
    assert str(classify(error, WorkerError, "worker w")) == "worker w: ValueError: round"


@pytest.mark.parametrize("error", [UsageError("x"), FirewallBreach("x"), BudgetExceeded("x"), StoreError("x")])
def test_our_own_errors_pass_through_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, boundary(WorkerError, "worker w"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_cancellation_and_interrupts_are_none_of_its_business(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, boundary(WorkerError, "worker w"):
        raise error
    assert caught.value is error


def test_a_message_is_one_line_of_bearable_length() -> None:
    message = str(classify(ValueError("a\nb\t c" + "x" * 9000), WorkerError, "worker w"))
    assert message.startswith("worker w: ValueError: a b c")
    assert "\n" not in message
    assert len(message) < 560
