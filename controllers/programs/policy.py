"""A strategy program as the three policies of a controller: the next move is a function of the attempts made.

The program is run from its start for every decision; its n-th attempt is answered from the n-th attempt of the history,
whatever was really done there, and the first that the history does not hold is the next move. What was found out for a
path of attempts is remembered, so that the three decisions of one turn ask once, and a longer path goes on from there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from controllers.moves import MAX_FANOUT
from controllers.policies import Around, View, Weights
from controllers.programs.asked import Asked, Paid
from controllers.programs.host import Host
from controllers.programs.language import check
from controllers.programs.wire import Answer, Call, Done, FanoutCall, ShotCall, Shots
from signatures.digest import canonical_json
from signatures.errors import InfraError, ProgramFault, UsageError
from signatures.records import PolicyName, Tier

if TYPE_CHECKING:
    import dspy

REMEMBERED: Final = 16_384
"""Paths of which the move is kept; of others it is found out again."""
OWN_DOING: Final = ("error", "illegal")
"""Kinds of fault that come again whenever the same is asked."""
Pending = ShotCall | FanoutCall | Done
Key = tuple[Around, str, tuple[str, ...]]


class Reached(NamedTuple):
    """Where a program stands after a path of attempts: what it was answered, and what it wants next."""

    answers: tuple[Answer, ...]
    pending: Pending | None
    "None: it has not been asked yet"
    taken: int
    "attempts of the path that `answers` hold; a fan-out under way has more"


class Program:
    """One strategy program and what it has said so far. Its child process starts with the first question."""

    def __init__(self, source: str, *, tier: Tier = "rule", lm: dspy.LM | None = None) -> None:
        """`lm`: the model that it may consult, in a tier of its own. Raises ProgramRefused, UsageError."""
        if (lm is None) != (tier == "rule"):
            raise UsageError("a program that consults a model is of tier resident or frontier; else of tier rule")
        check(source)
        self.source = source
        self.tier: Tier = tier
        self.lm = lm
        self._host: Host | None = None
        self._asked = Asked(source, lm, tier)
        self._reached: OrderedDict[Key, Reached | ProgramFault] = OrderedDict()
        self._owed: dict[Key, Paid] = {}

    @property
    def text(self) -> str:
        """The component: what a candidate holds."""
        model = {} if self.lm is None else {"model": self.lm.model}
        return canonical_json({"tier": self.tier, "source": self.source, **model})

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Another one of the same text and model, with a process of its own."""
        return type(self)(self.source, tier=self.tier, lm=self.lm)

    def close(self) -> None:
        """End the child process."""
        if self._host is not None:
            self._host.close()
            self._host = None

    async def move(self, view: View) -> tuple[Pending, Paid]:
        """What it does next, and what was paid for finding out: the first time only.

        Raises ProgramFault where it fails or asks for what cannot be; ProviderError where a model that it consults
        cannot be asked; UsageError for a state without its episode.
        """
        if view.around is None:
            raise UsageError("a strategy program decides within an episode: a state alone does not tell what it does")
        key = (view.around, view.task.digest, tuple(seen.attempt.id for seen in view.history))
        paid = self._owed.pop(key, Paid())
        try:
            found = self._recall(key)
            if found is None:
                found = await self._found_out(key, view, paid)
            if isinstance(found, ProgramFault):
                raise ProgramFault(str(found), kind=found.kind)
            pending = _rest(found, len(view.history))
            _require_legal(pending, view)
        except ProgramFault as fault:
            fault.cost = paid.cost  # what it consulted before it failed is billed all the same
            raise
        return pending, paid

    async def _found_out(self, key: Key, view: View, paid: Paid) -> Reached | ProgramFault:
        try:
            found: Reached | ProgramFault = await self._run(key, view, paid)
        except InfraError:
            self._owed[key] = paid  # what was paid before the failure is billed with the next answer
            raise
        except ProgramFault as fault:
            if fault.kind not in OWN_DOING:
                raise
            found = ProgramFault(str(fault), kind=fault.kind)  # without the frames that it came through
        self._reached[key] = found
        while len(self._reached) > REMEMBERED:
            self._reached.popitem(last=False)
        return found

    def _recall(self, key: Key) -> Reached | ProgramFault | None:
        found = self._reached.get(key)
        if found is not None:
            self._reached.move_to_end(key)
        return found

    async def _run(self, key: Key, view: View, paid: Paid) -> Reached:
        """From the longest path before this one that is known, or from the start, to the move that is due."""
        now = self._before(key)
        while True:
            call = now.pending or await self._next_call(now.answers)
            if not isinstance(call, ShotCall | FanoutCall | Done):
                then = view._replace(history=view.history[: now.taken])
                now = now._replace(answers=(*now.answers, await self._asked.answer(call, then, paid)))
            elif isinstance(call, Done) or now.taken + _width(call) > len(view.history):
                return now._replace(pending=call)
            else:
                now = self._answered(now, call, view)

    def _before(self, key: Key) -> Reached:
        around, task, ids = key
        for known in range(len(ids) - 1, -1, -1):
            earlier = self._recall((around, task, ids[:known]))
            if isinstance(earlier, ProgramFault):
                raise earlier
            if earlier is not None:
                return earlier
        return Reached((), None, 0)

    async def _next_call(self, answers: tuple[Answer, ...]) -> Call:
        if self._host is None:
            self._host = Host(self.source)
        return await self._host.next_call(answers)

    def _answered(self, now: Reached, call: ShotCall | FanoutCall, view: View) -> Reached:
        """The call answered from the history."""
        places = range(now.taken, now.taken + _width(call))
        shots = tuple(self._asked.shot(view, place) for place in places)
        answer: Answer = shots[0] if isinstance(call, ShotCall) else Shots(shots=shots)
        return Reached((*now.answers, answer), None, now.taken + len(shots))


