"""Any program as a worker: what it is given, what comes back, and that nothing of it stays."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from controllers import Worker
from controllers.supervise import descendants
from controllers.testing_workers import WorkerContract, a_context
from controllers.workers.command import CommandConfig, CommandWorker, agent_config
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Task

TASK = Task(digest="d", benchmark="b", prompt="Say é.")


def python(source: str, *args: str, **settings: object) -> CommandWorker:
    argv = (sys.executable, "-I", "-S", "-c", source, *args)
    return CommandWorker(CommandConfig.model_validate({"argv": argv, **settings}))


async def attempt(
    worker: CommandWorker, context: AttemptContext | None = None, start: str | None = None
) -> AttemptResult:
    result = await worker.attempt(TASK, context or a_context(), start)
    assert descendants(os.getpid()) == []
    return result


ECHO = "import sys; sys.stdout.write(sys.stdin.read())"
COUNT = "import os; n = len(os.listdir('.')); open(str(n), 'w').close(); print(n)"


class TestContract(WorkerContract):
    @pytest.fixture
    def worker(self) -> Worker:
        return python(COUNT, keep_state=True)

    @pytest.fixture
    def task(self) -> Task:
        return TASK


async def test_the_task_comes_on_standard_input() -> None:
    result = await attempt(python(ECHO))
    assert (result.output, result.outcome, result.state) == ("Say é.", "ok", None)
    assert result.cost.wall_s is not None
    told = await attempt(python(ECHO), a_context(steer="Loudly."))
    assert told.output == "Say é.\n\nLoudly."


async def test_or_in_a_file_with_the_workspace_and_the_seed() -> None:
    source = "import os,sys; _, file, *rest = sys.argv; print(open(file).read(), os.getcwd(), rest, sys.stdin.read())"
    result = await attempt(python(source, "{task_file}", "{workspace}", "s{seed}"), a_context(12))
    prompt, folder, rest = result.output.rstrip().removeprefix("Say ").split(" ", 2)
    assert (prompt, rest) == ("é.", f"['{folder}', 's12']")


async def test_braces_in_the_task_are_left_alone() -> None:
    task = TASK.model_copy(update={"prompt": "{workspace} {x}"})
    result = await python(ECHO).attempt(task, a_context(), None)
    assert result.output == "{workspace} {x}"


async def test_exit_code_and_standard_error_are_on_the_trace() -> None:
    result = await attempt(python("import sys; print('half'); sys.stderr.write('boom'); sys.exit(3)"))
    assert (result.output, result.outcome) == ("half\n", "ok")
    ending, stderr = result.trace
    assert (ending.kind, ending.text, ending.failed) == ("process", "exit code 3", True)
    assert (stderr.name, stderr.text) == ("stderr", "boom")


async def test_silence_is_empty_and_success_is_no_failure() -> None:
    result = await attempt(python("pass"))
    assert result.outcome == "empty"
    assert [(event.text, event.failed) for event in result.trace] == [("exit code 0", False)]


async def test_its_own_time_limit_is_a_timeout_that_keeps_what_was_said() -> None:
    hanging = "import os, time; os.fork(); print('begun', flush=True); time.sleep(600)"
    for worker, context in (
        (python(hanging, wall_limit_s=0.5), a_context()),
        (python(hanging), a_context().model_copy(update={"wall_limit_s": 0.5})),
    ):
        result = await attempt(worker, context)
        assert result.outcome == "timeout"
        assert result.output.startswith("begun\n")
        assert (result.trace[0].text, result.trace[0].failed) == ("stopped at the time limit", True)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_flood_is_kept_up_to_the_limit_and_says_so(stream: str) -> None:
    flood = f"import sys\nwhile True: sys.{stream}.write('x' * 1000)"
    result = await attempt(python(flood, output_limit_bytes=5000))
    kept = {"stdout": result.output, "stderr": "".join(e.text for e in result.trace if e.name == "stderr")}
    assert kept[stream] == "x" * 5000
    assert result.outcome == ("ok" if stream == "stdout" else "empty")
    cut = result.trace[-1]
    assert (cut.kind, cut.name, cut.failed) == ("process", "output", True)
    assert "5000 bytes" in cut.text


async def test_a_crash_is_a_result() -> None:
    result = await attempt(python("import os; os.kill(os.getpid(), 11)"))
    assert (result.outcome, result.trace[0].text) == ("empty", "exit code -11")


async def test_a_daemon_that_left_the_session_is_gone() -> None:
    source = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for stream in (0, 1, 2): os.close(stream)
        time.sleep(600)
    os._exit(0)
os.wait()
print("left")
"""
    assert (await attempt(python(source))).output == "left\n"  # `attempt` asserts that no descendant is left


