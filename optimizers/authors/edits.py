"""Edits of strategy programs: each changes one thing in place and says what is expected of that."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from controllers.moves import MAX_FANOUT
from controllers.policies.rule import Condition
from optimizers.authors.leads import Lead
from optimizers.authors.shapes import (
    Site,
    argument,
    bodies,
    condition_text,
    shot_sites,
    shot_text,
    statements,
)
from optimizers.space import Space

BOUNDS: Final = (2, 3, 4, 6, 8)
"""Further shots that a loop that is made here may take; the budget ends an episode before."""


class Material(NamedTuple):
    """What edits are made from."""

    space: Space
    leads: Sequence[Lead] = ()
    mates: Sequence[ast.AsyncFunctionDef] = ()


class Supposed(NamedTuple):
    """What is expected of an edit, in one sentence, and what in the records speaks for it."""

    hypothesis: str
    evidence: str = ""


Edit: TypeAlias = Callable[[ast.AsyncFunctionDef, random.Random, Material], Supposed | None]
"""Changes the function in place; None where the program has no place for it."""


def follow_lead(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """A lead, drawn by strength, at one of the further shots; of a situation that is not told apart already."""
    site = _further(function, rng)
    if site is None:
        return None
    text = ast.unparse(function)
    leads = [one for one in material.leads if one.when is None or condition_text(one.when, site.name) not in text]
    if not leads:
        return None
    lead = rng.choices(leads, weights=[lead.strength for lead in leads])[0]
    where = "always" if lead.when is None else f"where {said(lead.when)}"
    what = {"steer": f"saying `{lead.action}`", "fresh": "starting again", "carry": "going on", "stop": "stopping"}
    if lead.kind == "stop" and lead.when is not None:
        _stop(site, lead.when)
        return Supposed(f"{where}, stopping saves shots that improve nothing", lead.evidence)
    if lead.when is None:
        _set(site, start=_start_of(lead), steer=lead.action or None)
    else:
        _branch(site, lead.when, shot_text(site.name, start=_start_of(lead), steer=lead.action or "none"))
    return Supposed(f"{where}, {what[lead.kind]} improves `correct` more than what is done now", lead.evidence)


def random_rule(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """A drawn action in a drawn situation."""
    site, conditions = _further(function, rng), material.space.conditions()
    if site is None or not conditions:
        return None
    when, steer = rng.choice(conditions), rng.choice(material.space.actions["steer"])
    start = rng.choice(("last", "last", "best", None))
    _branch(site, when, shot_text(site.name, start=start, steer=steer if start else "none"))
    what = f"going on from the {start} shot with `{steer}`" if start else "starting again"
    return Supposed(f"where {said(when)}, {what} does better than what is done now")


def random_stop(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """Stop in a drawn situation."""
    site, conditions = _further(function, rng), material.space.conditions()
    if site is None or not conditions:
        return None
    when = rng.choice(conditions)
    _stop(site, when)
    return Supposed(f"where {said(when)}, further shots cost more than they bring")


def start_over(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """Abandon a line that does not improve, and start again."""
    site = _further(function, rng)
    if site is None:
        return None
    when = Condition(feature="stalled", op=">", value=rng.choice((0.5, 1.5)))
    _branch(site, when, shot_text(site.name))
    return Supposed(f"a line with {said(when)} is better abandoned than continued")


def other_steer(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """Another word to the worker at one further shot that goes on from something."""
    sites = [site for site in shot_sites(function) if argument(site.call, "start") is not None]
    if not sites:
        return None
    site = rng.choice(sites)
    now = argument(site.call, "steer")
    steer = rng.choice([one for one in material.space.actions["steer"] if one != now] or ["none"])
    _set(site, start=str(argument(site.call, "start")), steer=steer)
    return Supposed(f"at that shot `{steer}` does better than `{now}`")


def other_start(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """Another state to go on from at one further shot."""
    site = _further(function, rng)
    if site is None:
        return None
    now = argument(site.call, "start")
    start = rng.choice([one for one in ("last", "best", None) if one != now])
    _set(site, start=start, steer=str(argument(site.call, "steer")) if start else "none")
    return Supposed(f"at that shot {_from(start)} does better than {_from(now)}")


def other_threshold(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """Another threshold of the space, for a comparison of a feature with a number."""
    found = [
        (one, feature)
        for one in ast.walk(function)
        if isinstance(one, ast.Compare) and (feature := _feature(one)) in material.space.thresholds
    ]
    if not found:
        return None
    compared, feature = rng.choice(found)
    limit = compared.comparators[0]
    others = [
        v for v in material.space.thresholds[str(feature)] if not isinstance(limit, ast.Constant) or v != limit.value
    ]
    if not others:
        return None
    value = rng.choice(others)
    compared.comparators[0] = ast.Constant(value)
    return Supposed(f"{value:g} divides the situations by `{feature}` better")


def other_bound(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """More or fewer turns of one loop."""
    calls = [
        one.iter
        for one in ast.walk(function)
        if isinstance(one, ast.For) and isinstance(one.iter, ast.Call) and len(one.iter.args) == 1
    ]
    bounds = [call for call in calls if isinstance(call.args[0], ast.Constant)]
    if not bounds:
        return None
    call = rng.choice(bounds)
    now = call.args[0]
    n = rng.choice([n for n in BOUNDS if not isinstance(now, ast.Constant) or n != now.value])
    call.args[0] = ast.Constant(n)
    return Supposed(f"{n} turns of that loop are nearer to what pays")


def fan_first(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """Several fresh shots at once in place of the first one; the best by the checker is gone on from."""
    sites = [site for site in shot_sites(function) if not site.looped and argument(site.call, "start") is None]
    widths = widths_of(material.space)
    if not widths or not sites or sites[0].body is not function.body:
        return None
    site, n = sites[0], rng.choice(widths)
    site.body[site.place : site.place + 1] = statements(fan_text(site.name, n))
    for further in shot_sites(function):
        if further.looped and argument(further.call, "start") == "last":
            _set(further, start="best", steer=str(argument(further.call, "steer")))
    return Supposed(f"choosing among {n} fresh shots is a better beginning than the first one")


def drop(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """One branch less: what stands beside it is done always."""
    found = [(body, i) for body, _ in bodies(function) for i, one in enumerate(body) if isinstance(one, ast.If)]
    if not found:
        return None
    body, index = rng.choice(found)
    branch = body[index]
    assert isinstance(branch, ast.If)
    test = ast.unparse(branch.test)
    body[index : index + 1] = branch.orelse
    if not body:
        body.append(ast.Pass())
    return Supposed(f"the program is as good without the case `{test}`")


def cross(function: ast.AsyncFunctionDef, rng: random.Random, material: Material) -> Supposed | None:
    """One part of another program of the front: a case that it tells apart, or how it goes on after its opening."""
    if not material.mates:
        return None
    mate = copy.deepcopy(rng.choice(list(material.mates)))
    return _take_loop(function, mate) if rng.random() < 0.5 else _take_case(function, mate, rng)


def _take_loop(function: ast.AsyncFunctionDef, mate: ast.AsyncFunctionDef) -> Supposed | None:
    loops = [[i for i, one in enumerate(f.body) if isinstance(one, ast.For)] for f in (function, mate)]
    if not loops[0] or not loops[1]:
        return None
    function.body[loops[0][-1] :] = mate.body[loops[1][-1] :]
    return Supposed("the opening of one program of the front goes with the loop of another")


def _take_case(function: ast.AsyncFunctionDef, mate: ast.AsyncFunctionDef, rng: random.Random) -> Supposed | None:
    site = _further(function, rng)
    cases = [one for one in ast.walk(mate) if isinstance(one, ast.If) and _only_shot(one.body)]
    if site is None or not cases:
        return None
    case = rng.choice(cases)
    (theirs,) = {one.name for one in shot_sites(ast.AsyncFunctionDef("f", _ARGS, case.body, []))}
    for name in (n for n in ast.walk(case) if isinstance(n, ast.Name) and n.id == theirs):
        name.id = site.name
    case.orelse = [site.body[site.place]]
    site.body[site.place] = case
    return Supposed(f"what another program of the front does where `{ast.unparse(case.test)}` helps this one too")


EDITS: Final[Mapping[str, tuple[Edit, float]]] = {
    "lead": (follow_lead, 8.0),
    "cross": (cross, 3.0),
    "rule": (random_rule, 1.5),
    "steer": (other_steer, 1.5),
    "start": (other_start, 1.0),
    "start over": (start_over, 0.7),
    "fan first": (fan_first, 0.7),
    "threshold": (other_threshold, 0.7),
    "bound": (other_bound, 0.4),
    "stop": (random_stop, 0.6),
    "drop": (drop, 1.0),
}
"""Every edit, and how often it is tried first relative to the others."""
_ARGS: Final = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def said(condition: Condition) -> str:
    """The condition in a sentence."""
    return f"{condition.feature} {condition.op} {condition.value:g}"


def widths_of(space: Space) -> list[int]:
    """How many fresh shots at once the actions of the space allow, beyond one."""
    return [n for n in range(2, MAX_FANOUT + 1) if f"fanout_{n}" in space.actions["topology"]]


def fan_text(name: str, n: int) -> str:
    """The statements that take `n` fresh shots and keep the best by the checker."""
    return (
        f"shots = await ctx.shots({n})\n{name} = shots[0]\nfor one in shots:\n"
        f"    if one.correct > {name}.correct:\n        {name} = one"
    )


def _further(function: ast.AsyncFunctionDef, rng: random.Random) -> Site | None:
    """A shot after the first one: in a loop, or behind another shot under the same name."""
    sites = shot_sites(function)
    further = [s for s in sites if s.looped] or [
        s for i, s in enumerate(sites) if s.name in {p.name for p in sites[:i]}
    ]
    return rng.choice(further) if further else None


def _branch(site: Site, when: Condition, then: str) -> None:
    (branch,) = statements(f"if {condition_text(when, site.name)}:\n    {then}\nelse:\n    pass")
    assert isinstance(branch, ast.If)
    branch.orelse = [site.body[site.place]]
    site.body[site.place] = branch


def _stop(site: Site, when: Condition) -> None:
    site.body[site.place : site.place] = statements(f"if {condition_text(when, site.name)}:\n    return")


def _set(site: Site, *, start: str | None, steer: str | None) -> None:
    """Other arguments; a steer of None stays as it is."""
    steer = str(argument(site.call, "steer")) if steer is None else steer
    site.body[site.place : site.place + 1] = statements(shot_text(site.name, start=start, steer=steer))


def _start_of(lead: Lead) -> str | None:
    return None if lead.kind == "fresh" else "last"


def _from(start: object) -> str:
    return "starting again" if start is None else f"going on from the {start} shot"


def _only_shot(body: Sequence[ast.stmt]) -> bool:
    return len(body) == 1 and len(shot_sites(ast.AsyncFunctionDef("f", _ARGS, list(body), []))) == 1


def _feature(compared: ast.Compare) -> str | None:
    """The feature in `x.features.get('name', 0.0) > limit`."""
    call = compared.left
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "get" and call.args:
        name = call.args[0]
        return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
    return None
