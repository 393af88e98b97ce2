"""Strategy programs that come with it, a few lines each: sample, refine, adaptive_refine, sample_then_refine, cascade.

program             what it does
sample              fresh attempts until the checker of `correct` passes
refine              one fresh attempt, then on from the last, each told the same action
adaptive_refine     refines while it helps; after `patience` attempts without progress it starts afresh
sample_then_refine  `fresh` attempts at once, then on from the best
cascade             the worker as it is (its cheap tier), then on from there in the tier that `escalate` gives
"""

from __future__ import annotations

from typing import Final

from controllers.moves import MAX_FANOUT
from controllers.program import program_candidate
from controllers.programs.language import canonical
from signatures.errors import UsageError
from signatures.records import Candidate

ROUNDS: Final = 64
"""As many rounds as a loop of the language may have: the budget ends the episode first."""
NAME_CHARS: Final = 100

_SAMPLE: Final = """
async def strategy(ctx):
    for _ in range({rounds}):
        shot = await ctx.shot()
        if shot.passed:
            return
"""
_REFINE: Final = """
async def strategy(ctx):
    shot = await ctx.shot()
    for _ in range({rounds}):
        if shot.passed:
            return
        shot = await ctx.shot(start="last", steer={action!r})
"""
_ADAPTIVE_REFINE: Final = """
async def strategy(ctx):
    shot = await ctx.shot()
    stalled = 0
    for _ in range({rounds}):
        if shot.passed:
            return
        if stalled >= {patience}:
            shot = await ctx.shot()
            stalled = 0
        else:
            shot = await ctx.shot(start="last", steer={action!r})
            stalled = 0 if shot.progress > 0 else stalled + 1
"""
_SAMPLE_THEN_REFINE: Final = """
async def strategy(ctx):
    left = await ctx.budget()
    fresh = {fresh} if left.attempts is None else min({fresh}, left.attempts)
    shots = await ctx.shots(fresh)
    passed = any([shot.passed for shot in shots])
    for _ in range({rounds}):
        if passed:
            return
        shot = await ctx.shot(start="best", steer={action!r})
        passed = shot.passed
"""
_CASCADE: Final = """
async def strategy(ctx):
    shot = await ctx.shot()
    cheap = 1
    for _ in range({rounds}):
        if shot.passed:
            return
        if cheap < {cheap}:
            shot = await ctx.shot()
            cheap = cheap + 1
        else:
            shot = await ctx.shot(start="last", steer={escalate!r})
"""


def sample() -> Candidate:
    """Fresh attempts until one passes: the control arm random@k."""
    return _candidate(_SAMPLE, {})


def refine(action: str = "none") -> Candidate:
    """On from the last attempt until one passes, told `action`: the control arms continue@k and refine@k."""
    return _candidate(_REFINE, {"action": _name(action)})


def adaptive_refine(action: str = "none", *, patience: int = 1) -> Candidate:
    """As `refine`, but what made no progress for `patience` attempts is abandoned for a fresh one."""
    return _candidate(_ADAPTIVE_REFINE, {"action": _name(action), "patience": _count("patience", patience, ROUNDS)})


def sample_then_refine(action: str = "none", *, fresh: int = 2) -> Candidate:
    """`fresh` attempts at once, as far as the budget goes, then on from the best."""
    return _candidate(_SAMPLE_THEN_REFINE, {"action": _name(action), "fresh": _count("fresh", fresh, MAX_FANOUT)})


def cascade(escalate: str, *, cheap: int = 1) -> Candidate:
    """`cheap` fresh attempts as the worker makes them, and where the checker fails all of them, on from the last with
    the action `escalate`, whose directive names a stronger tier or grants tools.
    """
    return _candidate(_CASCADE, {"escalate": _name(escalate), "cheap": _count("cheap", cheap, ROUNDS)})


def _candidate(template: str, given: dict[str, str | int]) -> Candidate:
    return program_candidate(canonical(template.format(rounds=ROUNDS, **given)))


def _name(action: str) -> str:
    """An action's name as it may stand in a program. Raises UsageError."""
    if not isinstance(action, str) or not 0 < len(action) <= NAME_CHARS or not action.replace(".", "_").isidentifier():
        raise UsageError(f"an action is a name of letters, digits, `_` and `.`, not {str(action)[:NAME_CHARS]!r}")
    return action


def _count(what: str, value: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise UsageError(f"{what} is a whole number from 1 to {most}, not {value!r}")
    return value
