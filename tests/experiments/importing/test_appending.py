"""Importing as a whole: nothing of an answer key in the corpus, all or nothing, twice is once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from experiments.importing import Given
from experiments.importing.appending import bring, files_of
from experiments.importing.catalogue import format_ids, load_format
from experiments.places import ledger_beside
from signatures.errors import StoreError, UsageError
from signatures.records import Episode

SECRET, SCORED, SHOWN = "canary-of-the-answer", "canary-of-the-judge", "canary-of-the-worker"
HERE = {"role": "assistant", "content": SHOWN}
ASKED = {"role": "user", "content": "task"}


def tau() -> object:
    info = {
        "task": {"user_id": SECRET, "instruction": SECRET, "actions": [{"name": SECRET}], "outputs": [SECRET]},
        "reward_info": {"reward": 1.0, "info": {"gt_data_hash": SECRET}, "actions": [SECRET]},
        "source": SECRET,
    }
    return [
        {
            "task_id": 1,
            "trial": 0,
            "reward": 1.0,
            "info": info,
            "traj": [ASKED, {**HERE, "note": SECRET}],
            "gold": SECRET,
        }
    ]


def tau2() -> object:
    simulation = {
        "id": "s",
        "task_id": "1",
        "reward_info": {"reward": 1.0, "nl_assertions": [SECRET], "action_checks": [{"action": SECRET}]},
        "messages": [
            {**HERE, "raw_data": SECRET},
            {"role": "user", "content": None, "tool_calls": [{"id": "u", "name": SECRET, "arguments": {"x": SECRET}}]},
            {"role": "tool", "id": "u", "content": SECRET, "requestor": "user"},
        ],
        "termination_reason": "user_stop",
    }
    task = {
        "id": "1",
        "user_scenario": {"instructions": SECRET},
        "evaluation_criteria": SECRET,
        "initial_state": SECRET,
    }
    info = {"environment_info": {"domain_name": "d"}, "user_info": {"global_simulation_guidelines": SECRET}}
    return {"info": info, "tasks": [task], "simulations": [simulation]}


def inspect() -> object:
    grading = {"role": "user", "content": SECRET}
    sample = {
        "id": 1,
        "input": "task",
        "target": SECRET,
        "metadata": {"answer": SECRET},
        "store": {"key": SECRET},
        "messages": [ASKED, {**HERE, "metadata": SECRET}],
        "output": {"choices": [{"message": HERE, "logprobs": SECRET}], "metadata": SECRET},
        "scores": {"s": {"value": "C", "answer": SECRET, "explanation": SCORED, "metadata": {"grading": [grading]}}},
        "events": [{"event": "sample_init", "sample": {"target": SECRET}}, {"event": "score", "score": SECRET}],
        "attachments": {"unused": SECRET},
        "setup": SECRET,
        "files": {SECRET: SECRET},
    }
    held = {"task": "t", "model": "m", "task_args": {"key": SECRET}, "metadata": SECRET}
    plan = {"steps": [{"solver": "s", "params": {"x": SECRET}}]}
    return {"eval": held, "plan": plan, "samples": [sample], "results": SECRET, "reductions": [SECRET]}


def otel() -> object:
    told = {"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "task"}]}]}
    said = {"gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": SHOWN}]}]}
    judged = {"gen_ai.evaluation.score.value": 1, "gen_ai.evaluation.score.label": SCORED}
    hidden = {"gen_ai.evaluation.explanation": SECRET, "expected": SECRET}
    events = [
        {"name": "gen_ai.evaluation.result", "attributes": {**judged, **hidden}},
        {"name": "ground_truth", "attributes": {"content": SECRET}},
    ]
    other = {"ground_truth": SECRET, "gen_ai.tool.definitions": SECRET}
    attributes = {"gen_ai.operation.name": "chat", **told, **said, **other}
    return {"traceId": "t", "name": SECRET, "attributes": attributes, "events": events}


def mlflow() -> object:
    held = {
        "spanType": "AGENT",
        "spanInputs": {"q": "task", "expectations": SECRET, "Ground_Truth": [SECRET], "more": {"target": SECRET}},
        "spanOutputs": SHOWN,
        "other": SECRET,
    }
    judge = {"spanType": "EVALUATOR", "spanInputs": SECRET, "spanOutputs": SECRET}
    assessments = [
        {"assessment_name": "a", "feedback": {"value": True}, "rationale": SCORED, "metadata": {"x": SECRET}},
        {"assessment_name": "b", "expectation": {"value": SECRET}, "rationale": SECRET},
    ]
    spans = [
        {"span_id": id, "parent_span_id": parent, "attributes": {f"mlflow.{k}": json.dumps(v) for k, v in of.items()}}
        for id, parent, of in (("r", None, held), ("e", "r", judge))
    ]
    info = {"trace_id": "tr", "assessments": assessments, "tags": {"x": SECRET}, "trace_metadata": {"x": SECRET}}
    return {"info": {**info, "request_preview": SECRET}, "data": {"spans": spans}}


def jsonl() -> object:
    score = {"value": 1, "reason": SCORED, "parts": {SCORED: True}}
    return {"benchmark": "b", "prompt": "task", "worker": "w", "output": SHOWN, "scores": [score]}


def mini() -> object:
    info = {"exit_status": "Submitted", "submission": SHOWN, "reward": SECRET, "gold_patch": SECRET, "resolved": SECRET}
    return {"messages": [ASKED, {**HERE, "extra": {"gold": SECRET}}], "info": info, "target": SECRET}


@pytest.mark.parametrize("source", [tau, tau2, inspect, otel, mlflow, jsonl, mini])
def test_no_answer_key_and_no_score_is_in_the_corpus(source, written, bring_in, everything, verdicts) -> None:
    name = "tau" if source is tau2 else source.__name__
    file = written(source(), "source.jsonl" if name == "jsonl" else "source.json")
    assert (SECRET in file.read_text()) == (name != "jsonl")
    bring_in(name, file)
    told = everything()
    assert SHOWN in told  # so that what is looked through is the right thing
    assert SECRET not in told
    assert SCORED not in told
    judged = "".join(one.model_dump_json() for one in verdicts())
    assert SECRET not in judged
    assert (SCORED in judged) == (SCORED in file.read_text())


def test_every_format_has_its_canary() -> None:
    assert {one.__name__ for one in (tau, inspect, otel, mlflow, jsonl, mini)} == set(format_ids())


def lines(*episodes: dict[str, object]) -> str:
    return "".join(json.dumps({"benchmark": "b", "prompt": "p", "worker": "w", **one}) + "\n" for one in episodes)


def test_importing_twice_is_once(written, bring_in, corpus: Path, everything, verdicts) -> None:
    file = written(lines({"output": "a", "score": 1}, {"output": "b", "score": 0}), "a.jsonl")
    assert bring_in("jsonl", file).new == 2
    once = everything(), verdicts()
    assert bring_in("jsonl", file).new == 0
    assert (everything(), verdicts()) == once


@pytest.mark.parametrize("bad", ['{"benchmark":\n', lines({"output": 3}), lines({"output": "a", "score": 0})])
def test_what_is_malformed_imports_nothing(written, bring_in, tmp_path: Path, bad: str) -> None:
    file = written(lines({"output": "a", "score": 1}) + bad, "a.jsonl")
    with pytest.raises(UsageError, match=r"a\.jsonl, line 2: "):
        bring_in("jsonl", file)
    assert [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_second_opinion_of_an_import_is_refused(written, bring_in, verdicts) -> None:
    bring_in("jsonl", written(lines({"output": "a", "score": 1}), "a.jsonl"))
    with pytest.raises(UsageError, match=r"b\.jsonl, line 2: is scored otherwise than when it was imported"):
        bring_in("jsonl", written(lines({"output": "new", "score": 1}, {"output": "a", "score": 0}), "b.jsonl"))
    assert [one.score for one in verdicts()] == [1.0]


def test_what_a_kill_left_is_completed(written, bring_in, corpus: Path, verdicts) -> None:
    file = written(lines({"output": "a", "score": 1}, {"output": "b", "score": 0}), "a.jsonl")
    bring_in("jsonl", file)
    ledger_beside(corpus).unlink()  # as if it had been killed between corpus and ledger
    assert bring_in("jsonl", file).new == 0
    assert sorted(one.score for one in verdicts()) == [0.0, 1.0]


def test_repeats_in_one_source_are_counted_once(written, bring_in) -> None:
    found = bring_in("jsonl", written(lines({"output": "a"}, {"output": "a"}, {"output": "a", "run": "2"}), "a.jsonl"))
    assert (found.attempts, found.twice, found.tasks) == (2, 1, 1)
    assert "1 more were there twice" in found.line(Path("a"), Path("b"))


def test_a_source_without_scores_makes_no_ledger(written, bring_in, corpus: Path) -> None:
    found = bring_in("jsonl", written(lines({"output": "a"}), "a.jsonl"))
    assert not ledger_beside(corpus).exists()
    assert found.lacks() == (
        "not in the source, and left empty: propensities (1 of 1 episodes), scores (1 of 1 attempts), "
        "tokens or money (1 of 1 attempts), states (1 of 1 attempts)"
    )


def test_a_folder_is_all_its_files(written, bring_in, tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, output in (("in/a.jsonl", "a"), ("in/deep/b.jsonl", "b"), ("in/c.txt", "c")):
        (tmp_path / name).write_text(lines({"output": output}))
    assert bring_in("jsonl", tmp_path / "in").attempts == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"holds no file named \*\.jsonl"):
        files_of(load_format("jsonl"), tmp_path / "empty")
    with pytest.raises(UsageError, match="no such file"):
        files_of(load_format("jsonl"), tmp_path / "none")


class Changing:
    """A source whose file somebody else is still writing."""

    patterns = ("*",)

    def __init__(self, then: Callable[[Path], object]) -> None:
        self._then = then

    def recordings(self, file: Path, given: Given):
        yield from load_format("jsonl").recordings(file, given)
        self._then(file)


def test_a_file_that_changes_meanwhile_imports_nothing(written, tmp_path: Path, corpus: Path) -> None:
    file = written(lines({"output": "a"}), "a.jsonl")
    growing = Changing(lambda file: file.write_text(lines({"output": "a"}, {"output": "b"})))
    with pytest.raises(StoreError, match="was changed while it was read; nothing is imported"):
        asyncio.run(bring(growing, file, corpus, Given()))
    assert not corpus.exists()


def test_many_episodes_in_batches(written, bring_in, corpus: Path) -> None:
    bring_in("jsonl", written(lines(*({"output": str(n), "score": n % 2} for n in range(150))), "a.jsonl"))

    async def outputs() -> list[str]:
        async with SqliteCorpus.open_readonly(corpus) as held:
            return [one.id async for one in held.scan(Episode)]

    assert len(set(asyncio.run(outputs()))) == 150
