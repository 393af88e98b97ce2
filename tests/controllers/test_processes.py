"""Processes: limits hold, output is kept up to them, and no descendant survives."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from controllers.processes import Finished, ProcessLimits, run_process
from controllers.supervise import descendants

DOUBLE_FORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        for stream in (0, 1, 2):
            os.close(stream)
        with open(sys.argv[1], "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not (os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1])):
    time.sleep(0.005)
"""


async def python(source: str, *args: str, **limits: object) -> Finished:
    return await run_process(
        [sys.executable, "-I", "-S", "-c", source, *args], limits=ProcessLimits.model_validate(limits)
    )


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def written(file: Path) -> bool:
    return file.exists() and bool(file.read_text())


async def test_exit_code_streams_and_time_come_back() -> None:
    done = await python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert done[:4] == (3, b"out\n", b"err\n", "exit")
    assert done.wall_s > 0


async def test_a_signal_is_a_negative_exit_code() -> None:
    assert (await python("import os; os.kill(os.getpid(), 11)")).exit_code == -11


async def test_standard_input_is_the_file_and_else_empty(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("héllo")
    argv = [sys.executable, "-I", "-c", "import sys; sys.stdout.write(sys.stdin.read())"]
    given = await run_process(argv, limits=ProcessLimits(), stdin=tmp_path / "in")
    assert given.stdout.decode() == "héllo"
    assert (await run_process(argv, limits=ProcessLimits())).stdout == b""


async def test_folder_and_environment_are_the_ones_given(tmp_path: Path) -> None:
    source = "import os; print(os.getcwd(), sorted(set(os.environ) - {'LC_CTYPE'}))"
    argv = [sys.executable, "-I", "-S", "-c", source]
    done = await run_process(argv, limits=ProcessLimits(), cwd=tmp_path, env={"ONLY": "this"})
    assert done.stdout.decode().split(" ", 1) == [str(tmp_path), "['ONLY']\n"]


async def test_the_wall_clock_ends_a_command_that_ignores_signals() -> None:
    source = (
        "import signal,time\nfor s in (1,2,15): signal.signal(s, signal.SIG_IGN)\nprint(1, flush=True)\ntime.sleep(600)"
    )
    done = await python(source, wall_s=0.5)
    assert (done.ended_by, done.exit_code, done.stdout) == ("wall", -9, b"1\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_flood_is_cut_exactly_at_the_limit(stream: str) -> None:
    done = await python(f"import sys\nwhile True: sys.{stream}.write('x' * 9999)", output_bytes=100_000)
    assert done.ended_by == "output"
    assert getattr(done, stream) == b"x" * 100_000


async def test_output_of_exactly_the_limit_is_not_cut() -> None:
    done = await python("print('x' * 99)", output_bytes=100)
    assert (done.ended_by, len(done.stdout)) == ("exit", 100)


async def test_a_grandchild_that_forked_twice_and_left_the_session_is_killed(tmp_path: Path) -> None:
    done = await python(DOUBLE_FORK, str(tmp_path / "pid"))
    assert (done.exit_code, done.ended_by) == (0, "exit")
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_cancelling_kills_the_whole_tree(tmp_path: Path) -> None:
    task = asyncio.create_task(python(DOUBLE_FORK + "time.sleep(600)", str(tmp_path / "pid")))
    while not written(tmp_path / "pid"):  # noqa: ASYNC110  # another process writes it
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int((tmp_path / "pid").read_text()))
    assert descendants(os.getpid()) == []


async def test_too_many_processes_end_it() -> None:
    source = "import os, time\nfor _ in range(12):\n    if os.fork() == 0: time.sleep(600)\ntime.sleep(600)"
    done = await python(source, processes=6)
    assert (done.ended_by, done.exit_code) == ("processes", -9)
    assert descendants(os.getpid()) == []


async def test_a_command_that_does_not_exist_or_may_not_run_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-command"):
        await run_process(["no-such-command"], limits=ProcessLimits())
    (tmp_path / "plain").write_text("text")
    with pytest.raises(PermissionError, match="plain"):
        await run_process([str(tmp_path / "plain")], limits=ProcessLimits())


async def test_several_at_once_do_not_disturb_each_other() -> None:
    done = await asyncio.gather(*(python(f"print({n})") for n in range(4)))
    assert [d.stdout for d in done] == [f"{n}\n".encode() for n in range(4)]
