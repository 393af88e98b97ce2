"""The canary, from the parent's side: start a fresh process, let it load and decide, believe nothing it says unseen.

It passes where the release that was loaded is the one that was written, every state is answered as the compiled
candidate answers it, and every live task is on record exactly as the compiled candidate plays it with the attempts
that the parent's own worker made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import ValidationError

from controllers import Worker
from experiments import Benchmark
from experiments.promote.config import PromoteConfig
from experiments.promote.expected import Expected, Seen, chosen, expected_of
from experiments.promote.live import Witness, lines_of, problems
from experiments.promote.questions import SAID, Answer, Call, Question, Refused, Reply, StateAnswer
from signatures.errors import StoreError
from signatures.records import Task

if TYPE_CHECKING:
    from controllers.program import Controller
    from controllers.release import Champion

CHILD: Final = (sys.executable, "-m", "experiments.promote.canary_child")
HOME: Final = Path(__file__).parents[2]
"""The folder that the packages lie in."""
LONGEST: Final = 64 * 1024 * 1024
"""Bytes of a line that a child may write."""
TRIES: Final = 3
"""An attempt that infrastructure ended is asked for again, as often as in production."""
NO_ANSWER: Final = "the fresh process ended without an answer"
TAIL: Final = 2000
"""Characters of the child's stderr that are looked at where it dies."""


@dataclass(frozen=True)
class Plan:
    """What a canary checks: a release by its alias, against the compiled candidate."""

    config: PromoteConfig
    name: str
    alias: str
    compiled: Champion
    "the release as it was written, with the controller from the candidate's own file"
    recorded: tuple[Seen, ...] = ()
    "states of the corpus to choose from"
    before: Controller | None = None
    "the controller of the present champion"
    benchmark: Benchmark | None = None
    worker: Worker | None = None
    "both None: no task is played, as after a rollback"


class Canaried(NamedTuple):
    """What a canary saw."""

    passed: bool
    verdict: str
    "in one line"
    evidence: tuple[str, ...]
    "what was not as it must be; empty where it passed"


class Heard(NamedTuple):
    """What came from the child."""

    answer: Answer | None
    problem: str = ""


async def canary(plan: Plan, *, program: Sequence[str] = CHILD, nonce: str | None = None) -> Canaried:
    """Run one canary. `program`: what is started as the fresh process; `nonce`: None for one that nobody foresees.

    Raises StoreError where its files cannot be made, UsageError where the release's exploration does not fit its
    actions. Whatever the child does is a verdict, not an error.
    """
    nonce = nonce or secrets.token_hex(16)
    release = plan.compiled.release
    controllers = [plan.compiled.controller, *([] if plan.before is None else [plan.before])]
    states, recorded = chosen(
        plan.recorded, controllers, release.steer_legal, count=plan.config.canary_states, nonce=nonce
    )
    expected = await expected_of(
        plan.compiled.controller,
        states,
        nonce=nonce,
        floor=release.exploration,
        before=plan.before,
        recorded=recorded,
    )
    tasks = _tasks(plan, nonce)
    with _folder() as folder:
        corpus = folder / "canary.db"
        question = _question(plan, expected, tasks, nonce=nonce, corpus=corpus)
        witness = _witness(plan, tasks)
        heard = await _hear(question, witness, program, timeout_s=plan.config.canary_timeout_s)
        found = list(_claims(plan, question, expected, heard))
        if tasks and plan.benchmark is not None and witness is not None:
            found += await _on_record(plan.compiled, plan.benchmark, witness, nonce=nonce, corpus=corpus)
    return _canaried(expected, len(tasks), 0 if witness is None else witness.calls, found)


async def _on_record(
    champion: Champion, benchmark: Benchmark, witness: Witness, *, nonce: str, corpus: Path
) -> tuple[str, ...]:
    """What the child's corpus holds otherwise; one that cannot be read is the child's doing too."""
    try:
        return await problems(champion, benchmark, witness, nonce=nonce, corpus=corpus)
    except StoreError as error:
        return (f"what the fresh process recorded cannot be read: {error}",)


def _canaried(expected: Expected, tasks: int, calls: int, found: Sequence[str]) -> Canaried:
    edges = len(expected.states) - expected.recorded
    told = "" if expected.telling is None else f", {expected.telling} of them decided otherwise by the present champion"
    asked = f"{len(expected.states)} states ({expected.recorded} recorded, {edges} at the edges of rules{told})"
    live = f", {tasks} live tasks with {calls} attempts of the worker" if tasks else ""
    if found:
        return Canaried(False, f"canary failed: {found[0]}", tuple(lines_of(found)))
    return Canaried(True, f"canary passed: {asked}{live}: as compiled", ())


def _tasks(plan: Plan, nonce: str) -> tuple[Task, ...]:
    """Tasks of the search split, drawn by the nonce."""
    if plan.benchmark is None or plan.worker is None:
        return ()
    tasks = list(plan.benchmark.tasks("search"))
    random.Random(nonce).shuffle(tasks)
    return tuple(tasks[: plan.config.canary_tasks])


