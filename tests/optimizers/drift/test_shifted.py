"""Features: no false alarm however often one looks, whatever the numbers; a planted shift is found, early or late."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from scipy.stats import hypergeom

from optimizers.drift.binned import binned_of, codes_of, counts_of
from optimizers.drift.psi import psi
from optimizers.drift.records import FeatureDrift, Limits
from optimizers.drift.shifted import State, bin_p, feature_drifts
from optimizers.episode_log import Floats
from signatures.release import Binned

WORLDS = 40
FEATURES = 10


def sample(rng: np.random.Generator, n: int, shift: float = 0.0) -> Floats:
    """Ten features of n tasks, dependent on each other; the first is shifted."""
    common = rng.normal(size=n)
    flags = [rng.random(n) < p for p in (0.5 + shift, 0.3, 0.1, 0.03, 0.9)]
    counts = [rng.poisson(mean, size=n) for mean in (0.3, 1.0, 3.0)]
    return np.column_stack([*flags, *counts, common, 0.5 * common + rng.normal(size=n)]).astype(np.float64)


def states(rows: Floats, *, each: int = 1, named: bool = True) -> list[State]:
    """Every row `each` times, one after another: as one task, or as if they were tasks of their own."""
    repeated = [(n, row) for n, row in enumerate(rows) for _ in range(each)]
    return [
        State(f"t{task if named else place}", {f"f{i}": float(v) for i, v in enumerate(row)})
        for place, (task, row) in enumerate(repeated)
    ]


def reference(rows: Floats) -> dict[str, Binned]:
    return {f"f{i}": binned_of(rows[:, i].tolist()) for i in range(rows.shape[1])}


def alarms(found: Sequence[FeatureDrift]) -> list[str]:
    return [one.feature for one in found if one.alarm]


@cache
def rates(tasks: int, each: int = 1, named: bool = True, worlds: int = WORLDS) -> tuple[float, float]:
    """Of worlds without drift: the share with an alarm at any look, and with a plain index above .1 at any of them."""
    alarmed = plain = 0
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        learned, served = sample(rng, tasks), sample(rng, 256 // each)
        given = reference(learned)
        arrived = states(served, each=each, named=named)
        alarmed += bool(alarms(feature_drifts(given, arrived)))  # an alarm stays, so the last look has all of them
        plain += any(
            psi(counts_of(one), np.bincount(codes_of(one.edges, values), minlength=len(one.edges) + 2)) > 0.1
            for name, one in given.items()
            for end in (32, 64, 128)
            if (values := [state.features[name] for state in arrived[:end]])
        )
    return alarmed / worlds, plain / worlds


@pytest.mark.parametrize("tasks", [12, 100])
def test_false_alarms_are_rarer_than_alpha_where_a_plain_index_cries_wolf(tasks: int) -> None:
    ours, plain = rates(tasks)
    assert ours <= Limits().alpha / 2
    assert plain > 0.9


def test_a_task_that_is_sent_again_and_again_is_one_task() -> None:
    assert rates(100, each=8, worlds=20)[0] <= Limits().alpha / 2
    assert rates(100, each=8, named=False, worlds=20)[0] > 0.5


@pytest.mark.parametrize("late", [0, 256])
def test_a_planted_shift_is_found_early_and_late(late: int) -> None:
    found = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        given = reference(sample(rng, 300))
        served = np.vstack([sample(rng, late), sample(rng, 256, shift=0.4)])
        drifts = feature_drifts(given, states(served))
        assert alarms(drifts) in ([], ["f0"])
        found += "f0" in alarms(drifts)
        before = feature_drifts(given, states(served[:late]))
        assert alarms(before) == []
    assert found >= 9


def test_an_alarm_stays_whatever_comes_after() -> None:
    rng = np.random.default_rng(4)
    given = reference(sample(rng, 300))
    served = states(np.vstack([sample(rng, 96, shift=0.5), sample(rng, 400)]))
    assert alarms(feature_drifts(given, served[:96])) == ["f0"]
    ends = [alarms(feature_drifts(given, served[:n])) for n in range(96, 496, 57)]
    assert all(end == ["f0"] for end in ends)


def test_a_shift_too_small_to_matter_is_no_alarm_however_sure() -> None:
    rng = np.random.default_rng(5)
    given = {"f0": binned_of((rng.random(6000) < 0.5).astype(float).tolist())}
    served = [State(f"t{n}", {"f0": float(rng.random() < 0.6)}) for n in range(4096)]
    (found,) = feature_drifts(given, served)
    assert found.p < 1e-6
    assert not found.alarm
    assert feature_drifts(given, served, Limits(least_psi=0.01))[0].alarm


def test_a_feature_that_is_no_longer_observed_and_a_new_value_are_drift() -> None:
    given = {"gone": binned_of([0.0, 1.0] * 40), "constant": binned_of([0.0] * 80)}
    served = [State(f"t{n}", {"constant": 0.4}) for n in range(64)]
    assert alarms(feature_drifts(given, served)) == ["gone", "constant"]


def test_nothing_to_compare_is_no_alarm() -> None:
    given = {"f": binned_of([1.0, 2.0])}
    (nothing,) = feature_drifts(given, [])
    assert (nothing.n, nothing.psi, nothing.p, nothing.window, nothing.alarm) == (0, None, 1.0, None, False)
    (few,) = feature_drifts(given, [State("t", {"f": 9.0})] * 40)
    assert (few.n, few.alarm) == (1, False)
    assert feature_drifts({"f": binned_of([])}, [State("t", {})] * 40)[0].alarm is False


def test_the_p_of_a_bin_is_the_exact_one() -> None:
    learned, served = np.array([40, 10, 0]), np.array([5, 15, 0])
    found = bin_p(learned, served)
    law = hypergeom(70, 25, 20)
    assert found[1] == pytest.approx(2 * law.sf(14))
    assert found[2] == 1.0
    assert bin_p(learned, np.array([[5, 15, 0], [16, 4, 0]])).shape == (2, 3)


def of_kinds(rng: np.random.Generator, kinds: Floats, n: int, row: int) -> Floats:
    """Tasks of kinds, `row` of a kind after another: nothing drifts but the order."""
    drawn = np.repeat(rng.integers(len(kinds), size=-(-n // row)), row)[:n]
    return np.where(rng.random((n, kinds.shape[1])) < 0.25, sample(rng, n), kinds[drawn])


def test_rows_of_one_kind_look_like_drift_unless_one_of_a_row_counts() -> None:
    """The states of a row are no draws of their own. Whoever knows how long the rows are says so."""
    found = dict.fromkeys((1, 8), 0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kinds = sample(rng, 40)
        given, arrived = reference(of_kinds(rng, kinds, 100, 1)), states(of_kinds(rng, kinds, 512, 8))
        for every in found:
            found[every] += bool(alarms(feature_drifts(given, arrived, Limits(every=every))))
    assert found[1] > 5 and found[8] == 0


def test_with_one_of_several_counted_windows_are_told_in_episodes() -> None:
    rng = np.random.default_rng(4)
    given, arrived = reference(sample(rng, 500)), states(np.vstack([sample(rng, 256), sample(rng, 256, 0.45)]))
    one = feature_drifts(given, arrived, Limits(every=2))[0]
    assert one.alarm and one.n == 256
    assert one.window is not None and one.window[0] > 192 and one.window[1] % 64 == 0
