"""The language of strategy programs: what a source may hold, said to the one who wrote it."""

from __future__ import annotations

import ast
from typing import Final

from controllers.programs import subset
from signatures.errors import ProgramRefused

BUILTINS: Final = subset.BUILTINS
SHOT_ATTRIBUTES: Final = subset.SHOT_ATTRIBUTES
METHODS: Final = subset.METHODS

GUIDE: Final = f"""\
A strategy program is one Python function, `async def strategy(ctx):`, that decides how a worker's attempts are spent.
It is run again from the start for every decision, with the same answers, so it keeps nothing and needs no state.
Calls, each awaited:
  shot = await ctx.shot(start=None, steer="none")   one attempt; start: None (fresh), "last" or "best" (go on from it);
                                                    steer: one of the legal actions
  shots = await ctx.shots(n)                        n fresh attempts at once, n from 1 to 4
  numbers = await ctx.critique()                    a dict, feature -> number, of the attempts so far; free
  choice = await ctx.consult(policy, options)       a model chooses one of the options; policy: "stop", "topology" or
                                                    "steer"
  tools = await ctx.list_tools()                    .tools (names seen so far) and .actions (legal steers); free
  left = await ctx.budget()                         .attempts, .turns, .usd left, None without a limit; free
A shot has {", ".join(f".{name}" for name in SHOT_ATTRIBUTES)} (a dict).
Functions: {", ".join(BUILTINS)}. Methods of lists and dicts: {", ".join(METHODS)}.
Statements: assignment, if, for (at most {subset.MAX_RANGE} rounds), break, continue, pass, return without a value.
Not part of it: import, while, try, def, class, lambda, sets, f-strings, **, attributes that are not named here, names
that begin with an underscore. Returning ends the episode; the best attempt by the checkers is what counts.
"""
"""The language, as an author is told it."""


def check(source: str) -> None:
    """Raise ProgramRefused, naming the line, what stands there and the mend, where `source` is not in the language."""
    _checked(source)


def canonical(source: str) -> str:
    """The same program without comments and in one layout: programs that differ in nothing else have equal texts.

    A text that the one layout would need backslashes for stays as it is. Raises ProgramRefused.
    """
    written = ast.unparse(_checked(source)) + "\n"
    return source if "\\" in written or len(written) > subset.MAX_CHARACTERS else written


def _checked(source: str) -> ast.Module:
    try:
        return subset.parse(source)
    except subset.Refused as error:
        raise ProgramRefused(f"strategy program, {error}", line=error.line) from None
