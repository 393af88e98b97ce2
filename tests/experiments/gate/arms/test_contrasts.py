"""Arms and contrasts: pairing, units, exclusions, spend, families; and arms measured on the planted world."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.baselines import control_arms
from experiments.gate.arms.contrasts import (
    MORE_COMPUTE,
    STEERING,
    Group,
    Measured,
    Terms,
    Versus,
    clusters_of,
    contrasts_of,
    contrasts_over,
    further_contrasts,
    measure,
    paired_values,
)
from experiments.gate.arms.workbench import opened, ready_for
from experiments.gate_a_run import GateAConfig
from optimizers.records import TaskScore
from signatures.errors import EvidenceError, WorkerError
from signatures.records import Amounts, Failure, Task
from tests.worlds.planted import CountingWorker

ARMS = {arm.name: arm for arm in control_arms(3, 3, ["rule"], placebo=True)}
REFINE, PLACEBO = "refine@3/rule", "placebo@3"
GONE = Failure(error="WorkerError", message="down", where="worker")
TERMS = Terms(("correct",))
STEER = Versus(REFINE, PLACEBO, STEERING)


def measured(name: str, *repeats: Sequence[float | None], turns: int = 5) -> Measured:
    """An arm with these values by task; None: infrastructure ended it."""
    arm = ARMS[name]
    scores = tuple(
        tuple(
            TaskScore(
                candidate=arm.candidate.digest,
                condition=name,
                task_digest=f"t{n:03}",
                seed=seed,
                split="dev",
                values={"correct": value, "fast": value},
                source="live",
                used=Amounts(attempts=2, turns=turns),
                failure=GONE if value is None else None,
            )
            for n, value in enumerate(values)
        )
        for seed, values in enumerate(repeats)
    )
    return Measured(arm, scores)


def both(refine: Measured, placebo: Measured) -> Mapping[str, Measured]:
    return {one.name: one for one in (refine, placebo)}


def test_repeats_of_a_task_are_no_pairs_of_their_own() -> None:
    arms = both(measured(REFINE, [1, 0, 1], [1, 1, 1]), measured(PLACEBO, [0, 0, 1], [0, 0, 1]))
    (one,) = contrasts_of(arms, [STEER], TERMS)
    assert one.evidence.n == 3
    assert one.evidence.kind == "bounded"
    assert one.evidence.effect == pytest.approx((1 + 0.5 + 0) / 3)


def test_what_infrastructure_took_is_missing_and_no_zero() -> None:
    arms = both(measured(REFINE, [1, None, 1, 1]), measured(PLACEBO, [0, 0, 0, 0]))
    (one,) = contrasts_of(arms, [STEER], TERMS)
    assert (one.evidence.n, one.evidence.missing, one.evidence.effect) == (3, 1, 1.0)
    assert arms[REFINE].excluded.excluded == 1
    assert arms[REFINE].spend.episodes == 3
    assert one.decided is not None
    assert "blocked" not in one.decided.reasons[0]


def test_a_value_that_is_missing_for_no_reason_blocks() -> None:
    refine = measured(REFINE, [1.0] * 30)
    spoilt = refine.scores[0][0].model_copy(update={"values": {"correct": None, "fast": 1.0}})
    arms = both(replace(refine, scores=((spoilt, *refine.scores[0][1:]),)), measured(PLACEBO, [0.0] * 30))
    (one,) = contrasts_of(arms, [STEER], TERMS)
    assert one.decided is not None
    assert one.decided.decision == "hold"
    assert "blocked" in one.decided.reasons[0]


def test_failures_of_one_arm_alone_are_refused() -> None:
    arms = both(measured(REFINE, [None] * 12 + [1.0] * 28), measured(PLACEBO, [0.0] * 40))
    with pytest.raises(EvidenceError, match=r"12 of 40 .* more than chance"):
        contrasts_of(arms, [STEER], TERMS)


def test_an_arm_without_an_episode_is_refused() -> None:
    with pytest.raises(EvidenceError, match="infrastructure ended every episode"):
        _ = measured(REFINE, [None, None]).spend


def test_a_treatment_that_spends_a_fifth_more_is_confounded_and_one_that_spends_less_is_not() -> None:
    good, bad = [1.0] * 60, [0.0] * 60
    (dear,) = contrasts_of(both(measured(REFINE, good, turns=6), measured(PLACEBO, bad)), [STEER], TERMS)
    (cheap,) = contrasts_of(both(measured(REFINE, good, turns=4), measured(PLACEBO, bad)), [STEER], TERMS)
    assert dear.decided is not None
    assert cheap.decided is not None
    assert dear.decided.decision == "confounded"
    assert "turns" in dear.confounded[0]
    assert (cheap.decided.decision, cheap.confounded) == ("promote", ())


def test_unmatched_arms_are_not_called_confounded_and_only_the_primary_objective_is_compared() -> None:
    more = Versus(REFINE, PLACEBO, MORE_COMPUTE, matched=False)
    arms = both(measured(REFINE, [1.0] * 60, turns=9), measured(PLACEBO, [0.0] * 60))
    (one,) = contrasts_of(arms, [more], Terms(("correct", "fast"), margins={"fast": 0.05}))
    assert one.confounded == ()
    assert one.decided is not None
    assert [e.objective for e in one.decided.evidence] == ["correct"]


def test_q_is_corrected_within_a_family_and_not_across() -> None:
    arms = {
        REFINE: measured(REFINE, [1.0] * 14 + [0.0] * 26),
        PLACEBO: measured(PLACEBO, [0.0] * 40),
        "random@3": measured("random@3", [1.0] * 12 + [0.0] * 28),
        "continue@3": measured("continue@3", [0.0] * 40),
    }
    plan = [STEER, Versus(REFINE, "random@3", STEERING), Versus(REFINE, "continue@3", MORE_COMPUTE)]
    first, second, alone = contrasts_of(arms, plan, TERMS)
    assert first.evidence.q == pytest.approx(min(2 * first.evidence.p, second.evidence.p))
    assert alone.evidence.q == alone.evidence.p == first.evidence.p


def test_a_family_is_corrected_over_all_groups_of_arms() -> None:
    good, poor = measured(REFINE, [1.0] * 8 + [0.0] * 4), measured(REFINE, [1.0] * 3 + [0.0] * 9)
    control = measured(PLACEBO, [0.0] * 12)
    groups = [Group({REFINE: one, PLACEBO: control}, [STEER], TERMS) for one in (good, poor)]
    (first,), (second,) = contrasts_over(groups)
    alone = contrasts_of(groups[0].arms, [STEER], TERMS)[0]
    assert first.evidence.p == alone.evidence.p == 0.5**8
    assert alone.evidence.q == alone.evidence.p
    assert first.evidence.q == 2 * first.evidence.p
    assert second.evidence.q == second.evidence.p == 0.125


def test_a_program_against_itself_is_luck() -> None:
    arms = {REFINE: measured(REFINE, [1.0] * 40), "again": measured(REFINE, [0.0] * 40)}
    (one,) = contrasts_of(arms, [Versus(REFINE, "again", STEERING)], TERMS)
    assert one.decided is not None
    assert one.decided.decision == "hold"
    assert "same program" in one.decided.reasons[0]


def test_further_objectives_are_shown_without_a_family() -> None:
    arms = both(measured(REFINE, [1.0] * 20), measured(PLACEBO, [0.0] * 20))
    (one,) = contrasts_of(arms, [STEER], Terms(("correct", "fast"), margins={"fast": 0.05}))
    (fast,) = further_contrasts(one)
    assert (fast.evidence.objective, fast.evidence.q, fast.decided) == ("fast", None, None)


def tasks(n: int) -> list[Task]:
    return [Task(digest=f"t{i:03}", benchmark="b", prompt="") for i in range(n)]


def test_ten_families_are_units_nine_or_overlapping_ones_are_not() -> None:
    ten = {f"t{i:03}": (f"f{i % 10}",) for i in range(20)}
    assert set(clusters_of(ten, tasks(20)).values()) == {f"f{i}" for i in range(10)}
    assert clusters_of({digest: (f"f{i % 9}",) for i, digest in enumerate(ten)}, tasks(20)) == {}
    assert clusters_of({digest: (name, "both") for digest, (name,) in ten.items()}, tasks(20)) == {}


@given(
    values=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30
    ),
    families=st.integers(1, 6),
)
def test_a_cluster_is_one_pair_with_the_mean_of_its_tasks(values: list[tuple[float, float]], families: int) -> None:
    baseline = {f"t{i}": [a] for i, (a, _) in enumerate(values)}
    candidate = {f"t{i}": [b] for i, (_, b) in enumerate(values)}
    clusters = {f"t{i}": f"f{i % families}" for i in range(len(values))}
    found = paired_values(baseline, candidate, "correct", clusters)
    assert sorted(found.tasks) == sorted(set(clusters.values()))
    assert not found.pass_fail
    for name, difference in zip(found.tasks, found.difference_T, strict=True):
        members = [i for i in range(len(values)) if clusters[f"t{i}"] == name]
        expected = sum(values[i][1] - values[i][0] for i in members) / len(members)
        assert difference == pytest.approx(expected)


def gate_config(root: Path, **changed: object) -> GateAConfig:
    given = {"benchmark": "tests.worlds.planted:PlantedBenchmark", "turns": 3, "tasks": 6, "root": str(root)}
    return GateAConfig.model_validate({**given, "tracking": False, **changed})


def test_an_arm_is_measured_once_and_recalled_from_the_journal_after(tmp_path: Path) -> None:
    world = ready_for(gate_config(tmp_path))
    worker = CountingWorker(world.worker)
    world = replace(world, worker=worker)

    def once() -> Measured:
        with opened(world, tmp_path / "run") as parts:
            made = measure(parts, ARMS[PLACEBO], world.splits.dev, seeds=(1, 2), namespace="arms", step=lambda: None)
            return asyncio.run(made)

    first = once()
    calls = len(worker.calls)
    assert calls == first.spend.attempts
    assert once() == first
    assert len(worker.calls) == calls
    assert [len(repeat) for repeat in first.scores] == [6, 6]


def test_what_infrastructure_ended_is_run_again_and_then_left_out(tmp_path: Path) -> None:
    world = ready_for(gate_config(tmp_path))
    lost, shaky = world.splits.dev[0].digest, world.splits.dev[1].digest
    fell: list[str] = []

    def fails(task: Task, call: int) -> Exception | None:
        if task.digest == lost or (task.digest == shaky and shaky not in fell):
            fell.append(task.digest)
            return WorkerError("down")
        return None

    world = replace(world, worker=CountingWorker(world.worker, fails=fails))
    with opened(world, tmp_path / "run") as parts:
        found = asyncio.run(
            measure(parts, ARMS[PLACEBO], world.splits.dev, seeds=(1,), namespace="arms", step=lambda: None)
        )
    assert fell.count(shaky) == 1
    assert (found.excluded.excluded, found.excluded.episodes) == (1, 6)
    assert found.values("correct")[lost] == [None]
    assert found.values("correct")[shaky] != [None]
