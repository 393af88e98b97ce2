"""Candidates on a log: the probability that each controller gives to every recorded option.

A probability is the product over the policies that have a say, each `controllers.arms.distribution` of the policy's
weights over the state's legal set, without a floor. Decision lists are evaluated on the feature matrix at once; other
policies are asked through `Asking`. Axes as in CONTRIBUTING.md, and: G distinct legal sets, W places in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from controllers.arms import distribution
from controllers.executor import AsyncExecutor
from controllers.policies import Policy, View
from controllers.policies.constant import ConstantPolicy
from controllers.policies.rule import RuleList, RulePolicy, parse_rules
from optimizers.episode_log import EpisodeLog, Floats, Option, Target
from optimizers.logs.tabled import POLICIES, Indices, hashed
from optimizers.replay.asking import Asking
from signatures.errors import NoSupport, UsageError
from signatures.records import PolicyName, Task

if TYPE_CHECKING:
    from controllers.program import Controller
    from optimizers.replay.views import Views

AT_ONCE: Final = 16
"""Questions to a model under way at the same time."""
OF_PROGRAMS: Final = "a log of draws does not tell what a strategy program would do: replay it on recorded trees"
NOTHING_SHOWN: Final = View(Task(digest="", benchmark="", prompt=""), {}, ())
"""What a rule is shown beside features and legal actions."""


class Choices(NamedTuple):
    """What one policy chooses between."""

    legal_G: tuple[tuple[str, ...], ...]
    legal_S: Indices
    "the legal set of each state, -1 where the policy has no say"
    place_L: Indices
    "the place of each option in its legal set, -1 where the policy has no say in it"


class Choosing(NamedTuple):
    """A log as policies see it."""

    log: EpisodeLog
    state_L: Indices
    choices: Mapping[PolicyName, Choices]
    ask: Asking
    views: Views | None


async def target_of(
    log: EpisodeLog, named: Mapping[str, Controller], ask: Asking, *, views: Views | None = None
) -> Target:
    """The candidates as probabilities of the log's options: `L x C`, candidates in the order of `named`.

    Rules are shown features and legal actions, which the log holds. A model is also shown the task and traces: `views`
    (`optimizers/replay/views.py`) gives them, and each distinct input is asked once. `unknown` lists, for a
    candidate that refines anywhere, the steers in its rules that no recorded state offers. Raises UsageError for a
    model without `views`; NoSupport for a strategy program; what `Asking.weights` raises.
    """
    if programs := [name for name, controller in named.items() if controller.program is not None]:
        raise NoSupport(f"{programs[0]}: {OF_PROGRAMS}")
    choosing = Choosing(log, log.state_L.astype(np.int64), _choices(log), ask, views)
    probability_L_C = np.empty((len(log.state_L), len(named)))
    unknown: list[tuple[str, ...]] = []
    for c, (name, controller) in enumerate(named.items()):
        reach_L = np.ones(len(log.state_L))
        for policy in POLICIES:
            chooser = controller.policies[policy]
            if policy == "steer":
                unknown.append(_unknown_steers(choosing, chooser, reach_L))
            reach_L = reach_L * await _chances(choosing, f"{name}: {policy}", chooser, policy, reach_L)
        probability_L_C[:, c] = reach_L
    return Target(tuple(named), probability_L_C, tuple(unknown))


async def _chances(choosing: Choosing, where: str, policy: Policy, name: PolicyName, reach_L: Floats) -> Floats:
    """The policy's own factor in the probability of each option, 1 where it has no say."""
    choices, state_L = choosing.choices[name], choosing.state_L
    if not choices.legal_G:
        return np.ones(len(state_L))
    rules = _rules_of(policy)
    if rules is not None:
        table, row_S = rule_table(rules, choices, choosing.log)
    else:
        table, row_S = await _answers(choosing, where, policy, name, reach_L)
    chances: Floats = table[row_S[state_L], choices.place_L]
    return chances


def rule_table(rules: RuleList, choices: Choices, log: EpisodeLog) -> tuple[Floats, Indices]:
    """What a decision list gives: distinct distributions (rows, with a last place and a last row of 1), and each
    state's row. As `RulePolicy.decide` and `distribution` for every state, all at once."""
    R, G = len(rules.rules), len(choices.legal_G)
    weights = [*(rule.then for rule in rules.rules), rules.otherwise]
    table = np.ones(((R + 1) * G + 1, max(len(one) for one in choices.legal_G) + 1))
    for g, legal in enumerate(choices.legal_G):
        for r, given in enumerate(weights):
            table[r * G + g, : len(legal)] = list(distribution(given, legal).values())
    winner_S = np.full(len(choices.legal_S), R, dtype=np.int64)
    for r in range(R - 1, -1, -1):  # the first that holds is written last
        wins_G = [any(rules.rules[r].then.get(action, 0.0) > 0 for action in legal) for legal in choices.legal_G]
        winner_S[_holds(rules, r, log) & np.array([*wins_G, False])[choices.legal_S]] = r
    return table, np.where(choices.legal_S >= 0, winner_S * G + choices.legal_S, -1)


