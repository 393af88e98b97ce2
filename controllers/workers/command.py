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

from controllers.capture.blotting import blotted, blotted_trace, secrets_of
from controllers.loading import Loader
from controllers.processes import Finished, ProcessLimits, run_process
from controllers.profiles import Account, Ask, Profile, Said
from controllers.redaction import redacted
from controllers.workspace import pack, unpack
from signatures.digest import digest_of
from signatures.errors import ProviderError, UsageError, WorkerError
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

PLACEHOLDERS: Final = ("{task_file}", "{workspace}", "{seed}", "{report}", "{task}")
"the last one is put in last, so that braces in a task are left alone"
ARGUMENTS_LIMIT: Final = 120_000
"bytes; the kernel takes 131,072 for one argument"


def _unset(value: object) -> bool:
    """Left out of the digest, so that a program without a profile is the worker that it was."""
    return value is None


class CommandConfig(Record):
    """A program and the conditions it works under."""

    argv: tuple[str, ...] = Field(min_length=1)
    "may hold {task_file}, {workspace} and {seed}; without {task_file} the task comes on standard input. With a profile"
    "the program and the words that are added to the profile's"
    profile: str | None = Field(default=None, exclude_if=_unset)
    "how the program is spoken to and read: an id of controllers/profiles/ or `package.module:Class`"
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


def agent_config(profile: str, *words: str, model: str | None = None) -> CommandConfig:
    """The settings of a coding agent: the program called as its profile, `words` added, half an hour, state kept."""
    return CommandConfig(
        argv=(profile, *words),
        profile=profile,
        model=model,
        keep_state=True,
        wall_limit_s=1800.0,
        output_limit_bytes=64 << 20,
    )


class _Place(NamedTuple):
    """The folders and files of one attempt."""

    workspace: Path
    task_file: Path
    report: Path
    argv: tuple[str, ...]


