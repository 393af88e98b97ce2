"""Behaviour: what a candidate would decide in the recorded states. Equal digests are the same weights in all of them.

Two candidates whose texts differ and whose behaviour is the same need not both be evaluated. What the trees do not hold
is not looked at: there two candidates of one behaviour may differ.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from controllers.arms import distribution
from controllers.history import Seen
from controllers.moves import STOP, legal_topology, move_of
from controllers.policies import Around, View
from controllers.policies.rule import RuleList, parse_rules
from controllers.program import NAMES, Controller, controller_of
from optimizers.replay.tree import Path, Tree, TreeReplay, children_of, without_replacement
from signatures.digest import digest_of
from signatures.errors import ProgramFault, UsageError
from signatures.records import Candidate, PolicyName, Task

if TYPE_CHECKING:
    import dspy

MOST_PATHS: Final = 8_000
"""Recorded ways through trees that states are taken from, shared out among the tasks: the short ones first."""
LEAST_PATHS: Final = 2
"""Ways of one task that are looked at, however many tasks there are."""
MOST_ASKED: Final = 64
"""Histories that a policy other than a decision list is asked on: a program is run again for each."""


class State(NamedTuple):
    """One recorded situation in which a policy could be asked."""

    policy: PolicyName
    features: dict[str, float]
    legal: tuple[str, ...]
    task: Task
    history: tuple[Seen, ...] = ()
    around: Around | None = None
    "what a program looks back into"

    @property
    def view(self) -> View:
        """As the policy would see it."""
        return View(self.task, self.features, self.legal, self.history, self.around)


def states_of(replay: TreeReplay, tasks: Sequence[Task]) -> tuple[State, ...]:
    """The distinct states that the trees of `tasks` hold, in the order of the tasks, short histories first.

    Distinct by policy, features and legal actions; of equal ones the first stands. The state before the first attempt
    is among them, also for `stop`, which a program may be asked there. A move without an alternative is none.
    """
    held = [(task, tree) for task in tasks if (tree := replay.trees.get(task.digest)) is not None]
    most = max(LEAST_PATHS, MOST_PATHS // max(1, len(held)))
    found: dict[tuple[object, ...], State] = {}
    for task, tree in held:
        for path in _paths(replay, tree, most):
            for state in _states(replay, task, path):
                found.setdefault((state.policy, state.legal, *sorted(state.features.items())), state)
    return tuple(found.values())


class Behaviour:
    """Digests of what candidates would decide in given states. Decision lists are read over all states at once."""

    def __init__(self, states: Sequence[State], lm: dspy.LM | None = None) -> None:
        self.states = tuple(states)
        self._lm = lm
        self._tables = {
            name: _Table([s for s in self.states if s.policy == name and (s.history or name != "stop")])
            for name in NAMES
        }
        self._histories = _spread(list({_ids(state): state for state in self.states}.values()), MOST_ASKED)

    async def digest(self, candidate: Candidate) -> str | None:
        """Names the behaviour; None without states, or where a model would have to be asked or a program failed.

        Raises UsageError for a candidate that does not load.
        """
        if not self.states or not all(_is_rule(text) for text in candidate.components.values()):
            return None
        if set(candidate.components) == set(NAMES):
            rules = {name: parse_rules(candidate.components[name]) for name in NAMES}
            return digest_of("rules", [self._tables[name].digest(rules[name]) for name in NAMES])
        controller = controller_of(candidate, self._lm)
        try:
            return await self._asked(controller)
        finally:
            if controller.program is not None:
                controller.program.close()

    async def _asked(self, controller: Controller) -> str | None:
        """Of a controller that can only be asked: its weights in a part of the histories, as far as they matter."""
        told: list[object] = []
        by_history = {(_ids(state), state.policy): state for state in self.states}
        try:
            for state in self._histories:
                told.append(await _told(controller, [by_history.get((_ids(state), name)) for name in NAMES]))
        except ProgramFault:  # what fails has no behaviour: the evaluation says what becomes of it
            return None
        return digest_of("asked", told)


class _Table:
    """The states of one policy: a column a feature, NaN where it was not observed, and the legal set of each row."""

    def __init__(self, states: Sequence[State]) -> None:
        names = sorted({name for state in states for name in state.features})
        self._columns = {
            name: np.array([state.features.get(name, np.nan) for state in states], dtype=np.float64) for name in names
        }
        self._never_N = np.full(len(states), np.nan)
        self._legal = list(dict.fromkeys(state.legal for state in states))
        self._legal_N = np.array([self._legal.index(state.legal) for state in states], dtype=np.intp)

    def digest(self, rules: RuleList) -> str:
        """Names what this list gives in every row: the distribution over its legal actions."""
        options = [rule.then for rule in rules.rules] + [rules.otherwise]
        chosen_N = np.full(len(self._legal_N), len(rules.rules), dtype=np.intp)
        for number in reversed(range(len(rules.rules))):
            rule = rules.rules[number]
            applies_L = np.array([any(rule.then.get(a, 0.0) > 0 for a in legal) for legal in self._legal], dtype=bool)
            holds_N = applies_L[self._legal_N] if len(self._legal) else np.zeros(0, dtype=bool)
            for condition in rule.when:
                column_N = self._columns.get(condition.feature, self._never_N)
                holds_N &= column_N <= condition.value if condition.op == "<=" else column_N > condition.value
            chosen_N[holds_N] = number
        named_R_L = np.array([[_named(distribution(w, legal)) for legal in self._legal] for w in options])
        return hashlib.sha256(_picked(named_R_L, chosen_N, self._legal_N).tobytes()).hexdigest()


def _picked(
    named_R_L: npt.NDArray[np.uint64], rows_N: npt.NDArray[np.intp], columns_N: npt.NDArray[np.intp]
) -> npt.NDArray[np.uint64]:
    return named_R_L[rows_N, columns_N] if len(rows_N) else np.zeros(0, dtype=np.uint64)


def _named(chances: dict[str, float]) -> np.uint64:
    """64 bits that name a distribution, the same whichever candidate gives it."""
    text = json.dumps(sorted((action, round(p, 12)) for action, p in chances.items() if p > 0))
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


async def _told(controller: Controller, states: Sequence[State | None]) -> dict[str, dict[str, float]]:
    """Stop, then topology, then steer, each only where what was said before leaves it a say."""
    stop, topology, steer = states
    said: dict[str, dict[str, float]] = {}

    async def ask(state: State) -> dict[str, float]:
        weights = (await controller.policies[state.policy].decide(state.view)).weights
        said[state.policy] = {a: round(p, 12) for a, p in sorted(distribution(weights, state.legal).items()) if p > 0}
        return said[state.policy]

    if stop is not None and "continue" not in await ask(stop):
        return said
    if topology is not None and all(action.startswith("fanout") for action in await ask(topology)):
        return said
    if steer is not None:
        await ask(steer)
    return said


def _paths(replay: TreeReplay, tree: Tree, most: int) -> Iterator[Path]:
    """The ways that an episode may have come through a tree while an attempt is left, breadth first, `most` of them.

    Another order of the same attempts is another way.
    """
    waiting: deque[Path] = deque([()])
    seen: set[tuple[str, ...]] = set()
    while waiting and len(seen) < most:
        path = waiting.popleft()
        key = tuple(one.attempt.id for one in path)
        legal = legal_topology(path, replay.left(path).attempts or 0)
        if key in seen or not legal:
            continue
        seen.add(key)
        yield path
        longer = [one for _, one in without_replacement(tree.roots, path, 1)]
        for action in legal:
            parent = None if action.startswith("fanout") else move_of(action, path).parents[0]
            if parent is not None:
                shares = dict.fromkeys(replay.grant.steer_legal, 1.0)
                longer += [one for _, one in children_of(tree, path, parent, shares)]
        waiting.extend(longer)


def _states(replay: TreeReplay, task: Task, path: Path) -> Iterator[State]:
    left = replay.left(path)
    features, legal = replay.observed(path, left), legal_topology(path, left.attempts or 0)
    yield State("stop", features, STOP, task, path, replay.around)
    if len(legal) > 1:
        yield State("topology", features, legal, task, path, replay.around)
    if len(replay.grant.steer_legal) > 1 and any(action.startswith("refine") for action in legal):
        yield State("steer", features, replay.grant.steer_legal, task, path, replay.around)


def _is_rule(text: str) -> bool:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from error
    return isinstance(body, dict) and body.get("tier") == "rule"


def _ids(state: State) -> tuple[str, ...]:
    return (state.task.digest, *(seen.attempt.id for seen in state.history))


def _spread(states: list[State], most: int) -> list[State]:
    """At most `most` of them, evenly spread, the first always."""
    if len(states) <= most:
        return states
    return [states[int(i)] for i in np.linspace(0, len(states) - 1, most)]
