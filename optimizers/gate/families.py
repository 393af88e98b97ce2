"""Benjamini-Hochberg within a family of contrasts that was registered beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from optimizers.gate.records import Evidence
from signatures.errors import UsageError

Name = TypeVar("Name")


def q_values(p: Mapping[Name, float]) -> dict[Name, float]:
    """Contrast -> q: the least false discovery rate of a family in which it counts as a discovery.

    Holds where the contrasts are independent or positively dependent, as contrasts with one control are. Raises
    UsageError on a p that is not between 0 and 1, with its contrast. Source: Benjamini & Hochberg 1995.
    """
    from scipy.stats import false_discovery_control

    for name, value in p.items():
        if not 0 <= value <= 1:
            raise UsageError(f"p of {name} is {value}: it must lie between 0 and 1")
    if not p:
        return {}
    q = false_discovery_control(list(p.values()), method="bh")
    return {name: float(value) for name, value in zip(p, q, strict=True)}


def with_q(family: Mapping[Name, Evidence]) -> dict[Name, Evidence]:
    """The family's evidence, each with its q."""
    q = q_values({name: evidence.p for name, evidence in family.items()})
    return {name: evidence.model_copy(update={"q": q[name]}) for name, evidence in family.items()}
