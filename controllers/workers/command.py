"""A worker that is any command-line program: task on standard input or in a file, a workspace folder, limits."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import Field

from controllers.processes import Finished, ProcessLimits, run_process
from controllers.workspace import pack, unpack
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import (
    AttemptContext,
    AttemptResult,
    Cost,
    NonNegative,
    Record,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

__all__ = ["CommandWorker"]

PLACEHOLDERS: Final = ("{task_file}", "{workspace}", "{seed}")


class CommandConfig(Record):
    """A program and the conditions it works under."""

    argv: tuple[str, ...] = Field(min_length=1)
    "may hold {task_file}, {workspace} and {seed}; without {task_file} the task comes on standard input"
    template: str | None = None
    "folder that every fresh attempt gets a copy of; None: an empty one"
    output_file: str | None = None
    "file in the workspace that holds the answer; None: standard output is the answer"
    keep_state: bool = False
    "hand the workspace on, so that a later attempt can go on from it"
    wall_limit_s: NonNegative = 600.0
    output_limit_bytes: int = Field(default=1 << 20, ge=1)
    "of standard output, of standard error and of the output file"
    state_limit_bytes: int = Field(default=64 << 20, ge=0)
    "of all files in the workspace; a larger one is not kept"
    environment: Mapping[str, str] = Field(default_factory=dict)
    "variables added to those of this process"
    model: str | None = None
    "the model that the program uses, for the fingerprint"


class _Place(NamedTuple):
    """The folders and files of one attempt."""

    workspace: Path
    task_file: Path
    argv: tuple[str, ...]


class CommandWorker:
    """Runs a program once per attempt, in a workspace of its own.

    Its own time limit makes the attempt a `timeout`; output beyond the limit stops it and is cut there, which the
    trace says; exit code and standard error are in the trace. No process of it outlives the attempt. Raises
    FileNotFoundError or PermissionError where the program cannot be started.
    """

    def __init__(self, config: CommandConfig) -> None:
        """Raises UsageError where the template is not a folder."""
        if config.template is not None and not Path(config.template).is_dir():
            raise UsageError(f"workspace template {config.template!r} is not a folder")
        self._config = config

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The program's name, its model and a digest of its settings (not of the template's content)."""
        params = {"argv": json.dumps(self._config.argv), "settings": digest_of(self._config)}
        return WorkerFingerprint(name=Path(self._config.argv[0]).name, model=self._config.model, params=params)

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Run the program in a fresh copy of the template, or in the workspace that `start` holds."""
        with tempfile.TemporaryDirectory(prefix="tiller-", ignore_cleanup_errors=True) as folder:
            place = await asyncio.to_thread(self._prepare, Path(folder), task, context, start)
            limits = [limit for limit in (self._config.wall_limit_s, context.wall_limit_s) if limit is not None]
            done = await run_process(
                place.argv,
                limits=ProcessLimits(wall_s=min(limits), output_bytes=self._config.output_limit_bytes),
                cwd=place.workspace,
                env={**os.environ, **self._config.environment},
                stdin=None if self._by_file() else place.task_file,
            )
            return await asyncio.to_thread(self._result, place, done)

    def _by_file(self) -> bool:
        return any("{task_file}" in word for word in self._config.argv)

    def _prepare(self, folder: Path, task: Task, context: AttemptContext, start: str | None) -> _Place:
        workspace, task_file = folder / "workspace", folder / "task.txt"
        if start is not None:
            unpack(start, workspace)
        elif self._config.template is not None:
            shutil.copytree(self._config.template, workspace, symlinks=True)
        else:
            workspace.mkdir()
        text = f"{task.prompt}\n\n{context.steer.text}" if context.steer.text else task.prompt
        task_file.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        values = dict(zip(PLACEHOLDERS, (str(task_file), str(workspace), str(context.seed)), strict=True))
        argv = list(self._config.argv)
        for placeholder, value in values.items():
            argv = [word.replace(placeholder, value) for word in argv]
        return _Place(workspace, task_file, tuple(argv))

    def _result(self, place: _Place, done: Finished) -> AttemptResult:
        output, cut = self._output(place, done)
        events = [self._ending(done)]
        if done.stderr:
            events.append(TraceEvent(turn=0, kind="process", name="stderr", text=_text(done.stderr)))
        if cut or done.ended_by == "output":
            limit = f"cut by the limit of {self._config.output_limit_bytes} bytes"
            events.append(TraceEvent(turn=0, kind="process", name="output", text=limit, failed=True))
        state = None
        if self._config.keep_state:
            state = pack(place.workspace, self._config.state_limit_bytes)
            if state is None:
                text = f"workspace is larger than {self._config.state_limit_bytes} bytes and was not kept"
                events.append(TraceEvent(turn=0, kind="process", name="state", text=text, failed=True))
        late = done.ended_by == "wall"
        return AttemptResult(
            output=output,
            state=state,
            trace=tuple(events),
            cost=Cost(wall_s=done.wall_s),
            outcome="timeout" if late else "ok" if output.strip() else "empty",
        )

    def _output(self, place: _Place, done: Finished) -> tuple[str, bool]:
        """The answer, and whether it was cut."""
        if self._config.output_file is None:
            return _text(done.stdout), False
        file = place.workspace / self._config.output_file
        if not file.is_file():
            return "", False
        limit = self._config.output_limit_bytes
        with file.open("rb") as reader:
            data = reader.read(limit + 1)
        return _text(data[:limit]), len(data) > limit

    def _ending(self, done: Finished) -> TraceEvent:
        why = {
            "exit": f"exit code {done.exit_code}",
            "wall": "stopped at the time limit",
            "output": "stopped because it wrote too much",
            "processes": "stopped because it started too many processes",
        }
        return TraceEvent(
            turn=0,
            kind="process",
            name=Path(self._config.argv[0]).name,
            arguments=json.dumps(self._config.argv),
            text=why[done.ended_by],
            failed=done.ended_by != "exit" or done.exit_code != 0,
        )


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
