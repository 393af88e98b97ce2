"""One run under way: its parts, its log, and whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from experiments.events import EventLog
from experiments.search_config import SearchConfig
from experiments.wiring import Wired
from optimizers.evidence.reflection import Reflection
from optimizers.replaying import Replaying
from optimizers.space import Space

if TYPE_CHECKING:
    from optimizers.evidence.findings import AnalysisFinding
    from optimizers.evidence.recurring import Recurrence


@dataclass(frozen=True)
class Job:
    """What the stages of a run share."""

    config: SearchConfig
    folder: Path
    wired: Wired
    log: EventLog
    console: Console
    replay: Replaying
    space: Space
    learned: tuple[Reflection, ...] = ()
    "moves of other runs, benchmarks and production; empty for a run that learns from its own tasks alone"
    findings: tuple[AnalysisFinding, ...] = ()
    "what its train tasks show"
    recurrent: tuple[Recurrence, ...] = ()
    "what earlier runs of the benchmark found again and again; empty for a run that learns from its own tasks alone"

    @property
    def primary(self) -> str:
        """The objective that the run's sentence is about."""
        return self.wired.benchmark.objectives[0].name

    def say(self, line: str) -> None:
        """One line for whoever watches."""
        self.console.print(line, highlight=False)


@contextmanager
def progress_bar(console: Console, title: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar where somebody watches, else one line when done. Yields what moves it one step on."""
    started = time.monotonic()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
    console.print(f"{title}: done in {time.monotonic() - started:.0f} s", highlight=False)
