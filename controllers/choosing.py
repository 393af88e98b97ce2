"""How probable each of several choices is to a model, by the log-probabilities of one token; grammars of answers.

Choices are shown as letters and one token is asked for. The log-probabilities are those of the model itself, before
temperature, sampling and grammar, renormalised over the letters.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final

from controllers.lm import billed, takes_grammar
from signatures.errors import UsageError
from signatures.records import Cost

if TYPE_CHECKING:
    import dspy
    from dspy.lm15 import Request

REPORTED: Final = 500
"""Alternatives asked of a local model: a letter that is not among them is about as rare as chance."""
REPORTED_ELSEWHERE: Final = 20
"""The most that OpenAI-compatible servers give."""


async def choice_logprobs(
    lm: dspy.LM, system: str, user: str, choices: Sequence[str], *, before: Sequence[tuple[str, str]] = ()
) -> tuple[dict[str, float], Cost]:
    """Natural log-probability of each choice, normalised over `choices`, and what the one call cost.

    The choices follow `user` as lines `A) ...` and the model answers with one letter; a local model is held to the
    letters by a grammar. `before`: demonstrations, as turns of the user and the assistant; an assistant's turn that is
    one of the choices is shown as its letter. A letter's mass is that of its tokens with and without a space before;
    one that the server did not report gets the least log-probability that it did report, which is an upper bound.
    A single choice is certain and costs nothing. Raises UsageError for no choice, twice the same, more than 26, or a
    server that gives no log-probabilities; ProviderError where the call fails.
    """
    _require_choices(choices)
    if len(choices) == 1:
        return {choices[0]: 0.0}, Cost()
    request = _request(lm, system, [*before, (user, "")], choices)
    response, cost = await billed(lm, lambda own: own.acall(request=request))
    if not response.logprobs or not response.logprobs[0].top:
        raise UsageError(f"model {lm.model!r} gives no log-probabilities, which choosing needs")
    reported = [(one.token, one.logprob) for one in response.logprobs[0].top]
    return normalised(dict(zip(choices, letter_logprobs(reported, len(choices)), strict=True))), cost


def letter_logprobs(reported: Sequence[tuple[str, float]], count: int) -> list[float]:
    """The log of the mass of each of the first `count` letters among `reported` tokens; the floor where it is not."""
    floor = min(logprob for _, logprob in reported)
    found: list[float] = []
    for letter in ascii_uppercase[:count]:
        own = [logprob for token, logprob in reported if token.strip() == letter]
        found.append(log_sum(own) if own else floor)
    return found


def normalised(logprobs: dict[str, float]) -> dict[str, float]:
    """The same log-probabilities, shifted so that the probabilities add up to 1."""
    total = log_sum(list(logprobs.values()))
    return {name: value - total for name, value in logprobs.items()}


def log_sum(values: Sequence[float]) -> float:
    """The log of the sum of the exponentials."""
    most = max(values)
    return most + math.log(sum(math.exp(value - most) for value in values))


def action_grammar(legal: Sequence[str]) -> str:
    """The GBNF grammar of a policy's answer in dspy's chat format: a legal action and a confidence from 0 to 1."""
    actions = " | ".join(json.dumps(name) for name in legal)
    return "\n".join(
        (
            r'root ::= "[[ ## action ## ]]\n" action "\n\n[[ ## confidence ## ]]\n" number "\n\n[[ ## completed ## ]]"',
            f"action ::= {actions}",
            'number ::= "0" "." [0-9] [0-9]? | "1.0"',
        )
    )


def _require_choices(choices: Sequence[str]) -> None:
    if not 1 <= len(choices) <= len(ascii_uppercase) or len(set(choices)) < len(choices):
        raise UsageError(f"choices must be 1 to {len(ascii_uppercase)} different texts, not {list(choices)}")


def _request(lm: dspy.LM, system: str, turns: Sequence[tuple[str, str]], choices: Sequence[str]) -> Request:
    """One token after the last turn. A temperature of 0 where the settings hold none: the token itself is not used."""
    from dspy.lm15 import Config, Message, Request

    letters = ascii_uppercase[: len(choices)]
    of = dict(zip(choices, letters, strict=True))
    listed = "\n".join(f"{letter}) {choice}" for choice, letter in of.items())
    messages = []
    for user, assistant in turns:
        messages.append(Message.user(f"{user}\n\n{listed}\n\nAnswer with one letter."))
        if assistant:
            messages.append(Message.assistant(of.get(assistant, assistant)))
    local = takes_grammar(lm)
    config = Config(
        max_tokens=1,
        temperature=0.0,
        logprobs=REPORTED if local else REPORTED_ELSEWHERE,
        extensions={"grammar": f"root ::= [{letters[0]}-{letters[-1]}]"} if local else None,
    )
    return Request(model=lm.model, system=system or None, messages=messages, config=config)
