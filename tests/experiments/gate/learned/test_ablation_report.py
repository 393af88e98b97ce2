"""An ablation in words: what adds, what harms, what cannot be told."""

from __future__ import annotations

import numpy as np

from experiments.gate.learned.ablation import INTERACTION, MARGINAL
from experiments.gate.learned.ablation_report import sentence_of
from experiments.gate.report import Contrast
from optimizers.gate.evidence import evidence_of
from optimizers.gate.paired import pairs_of

ALPHA = 0.025


def contrast(name: str, effect: float, *, family: str = MARGINAL, confounded: tuple[str, ...] = ()) -> Contrast:
    noise_T = np.random.default_rng(0).normal(0, 0.02, 60)
    baseline = {f"t{i}": [0.4] for i in range(60)}
    candidate = {f"t{i}": [0.4 + effect + float(noise)] for i, noise in enumerate(noise_T - noise_T.mean())}
    evidence = evidence_of(pairs_of("correct", baseline, candidate), alpha=ALPHA)
    return Contrast(
        name=name,
        family=family,
        treatment="on",
        control="off",
        evidence=evidence.model_copy(update={"q": evidence.p}),
        confounded=confounded,
    )


def test_each_factor_is_told_by_what_was_shown() -> None:
    effects = [
        contrast("refine", 0.3),
        contrast("learned", 0.0),
        contrast("meta", -0.3),
        contrast("dear", 0.3, confounded=("spent 20 % more",)),
        contrast("refine x learned", 0.1, family=INTERACTION),
        contrast("refine", 0.1, family="further objectives"),
    ]
    said = sentence_of(effects, ALPHA).split("; ")
    assert [text.split(" +")[0].split(" -")[0] for text in said] == [
        "refine adds",
        "learned is not shown to add anything:",
        "meta harms:",
        "dear cannot be told from what it spent more:",
        "half of the interaction refine x learned is",
    ]
    assert "points of correct (n = 60, q = " in said[0]
