"""A stand-in for a coding agent's executable: it notes how it was called and says what a test wrote down."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

from controllers.testing_workers import a_context
from controllers.workers.command import CommandConfig, CommandWorker, agent_config
from signatures.records import AttemptResult, Task

TASK = Task(digest="d", benchmark="b", prompt="Mend é, and leave {workspace} alone.")

SCRIPT = """\
#!{python} -S
import json, os, shutil, sys, time
here = {folder!r}
plan = json.load(open(here + "/plan.json"))
heard = {{"argv": sys.argv[1:], "stdin": sys.stdin.buffer.read().decode(), "env": dict(os.environ), "cwd": os.getcwd()}}
json.dump(heard, open(here + "/heard.json", "w"))
if os.path.exists(here + "/report"):
    shutil.copy(here + "/report", sys.argv[sys.argv.index("-o") + 1])
sys.stdout.buffer.write(open(here + "/said", "rb").read())
sys.stdout.flush()
sys.stderr.write(plan["stderr"])
time.sleep(plan["sleep_s"])
sys.exit(plan["exit_code"])
"""


class StandIn(NamedTuple):
    """A folder with an executable in it, to be put on the path."""

    folder: Path
    profile: str

    def says(self, *events: object, raw: bytes = b"", exit_code: int = 0, stderr: str = "", sleep_s: float = 0) -> None:
        """What it writes: `events` as JSON lines, then `raw`."""
        lines = "".join(json.dumps(event) + "\n" for event in events)
        (self.folder / "said").write_bytes(lines.encode() + raw)
        plan = {"exit_code": exit_code, "stderr": stderr, "sleep_s": sleep_s}
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def config(self, *words: str, **settings: object) -> CommandConfig:
        """Settings that find it."""
        given = {"environment": {"PATH": f"{self.folder}:/usr/bin:/bin"}, **settings}
        return agent_config(self.profile, *words).model_copy(update=given)

    async def attempt(
        self, *words: str, steer: str = "", start: str | None = None, **settings: object
    ) -> AttemptResult:
        """One attempt of it."""
        worker = CommandWorker(self.config(*words, **settings))
        return await worker.attempt(TASK, a_context(steer=steer, turns_limit=None), start)

    @property
    def heard(self) -> dict[str, object]:
        """How it was last called."""
        heard: dict[str, object] = json.loads((self.folder / "heard.json").read_text())
        return heard


def stand_in(folder: Path, profile: str) -> StandIn:
    """A stand-in in `folder`, called as the agent is."""
    script = folder / profile
    script.write_text(SCRIPT.format(python=sys.executable, folder=str(folder)))
    script.chmod(0o755)
    return StandIn(folder, profile)


def shape(result: AttemptResult) -> list[tuple[str, str, str, bool]]:
    """Kind, name, text and failure of the events that are not the process's own."""
    return [(e.kind, e.name, e.text, e.failed) for e in result.trace if e.kind != "process"]
