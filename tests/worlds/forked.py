"""Running a command many times without importing its libraries each time: a process that imports once and forks.

A run is a process of its own, with its own arguments, folder, environment and files for its output, so it can be
killed like any other. Only what `python -m` does before `main()` is shared.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, NoReturn, Self

ROOT = Path(__file__).parent.parent.parent


class Ended(NamedTuple):
    """What a finished run left."""

    code: int
    "exit code; negative: the signal that ended it"
    out: str
    err: str


@dataclass
class Child:
    """A run under way."""

    pid: int
    files: tuple[Path, Path]
    server: Forker

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.pid, signal_number)

    def wait(self) -> Ended:
        """Wait until it has ended."""
        code = int(self.server.ask({"wait": self.pid})["code"])
        out, err = (file.read_text(encoding="utf-8") for file in self.files)
        return Ended(code, out, err)


class Forker:
    """Forks runs of `module.main()`; `preload` names what is imported before."""

    def __init__(self, module: str, preload: Iterable[str], folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.worlds.forked", module, *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self._folder = folder
        self._runs = 0

    def start(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str | None] | None = None) -> Child:
        """Start a run. A variable that is None in `env` is taken out of the environment."""
        self._runs += 1
        files = self._folder / f"{self._runs}.out", self._folder / f"{self._runs}.err"
        asked = {"arguments": [*arguments], "cwd": str(cwd), "env": dict(env or {}), "files": [str(f) for f in files]}
        return Child(int(self.ask(asked)["pid"]), files, self)

    def run(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str | None] | None = None) -> Ended:
        """Run to the end."""
        return self.start(arguments, cwd, env).wait()

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One question and its answer."""
        stdin, stdout = _open(self._process.stdin), _open(self._process.stdout)
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError("the forking process ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _open(self._process.stdin).close()
        self._process.wait(30)
        _open(self._process.stdout).close()


def _open(file: IO[str] | None) -> IO[str]:
    assert file is not None
    return file


def serve(module: str, preload: Iterable[str]) -> None:
    """Import, then answer the questions on stdin until it ends."""
    for name in (module, *preload):
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                answers.close()
                play(module, asked)
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def play(module: str, asked: Mapping[str, Any]) -> NoReturn:
    """In the child: become the run, and end as it ends."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, file in zip((1, 2), asked["files"], strict=True):
        target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, number)
        os.close(target)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what it puts aside without it
    os.chdir(asked["cwd"])
    for name, value in asked["env"].items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    sys.argv = [module, *asked["arguments"]]
    code = 1
    try:
        importlib.import_module(module).main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
