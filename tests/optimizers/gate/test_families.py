from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from optimizers.gate.evidence import evidence_of
from optimizers.gate.exact import sign_p
from optimizers.gate.families import q_values, with_q
from optimizers.gate.paired import pairs_of
from signatures.errors import UsageError

LEVELS = st.dictionaries(st.integers(0, 99), st.floats(0, 1), min_size=1, max_size=20)


def test_two_contrasts_of_which_neither_is_significant() -> None:
    q = q_values({"refine - random": 0.25, "refine - placebo": 0.032})
    assert q == pytest.approx({"refine - random": 0.25, "refine - placebo": 0.064})
    assert min(q.values()) > 0.05


@given(LEVELS)
def test_q_agrees_with_statsmodels_keeps_the_order_and_is_at_least_p(levels: dict[int, float]) -> None:
    q = q_values(levels)
    expected = multipletests(list(levels.values()), method="fdr_bh")[1]
    assert list(q.values()) == pytest.approx(list(expected))
    assert all(q[name] >= p or q[name] == pytest.approx(p) for name, p in levels.items())
    ranked = [q[name] for name in sorted(levels, key=levels.__getitem__)]
    assert all(first <= second + 1e-12 for first, second in pairwise(ranked))


def test_a_family_of_none_has_no_q_and_a_level_that_is_none_is_refused() -> None:
    assert q_values({}) == {}
    with pytest.raises(UsageError, match="refine"):
        q_values({"refine": float("nan")})


def test_the_false_discovery_rate_holds_over_families_with_mixed_nulls() -> None:
    """1,000 families of 6 contrasts, of which 0 to 5 are real, by exact tests of 60 discordant pairs each."""
    rng, rates = np.random.default_rng(0), []
    found = 0
    for family in range(1_000):
        real = family % 6
        wins = rng.binomial(60, [0.75] * real + [0.5] * (6 - real))
        q = q_values({place: sign_p(int(won), 60 - int(won)) for place, won in enumerate(wins)})
        discoveries = [place for place, value in q.items() if value <= 0.05]
        rates.append(sum(place >= real for place in discoveries) / max(1, len(discoveries)))
        found += sum(place < real for place in discoveries)
    assert np.mean(rates) <= 0.05 + 3 * np.std(rates) / np.sqrt(len(rates))
    assert found > 2_000


def test_evidence_is_told_its_q() -> None:
    def won(wins: int) -> dict[str, list[float | None]]:
        return {f"task {place}": [float(place < wins)] for place in range(20)}

    nothing = won(0)
    family = {wins: evidence_of(pairs_of("correct", nothing, won(wins))) for wins in (0, 6, 12)}
    told = with_q(family)
    assert told[6].q == pytest.approx(1.5 * family[6].p)
    assert [told[wins].p for wins in told] == [family[wins].p for wins in family]