async def test_every_fresh_attempt_gets_its_own_copy_of_the_template(tmp_path: Path) -> None:
    (tmp_path / "given").write_text("x")
    worker = python(COUNT, template=str(tmp_path))
    assert [(await attempt(worker)).output for _ in range(2)] == ["1\n", "1\n"]
    assert os.listdir(tmp_path) == ["given"]  # noqa: PTH208


async def test_a_later_attempt_goes_on_from_the_state() -> None:
    worker = python(COUNT, keep_state=True)
    first = await attempt(worker)
    second = await attempt(worker, start=first.state)
    again = await attempt(worker, start=first.state)
    assert [r.output for r in (first, second, again)] == ["0\n", "1\n", "1\n"]
    assert second.state == again.state != first.state


async def test_a_state_over_the_limit_is_not_kept_and_says_so() -> None:
    worker = python("open('big', 'w').write('x' * 2000)", keep_state=True, state_limit_bytes=1000)
    result = await attempt(worker)
    assert result.state is None
    assert (result.trace[-1].name, result.trace[-1].failed) == ("state", True)


async def test_the_answer_may_be_a_file() -> None:
    worker = python("print('talk'); open('answer', 'wb').write(b'\\xff' + b'y' * 90)", output_file="answer")
    assert (await attempt(worker)).output == "\\xff" + "y" * 90
    cut = await attempt(python("open('answer', 'w').write('y' * 90)", output_file="answer", output_limit_bytes=50))
    assert (cut.output, cut.trace[-1].name, cut.trace[-1].failed) == ("y" * 50, "output", True)
    assert (await attempt(python("print('talk')", output_file="answer"))).outcome == "empty"


async def test_variables_are_added() -> None:
    worker = python("import os; print(os.environ['ADDED'], 'PATH' in os.environ)", environment={"ADDED": "1"})
    assert (await attempt(worker)).output == "1 True\n"


async def test_a_command_that_is_not_there_is_infrastructure() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-agent"):
        await CommandWorker(CommandConfig(argv=("no-such-agent",))).attempt(TASK, a_context(), None)


def test_a_template_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        CommandWorker(CommandConfig(argv=("true",), template=str(tmp_path / "none")))


async def test_a_start_state_that_is_no_workspace_is_refused() -> None:
    with pytest.raises(UsageError, match="not a workspace"):
        await CommandWorker(CommandConfig(argv=("true",))).attempt(TASK, a_context(), "rubbish")


def test_the_fingerprint_tells_programs_apart() -> None:
    one = CommandWorker(CommandConfig(argv=("agent", "--fast"), model="m-1")).fingerprint
    assert (one.name, one.model) == ("agent", "m-1")
    assert one != CommandWorker(CommandConfig(argv=("agent", "--slow"), model="m-1")).fingerprint
    assert one != CommandWorker(CommandConfig(argv=("agent", "--fast"), model="m-1", keep_state=True)).fingerprint


def test_a_program_without_a_profile_is_the_worker_that_it_was() -> None:
    config = CommandConfig(argv=("agent",))
    assert "profile" not in config.model_dump()
    assert CommandWorker(config).fingerprint.params["settings"] == digest_of(config)


def test_an_unknown_profile_is_refused_and_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'codex'.*claude, codex, gemini, mini, opencode"):
        CommandWorker(CommandConfig(argv=("x",), profile="codx"))
    with pytest.raises(UsageError, match="is not a profile"):
        CommandWorker(CommandConfig(argv=("x",), profile="controllers.workers.scripted:ScriptedWorker"))


def test_an_agents_settings_are_its_profiles_name_and_the_users_words() -> None:
    config = agent_config("claude", "--add-dir", "/data", model="m-1")
    assert (config.argv, config.profile, config.model) == (("claude", "--add-dir", "/data"), "claude", "m-1")
    fingerprint = CommandWorker(config).fingerprint
    assert (fingerprint.name, fingerprint.model) == ("claude", "m-1")


async def test_variables_of_one_attempt_are_added_taken_away_and_no_part_of_the_worker() -> None:
    source = "import os; print(os.environ.get('ADDED'), os.environ.get('GONE'), os.environ.get('KEPT'))"
    worker = python(source, environment={"GONE": "1", "KEPT": "1"})
    given = worker.given({"ADDED": "1", "GONE": None})
    assert (await attempt(given)).output == "1 None 1\n"
    assert (await attempt(worker)).output == "None 1 1\n"
    assert given.fingerprint == worker.fingerprint


async def test_values_of_variables_that_are_named_like_a_secret_are_blotted_out() -> None:
    source = "import os, sys; print(os.environ['X_TOKEN']); sys.stderr.write(os.environ['X_TOKEN'])"
    result = await attempt(python(source, environment={"X_TOKEN": "canary-123456"}))
    assert result.output == "[redacted]\n"
    assert "canary-123456" not in result.model_dump_json()
