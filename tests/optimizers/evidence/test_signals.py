"""Signals of one episode: what was planted in its checks, traces and decisions is found, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controllers.history import Seen
from controllers.redaction import redacted
from optimizers.evidence.signals import MEANING, REPEATS, Signal, plain, signals_of
from signatures.records import (
    Amounts,
    Attempt,
    CheckerResult,
    Decision,
    Episode,
    Failure,
    Steer,
    TraceEvent,
    WorkerFingerprint,
)

WORKER = WorkerFingerprint(name="w")
DOWN = Failure(error="WorkerError", message="down", where="worker")


def attempt(
    id: str,
    value: float = 1.0,
    *,
    parent: str | None = None,
    action: str = "none",
    trace: tuple[TraceEvent, ...] = (),
    outcome: str = "ok",
) -> Seen:
    check = CheckerResult(objective="correct", value=value, unit="share", passed=value >= 1)
    given = {
        "id": id,
        "episode_id": "e",
        "round": 0,
        "index": 0,
        "parent_id": parent,
        "task_digest": "t",
        "benchmark": "planted",
        "worker": WORKER,
        "steer": Steer(kind="fixed", action=action),
        "checks": (check,),
        "outcome": outcome,
        "failure": DOWN if outcome == "infra_error" else None,
    }
    return Seen(Attempt.model_validate(given), trace)


def call(name: str, arguments: str = "{}", *, text: str = "", failed: bool = False) -> TraceEvent:
    return TraceEvent(turn=0, kind="tool", name=name, arguments=arguments, text=text, failed=failed)


def stop(action: str, **features: float) -> Decision:
    return Decision(
        id=f"d{action}",
        episode_id="e",
        step=0,
        policy="stop",
        features=features,
        legal=("continue", "done"),
        probabilities={action: 1.0},
        action=action,
        propensity=1.0,
        draw_seed=0,
        tier="rule",
        policy_digest="p",
    )


def signals(*history: Seen, decisions: tuple[Decision, ...] = (), failure: Failure | None = None) -> list[Signal]:
    episode = Episode(
        id="e",
        condition="production",
        seed=0,
        split="production",
        benchmark="planted",
        task_digest="t",
        worker=WORKER,
        decision_ids=tuple(one.id for one in decisions),
        attempt_ids=tuple(seen.attempt.id for seen in history),
        selected_id=history[-1].attempt.id if history else None,
        granted=Amounts(attempts=3),
        spent=Amounts(attempts=len(history)),
        failure=failure,
    )
    return signals_of(episode, history, decisions)


def test_an_episode_that_went_well_shows_nothing() -> None:
    done = stop("done", best_passed=1.0, attempts_left=2.0)
    assert signals(attempt("a", trace=(call("look"),)), decisions=(done,)) == []


def test_a_checker_that_did_not_pass_what_was_selected() -> None:
    assert signals(attempt("a", 0.2), attempt("b", 0.4)) == [Signal("not passed", "correct", ("b",))]
    assert signals(attempt("a", 0.2), attempt("b", 1.0)) == []


def test_stopping_with_attempts_left_and_nothing_passed() -> None:
    early = stop("done", best_passed=0.0, attempts_left=1.0)
    spent = stop("done", best_passed=0.0, attempts_left=0.0)
    assert signals(attempt("a"), decisions=(early,)) == [Signal("stopped early", "rule")]
    assert signals(attempt("a"), decisions=(spent,)) == []


def test_going_on_after_it_had_passed() -> None:
    assert signals(attempt("a"), decisions=(stop("continue", best_passed=1.0),)) == [Signal("went on", "rule")]
    assert signals(attempt("a"), decisions=(stop("continue", best_passed=0.0),)) == []
    assert signals(attempt("a"), decisions=(stop("continue"),)) == []


def test_a_steer_after_which_the_attempt_was_worse_than_its_parent() -> None:
    parent = attempt("a", 0.8)
    assert signals(parent, attempt("b", 1.0, parent="a", action="fan")) == []
    worse = signals(parent, attempt("b", 0.2, parent="a", action="fan"), attempt("c"))
    assert worse == [Signal("steer harmed", "fan", ("b",))]


def test_infrastructure_is_said_of_attempts_and_of_the_episode_and_harms_no_steer() -> None:
    broken = attempt("b", 0.0, parent="a", action="fan", outcome="infra_error")
    found = signals(attempt("a", 0.8), broken, attempt("c"), failure=DOWN)
    assert found == [Signal("infrastructure", "WorkerError", ("b",))]
    assert signals(failure=DOWN) == [Signal("infrastructure", "WorkerError")]


def test_what_happened_inside_an_attempt() -> None:
    trace = (*[call("reset", '{"a": 1}')] * REPEATS, call("look", failed=True), call("look", failed=True))
    assert signals(attempt("a", trace=trace, outcome="timeout")) == [
        Signal("odd outcome", "timeout", ("a",)),
        Signal("tool failed", "look", ("a",)),
        Signal("call repeated", "reset", ("a",)),
    ]
    assert signals(attempt("a", trace=trace[1:REPEATS])) == []
    assert signals(attempt("a", trace=tuple(call("look", text=str(n)) for n in range(REPEATS)))) == []


def test_of_one_kind_and_subject_an_episode_shows_one_signal_with_all_its_attempts() -> None:
    failed = (call("look", failed=True),)
    found = signals(attempt("a", trace=failed), attempt("b", trace=failed))
    assert found == [Signal("tool failed", "look", ("a", "b"))]


def test_every_kind_says_what_it_means_and_what_to_do() -> None:
    for meaning in MEANING.values():
        said, advice = meaning.said.format(subject="X"), meaning.advice.format(subject="X")
        assert "X" in said
        assert advice and "{" not in said + advice


@given(text=st.text())
def test_what_a_worker_calls_its_tools_steers_no_terminal_and_no_page(text: str) -> None:
    line = plain(text, 40)
    assert line.isprintable() and 0 < len(line) <= 40
    assert not set(line) & set("`<>|\n\x1b")
    found = signals(attempt("a", trace=(call(text, failed=True),)))
    assert [one.subject for one in found] == [plain(redacted(text), 80)]


def test_a_secret_in_the_name_of_a_tool_is_in_no_finding() -> None:
    (found,) = signals(
        attempt("a", trace=(call("curl --header 'Authorization: Bearer abcdef123456789'", failed=True),))
    )
    assert "[redacted]" in found.subject and "123456789" not in found.subject
