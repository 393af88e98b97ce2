"""Analysis: what recorded moves and attempts show of a benchmark, as findings that the next run says again.

A finding's id is a function of benchmark, kind and subject: neither the run, nor the order of what was read, nor how
much there was of it is in it. Thresholds come from a fixed grid for the same reason. *Better* means checkers; no
verdict is read. A finding is no test: many comparisons are made, and the moves of one tree are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from controllers.history import Seen
from controllers.policies.rule import Condition
from controllers.selector import select
from optimizers.evidence.comparing import HOPELESS, LEAST_ROWS, Places, masks_of, where_said
from optimizers.evidence.episodes_told import EpisodeTold
from optimizers.evidence.findings import (
    ORDER,
    AnalysisFinding,
    MoveKind,
    Recommended,
    Severity,
    Shown,
    finding_id,
    severity_of,
)
from optimizers.evidence.reflection import Reflection
from optimizers.evidence.signals import MEANING, Signal, signals_in
from signatures.digest import digest_of
from signatures.records import PolicyName

GRID: Final = (0.5, 0.0, 1.5, 0.25, 0.75, 2.5, 4.5, 8.5)
"""Thresholds; of those that tell the same moves apart the first is used."""
CLEAR: Final = 3.5
"""Welch's z from which on a comparison is a finding: some hundred are made."""
WHERE: Final = 2
"""Conditions, each on another feature, under which one action is reported."""
EVIDENCE: Final = 12
"""Attempts, tasks or episodes that one finding names at most; all are counted."""
LEAST: Final = 0.01
"""Difference of mean changes of `correct` below which there is none."""
GRAVE: Final = 0.2
"""Difference of mean changes of `correct` from which on a finding is grave."""
SLIGHT: Final = 0.05
"""Below it is not much."""
ENOUGH: Final = 20
"""Moves in one place from which on it says something that an action is not among them, or that none helped."""

DECIDED: Final = frozenset({"not passed", "stopped early", "went on"})
"""Signals of whole episodes; the others are of attempts, whichever episode they were made in."""

When = tuple[Condition, ...]
Mask = npt.NDArray[np.bool_]


class _Told(NamedTuple):
    """What a finding says."""

    severity: Severity
    said: str
    advice: str
    rule: Recommended | None = None


class _Compared(NamedTuple):
    """One action beside the others in one place."""

    z: float
    when: When
    then: float
    others: float
    n: int
    m: int
    mask_N: Mask


def analyse(
    moves: Sequence[Reflection],
    *,
    benchmark: str,
    actions: Mapping[PolicyName, Sequence[str]],
    histories: Mapping[str, Sequence[Seen]] | None = None,
    episodes: Sequence[EpisodeTold] = (),
) -> tuple[AnalysisFinding, ...]:
    """The findings, the gravest first, in an order that nothing but their content decides.

    `actions`: what each policy may draw; `histories`: task digest -> recorded attempts, in which tools fail, calls
    repeat and steers harm; `episodes`: what was decided among attempts. The same move twice counts once where it names
    its attempt.
    """
    found: list[AnalysisFinding] = []
    once = list({(m.policy, m.action, m.attempt or number): m for number, m in enumerate(moves)}.values())
    for policy, names in actions.items():
        rows = sorted((m for m in once if m.policy == policy), key=lambda m: (m.gain, m.origin, m.attempt))
        masks = distinct_masks(rows)
        found += _hopeless(benchmark, rows, masks) if policy == "stop" else []
        found += [] if policy == "stop" else _actions(benchmark, policy, names, rows, masks)
    seen = [(task, signals_in(history, (), selected=None)) for task, history in (histories or {}).items()]
    told = [(one.id, _signals(one)) for one in episodes]
    live = [(id, signals) for (id, signals), one in zip(told, episodes, strict=True) if one.source == "live"]
    found += _of_signals(benchmark, [*seen, *live], lambda kind: kind not in DECIDED)
    found += _of_signals(benchmark, told, DECIDED.__contains__)
    return tuple(sorted(found, key=lambda one: (ORDER.index(one.severity), one.kind, one.subject)))


