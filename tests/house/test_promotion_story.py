"""The script in `docs/promotion.md` runs as it stands and prints what the page shows."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.house.test_docs import blocks, environment, shown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "promotion.md"
LIMIT_S = 900


@pytest.mark.timeout(LIMIT_S + 60)
def test_from_collecting_to_rolling_back(tmp_path: Path) -> None:
    marked = {block.mark: block.text for block in blocks(PAGE.read_text(encoding="utf-8"))}
    (tmp_path / "story.sh").write_text(marked["tested"], encoding="utf-8")
    with (tmp_path / "printed.txt").open("wb") as printed:
        story = subprocess.Popen(
            ["bash", "story.sh"],
            cwd=tmp_path,
            env=environment(),
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = story.wait(LIMIT_S)
        finally:
            if story.poll() is None:
                os.killpg(story.pid, signal.SIGKILL)
                story.wait()
    text = (tmp_path / "printed.txt").read_text(encoding="utf-8")
    assert code == 0, text
    assert shown(marked["printed"], text) == ""
