"""mini-swe-agent trajectories: commands become calls, and the end of a run its outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from signatures.errors import UsageError

STEP = {"role": "assistant", "content": "I look.\n\n```mswea_bash_command\nls /x\n```"}
BACK = {"role": "user", "content": "<returncode>2</returncode>\n<output>no such file</output>"}
TASK = {"role": "user", "content": "mend it"}
SYSTEM = {"role": "system", "content": "be terse"}


def test_a_real_run(read, data: Path) -> None:
    (found,) = read("mini", data / "mini-swe-agent_local.traj.json")
    (attempt,) = found.rollouts
    assert found.prompt.startswith("Please solve this issue")
    assert [(e.turn, e.kind, e.name, e.arguments) for e in attempt.trace if e.turn] == [
        (1, "message", "assistant", ""),
        (1, "tool", "bash", '{"command":"echo \'hello world\'"}'),
        (2, "message", "assistant", ""),
        (2, "tool", "bash", '{"command":"echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"}'),
    ]
    assert "hello world" in attempt.trace[2].text
    assert (attempt.scores, attempt.cost.usd, attempt.outcome) == ((), None, "ok")


def test_an_object_says_more(read, written) -> None:
    usage = {"response": {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}}
    run = {
        "messages": [SYSTEM, TASK, {**STEP, "extra": usage}, BACK, {**STEP, "extra": usage}],
        "info": {
            "exit_status": "LimitsExceeded",
            "submission": "a patch",
            "model_stats": {"instance_cost": 0.5, "api_calls": 2},
            "config": {"model": {"model_name": "m"}},
        },
        "instance_id": "repo__1",
    }
    (found,) = read("mini", written(run, "a.traj.json"))
    (attempt,) = found.rollouts
    assert (found.key, found.worker.model, attempt.outcome, attempt.output) == ("repo__1", "m", "timeout", "a patch")
    assert (attempt.cost.tokens_in, attempt.cost.tokens_out, attempt.cost.usd) == (10, 4, 0.5)
    assert [event.failed for event in attempt.trace if event.kind == "tool"] == [True, False]


def test_what_states_no_task_is_refused(read, written) -> None:
    with pytest.raises(UsageError, match="no message of the user states the task"):
        read("mini", written([SYSTEM, STEP]))
    with pytest.raises(UsageError, match=r"a.traj.json: messages\[0\]\.role: Field required"):
        read("mini", written([{"content": "x"}], "a.traj.json"))