class ProgramPolicy:
    """One of the three decisions of a program."""

    def __init__(self, name: PolicyName, program: Program) -> None:
        self.name = name
        self.program = program

    @property
    def tier(self) -> Tier:
        """The program's."""
        return self.program.tier

    @property
    def text(self) -> str:
        """The program's component, the same for all three."""
        return self.program.text

    async def decide(self, view: View) -> Weights:
        """All weight on what the program does. Where exploration went on against it, the least: a fresh attempt, or
        one that is told nothing. Raises as `Program.move`.
        """
        pending, paid = await self.program.move(view)
        return Weights(_weights(self.name, pending, view), paid.shown, paid.cost)


def _weights(name: PolicyName, pending: Pending, view: View) -> Mapping[str, float]:
    if name == "stop":
        return {"done" if isinstance(pending, Done) else "continue": 1.0}
    if name == "steer":
        return {pending.steer if isinstance(pending, ShotCall) else "none": 1.0}
    if isinstance(pending, FanoutCall):
        return {f"fanout_{pending.n}": 1.0}
    if isinstance(pending, Done) or pending.start is None or not view.history:
        return {"fanout_1": 1.0}
    # The best attempt that is the last one as well can be gone on from in one way only.
    best = pending.start == "best" and "refine_best" in view.legal
    return {"refine_best" if best else "refine_last": 1.0}


def _rest(found: Reached, made: int) -> Pending:
    """What is still to be done of the pending call: exploration may have launched a part of a fan-out only."""
    assert found.pending is not None
    if isinstance(found.pending, FanoutCall) and made > found.taken:
        return FanoutCall(n=found.pending.n - (made - found.taken))
    return found.pending


def _width(call: ShotCall | FanoutCall) -> int:
    return call.n if isinstance(call, FanoutCall) else 1


def _require_legal(pending: Pending, view: View) -> None:
    """Raises ProgramFault for a move that this episode does not allow here, with the mend."""
    assert view.around is not None
    if isinstance(pending, FanoutCall):
        left = view.around.left(view.history).attempts
        if left is not None and pending.n > min(left, MAX_FANOUT):
            raise _illegal(f"shots({pending.n}), but the budget allows {left} more; ask ctx.budget() first")
    elif isinstance(pending, ShotCall):
        if pending.start is None and pending.steer != "none":
            raise _illegal(f"shot(steer={pending.steer!r}) without start: a fresh attempt is told nothing")
        if pending.start is not None and pending.steer not in view.around.steers:
            known = ", ".join(view.around.steers)
            raise _illegal(f"shot(steer={pending.steer!r}), which is no legal action here; there are {known}")


def _illegal(said: str) -> ProgramFault:
    return ProgramFault(f"strategy program: {said}", kind="illegal")