def distinct_masks(rows: Sequence[Reflection]) -> list[tuple[When, Mask]]:
    """Conditions on the grid that tell moves apart, each division of the moves once; the first is none at all."""
    names = sorted({name for row in rows for name in row.features})
    grid = [Condition(feature=name, op=op, value=value) for name in names for value in GRID for op in _OPERATORS]
    once: dict[bytes, tuple[When, Mask]] = {}
    for when, mask_N in masks_of(rows, grid):
        key = (when[0].feature.encode() if when else b"") + mask_N.tobytes()
        once.setdefault(key, (when, mask_N))
    return list(once.values())


_OPERATORS: Final[tuple[Literal["<=", ">"], ...]] = (">", "<=")


def _actions(
    benchmark: str,
    policy: PolicyName,
    names: Sequence[str],
    rows: Sequence[Reflection],
    masks: Sequence[tuple[When, Mask]],
) -> Iterator[AnalysisFinding]:
    gains_N = np.array([row.gain for row in rows], dtype=np.float64)
    places = Places(rows)
    for action in names:
        takes_N = np.array([row.action == action for row in rows], dtype=bool)
        compared = [one for where in masks if (one := _beside(gains_N, takes_N, where, places)) is not None]
        compared = [one for one in compared if abs(one.then - one.others) >= LEAST]
        compared.sort(key=lambda one: (-one.z, where_said(one.when)))
        for one in _first_by_feature([c for c in compared if c.z >= CLEAR and c.then > 0]):
            yield _compared(benchmark, "action helped", policy, action, one, rows)
        for one in _first_by_feature([c for c in reversed(compared) if c.z <= -CLEAR and c.then < 0]):
            yield _compared(benchmark, "action harmed", policy, action, one, rows)
        yield from _never(benchmark, policy, action, takes_N, masks)


def _beside(
    gains_N: npt.NDArray[np.float64], takes_N: Mask, where: tuple[When, Mask], places: Places
) -> _Compared | None:
    when, mask_N = where
    then_N, others_N = places.comparable(mask_N & takes_N, mask_N & ~takes_N)
    n, m = int(then_N.sum()), int(others_N.sum())
    if n < LEAST_ROWS or m < LEAST_ROWS:
        return None
    z = places.z(gains_N, then_N, others_N)
    return _Compared(z, when, float(gains_N[then_N].mean()), float(gains_N[others_N].mean()), n, m, then_N)


def _first_by_feature(compared: Sequence[_Compared]) -> list[_Compared]:
    """The first `WHERE`, of each feature one."""
    once: dict[str, _Compared] = {}
    for one in compared:
        once.setdefault(one.when[0].feature if one.when else "", one)
    return list(once.values())[:WHERE]


def _compared(
    benchmark: str, kind: MoveKind, policy: PolicyName, action: str, one: _Compared, rows: Sequence[Reflection]
) -> AnalysisFinding:
    where = f"where {where_said(one.when)}, " if one.when else ""
    helped = kind == "action helped"
    place = "there" if one.when else "always"
    told = _Told(
        severity=_grave(abs(one.then - one.others)),
        said=(
            f"{where}`{action}` changed `correct` by {one.then:+.3f} over {one.n} moves, "
            f"other actions by {one.others:+.3f} over {one.m}"
        ),
        advice=f"try a rule that draws `{action}` {place}" if helped else f"keep `{action}` away {place}",
        rule=Recommended(policy=policy, when=one.when, action=action) if helped else None,
    )
    subject = _subject(policy, action, one.when)
    return _finding((benchmark, kind, subject), told, _named(rows, one.mask_N), of=one.n + one.m)


def _never(
    benchmark: str, policy: PolicyName, action: str, takes_N: Mask, masks: Sequence[tuple[When, Mask]]
) -> Iterator[AnalysisFinding]:
    """Of an action that was never drawn at all, or never where its own target was untried."""
    own = f"untried.{action}"
    for when, mask_N in masks:
        n = int(mask_N.sum())
        looked_at = not when or (when[0].feature, when[0].op) == (own, ">")
        if looked_at and n >= ENOUGH and not (mask_N & takes_N).any():
            where = f" where {where_said(when)}" if when else ""
            advice = f"collect moves with `{action}`{where}: nothing is known of it"
            told = _Told("low", f"`{action}` was never drawn{where}, in {n} moves", advice)
            yield _finding((benchmark, "never tried", _subject(policy, action, when)), told, [], of=n)
            return