class CommandWorker:
    """Runs a program once per attempt, in a workspace of its own.

    Its own time limit makes the attempt a `timeout`; output beyond the limit stops it and is cut there, which the
    trace says; exit code and standard error are in the trace. No process of it outlives the attempt. The values of
    variables that are named like a secret are blotted out of all that it wrote, its workspace aside. Raises
    FileNotFoundError or PermissionError where the program cannot be started.

    With a profile the output is read as that agent's: answer, events, cost and how it ended. Raises ProviderError where
    the agent says that its model could not be had, WorkerError where it failed before it said anything.
    """

    def __init__(self, config: CommandConfig) -> None:
        """Raises UsageError where the template is not a folder and where there is no such profile."""
        if config.template is not None and not Path(config.template).is_dir():
            raise UsageError(f"workspace template {config.template!r} is not a folder")
        self._config = config
        self._profile = _profile(config.profile) if config.profile is not None else None
        self._given: Mapping[str, str | None] = {}

    def given(self, variables: Mapping[str, str | None]) -> CommandWorker:
        """The same worker with other variables in its environment (None: without that one), for an attempt's own.

        They are no part of the fingerprint. `OPENAI_BASE_URL` among them is also told to an agent in its own way.
        """
        worker = CommandWorker(self._config)
        worker._given = {**self._given, **variables}
        return worker

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The program's name, its model and a digest of its settings (not of the template's content)."""
        params = {"argv": json.dumps(self._config.argv), "settings": digest_of(self._config)}
        return WorkerFingerprint(name=Path(self._config.argv[0]).name, model=self._config.model, params=params)

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Run the program in a fresh copy of the template, or in the workspace that `start` holds."""
        ask = Ask(
            model=self._config.model,
            turns_limit=context.turns_limit,
            base_url=self._given.get("OPENAI_BASE_URL"),
            words=self._config.argv[1:],
        )
        env = self._environment(ask)
        with tempfile.TemporaryDirectory(prefix="tiller-", ignore_cleanup_errors=True) as folder:
            words = self._words(ask)
            place = await asyncio.to_thread(self._prepare, Path(folder), words, task, context, start)
            limits = [limit for limit in (self._config.wall_limit_s, context.wall_limit_s) if limit is not None]
            done = await run_process(
                place.argv,
                limits=ProcessLimits(wall_s=min(limits), output_bytes=self._config.output_limit_bytes),
                cwd=place.workspace,
                env=env,
                stdin=None if _on_the_command_line(words) else place.task_file,
            )
            result = await asyncio.to_thread(self._result, place, done)
        secrets = secrets_of(env)
        trace = blotted_trace(result.trace, secrets)
        return result.model_copy(update={"output": blotted(result.output, secrets), "trace": trace}).encodable()

    def _words(self, ask: Ask) -> tuple[str, ...]:
        program, *added = self._config.argv
        return (program, *self._profile.words(ask), *added) if self._profile else self._config.argv

    def _environment(self, ask: Ask) -> dict[str, str]:
        settings = self._profile.settings(ask) if self._profile else {}
        wanted = {**os.environ, **settings, **self._config.environment, **self._given}
        return {name: value for name, value in wanted.items() if value is not None}

    def _prepare(
        self, folder: Path, words: tuple[str, ...], task: Task, context: AttemptContext, start: str | None
    ) -> _Place:
        workspace, task_file, report = folder / "workspace", folder / "task.txt", folder / "report"
        if start is not None:
            unpack(start, workspace)
        elif self._config.template is not None:
            shutil.copytree(self._config.template, workspace, symlinks=True)
        else:
            workspace.mkdir()
        text = f"{task.prompt}\n\n{context.steer.text}" if context.steer.text else task.prompt
        task_file.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        given = (str(task_file), str(workspace), str(context.seed), str(report), text)
        argv = list(words)
        for placeholder, value in zip(PLACEHOLDERS, given, strict=True):
            argv = [word.replace(placeholder, value) for word in argv]
        if len(json.dumps(argv)) > ARGUMENTS_LIMIT:
            raise UsageError(f"the task is longer than {words[0]!r} can be told on its command line")
        return _Place(workspace, task_file, report, tuple(argv))

    def _result(self, place: _Place, done: Finished) -> AttemptResult:
        account = self._account(place, done)
        output, cut = self._output(place, done, account)
        state = pack(place.workspace, self._config.state_limit_bytes) if self._config.keep_state else None
        cost = Cost(wall_s=done.wall_s)
        late = done.ended_by == "wall"
        refused = account is not None and account.ending.kind == "refusal"
        told = account.events if account else ()
        asides = self._asides(done, turn=told[-1].turn if told else 0, cut=cut, kept=state is not None)
        return AttemptResult(
            output=output,
            state=state,
            trace=(*told, *asides),
            cost=account.cost.plus(cost) if account else cost,
            outcome="timeout" if late else "refusal" if refused else "ok" if output.strip() else "empty",
        )

    def _account(self, place: _Place, done: Finished) -> Account | None:
        """The agent's own account. Raises where it tells of a failure that is none of the agent's doing."""
        if self._profile is None:
            return None
        report = None
        if place.report.is_file():
            report = _text(_head(place.report, self._config.output_limit_bytes))
        account = self._profile.read(Said(_text(done.stdout), report))
        if done.ended_by != "exit":
            return account
        name, ending = self._config.argv[0], account.ending
        if ending.kind == "provider":
            raise ProviderError(redacted(f"{name}: {ending.text[:500]}"), retryable=ending.retryable)
        if done.exit_code != 0 and not account.started:
            said = _text(done.stderr or done.stdout).strip()[-500:]
            raise WorkerError(redacted(f"{name} ended with exit code {done.exit_code} before it said anything: {said}"))
        return account

    def _output(self, place: _Place, done: Finished, account: Account | None) -> tuple[str, bool]:
        """The answer, and whether it was cut."""
        if self._config.output_file is None:
            return account.answer if account else _text(done.stdout), False
        file = place.workspace / self._config.output_file
        if not file.is_file():
            return "", False
        limit = self._config.output_limit_bytes
        data = _head(file, limit + 1)
        return _text(data[:limit]), len(data) > limit

    def _asides(self, done: Finished, *, turn: int, cut: bool, kept: bool) -> list[TraceEvent]:
        """What is said of the process: how it ended, its standard error, what went over a limit."""
        why = {
            "exit": f"exit code {done.exit_code}",
            "wall": "stopped at the time limit",
            "output": "stopped because it wrote too much",
            "processes": "stopped because it started too many processes",
        }
        ending = TraceEvent(
            turn=turn,
            kind="process",
            name=Path(self._config.argv[0]).name,
            arguments=json.dumps(self._config.argv),
            text=why[done.ended_by],
            failed=done.ended_by != "exit" or done.exit_code != 0,
        )
        found = [ending]
        if done.stderr:
            found.append(TraceEvent(turn=turn, kind="process", name="stderr", text=_text(done.stderr)))
        if cut or done.ended_by == "output":
            limit = f"cut by the limit of {self._config.output_limit_bytes} bytes"
            found.append(TraceEvent(turn=turn, kind="process", name="output", text=limit, failed=True))
        if self._config.keep_state and not kept:
            text = f"workspace is larger than {self._config.state_limit_bytes} bytes and was not kept"
            found.append(TraceEvent(turn=turn, kind="process", name="state", text=text, failed=True))
        return found


def _on_the_command_line(words: tuple[str, ...]) -> bool:
    return any(name in word for word in words for name in ("{task_file}", "{task}"))


def _profile(id: str) -> Profile:
    found = Loader("controllers").load("profiles", id)()
    if not all(callable(getattr(found, name, None)) for name in ("words", "settings", "read")):
        raise UsageError(f"{id!r} is not a profile: it needs `words`, `settings` and `read`")
    return found  # type: ignore[return-value]  # checked above, as far as a running program can


def _head(file: Path, most: int) -> bytes:
    with file.open("rb") as reader:
        return reader.read(most)


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
