"""Log-probabilities with a bias of each action and one slope, fitted to the answers of the calibration questions.

It maximises the likelihood of the answers under softmax(slope * log-probability - bias), with a penalty that holds the
slope near 1 and the biases near the centred ones: few questions say little. Source: Platt 1999 and Guo et al. 2017
(vector scaling with one slope). dspy's own `ReAnchor` searches the same weights by running the program on a backend
that gives probabilities; here answers are cached, and nothing is asked again.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from optimizers.skill.ways import Ask, Calibration, Decider, Known
from optimizers.skill.ways.centred import Centred
from optimizers.skill.ways.weighed import by_scores, named_with
from signatures.errors import NoSupport

PENALTY: Final = 0.5
"""Of the squared distance from the centred calibration, against the sum of log-likelihoods."""


class Fitted:
    """`fitted`, with demos or without."""

    fits: Final = True

    def __init__(self, *, demos: bool) -> None:
        self.id = named_with(demos, "fitted")
        self.ask: Ask | None = Ask("weighed", demos)
        self._centred = Centred(demos=demos)

    def fit(self, known: Known) -> Decider:
        """Raises NoSupport where no calibration question was answered."""
        found = self.calibration(known)
        return by_scores(found.bias, found.scale)

    def calibration(self, known: Known) -> Calibration:
        """The slope and the biases that make the answers likeliest. Raises NoSupport."""
        from scipy.optimize import minimize

        start = self._centred.calibration(known)
        names = sorted(start.bias)
        rows = [(one, reply.logprobs) for one, reply in known if reply is not None and one.label in reply.logprobs]
        if not rows:
            raise NoSupport("no calibration question with an answer that could be chosen")
        # a choice that was not legal has no part in the sum
        logs = np.array([[found.get(name, -np.inf) for name in names] for _, found in rows])
        label = np.array([names.index(one.label) for one, _ in rows])
        usual = np.array([start.bias[name] for name in names])
        there = np.isfinite(logs)

        def loss(at: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
            slope, moved = math.exp(at[0]), at[1:]
            scores = np.where(there, slope * (np.where(there, logs, 0.0) - usual) - moved, -np.inf)
            most = scores.max(axis=1)
            total = most + np.log(np.exp(scores - most[:, None]).sum(axis=1))
            likely = scores[np.arange(len(label)), label] - total
            return float(-likely.sum() + PENALTY * (at**2).sum())

        best = minimize(
            loss, np.zeros(1 + len(names)), method="L-BFGS-B", bounds=[(-3.0, 3.0), *[(None, None)] * len(names)]
        )
        slope = math.exp(float(best.x[0]))
        bias = {name: slope * start.bias[name] + float(moved) for name, moved in zip(names, best.x[1:], strict=True)}
        return Calibration(bias=bias, scale=slope)