def _hopeless(
    benchmark: str, rows: Sequence[Reflection], masks: Sequence[tuple[When, Mask]]
) -> Iterator[AnalysisFinding]:
    """Where further attempts improve nothing, the widest such places first."""
    gains_N = np.array([row.gain for row in rows], dtype=np.float64)
    turns_N = np.array([row.turns for row in rows], dtype=np.float64)
    found: list[_Compared] = []
    for when, mask_N in masks:
        n = int(mask_N.sum())
        improved = float((gains_N[mask_N] > 0).mean())
        if when and n >= ENOUGH and improved <= HOPELESS:
            found.append(_Compared(float(n), when, improved, float(turns_N[mask_N].mean()), n, len(rows) - n, mask_N))
    for one in _first_by_feature(sorted(found, key=lambda one: (-one.n, where_said(one.when)))):
        told = _Told(
            severity=severity_of(one.n / len(rows), serious=False),
            said=f"where {where_said(one.when)}, {one.then:.0%} of {one.n} further attempts improved `correct`",
            advice=f"try a rule that stops there: it saves {one.others:.1f} turns a time",
            rule=Recommended(policy="stop", when=one.when, action="done"),
        )
        key = benchmark, "going on is no use", _subject("stop", "done", one.when)
        yield _finding(key, told, _named(rows, one.mask_N), of=len(rows))


def _signals(episode: EpisodeTold) -> list[Signal]:
    chosen = select(episode.attempts)
    return signals_in(episode.attempts, episode.choices, selected=None if chosen is None else chosen.attempt.id)


def _of_signals(
    benchmark: str, shown: Sequence[tuple[str, Sequence[Signal]]], wanted: Callable[[str], bool]
) -> Iterator[AnalysisFinding]:
    by_key: dict[tuple[str, str], list[Shown]] = {}
    for name, signals in shown:
        for signal in signals:
            if wanted(signal.kind):
                row = Shown(episode=name, attempts=signal.attempts)
                by_key.setdefault((signal.kind, signal.subject), []).append(row)
    for (kind, subject), rows in by_key.items():
        meaning, share = MEANING[kind], len(rows) / len(shown)  # type: ignore[index]  # the keys are kinds of signals
        told = _Told(
            severity=severity_of(share, serious=meaning.serious),
            said=meaning.said.format(subject=subject),
            advice=meaning.advice.format(subject=subject),
        )
        yield _finding((benchmark, kind, subject), told, rows, of=len(shown))


def _finding(key: tuple[str, str, str], told: _Told, rows: Sequence[Shown], *, of: int) -> AnalysisFinding:
    """The finding of a benchmark, kind and subject; what shows it is named in an order of its own."""
    benchmark, kind, subject = key
    ordered = sorted(rows, key=lambda row: (row.episode, row.attempts))
    return AnalysisFinding.model_validate(
        {
            "id": finding_id(benchmark, kind, subject),
            "benchmark": benchmark,
            "kind": kind,
            "subject": subject,
            **told._asdict(),
            "shown": len(rows),
            "of": of,
            "share": len(rows) / of,
            "evidence": tuple(ordered[:EVIDENCE]),
            "basis": digest_of(key, [[row.episode, list(row.attempts)] for row in ordered], 0 if rows else of),
        }
    )


def _named(rows: Sequence[Reflection], mask_N: Mask) -> list[Shown]:
    """The attempts of these moves; a move that names none is named by what it says."""
    chosen = [row for row, shown in zip(rows, mask_N, strict=True) if shown]
    return [Shown(episode="", attempts=(row.attempt or row.content_digest(),)) for row in chosen]


def _subject(policy: PolicyName, action: str, when: When) -> str:
    return f"{policy} {action} where {where_said(when)}" if when else f"{policy} {action}"


def _grave(difference: float) -> Severity:
    return "high" if difference >= GRAVE else "medium" if difference >= SLIGHT else "low"
