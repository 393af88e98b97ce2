"""The MIPRO command is the search command with its engine fixed: without a model it says in one line what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.worlds.forked import ROOT
from tests.worlds.small import arguments


def test_without_a_model_it_is_refused_in_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "experiments.mipro_run", *arguments()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: mipro_search searches instructions and demos of a language model")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