def _question(plan: Plan, expected: Expected, tasks: Sequence[Task], *, nonce: str, corpus: Path) -> Question:
    config = plan.config
    return Question(
        nonce=nonce,
        name=plan.name,
        alias=plan.alias,
        root=config.root,
        benchmark=config.benchmark if tasks else None,
        options=config.options,
        worker=config.worker,
        lm=config.lm,
        worker_lm=config.worker_lm,
        api_base=config.api_base,
        states=expected.states,
        tasks=tuple(task.digest for task in tasks),
        corpus=str(corpus),
    )


def _witness(plan: Plan, tasks: Sequence[Task]) -> Witness | None:
    if plan.worker is None or not tasks:
        return None
    granted = plan.compiled.release.granted.attempts or plan.config.attempts
    return Witness(plan.worker, {task.digest: task for task in tasks}, most=TRIES * granted * len(tasks))


def _claims(plan: Plan, question: Question, expected: Expected, heard: Heard) -> Iterator[str]:
    """What the child says, against what it must say."""
    answer, release = heard.answer, plan.compiled.release
    if answer is None:
        yield heard.problem
        return
    if answer.nonce != question.nonce:
        yield "the answer is to another canary's question"
    if answer.release != release.digest:
        yield f"the fresh process loaded release {answer.release}, not {release.digest}"
    if answer.candidate != release.candidate:
        yield f"the fresh process decides with {answer.candidate}, not with {release.candidate}"
    if len(answer.states) != len(expected.answers):
        yield f"{len(answer.states)} states were answered, of {len(expected.answers)}"
        return
    wrong = [
        f"{state.policy} in state {number}: {difference}"
        for number, (state, wanted, found) in enumerate(
            zip(question.states, expected.answers, answer.states, strict=True)
        )
        if (difference := _difference(wanted, found))
    ]
    if wrong:
        yield f"{len(wrong)} of {len(expected.answers)} states are decided otherwise; the first: {wrong[0]}"


def _difference(wanted: StateAnswer, found: StateAnswer) -> str:
    for field in ("tier", "policy_digest", "prompt", "probabilities", "action"):
        one, other = getattr(found, field), getattr(wanted, field)
        if one != other:
            return f"{field} is {one}, the compiled candidate's {other}"
    return ""


async def _hear(question: Question, witness: Witness | None, program: Sequence[str], *, timeout_s: float) -> Heard:
    """Start the program, give it the question, run the worker for it, and take its answer. It is gone afterwards."""
    try:
        child = await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST,
            env=_environment(os.environ),
            start_new_session=True,
        )
    except OSError as error:
        return Heard(None, f"no fresh process could be started: {error}")
    assert child.stderr is not None  # a pipe, as asked
    complaints = asyncio.create_task(_tail(child.stderr))
    try:
        async with asyncio.timeout(timeout_s):
            heard = await _talk(child, question, witness)
            if heard.problem == NO_ANSWER:
                await child.wait()  # it is on its way out, and may still be saying why
    except TimeoutError:
        heard = Heard(None, f"the fresh process has not answered within {timeout_s:g} s")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
        tail = await complaints
    last = tail.strip().rpartition("\n")[2]
    died = heard.problem == NO_ANSWER and last
    return heard._replace(problem=f"{heard.problem}: {last}") if died else heard


async def _talk(child: asyncio.subprocess.Process, question: Question, witness: Witness | None) -> Heard:
    """The child's lines until its answer; each call of the worker is served beside the others."""
    assert child.stdin is not None and child.stdout is not None  # pipes, as asked
    serving: set[asyncio.Task[None]] = set()
    try:
        await _tell(child.stdin, question.model_dump_json())
        while line := await child.stdout.readline():
            said = SAID.validate_json(line)
            if isinstance(said, Answer):
                return Heard(said)
            if isinstance(said, Refused):
                return Heard(None, f"the fresh process refused: {said.message}")
            serving.add(asyncio.create_task(_serve(child.stdin, said, witness)))
    except ValidationError:
        return Heard(None, "the fresh process wrote what is no line of a canary")
    except ValueError:
        return Heard(None, f"the fresh process wrote a line of more than {LONGEST} bytes")
    finally:
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
    return Heard(None, NO_ANSWER)


async def _serve(stdin: asyncio.StreamWriter, call: Call, witness: Witness | None) -> None:
    reply = Reply(number=call.number, error="no task is to be played") if witness is None else await witness.call(call)
    await _tell(stdin, reply.model_dump_json())


async def _tell(stdin: asyncio.StreamWriter, line: str) -> None:
    """One line to the child; one that is gone is noticed where its output ends."""
    with contextlib.suppress(OSError):
        stdin.write(line.encode() + b"\n")
        await stdin.drain()


async def _tail(stream: asyncio.StreamReader) -> str:
    """The end of what the child complains of, read on to the end so that it never blocks on us."""
    kept = b""
    while chunk := await stream.read(1 << 16):
        kept = (kept + chunk)[-TAIL:]
    return kept.decode(errors="replace")


def _environment(now: Mapping[str, str]) -> dict[str, str]:
    """The environment of the child: ours, and our packages found before those of the same name in another folder."""
    path = [str(HOME), *filter(None, [now.get("PYTHONPATH")]), str(Path.cwd())]
    return {**now, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder of this canary alone: a corpus in it that is not there yet cannot be an earlier one's."""
    try:
        with TemporaryDirectory(prefix="tiller-canary-") as folder:
            yield Path(folder)
    except OSError as error:
        raise StoreError(f"the canary's folder: {error}") from error
