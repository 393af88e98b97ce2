"""What a demotion reads."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from controllers.local.lm import local_lm
from controllers.policies.lm import LMPolicy
from controllers.program import controller_of
from controllers.programs import builtin
from experiments.tiers.material import ASKED, gather_answers, loaded, material_of
from signatures.errors import NoSupport, StoreError, UsageError
from tests.experiments.tiers.conftest import TASKS, Recorded
from tests.worlds.tiered import MODEL, demote_config, grow, model, play, saved_controller, steered_by


def test_decisions_trees_and_model_are_found(recorded: Recorded) -> None:
    found = asyncio.run(material_of(demote_config(recorded.root, recorded.controller)))
    assert found.models == (MODEL,) and list(found.decided) == ["steer"]
    assert len(found.tasks) == len(found.trees.trees) == TASKS
    mine = found.decided["steer"]
    assert mine.asked == len(mine.rows) > 100 and (mine.cost.tokens_in or 0) > 0
    assert {row.task for row in mine.rows} <= {task.digest for task in found.tasks}


def test_dev_and_holdout_decisions_are_never_read(tmp_path: Path, recorded: Recorded) -> None:
    path = grow(tmp_path, tasks=2)
    lm, _ = model()
    for split in ("dev", "holdout"):
        play(path, steered_by(lm), lm, tasks=4, split=split)  # type: ignore[arg-type]
    config = demote_config(tmp_path, recorded.controller)
    assert asyncio.run(material_of(config)).decided["steer"].asked == 0
    play(path, steered_by(lm), lm, tasks=4, split="production")
    assert asyncio.run(material_of(config)).decided["steer"].asked > 0


def test_a_controller_of_rules_has_nothing_to_demote(tmp_path: Path, recorded: Recorded) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(controller_of(seed_candidate()).dumps())
    with pytest.raises(UsageError, match="every decision is a rule's already"):
        loaded(demote_config(recorded.root, str(rules)))


def test_what_is_no_controller_is_refused_in_one_line(tmp_path: Path, recorded: Recorded) -> None:
    with pytest.raises(UsageError, match="cannot be read as a controller"):
        loaded(demote_config(recorded.root, str(tmp_path / "none.json")))
    for text in ("{", "[]", '{"components": 3}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UsageError, match="not a saved controller"):
            loaded(demote_config(recorded.root, str(tmp_path / "bad.json")))
    edited = json.loads(Path(recorded.controller).read_text())
    edited["components"]["stop"] = edited["components"]["topology"]
    (tmp_path / "bad.json").write_text(json.dumps(edited))
    with pytest.raises(UsageError, match="the file was edited"):
        loaded(demote_config(recorded.root, str(tmp_path / "bad.json")))


def test_without_trees_nothing_can_be_valued(tmp_path: Path, recorded: Recorded) -> None:
    lm, _ = model()
    play(tmp_path / "corpus-planted.db", steered_by(lm), lm, tasks=2)
    with pytest.raises(NoSupport, match="no recorded tree"):
        asyncio.run(material_of(demote_config(tmp_path, recorded.controller)))


def test_answers_of_several_runs_are_gathered_once_each(tmp_path: Path) -> None:
    lines = [json.dumps({"key": key}) + "\n" for key in "abc"]
    for name, kept in (("one", lines[:2]), ("two", lines[1:])):
        (tmp_path / name).mkdir()
        (tmp_path / name / ASKED).write_text("".join(kept))
    into = tmp_path / "gathered.jsonl"
    assert gather_answers(demote_config(tmp_path, "c"), into) == len(into.read_text().splitlines()) == 3
    only = demote_config(tmp_path, "c", answers=(str(tmp_path / "one" / ASKED),))
    assert gather_answers(only, into) == 2
    with pytest.raises(UsageError, match="no file of recorded answers"):
        gather_answers(demote_config(tmp_path, "c", answers=(str(tmp_path / "none"),)), into)
    (tmp_path / "two" / ASKED).write_text("{\n")
    with pytest.raises(StoreError):
        gather_answers(demote_config(tmp_path, "c"), into)


def test_a_program_has_no_decisions_to_demote(tmp_path: Path, recorded: Recorded) -> None:
    program = tmp_path / "program.json"
    program.write_text(controller_of(builtin.refine("fan")).dumps())
    with pytest.raises(UsageError, match="is a strategy program"):
        loaded(demote_config(recorded.root, str(program)))


def test_a_model_that_a_file_answers_is_named_by_the_file_and_must_be_that_one(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    files = {name: tmp_path / f"{name}.gguf" for name in ("small", "other")}
    for name, file in files.items():
        file.write_bytes(b"GGUF" + name.encode())
    lm = local_lm(f"local:{files['small']}", {})
    controller = saved_controller(tmp_path, steered_by(lm), lm)
    with pytest.raises(UsageError, match=rf"asks {lm.model}, which a file answers: name it with --lm local:PATH"):
        loaded(demote_config(tmp_path, controller, ask=True))
    with pytest.raises(UsageError, match=rf"asks {lm.model}, and --lm is local/other@\w+$"):
        loaded(demote_config(tmp_path, controller, ask=True, lm=f"local:{files['other']}"))
    found, models = loaded(demote_config(tmp_path, controller, ask=True, lm=f"local:{files['small']}"))
    assert models == (lm.model,) and isinstance(found.policies["steer"], LMPolicy)
    assert found.policies["steer"].lm.engine.source == lm.engine.source, "served from that file"
    assert loaded(demote_config(tmp_path, controller))[1] == models, "without asking no file is needed"
