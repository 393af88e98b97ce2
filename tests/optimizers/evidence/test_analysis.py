"""Findings of moves and attempts: the planted rule is found, ids are stable, and nothing is said of too little."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.baselines import seed_candidate
from optimizers.evaluator import Request
from optimizers.evidence.analysis import ENOUGH, EVIDENCE, GRID, analyse, distinct_masks
from optimizers.evidence.comparing import LEAST_ROWS
from optimizers.evidence.episodes_told import Choice, EpisodeTold
from optimizers.evidence.findings import AnalysisFinding, finding_id
from optimizers.evidence.gathered import gather
from optimizers.evidence.reflection import Reflection
from signatures.records import PolicyName, TraceEvent
from tests.worlds.lab import ACTIONS, Lab
from tests.worlds.planted import LIT_GROUPS, PlantedJudge
from tests.worlds.recorded import Node, seen_of

STEER: dict[PolicyName, tuple[str, ...]] = {"steer": ("none", "fan", "pump")}


def move(action: str, gain: float, *, policy: PolicyName = "steer", attempt: str = "", **features: float) -> Reflection:
    named = {name.replace("_", "."): value for name, value in features.items()}
    return Reflection(policy=policy, features=named, action=action, gain=gain, turns=3, attempt=attempt)


def planted(n: int = 120, seed: int = 1) -> list[Reflection]:
    """`fan` helps while its lamp is lit, and harms where it is not."""
    rng = random.Random(seed)
    rows = []
    for number in range(n):
        lit, action = float(number % 2), ("none", "fan", "pump")[number % 3]
        gain = (0.4 if lit else -0.3) if action == "fan" else 0.05
        noisy = gain + rng.uniform(-0.05, 0.05)
        rows.append(move(action, noisy, attempt=f"a{number}", lit_fan=lit, errors=float(rng.randint(0, 3))))
    return rows


def found(moves: Sequence[Reflection], **more: object) -> tuple[AnalysisFinding, ...]:
    return analyse(moves, benchmark="planted", actions=STEER, **more)  # type: ignore[arg-type]


def keys(findings: Sequence[AnalysisFinding]) -> list[tuple[str, str, str]]:
    return [(one.id, one.kind, one.subject) for one in findings]


def test_what_helps_somewhere_is_a_finding_with_its_rule_its_numbers_and_its_attempts() -> None:
    rows = planted()
    (first,) = [one for one in found(rows) if one.subject == "steer fan where lit.fan > 0.5"]
    assert (first.kind, first.severity) == ("action helped", "high")
    assert first.id == finding_id("planted", "action helped", first.subject)
    assert first.rule is not None and (first.rule.policy, first.rule.action) == ("steer", "fan")
    assert [(c.feature, c.op, c.value) for c in first.rule.when] == [("lit.fan", ">", 0.5)]
    mine = [row for row in rows if row.action == "fan" and row.features["lit.fan"]]
    assert (first.shown, first.of) == (len(mine), 60)
    assert f"{sum(row.gain for row in mine) / len(mine):+.3f} over {len(mine)} moves" in first.said
    named = {attempt for one in first.evidence for attempt in one.attempts}
    assert named <= {row.attempt for row in mine} and len(first.evidence) == EVIDENCE
    (harm,) = [one for one in found(rows) if one.subject == "steer fan where lit.fan <= 0.5"]
    assert harm.kind == "action harmed" and harm.rule is None


async def test_the_planted_rules_are_found_in_recorded_trees(lab: Lab) -> None:
    lab.judge = PlantedJudge(canary="CANARY")
    replay = await lab.replay(lab.benchmark.tasks("search")[:40])
    moves = [one for digest in replay.trees for one in replay.moves(digest)]
    histories = {digest: tree.history for digest, tree in replay.trees.items()}
    told = analyse(moves, benchmark="planted", actions=ACTIONS, histories=histories)
    assert "CANARY" not in "".join(one.model_dump_json() for one in told)
    subjects = {one.subject: one for one in told}
    for group in LIT_GROUPS:
        assert subjects[f"steer {group} where planted.lit.{group} > 0.5"].kind == "action helped"
    failed = subjects["work"]
    assert failed.kind in ("tool failed", "call repeated") and failed.evidence[0].episode in replay.trees


ROWS = st.lists(
    st.builds(
        lambda action, gain, a, b, n: move(action, gain, attempt=f"m{n}", a=a, b=b),
        st.sampled_from(STEER["steer"]),
        st.sampled_from([-0.5, -0.25, 0.0, 0.1, 0.3, 0.5]),
        st.sampled_from([0.0, 1.0, 2.0]),
        st.sampled_from([0.0, 0.3, 0.6]),
        st.integers(0, 10**6),
    ),
    max_size=150,
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 2**32))
def test_neither_the_order_nor_reading_twice_changes_a_finding(rows: list[Reflection], seed: int) -> None:
    rows = list({row.attempt: row for row in rows}.values())
    shuffled = [*rows, *rows[: len(rows) // 2]]
    random.Random(seed).shuffle(shuffled)
    assert found(shuffled) == found(rows)


def test_the_id_is_the_same_in_another_run_with_other_numbers_and_in_another_process() -> None:
    one, other = found(planted(120, 1)), found(planted(240, 2))
    assert {key for key in keys(one) if "lit.fan" in key[2]} == {key for key in keys(other) if "lit.fan" in key[2]}
    assert {f.basis for f in one}.isdisjoint(f.basis for f in other)
    code = "from optimizers.evidence.findings import *; print(finding_id('planted', 'action helped', 'steer fan'))"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert again.stdout.strip() == finding_id("planted", "action helped", "steer fan")


@pytest.mark.parametrize(
    "rows",
    [
        [],
        planted(LEAST_ROWS),
        [move("none", 0.1, lit_fan=float(n % 2)) for n in range(10)],
        [move(("none", "fan", "pump")[n % 3], 0.1 * (n % 2), lit_fan=float(n % 4 > 1)) for n in range(120)],
    ],
    ids=["nothing", "too few", "few of one action", "no difference"],
)
def test_of_too_little_nothing_is_said(rows: list[Reflection]) -> None:
    assert found(rows) == ()


def test_an_action_that_was_never_drawn_is_said_and_where() -> None:
    never = [move(("none", "fan")[n % 2], 0.1, a=float(n % 2)) for n in range(ENOUGH)]
    (one,) = found(never)
    assert (one.kind, one.subject, one.severity, one.shown, one.of) == ("never tried", "steer pump", "low", 0, ENOUGH)
    there = [
        move(("none", "fan", "pump")[n % 3], 0.1, untried_pump=float(n % 3 < 2), untried_fan=1.0) for n in range(60)
    ]
    assert [one.subject for one in found(there)] == ["steer pump where untried.pump > 0.5"]


def test_where_going_on_is_no_use_a_rule_to_stop_is_recommended() -> None:
    rows = [
        move("continue", 0.0 if n % 3 == 2 else 0.2, policy="stop", attempt=f"a{n}", stalled=float(n % 3))
        for n in range(90)
    ]
    (one,) = analyse(rows, benchmark="planted", actions={"stop": ("continue", "done")})
    assert (one.kind, one.subject) == ("going on is no use", "stop done where stalled > 1.5")
    assert one.rule is not None and one.rule.action == "done" and "saves 3.0 turns" in one.advice
    assert analyse(rows[:12], benchmark="planted", actions={"stop": ("continue", "done")}) == ()


def test_tools_that_fail_calls_that_repeat_and_steers_that_harm_are_counted_by_task() -> None:
    failed = TraceEvent(turn=0, kind="tool", name="look", text="no", failed=True)
    histories = {
        f"t{n}": [
            seen_of(Node(f"{n}a", correct=0.5, trace=(failed,) * 3), 0),
            seen_of(Node(f"{n}b", correct=0.0, parent=f"{n}a", action="fan"), 1),
        ][: 1 + (n == 0)]
        for n in range(4)
    }
    by_kind = {one.kind: one for one in found([], histories=histories)}
    assert set(by_kind) == {"tool failed", "call repeated", "steer harmed"}
    assert (by_kind["tool failed"].shown, by_kind["tool failed"].of) == (4, 4)
    harmed = by_kind["steer harmed"]
    assert (harmed.subject, harmed.shown, harmed.evidence[0].episode) == ("fan", 1, "t0")
    assert harmed.evidence[0].attempts == ("0b",)


def test_stopping_while_the_checker_fails_is_seen_in_what_was_decided() -> None:
    stop = Choice("stop", 1, {"best_passed": 0.0, "attempts_left": 2.0}, ("continue", "done"), "done", tier="rule")
    episodes = [
        EpisodeTold(f"t{n}", "walk", (seen_of(Node(f"a{n}", correct=0.5), 0),), (stop,) if n else ()) for n in range(4)
    ]
    by_kind = {one.kind: one for one in found([], episodes=episodes)}
    assert (by_kind["stopped early"].shown, by_kind["stopped early"].of) == (3, 4)
    assert by_kind["not passed"].subject == "correct" and by_kind["not passed"].shown == 4


async def test_it_reads_what_proposers_are_handed(lab: Lab) -> None:
    tasks = lab.benchmark.tasks("search")[:4]
    trees = await lab.replay(tasks)
    scored = await lab.evaluator().evaluate(Request(seed_candidate(), tasks, seed=2, keep_rollouts=True))
    told = await gather(seed_candidate(), scored, lab.setup(), tasks={t.digest: t for t in tasks}, trees=trees, seed=7)
    findings = analyse(told.moves, benchmark="planted", actions=ACTIONS, episodes=told.episodes)
    assert findings and {one.benchmark for one in findings} == {"planted"}


@given(rows=ROWS)
@settings(max_examples=30, deadline=None)
def test_every_division_of_the_moves_by_a_feature_is_looked_at_once_on_the_grid(rows: list[Reflection]) -> None:
    masks = distinct_masks(rows)
    told = [(when[0].feature if when else "", mask.tobytes()) for when, mask in masks]
    assert len(set(told)) == len(told)
    assert all(condition.value in GRID for when, _ in masks for condition in when)
