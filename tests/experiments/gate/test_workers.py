"""Whose work a report says it measured, and which workers no gate takes: through the commands' own plans."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from experiments.ablation_run import projected as ablation_projected
from experiments.ablation_run import run as run_ablation
from experiments.gate.arms.gate_a import prepare, projection, run_gate_a
from experiments.gate.learned.ablation_config import AblationConfig
from experiments.gate.workers import require_live, said_of, worker_asked
from experiments.gate_a_run import GateAConfig
from experiments.gate_b_run import run as run_gate_b
from experiments.search_config import SearchConfig
from experiments.wiring import ready
from signatures.errors import UsageError
from signatures.records import WorkerFingerprint
from tests.worlds.streams import small_stream

PLANTED = "tests.worlds.planted:PlantedBenchmark"
CHATTY = "tests.worlds.chatty:ChattyWorker"
RECORDING = "tests.worlds.chatty:OldRecording"


def gate_a(root: Path, **changed: object) -> GateAConfig:
    small = {"tasks": 4, "repeats": 1, "surface_tasks": 0, "turns": 3, "retest": 0, "tracking": False}
    return GateAConfig.model_validate_json(json.dumps({"benchmark": PLANTED, "root": str(root), **small, **changed}))


@pytest.mark.parametrize(
    ("fingerprint", "said"),
    [
        (WorkerFingerprint(name="telecom"), "simulated worker telecom"),
        (WorkerFingerprint(name="chat", model="local/qwen@1d9"), "model local/qwen@1d9"),
        (WorkerFingerprint(name="telecom", model="m"), "model m"),
        (WorkerFingerprint(name="my-agent"), "worker my-agent"),
    ],
)
def test_a_worker_is_said_to_be_simulated_or_named_by_its_model(fingerprint: WorkerFingerprint, said: str) -> None:
    assert said_of(fingerprint, "telecom") == said


def test_naming_a_model_for_the_worker_means_chat() -> None:
    assert worker_asked(None, "local:x.gguf") == "chat"
    assert worker_asked("mine", "local:x.gguf") == "mine"
    assert worker_asked(None, None) is None


def test_gate_a_on_a_chat_worker_names_its_model_everywhere(tmp_path: Path) -> None:
    plan = prepare(gate_a(tmp_path, worker=CHATTY, refine="core"))
    most, line = projection(plan)
    assert f"up to {most * 3:,} calls of scripted" in line
    outcome = asyncio.run(run_gate_a(plan, quiet=True))
    assert outcome.report.whose == "model scripted"
    assert "with model scripted" in outcome.report.sentence
    assert "model scripted" in outcome.report.title
    assert "planted, model scripted, split dev" in Path(outcome.paths["page"]).read_text()
    tokens = {one.arm: one.tokens for one in outcome.report.spend}
    assert all(tokens.values())
    assert any(note.startswith("power: with 80 % the 4 units of this spread show ") for note in outcome.report.notes)
    assert outcome.report.numbers["refine@3/core: mean correct"] > outcome.report.numbers["random@3: mean correct"]


def test_gate_b_on_a_chat_worker_names_its_model(tmp_path: Path) -> None:
    lines: list[str] = []
    found = run_gate_b(small_stream(tmp_path, worker=CHATTY, runs=2), say=lambda line: lines.append(str(line)))
    assert lines[0].startswith("Gate B on planted, model scripted: 2 runs of 4 tasks: at most ")
    assert "calls of scripted" in lines[0]
    assert found["who"] == "model scripted"


def test_an_ablation_says_what_a_model_would_be_asked(tmp_path: Path) -> None:
    config = AblationConfig.model_validate({"benchmark": PLANTED, "worker": CHATTY, "tasks": 10, "turns": 3})
    asked = SearchConfig(benchmark=PLANTED, worker=CHATTY, turns=3, root=str(tmp_path), dev=2, val=2)
    line = ablation_projected(config, ready(asked))
    assert "Ablation on planted, model scripted: 8 combinations on 10 dev tasks, 2 times each: at most 480" in line
    assert "up to 1,440 calls of scripted" in line


def test_a_recording_is_refused_by_every_gate_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"of model local/small@abc only a recording is here.*replay_run"):
        prepare(gate_a(tmp_path, worker=RECORDING))
    with pytest.raises(UsageError, match="only a recording"):
        run_gate_b(small_stream(tmp_path, worker=RECORDING), say=lambda line: None)
    ablation = {"benchmark": PLANTED, "worker": RECORDING, "root": str(tmp_path), "tasks": 4, "train": 8}
    with pytest.raises(UsageError, match="only a recording"):
        run_ablation(AblationConfig.model_validate(ablation), say=lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_nobody_would_ask_is_refused(tmp_path: Path) -> None:
    at = "http://127.0.0.1:1/v1"  # never asked
    asked = SearchConfig(benchmark=PLANTED, worker_lm="openai/x", api_base=at, root=str(tmp_path), dev=2, val=2)
    with pytest.raises(UsageError, match="simulated worker planted asks no model"):
        require_live(ready(asked))
