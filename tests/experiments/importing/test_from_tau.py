"""tau-bench and tau2 files: the published figures, what is read, and what is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from experiments.corpus.passk import pass_tables
from signatures.errors import UsageError

TRIAL = {
    "task_id": 7,
    "trial": 2,
    "reward": 1.0,
    "info": {"task": {"instruction": "secret", "actions": []}, "reward_info": {"reward": 1.0}},
    "traj": [
        {"role": "system", "content": "the policy"},
        {"role": "user", "content": "hello"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "name": "look", "content": "Error: nothing there"},
        {"role": "assistant", "content": "sorry"},
    ],
}


def tau2(**changes: object) -> dict[str, object]:
    simulation: dict[str, object] = {
        "id": "s1",
        "task_id": "t1",
        "trial": 0,
        "termination_reason": "user_stop",
        "agent_cost": 0.25,
        "duration": 3.5,
        "reward_info": {"reward": 0.0, "nl_assertions": ["secret"]},
        "messages": [
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": None, "tool_calls": [{"id": "u1", "name": "see", "arguments": {}}]},
            {"role": "tool", "id": "u1", "content": "on the user's device", "requestor": "user"},
            {"role": "user", "content": "it is off"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "a1", "name": "turn", "arguments": {"x": 1}}]},
            {"role": "tool", "tool_messages": [{"role": "tool", "id": "a1", "content": "bad", "error": True}]},
        ],
    }
    return {
        "info": {
            "agent_info": {"implementation": "llm_agent", "llm": "m-1"},
            "environment_info": {"domain_name": "telecom", "policy": "the policy"},
        },
        "tasks": [{"id": "t1", "evaluation_criteria": "secret"}],
        "simulations": [simulation | changes],
    }


def test_the_published_figures_follow_from_the_imported_corpus(bring_in, data: Path, corpus: Path) -> None:
    found = bring_in("tau", data / "tau_bench_gpt-4o-airline.json.gz")
    assert (found.attempts, found.tasks, found.verdicts, found.new) == (200, 50, 200, 200)
    (table,) = asyncio.run(pass_tables(corpus))
    assert [round(row.pass_k, 3) for row in table.rows] == [0.42, 0.273, 0.22, 0.2]
    assert [round(row.random_k, 3) for row in table.rows] == [0.42, 0.567, 0.66, 0.72]
    assert [row.tasks for row in table.rows] == [50] * 4


def test_a_trial_is_an_attempt(read, written) -> None:
    (found,) = read("tau", written([TRIAL]))
    (attempt,) = found.rollouts
    assert (found.key, found.run, found.prompt, found.benchmark) == ("7", "2", "the policy", "tau-bench")
    assert [(e.turn, e.kind, e.name, e.failed) for e in attempt.trace] == [
        (0, "message", "user", False),
        (1, "tool", "look", True),
        (2, "message", "assistant", False),
    ]
    assert attempt.trace[1].arguments == '{"at": 1}'
    assert attempt.output == "sorry"
    assert (attempt.cost.usd, attempt.cost.tokens_in) == (None, None)
    assert [(score.value, score.name) for score in attempt.scores] == [(1.0, "")]
    assert "secret" not in found.model_dump_json()


def test_a_run_that_failed_is_censored_and_not_scored(bring_in, written, verdicts) -> None:
    failed = {**TRIAL, "traj": [], "reward": 0.0, "info": {"error": "the provider was gone"}}
    found = bring_in("tau", written([TRIAL, {**failed, "task_id": "8", "traj": TRIAL["traj"][:1]}]))
    assert (found.attempts, found.censored, found.verdicts) == (2, 1, 1)
    assert [one.score for one in verdicts()] == [1.0]


def test_tau2_shows_what_the_agent_saw(read, written) -> None:
    (found,) = read("tau", written(tau2()))
    (attempt,) = found.rollouts
    assert (found.benchmark, found.worker.name, found.worker.model) == ("tau2-telecom", "llm_agent", "m-1")
    assert [(e.kind, e.name, e.text, e.failed) for e in attempt.trace] == [
        ("message", "assistant", "Hi", False),
        ("message", "user", "it is off", False),
        ("tool", "turn", "bad", True),
    ]
    assert (attempt.cost.usd, attempt.cost.wall_s, attempt.outcome) == (0.25, 3.5, "ok")
    assert "secret" not in found.model_dump_json()
    assert "device" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "outcome", "score"),
    [
        ({"termination_reason": "max_steps"}, "timeout", 0.0),
        ({"termination_reason": "user_error"}, "infra_error", 0.0),
        ({"reward_info": None}, "ok", None),
    ],
)
def test_how_a_simulation_ended(read, written, changes, outcome, score) -> None:
    (attempt,) = read("tau", written(tau2(**changes)))[0].rollouts
    assert (attempt.outcome, attempt.scores[0].value) == (outcome, score)


def test_what_is_malformed_names_file_line_and_field(read, written) -> None:
    lines = json.dumps([TRIAL, TRIAL], indent=0).splitlines()
    second = max(
        number for number, line in enumerate(lines, 1) if line == "{" and lines[number].startswith('"task_id"')
    )
    bad = [TRIAL, {**TRIAL, "reward": "high"}]
    with pytest.raises(UsageError, match=rf"source.json, line {second}, result 2: reward: .*number") as error:
        read("tau", written(json.dumps(bad, indent=0)))
    assert "high" not in str(error.value)
    with pytest.raises(UsageError, match=r"result 1: traj\[0\]\.role"):
        read("tau", written([{**TRIAL, "traj": [{"content": "x"}]}]))
    with pytest.raises(UsageError, match=r"info\.environment_info"):
        read("tau", written({"info": {}, "simulations": []}))
    with pytest.raises(UsageError, match=r"result 1: .*finite"):
        read("tau", written("[" + json.dumps(TRIAL).replace("1.0", "1e999") + "]"))
