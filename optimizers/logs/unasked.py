"""Policies that a round did not ask: what they would have answered, as far as the record shows it.

No round that drew such an option had its probability filled in, so weights never rest on it: it only says whether the
option was possible. Where the same question was answered elsewhere that is exact; else an action is taken as possible
if the controller gave it weight in any state where it was legal, and as impossible (unsupported) if it never did.
With a probability floor the two agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizers.logs.tabled import Answers, Floats, Hashes, Indices, hashed, padded, with_ones


@dataclass
class LegalSets:
    """Legal sets by their names, to which more can be added."""

    names: list[tuple[str, ...]]

    @classmethod
    def of(cls, answers: Answers) -> LegalSets:
        """The sets of these answers, under the same numbers."""
        return cls([tuple(answers.names[code] for code in one) for one in answers.legal_G])

    def of_names(self, names: tuple[str, ...]) -> int:
        """The number of this set."""
        if names not in self.names:
            self.names.append(names)
        return self.names.index(names)

    def extended(self, answers: Answers) -> Answers:
        """The answers, knowing all these sets."""
        known = [*answers.names, *sorted({name for one in self.names for name in one} - {*answers.names})]
        code = {name: n for n, name in enumerate(known)}
        legal_G = tuple(tuple(code[name] for name in one) for one in self.names)
        width = max((len(one) for one in legal_G), default=0) + 1
        share = np.zeros((len(answers.legal_U), width))
        had = answers.share_U_W[:-1, :-1]
        share[:, : had.shape[1]] = had
        return Answers(tuple(known), legal_G, answers.legal_U, with_ones(share))


def common(key_R: Indices | Hashes, value_R: Indices) -> Indices:
    """For each row the value that rows of the same key have most often, -1 where none has any (a value of -1 is none).

    Of values as frequent as each other, the smallest.
    """
    keys, key_R = np.unique(key_R, return_inverse=True)
    there = np.flatnonzero(value_R >= 0)
    span = int(value_R.max(initial=0)) + 1
    pairs, counts = np.unique(key_R[there] * span + value_R[there], return_counts=True)
    order = np.lexsort((-pairs, counts))
    best = np.full(len(keys), -1, dtype=np.int64)
    best[pairs[order] // span] = pairs[order] % span  # the most frequent is written last
    found: Indices = best[key_R]
    return found


@dataclass
class Filler:
    """Fills in answers, policy by policy, and collects those that nobody gave."""

    answers: Answers
    controller_R: Indices

    def filled(self, legal_R: Indices, answer_R: Indices, given_R: Hashes) -> Indices:
        """An answer for every row that has a legal set. `given_R`: what a policy would have been asked.

        In this order: its own; what the same controller answered when asked the same; 1 where there is one legal
        action; what `_pooled` gives.
        """
        legal_U = np.append(self.answers.legal_U, -1)
        key_R = hashed(given_R.view(np.int64), self.controller_R)
        twin_R = common(key_R, answer_R)
        usable = (legal_R >= 0) & (answer_R < 0)
        filled_R = np.where(usable & (legal_U[twin_R] == legal_R), twin_R, answer_R)
        lacking = np.flatnonzero((legal_R >= 0) & (filled_R < 0))
        pairs, pair_R = np.unique(np.stack([self.controller_R[lacking], legal_R[lacking]]), axis=1, return_inverse=True)
        made = [self._pooled(answer_R, int(controller), int(legal)) for controller, legal in pairs.T]
        filled_R[lacking] = self._added(made, pairs[1])[pair_R]
        return filled_R

    def _pooled(self, answer_R: Indices, controller: int, legal: int) -> Floats:
        """The mean share of each legal action over all that the controller answered, together 1 if any is above 0."""
        wanted = self.answers.legal_G[legal]
        share_W = np.zeros(self.answers.share_U_W.shape[1] - 1)
        if len(wanted) == 1:
            share_W[0] = 1.0
            return share_W
        given, counts = np.unique(answer_R[(self.controller_R == controller) & (answer_R >= 0)], return_counts=True)
        legal_U_W = padded(self.answers.legal_G)[self.answers.legal_U[given]]
        share_U_W = self.answers.share_U_W[given]
        for place, code in enumerate(wanted):
            at = legal_U_W == code
            shares, weight = share_U_W[at], counts[np.nonzero(at)[0]]
            if len(shares):
                share_W[place] = float(shares @ weight) / float(weight.sum())
        total = share_W.sum()
        return share_W / total if total > 0 else share_W

    def _added(self, made: list[Floats], legal: Indices) -> Indices:
        """The numbers of these answers; equal ones are one, and one that was given keeps its number."""
        known = self.answers
        if not made:
            return np.zeros(0, dtype=np.int64)
        share = np.vstack([known.share_U_W[:-1, :-1], *made])
        legal_U = np.concatenate([known.legal_U, legal])
        _, first, same = np.unique(hashed(legal_U, *share.T), return_index=True, return_inverse=True)
        kept = np.sort(first)
        number = np.searchsorted(kept, first[same])
        ones = np.zeros((len(kept), 1))
        self.answers = replace(known, legal_U=legal_U[kept], share_U_W=with_ones(np.hstack([share[kept], ones])))
        return number[len(known.legal_U) :]
