from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from controllers.served import Due, NextMove, Reported
from experiments.serve.bodies import TRACE_EVENTS, AttemptGiven, MoveTold, NewEpisode, Recorded
from signatures.records import AttemptContext, AttemptResult, CheckerResult, Failure, Steer

ID = "0123456789abcdef01234567"
TASK = {"prompt": "Mend it."}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"task": {"prompt": ""}},
        {"task": {"prompt": "x" * 200_001}},
        {"task": {"prompt": "x", "path": "/etc/passwd"}},
        {"task": {"prompt": "x", "id": "x" * 301}},
        {"task": TASK, "key": "../up"},
        {"task": TASK, "key": ""},
        {"task": TASK, "lm": "openai/gpt"},
        {"task": TASK, "worker": {"name": "w", "params": {str(n): "v" for n in range(101)}}},
    ],
)
def test_a_new_episode_holds_a_task_and_little_else(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewEpisode.model_validate_json(json.dumps(body))


@pytest.mark.parametrize(
    "changed",
    [
        {"attempt_id": "../../etc/passwd"},
        {"attempt_id": ID + "0"},
        {"outcome": "infra_error"},
        {"cost": {"turns": -1}},
        {"cost": {"usd": 1e300}},
        {"cost": {"turns": 10**30}},
        {"trace": [{"turn": 0, "kind": "message"}] * (TRACE_EVENTS + 1)},
        {"trace": [{"turn": 0, "kind": "verdict"}]},
        {"checks": {"correct": {"value": 1e13}}},
        {"verdict": 1.0},
        {"state": 3},
        {"failure": ""},
    ],
)
def test_an_attempt_keeps_to_its_limits(changed: dict[str, Any]) -> None:
    AttemptGiven.model_validate_json(json.dumps({"attempt_id": ID}))
    with pytest.raises(ValidationError):
        AttemptGiven.model_validate_json(json.dumps({"attempt_id": ID, **changed}))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_no_number_is_without_value(number: str) -> None:
    with pytest.raises(ValidationError):
        AttemptGiven.model_validate_json(f'{{"attempt_id": "{ID}", "cost": {{"usd": {number}}}}}')


def test_an_attempt_becomes_a_record_and_a_failure_becomes_one_of_the_client() -> None:
    body = {"attempt_id": ID, "output": "o", "trace": [{"turn": 2, "kind": "tool", "name": "n"}], "cost": {"turns": 3}}
    came = AttemptGiven.model_validate(body).came()
    assert isinstance(came, AttemptResult)
    assert (came.output, came.trace[0].turn, came.cost.turns, came.cost.usd) == ("o", 2, 3, None)
    failed = AttemptGiven.model_validate({"attempt_id": ID, "failure": "no disk"}).came()
    assert failed == Failure(error="WorkerError", message="no disk", where="client")


def test_a_move_says_what_to_do_and_its_end_what_was_kept() -> None:
    context = AttemptContext(attempt_id=ID, steer=Steer(kind="fixed", action="fan", text="Go."), seed=7, turns_limit=3)
    due = Due(context=context, index=1, parent_id="p", start="s")
    told = MoveTold.of(NextMove(episode_id="e", round=1, due=(due,)))
    assert (told.done, told.attempts[0].start_state, told.attempts[0].steer.text) == (False, "s", "Go.")
    end = MoveTold.of(NextMove(episode_id="e", round=2, selected_id="a", output="out"))
    assert (end.done, end.attempts, end.selected and end.selected.output) == (True, [], "out")
    gone = MoveTold.of(NextMove(episode_id="e", round=2, failure=Failure(error="E", message="gone", where="w")))
    assert (gone.done, gone.selected, gone.failure) == (True, None, "gone")


def test_a_report_is_answered_with_its_checks_by_objective() -> None:
    check = CheckerResult(objective="correct", value=0.5, unit="share", passed=False, detail="half")
    told = Recorded.of(Reported(attempt_id=ID, checks=(check,), waiting=("b",)))
    assert told.checks["correct"].value == 0.5
    assert told.waiting == ["b"]
