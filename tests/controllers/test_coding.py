"""What attempts at code show, and what directives make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers import coding
from controllers.history import Seen
from signatures.errors import UsageError
from signatures.records import Attempt, CheckerResult, Steer, TraceEvent, WorkerFingerprint

ACTIONS = [directive.action for directive in coding.DIRECTIVES]
WRONG = """1 of 3 tests passed
test_a: AssertionError: f(1) gave 2, expected 3
test_b: AssertionError: f(2) gave 2, expected 4"""
BROKEN = "0 of 2 tests passed\ntest_a: not run\ntest_b: not run\nSyntaxError: invalid syntax"
RAISED = "0 of 1 tests passed\ntest_a: IndexError: list index out of range"
ENDLESS = "0 of 1 tests passed\ntest_a: not run\nstopped by the limit on wall"
GOOD = "3 of 3 tests passed"


def seen(
    detail: str | None, *, id: str = "a", parent: str | None = None, action: str = "none", said: str = "```\nx = 1\n```"
) -> Seen:
    passed = detail == GOOD
    checks = (
        ()
        if detail is None
        else (CheckerResult(objective="correct", value=float(passed), unit="share", passed=passed, detail=detail),)
    )
    attempt = Attempt(
        id=id,
        episode_id="e",
        round=0,
        index=0,
        parent_id=parent,
        task_digest="t",
        benchmark="code",
        worker=WorkerFingerprint(name="w"),
        steer=Steer(action=action),
        checks=checks,
        outcome="ok",
    )
    return Seen(attempt, (TraceEvent(turn=0, kind="message", name="assistant", text=said),))


def test_the_table_is_closed_and_short() -> None:
    assert ACTIONS == ["examples", "error", "trace", "edges", "rewrite"]
    lengths = [len(directive.text) for directive in coding.DIRECTIVES]
    assert max(lengths) < 1.5 * min(lengths), "a placebo has the length of what it stands for"
    with pytest.raises(UsageError, match="'look'"):
        coding.directive_text("look", ())


def test_wrong_values_are_named_with_what_was_expected() -> None:
    text = coding.directive_text("examples", [seen(WRONG)])
    assert "- f(1) gave 2, expected 3\n- f(2) gave 2, expected 4\n" in text and text.endswith(coding.WHOLE)
    assert "f(1) gave 2, expected 3" in coding.directive_text("trace", [seen(WRONG)])


@pytest.mark.parametrize(
    ("detail", "quoted"),
    [(BROKEN, "SyntaxError: invalid syntax"), (RAISED, "IndexError: list index"), (ENDLESS, "the limit on wall")],
)
def test_an_error_is_quoted(detail: str, quoted: str) -> None:
    assert quoted in coding.directive_text("error", [seen(detail)])


def test_only_the_last_attempt_is_spoken_of() -> None:
    history = [seen(WRONG), seen(RAISED, id="b", parent="a")]
    assert "f(1)" not in coding.directive_text("examples", history)
    assert "IndexError" in coding.directive_text("error", history)


@pytest.mark.parametrize("history", [(), (seen(None),), (seen(GOOD),)])
def test_with_nothing_to_point_at_the_text_is_fixed(history: tuple[Seen, ...]) -> None:
    fixed = {directive.action: directive.text for directive in coding.DIRECTIVES}
    assert {action: coding.directive_text(action, history) for action in ACTIONS} == fixed


def test_untried_is_what_can_be_pointed_at_and_was_not_said() -> None:
    assert coding.untried(()) == dict.fromkeys(ACTIONS, False)
    assert [a for a, u in coding.untried([seen(WRONG)]).items() if u] == ["examples", "trace", "edges", "rewrite"]
    assert [a for a, u in coding.untried([seen(BROKEN)]).items() if u] == ["error", "edges", "rewrite"]
    assert [a for a, u in coding.untried([seen(GOOD)]).items() if u] == ["edges"]
    told = [seen(WRONG), seen(WRONG, id="b", parent="a", action="examples")]
    assert [a for a, u in coding.untried(told).items() if u] == ["trace", "edges", "rewrite"]
    beside = [seen(WRONG, action="examples"), seen(WRONG, id="b")]
    assert coding.untried(beside)["examples"], "what another lineage was told does not count"


def test_features_say_what_the_attempt_shows() -> None:
    assert coding.features((), "code") == {}
    wrong = coding.features([seen(WRONG)], "code")
    assert (wrong["code.tests"], wrong["code.failing_tests"], wrong["code.wrong_values"]) == (3.0, 2.0, 2.0)
    kinds = {
        detail: {n for n, v in coding.features([seen(detail)], "code").items() if ".error." in n and v}
        for detail in (BROKEN, RAISED, WRONG)
    }
    assert kinds == {BROKEN: {"code.error.syntax"}, RAISED: {"code.error.lookup"}, WRONG: set()}
    assert coding.features([seen(ENDLESS)], "code")["code.stopped"] == 1.0
    assert coding.features([seen(GOOD, said="No.")], "code")["code.no_code"] == 1.0


def test_code_that_did_not_change_is_seen() -> None:
    same = [seen(WRONG), seen(WRONG, id="b", parent="a", said="Better:\n```python\nx = 1\n```")]
    other = [seen(WRONG), seen(WRONG, id="b", parent="a", said="```python\nx = 2\n```")]
    assert [coding.features(history, "c")["c.unchanged"] for history in (same, other)] == [1.0, 0.0]


@given(st.text(max_size=2000), st.sampled_from(ACTIONS))
def test_whatever_the_record_holds_a_text_is_short(noise: str, action: str) -> None:
    details = "\n".join(f"test_{n}: AssertionError: {noise}" for n in range(9))
    history = [seen(f"0 of 9 tests passed\n{details}\nNameError: {noise}")]
    text = coding.directive_text(action, history)
    assert 0 < len(text) <= 1200
    assert all(value == value for value in coding.features(history, "c").values())
    assert set(coding.untried(history)) == set(ACTIONS)
