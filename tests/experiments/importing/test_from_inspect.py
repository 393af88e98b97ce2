"""inspect_ai logs, real ones: both forms, failed calls, epochs, and the tokens of the worker alone."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import zstandard

from experiments.importing import Given
from experiments.importing.zipped import ZSTANDARD
from signatures.errors import UsageError


def log(*samples: dict[str, object]) -> dict[str, object]:
    return {
        "eval": {"task": "sums", "model": "m", "run_id": "r"},
        "samples": [{"id": 1, "input": "2+2?"} | s for s in samples],
    }


def test_a_failed_call_is_a_failed_event(read, data: Path) -> None:
    (found,) = read("inspect", data / "inspect_tool_call_error.json")
    (attempt,) = found.rollouts
    assert len(attempt.trace) == 11
    assert all(event.failed and event.kind == "tool" and event.name == "bash" for event in attempt.trace)
    assert attempt.scores == ()


def test_the_graders_tokens_are_not_the_workers(read, data: Path) -> None:
    raw = json.loads((data / "inspect_security-guide.json").read_text())["samples"][0]
    (found,) = read("inspect", data / "inspect_security-guide.json")
    cost = found.rollouts[0].cost
    assert (cost.tokens_in, cost.tokens_out) == (61, 17)
    (billed,) = raw["model_usage"].values()
    assert (billed["input_tokens"], billed["output_tokens"]) == (320, 309)
    assert found.rollouts[0].scores[0].value == 1.0
    assert found.prompt == "How do I prevent SQL Injection attacks?"


def test_the_zip_form(bring_in, data: Path, verdicts) -> None:
    found = bring_in("inspect", data / "inspect_popularity.eval")
    assert (found.attempts, found.tasks, found.without_cost) == (2, 2, 0)
    assert sorted(one.score for one in verdicts()) == [0.0, 1.0]


def test_members_packed_with_zstandard_are_read(read, data: Path, tmp_path: Path) -> None:
    stored = tmp_path / "stored.eval"
    packer = zstandard.ZstdCompressor()
    with zipfile.ZipFile(data / "inspect_popularity.eval") as old, zipfile.ZipFile(stored, "w") as new:
        contents = {name: old.read(name) for name in old.namelist()}
        for name, content in contents.items():
            new.writestr(name, packer.compress(content))
    raw = bytearray(stored.read_bytes())
    with zipfile.ZipFile(stored) as new:
        infos, start = new.infolist(), new.start_dir
    for info in infos:  # the central directory, which readers go by, says how each is packed
        content, length = contents[info.filename], 46 + len(info.filename)
        assert raw[start : start + 4] == b"PK\x01\x02"
        raw[start + 10 : start + 12] = ZSTANDARD.to_bytes(2, "little")
        raw[info.header_offset + 8 : info.header_offset + 10] = ZSTANDARD.to_bytes(2, "little")
        raw[start + 16 : start + 20] = zipfile.crc32(content).to_bytes(4, "little")
        raw[start + 24 : start + 28] = len(content).to_bytes(4, "little")
        start += length
    stored.write_bytes(raw)
    assert read("inspect", stored) == read("inspect", data / "inspect_popularity.eval")
    stored.write_bytes(raw.replace(b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfe"))
    with pytest.raises(UsageError, match="no readable zip file"):
        read("inspect", stored)


def test_epochs_are_attempts_at_one_task(bring_in, written) -> None:
    found = bring_in("inspect", written(log({"epoch": 1}, {"epoch": 2}, {"epoch": 2})))
    assert (found.attempts, found.tasks, found.twice) == (2, 1, 1)


def test_one_of_several_scores_is_the_verdict(read, written) -> None:
    scores = {"a": {"value": "I"}, "b": {"value": 0.5, "explanation": "half"}, "c": {"value": [1]}, "d": {"value": "?"}}
    file = written(log({"scores": scores}))
    (attempt,) = read("inspect", file)[0].rollouts
    assert [(one.name, one.value) for one in attempt.scores] == [("", 0.0), ("b", 0.5), ("c", None), ("d", None)]
    (attempt,) = read("inspect", file, Given(score="b"))[0].rollouts
    assert [one.name for one in attempt.scores] == ["a", "", "c", "d"]
    with pytest.raises(UsageError, match="no score 'e'; it has a, b, c, d"):
        read("inspect", file, Given(score="e"))


@pytest.mark.parametrize(
    ("sample", "outcome"),
    [
        ({"output": {"choices": [{"message": {"role": "assistant", "content": "4"}}]}}, "ok"),
        ({"output": {"choices": [{"stop_reason": "content_filter"}]}}, "refusal"),
        ({"limit": {"type": "time", "limit": 3}}, "timeout"),
        ({"error": {"message": "gone", "traceback": "..."}}, "infra_error"),
        ({}, "empty"),
    ],
)
def test_how_a_sample_ended(read, written, sample, outcome) -> None:
    assert read("inspect", written(log(sample)))[0].rollouts[0].outcome == outcome


def test_attachments_and_choices_are_put_in_place(read, written) -> None:
    sample = {
        "input": "attachment://h1",
        "choices": ["four", "five"],
        "attachments": {"h1": "how many?", "h2": "four it is"},
        "messages": [{"role": "assistant", "content": [{"type": "reasoning", "reasoning": "?"}, "attachment://h2"]}],
    }
    (found,) = read("inspect", written(log(sample)))
    assert found.prompt == "how many?\nA) four\nB) five"
    assert found.rollouts[0].trace[0].text == "four it is"


def test_what_is_no_log_is_refused(read, written, data: Path) -> None:
    with pytest.raises(UsageError, match=r"source.json: eval: Field required"):
        read("inspect", written({"samples": []}))
    with pytest.raises(UsageError, match="holds no samples"):
        read("inspect", written(log()))
    with pytest.raises(UsageError, match=r"source.json, sample 2: id"):
        read("inspect", written(log({}, {"id": None})))
    with pytest.raises(UsageError, match=r"x.eval: is no readable zip file"):
        read("inspect", written("nothing", "x.eval"))
    with pytest.raises(UsageError, match=r"source.json, line 2: is not JSON"):
        read("inspect", written('{"eval":\n oops}'))
