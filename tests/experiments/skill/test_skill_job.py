from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controllers.program import loads
from experiments.skill.skill_job import run_skill
from signatures.errors import UsageError
from tests.worlds.choosing import choosing_model
from tests.worlds.skilled import skill_config


async def test_a_run_reports_and_writes_a_controller_that_asks_so(
    grown: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm, engine = choosing_model()
    done = await run_skill(skill_config(grown), lm=lm)
    (one,) = done.report.policies
    ways = {way.way: way for way in one.ways}
    assert ways["centred"].right >= ways["log-probabilities"].right
    assert ways["zero-shot"].n == one.n and one.n % len(one.answers) == 0
    assert done.report.asked == len(engine.prompts)
    out = capsys.readouterr().out
    assert out.startswith(f"at most {len(engine.prompts)} questions to choosing: steer") and str(done.folder) in out
    candidate = loads((done.folder / "candidate.json").read_text(), lm)
    assert '"kind":"choice"' in candidate.policies["steer"].text
    assert candidate.policies["stop"].tier == "rule"


async def test_a_killed_run_goes_on_and_ends_the_same(grown: Path) -> None:
    lm, engine = choosing_model()
    whole = await run_skill(skill_config(grown), lm=lm, quiet=True)
    log = whole.folder / "asked.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"torn')
    before = len(engine.prompts)
    again = await run_skill(skill_config(grown), folder=whole.folder, lm=lm, quiet=True)
    assert len(engine.prompts) - before == len(lines) - len(lines) // 2
    assert again.folder == whole.folder
    first, second = (
        [(way.way, way.right, way.chosen) for way in done.report.policies[0].ways] for done in (whole, again)
    )
    assert first == second


def test_a_model_that_is_not_there_is_refused_before_anything_is_written(grown: Path) -> None:
    there = sorted(grown.iterdir())
    with pytest.raises(UsageError, match="No such file"):
        asyncio.run(run_skill(skill_config(grown, lm="local:/nowhere.gguf"), quiet=True))
    assert sorted(grown.iterdir()) == there