def _holds(rules: RuleList, r: int, log: EpisodeLog) -> npt.NDArray[np.bool_]:
    """In which states all conditions of a rule hold; one on a feature that was not observed does not."""
    holds = np.ones(len(log.features_S_F), dtype=bool)
    for condition in rules.rules[r].when:
        if condition.feature not in log.features:
            return np.zeros(len(log.features_S_F), dtype=bool)
        seen_S = log.features_S_F[:, log.features.index(condition.feature)]
        holds &= seen_S <= condition.value if condition.op == "<=" else seen_S > condition.value
    return holds


async def _answers(
    choosing: Choosing, where: str, policy: Policy, name: PolicyName, reach_L: Floats
) -> tuple[Floats, Indices]:
    """As `rule_table` for any policy, asked where an episode of the log was and the candidate gets to and has a choice.

    In a state of the options that no episode of the log visited (see `EpisodeLog.take`) it gets 0: nothing is known.
    """
    choices, log, views = choosing.choices[name], choosing.log, choosing.views
    S = len(choices.legal_S)
    if policy.tier != "rule" and views is None:
        raise UsageError(f"{where} asks a model, which is shown tasks and traces: give target_of `views` of them")
    reached_S = np.zeros(S, dtype=bool)
    reached_S[choosing.state_L[(reach_L > 0) & (choices.place_L >= 0)]] = True
    visited_S = np.zeros(S, dtype=bool)
    visited_S[choosing.state_L[log.option_N_K[log.option_N_K >= 0]]] = True
    table = np.ones((S + 1, max(len(one) for one in choices.legal_G) + 1))
    table[:-1, :-1][~visited_S] = 0.0

    async def ask(state: int) -> None:
        legal = choices.legal_G[choices.legal_S[state]]
        seen = zip(log.features, log.features_S_F[state], strict=True)
        features = {feature: float(value) for feature, value in seen if not np.isnan(value)}
        shown = NOTHING_SHOWN if views is None else views(state)
        answer = await choosing.ask.weights(policy, shown._replace(features=features, legal=legal))
        table[state, : len(legal)] = list(distribution(answer.weights, legal).values())

    several_G = np.array([len(one) > 1 for one in choices.legal_G] + [False])
    asked = [int(state) for state in np.flatnonzero(visited_S & reached_S & several_G[choices.legal_S])]
    await AsyncExecutor(AT_ONCE).map(ask, asked)
    return table, np.where(choices.legal_S >= 0, np.arange(S), -1)


def _rules_of(policy: Policy) -> RuleList | None:
    if isinstance(policy, RulePolicy):
        return policy.rules
    return parse_rules(policy.text) if isinstance(policy, ConstantPolicy) else None


def _unknown_steers(choosing: Choosing, policy: Policy, reach_L: Floats) -> tuple[str, ...]:
    """Steers with weight in a list that no recorded state offers, if the candidate ever refines."""
    rules = _rules_of(policy)
    refines = [(option.topology or "").startswith("refine_") for option in choosing.log.actions]
    if rules is None or not (reach_L[np.array(refines, dtype=bool)[choosing.log.action_L]] > 0).any():
        return ()
    offered = {action for legal in choosing.choices["steer"].legal_G for action in legal}
    given = [*(rule.then for rule in rules.rules), rules.otherwise]
    named = {action for weights in given for action, weight in weights.items() if weight > 0}
    return tuple(sorted(named - offered))


def _choices(log: EpisodeLog) -> dict[PolicyName, Choices]:
    """The legal sets of each policy, in the order in which they were shown, read off the options of each state."""
    S = len(log.features_S_F)
    size_S = np.bincount(log.state_L, minlength=S)
    begin_S = np.cumsum(size_S) - size_S
    kinds_S_W = np.full((S, int(size_S.max(initial=0)) + 1), -1, dtype=np.int64)
    within_L = np.arange(len(log.state_L)) - begin_S[log.state_L]
    kinds_S_W[log.state_L, within_L] = log.action_L
    _, first, kind_S = np.unique(hashed(*kinds_S_W.T), return_index=True, return_inverse=True)
    menus = [[log.actions[a] for a in kinds_S_W[state] if a >= 0] for state in first]
    return {policy: _choices_of(p, menus, kind_S, log, within_L) for p, policy in enumerate(POLICIES)}


def _choices_of(
    p: int, menus: Sequence[Sequence[Option]], kind_S: Indices, log: EpisodeLog, within_L: Indices
) -> Choices:
    sets: dict[tuple[str, ...], int] = {}
    legal_of, place_of = [], np.full((len(menus) + 1, max(map(len, menus), default=0) + 1), -1, dtype=np.int64)
    for number, menu in enumerate(menus):
        legal = tuple(dict.fromkeys(action for option in menu if (action := option[p]) is not None))
        legal_of.append(sets.setdefault(legal, len(sets)) if legal else -1)
        place_of[number, : len(menu)] = [-1 if (a := option[p]) is None else legal.index(a) for option in menu]
    legal_S = np.array([*legal_of, -1], dtype=np.int64)[kind_S]
    return Choices(tuple(sets), legal_S, place_of[kind_S[log.state_L], within_L])
