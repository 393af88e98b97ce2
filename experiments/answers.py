"""The answers of estimators as a table: estimates with intervals and what they rest on, refusals with their reasons."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from optimizers.replay.estimates import Bound, Estimate, Refusal, Support

COLUMNS = ("n", "left out", "ess", "largest", "unsupported", "mean weight")


def print_answers(answers: Sequence[Estimate | Refusal], console: Console | None = None) -> None:
    """One row per estimate, a column per objective; below it, each refusal in a line of its own."""
    console = console or Console(markup=False, emoji=False, soft_wrap=True, width=None if _wide() else 200)
    estimates = [one for one in answers if isinstance(one, Estimate)]
    if estimates:
        console.print(table_of(estimates))
    for line in refusal_lines(answers):
        console.print(line, highlight=False)


def table_of(estimates: Sequence[Estimate]) -> Table:
    """The estimates as a rich table."""
    table = Table(title="value on [0, 1], 1 is best [95 % interval]", title_justify="left")
    table.add_column("controller", no_wrap=True)
    table.add_column("estimator", no_wrap=True)
    objectives = list(dict.fromkeys(name for one in estimates for name in one.values))
    for name in (*objectives, *COLUMNS):
        table.add_column(name, justify="right", no_wrap=True)
    for one in estimates:
        values = [bound_text(one.values[name]) if name in one.values else "" for name in objectives]
        table.add_row(one.candidate, one.estimator, *values, *_support(one.support))
    return table


def bound_text(bound: Bound) -> str:
    """`.350 [.29, .41]`, without the brackets where there is no interval."""
    value = _short(bound.value, 3)
    return value if bound.lo is None or bound.hi is None else f"{value} [{_short(bound.lo)}, {_short(bound.hi)}]"


def refusal_lines(answers: Sequence[Estimate | Refusal]) -> list[str]:
    """One line per controller and reason, with the estimators that gave it."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in answers:
        if isinstance(one, Refusal):
            reasons.setdefault((one.candidate, one.reason), []).append(one.estimator)
    return [f"{name}  {', '.join(by)}  refused: {reason}" for (name, reason), by in reasons.items()]


def _support(support: Support) -> list[str]:
    weight = ""
    if support.mean_weight is not None:
        weight = f"{support.mean_weight:.2f}{'' if support.audited else ' !'}"
    return [
        str(support.n),
        str(support.left_out),
        f"{support.ess:.0f}",
        f"{support.largest_share:.1%}",
        f"{support.unsupported:.1%}",
        weight,
    ]


def _short(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _wide() -> bool:
    return Console().is_terminal
