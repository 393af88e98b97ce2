"""What the stages of a run share, and the bar that is a line where nobody watches."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from experiments.events import EventLog
from experiments.places import claim
from experiments.search.job import Job, progress_bar
from experiments.search.stages import space_from
from experiments.search.trees import record_trees
from experiments.wiring import ready, wired
from optimizers.replaying import Replaying
from tests.worlds.small import small


async def test_a_job_names_its_primary_objective_and_prints_lines_as_they_are(tmp_path: Path) -> None:
    given = ready(small(tmp_path))
    folder = claim(given.config, given.manifest)
    out = io.StringIO()
    console = Console(file=out, width=200, markup=False)
    with wired(given, folder) as parts, EventLog(folder) as log:
        replay = (await record_trees(given.config, parts, lambda: None)).replay
        space = space_from(replay, parts.splits.train, parts.actions, 2)
        job = Job(given.config, folder, parts, log, console, Replaying(replay), space)
        assert job.primary == "correct"
        job.say("run: /tmp/[bold]x[/bold] 1.5")
    assert out.getvalue() == "run: /tmp/[bold]x[/bold] 1.5\n"


def test_without_a_terminal_the_bar_is_one_plain_line_when_done() -> None:
    out = io.StringIO()
    with progress_bar(Console(file=out, width=80), "record 3 trees", 3) as step:
        for _ in range(3):
            step()
        assert out.getvalue() == ""
    assert out.getvalue().splitlines() == ["record 3 trees: done in 0 s"]


def test_on_a_terminal_the_bar_moves_and_goes_away() -> None:
    out = io.StringIO()
    with progress_bar(Console(file=out, width=80, force_terminal=True), "record 3 trees", 3) as step:
        step()
    assert "\x1b[" in out.getvalue()
    assert out.getvalue().rstrip().endswith("done in 0 s")
