from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers import Corpus
from controllers.corpus import MemoryCorpus, SqliteCorpus
from controllers.loop import run_episode
from controllers.program import lm_component
from controllers.scripted_engine import scripted_lm
from controllers.served import (
    LONG,
    Due,
    NextMove,
    NotDue,
    RemoteWorker,
    ReportConflict,
    ServedEpisode,
    failure_line,
)
from controllers.spec import EpisodeSpec, Parts
from signatures.errors import StoreError, UsageError, WorkerError
from signatures.records import (
    Amounts,
    Attempt,
    AttemptResult,
    Candidate,
    CheckerResult,
    Cost,
    Decision,
    Episode,
    Failure,
    Task,
    TraceEvent,
)
from tests.controllers.parts import (
    FANOUT_3,
    Climber,
    Height,
    a_spec,
    a_task,
    action_text,
    climbing,
    parts_of,
    rules,
)

BRANCHING = climbing(
    stop=rules({"continue": 4.0, "done": 1.0}),
    topology=rules({"fanout_1": 1.0, "fanout_2": 1.0, "refine_last": 2.0, "refine_best": 1.0}),
    steer=rules({"up": 1.0, "placebo": 1.0}),
)
STEERS = ("up", "placebo", "report")


class KeptSteers:
    """Written steers in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    async def recall(self, episode_id: str, key: str) -> str | None:
        return self.kept.get((episode_id, key))

    async def keep(self, episode_id: str, key: str, body: str) -> None:
        self.kept[episode_id, key] = body


def remote(parts: Parts) -> Parts:
    """The same parts, their worker out of reach."""
    return replace(parts, worker=RemoteWorker(parts.worker.fingerprint))


async def made(due: Due, worker: Climber, task: Task) -> AttemptResult:
    return await worker.attempt(task, due.context, due.start)


async def played(spec: EpisodeSpec, parts: Parts, worker: Climber, *, forget: bool = False) -> NextMove:
    """The client: asks, attempts, reports, to the end. `forget` opens the episode again before each call."""
    episode = await ServedEpisode.open(spec, parts)
    while True:
        episode = await ServedEpisode.open(spec, parts) if forget else episode
        move = await episode.next_move()
        if move.done:
            return move
        for due in reversed(move.due):  # the last ends first
            episode = await ServedEpisode.open(spec, parts) if forget else episode
            await episode.report(due.context.attempt_id, await made(due, worker, spec.task))


async def contents(corpus: Corpus) -> list[str]:
    kinds: tuple[type[Attempt] | type[Decision] | type[Episode], ...] = (Attempt, Decision, Episode)
    return sorted([one.content_digest() for kind in kinds async for one in corpus.scan(kind)])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), attempts=st.integers(1, 6), forget=st.booleans())
def test_a_served_episode_is_the_episode_that_the_loop_plays(seed: int, attempts: int, forget: bool) -> None:
    async def both() -> None:
        spec = a_spec(attempts=attempts, seed=seed, steers=STEERS, turns=12, each=3)
        looped, served = MemoryCorpus(), MemoryCorpus()
        rollout = await run_episode(spec, parts_of(Climber(), candidate=BRANCHING, corpus=looped))
        end = await played(
            spec, remote(parts_of(Climber(), candidate=BRANCHING, corpus=served)), Climber(), forget=forget
        )
        assert await contents(served) == await contents(looped)
        assert (end.selected_id, end.output) == (rollout.episode.selected_id, rollout.output)
        assert (end.round, end.failure) == (len({one.attempt.round for one in rollout.history}), None)

    asyncio.run(both())


async def test_the_same_attempts_are_due_until_they_are_reported() -> None:
    parts = parts_of(Climber(), candidate=FANOUT_3)
    episode = await ServedEpisode.open(a_spec(), remote(parts))
    first = await episode.next_move()
    assert await episode.next_move() == first
    assert [due.index for due in first.due] == [0, 1, 2]
    assert not first.done
    second = first.due[1]
    came = await made(second, Climber(), a_task())
    reported = await episode.report(second.context.attempt_id, came)
    assert reported.waiting == (first.due[0].context.attempt_id, first.due[2].context.attempt_id)
    assert [check.objective for check in reported.checks] == ["correct"]
    assert (await episode.next_move()).due == (first.due[0], first.due[2])


async def test_each_report_and_each_decision_is_durable_when_it_is_answered(tmp_path: Path) -> None:
    spec = a_spec(steers=STEERS)
    async with SqliteCorpus(tmp_path / "corpus.db") as corpus:
        parts = remote(parts_of(Climber(), candidate=BRANCHING, corpus=corpus))
        episode = await ServedEpisode.open(spec, parts)
        move = await episode.next_move()
        decided = [one async for one in corpus.scan(Decision)]
        assert [one.policy for one in decided] == ["topology"]
        assert decided == episode.decisions
        first = move.due[0]
        await episode.report(first.context.attempt_id, await made(first, Climber(), spec.task))
        assert [one.id async for one in corpus.scan(Attempt)] == [first.context.attempt_id]
    async with SqliteCorpus(tmp_path / "corpus.db") as corpus:
        again = await ServedEpisode.open(spec, replace(parts, corpus=corpus))
        assert (await again.next_move()).due == move.due[1:] or len(move.due) == 1


async def test_the_same_report_again_changes_nothing_and_another_one_is_refused() -> None:
    parts = remote(parts_of(Climber()))
    episode = await ServedEpisode.open(a_spec(attempts=2), parts)
    (due,) = (await episode.next_move()).due
    id, came = due.context.attempt_id, await made(due, Climber(), a_task())
    first = await episode.report(id, came)
    again = came.model_copy(update={"cost": Cost(turns=3, wall_s=9.0)})
    assert await episode.report(id, again) == first
    for other in ({"output": "else"}, {"state": "7"}, {"outcome": "timeout"}, {"trace": ()}):
        with pytest.raises(ReportConflict, match="another content"):
            await episode.report(id, came.model_copy(update=other))
    with pytest.raises(ReportConflict):
        await episode.report(id, Failure(error="WorkerError", message="gone", where="client"))
    with pytest.raises(ReportConflict):
        await episode.report(id, came, [CheckerResult(objective="correct", value=0.9, unit="share", passed=True)])
    reopened = await ServedEpisode.open(a_spec(attempts=2), parts)
    assert await reopened.report(id, came) == first


async def test_what_was_not_asked_for_is_not_taken() -> None:
    episode = await ServedEpisode.open(a_spec(), remote(parts_of(Climber())))
    with pytest.raises(NotDue, match="not due"):
        await episode.report("0" * 24, AttemptResult(output="at 9", state="9"))
    await episode.next_move()
    with pytest.raises(NotDue):
        await episode.report("0" * 24, AttemptResult(output="at 9", state="9"))


async def test_checks_may_come_from_the_client() -> None:
    parts = remote(parts_of(Climber()))
    episode = await ServedEpisode.open(a_spec(attempts=2), parts)
    (due,) = (await episode.next_move()).due
    said = CheckerResult(objective="correct", value=1.0, unit="share", passed=True, detail="the client's word")
    await episode.report(due.context.attempt_id, AttemptResult(output="x"), [said])
    end = await episode.next_move()
    assert end.done
    assert end.selected_id == due.context.attempt_id
    assert [one.checks async for one in parts.corpus.scan(Attempt)] == [(said,)]


async def test_a_failure_at_the_client_censors_the_episode() -> None:
    parts = remote(parts_of(Climber()))
    episode = await ServedEpisode.open(a_spec(), parts)
    (due,) = (await episode.next_move()).due
    gone = Failure(error="WorkerError", message="no disk", where="client")
    await episode.report(due.context.attempt_id, gone)
    assert (await episode.report(due.context.attempt_id, gone)).waiting == ()
    with pytest.raises(ReportConflict):
        await episode.report(due.context.attempt_id, AttemptResult(output="x"))
    end = await episode.next_move()
    assert (end.done, end.selected_id, end.failure) == (True, None, gone)
    assert episode.over


async def test_an_attempt_that_cannot_be_checked_is_a_failure_as_in_the_loop() -> None:
    class Broken(Height):
        async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
            raise OSError("the scanner is gone")

    parts = remote(parts_of(Climber(), checkers=[Broken()]))
    episode = await ServedEpisode.open(a_spec(), parts)
    (due,) = (await episode.next_move()).due
    came = AttemptResult(output="x", state="1")
    first = await episode.report(due.context.attempt_id, came)
    assert await episode.report(due.context.attempt_id, came) == first
    failure = (await episode.next_move()).failure
    assert failure is not None
    assert failure.where == "checker correct"
    assert first.checks == ()
    assert first.failure is not None
    assert first.failure.endswith("the scanner is gone")


async def test_a_trace_that_the_benchmark_cannot_read_is_refused_and_nothing_is_kept() -> None:
    class Reading:
        def features(self, history: object) -> dict[str, float]:
            seen = list(history)  # type: ignore[call-overload]
            return {"hill.n": float(seen[-1].trace[0].text)} if seen else {}

        def untried(self, history: object) -> dict[str, bool]:
            return {}

        def directive_text(self, action: str, history: object) -> str:
            return action

    parts = remote(parts_of(Climber(), observer=Reading()))
    episode = await ServedEpisode.open(a_spec(), parts)
    (due,) = (await episode.next_move()).due
    with pytest.raises(UsageError, match="trace: this benchmark cannot read it"):
        await episode.report(due.context.attempt_id, AttemptResult(output="x", state="1"))
    assert [one async for one in parts.corpus.scan(Attempt)] == []
    readable = AttemptResult(output="x", state="1", trace=(TraceEvent(turn=0, kind="message", text="4"),))
    await episode.report(due.context.attempt_id, readable)
    assert not (await episode.next_move()).done


async def test_secrets_in_a_trace_are_never_kept() -> None:
    parts = remote(parts_of(Climber()))
    episode = await ServedEpisode.open(a_spec(), parts)
    (due,) = (await episode.next_move()).due
    event = TraceEvent(turn=0, kind="tool", name="env", text="API_KEY=sk-abcdefghij0123456789")
    came = AttemptResult(output="x", state="1", trace=(event,))
    first = await episode.report(due.context.attempt_id, came)
    assert await episode.report(due.context.attempt_id, came) == first
    blobs = [await parts.corpus.blob(digest) async for digest in parts.corpus.blob_digests()]  # type: ignore[attr-defined]
    assert not [blob for blob in blobs if b"0123456789" in blob]


def test_a_failure_is_told_in_one_short_line_without_secrets() -> None:
    failure = Failure(error="WorkerError", message="bad\n\tpassword=hunter2-9 " + "x" * 5000, where="checker correct")
    line = failure_line(failure)
    assert line.startswith("bad password=[redacted] x")
    assert len(line) == 1000


@settings(max_examples=20, deadline=None)
@given(filler=st.integers(0, 2 * LONG), failing=st.booleans())
def test_however_long_a_report_is_it_is_kept_without_secrets(filler: int, failing: bool) -> None:
    async def reported() -> None:
        parts = remote(parts_of(Climber()))
        episode = await ServedEpisode.open(a_spec(), parts)
        (due,) = (await episode.next_move()).due
        said = [CheckerResult(objective="correct", value=0.5, unit="share", passed=False, detail="password=hunter2-9")]
        event = TraceEvent(turn=0, kind="tool", name="env", text="x" * filler + " API_KEY=hunter2-9")
        result = AttemptResult(output="\ud800", state="1", trace=(event,))
        gone = Failure(error="WorkerError", message="x" * filler + " secret: hunter2-9", where="client")
        first = await episode.report(due.context.attempt_id, gone if failing else result, said)
        assert await episode.report(due.context.attempt_id, gone if failing else result, said) == first
        kept = [one.model_dump_json().encode() async for one in parts.corpus.scan(Attempt)]
        kept += [await parts.corpus.blob(digest) async for digest in parts.corpus.blob_digests()]  # type: ignore[attr-defined]
        assert not [one for one in kept if b"hunter2" in one]

    asyncio.run(reported())


async def test_the_event_loop_goes_on_while_a_long_report_is_cleaned() -> None:
    parts = remote(parts_of(Climber()))
    episode = await ServedEpisode.open(a_spec(), parts)
    (due,) = (await episode.next_move()).due
    line = '{"token": "abc", "bearer": 5, "path": "https://x.example/a/b"}\n' * 20
    trace = tuple(TraceEvent(turn=turn, kind="tool", name="get", text=line) for turn in range(1500))
    reporting = asyncio.create_task(
        episode.report(due.context.attempt_id, AttemptResult(output="x", state="1", trace=trace))
    )
    turns = 0
    while not reporting.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert (await reporting).checks
    assert turns > 10  # in one piece, the loop would turn about twice


async def test_a_model_is_asked_once_for_a_move_and_its_words_survive_a_restart() -> None:
    written = iter(range(100))

    def says(prompt: str) -> str:
        if "[[ ## confidence ## ]]" in prompt:
            return action_text("text")
        return f"[[ ## steer ## ]]\nGo {next(written)}\n\n[[ ## completed ## ]]"

    lm, engine = scripted_lm(says)
    candidate = Candidate(components={**dict(climbing().components), "steer": lm_component("steer", lm)})
    spec = a_spec(attempts=3, steers=("none", "text"))
    parts, kept = remote(parts_of(Climber(), candidate=candidate, lm=lm)), KeptSteers()
    episode = await ServedEpisode.open(spec, parts, kept)
    (due,) = (await episode.next_move()).due
    await episode.report(due.context.attempt_id, await made(due, Climber(), spec.task))
    move = await episode.next_move()
    asked = len(engine.prompts)
    again = await (await ServedEpisode.open(spec, parts, kept)).next_move()
    assert again == move
    assert move.due[0].context.steer.text == "Go 0"
    assert len(engine.prompts) == asked


async def test_a_corpus_that_does_not_fit_is_an_error_and_not_another_episode() -> None:
    parts = remote(parts_of(Climber()))
    spec = a_spec(attempts=2)
    await played(spec, parts, Climber())
    foreign = [one async for one in parts.corpus.scan(Attempt)][-1]
    await parts.corpus.append(foreign.model_copy(update={"id": "f" * 24, "index": 2, "round": 2}))
    with pytest.raises(StoreError, match="do not ask for"):
        await ServedEpisode.open(spec, parts)


async def test_the_remote_worker_cannot_be_asked_from_here() -> None:
    worker = RemoteWorker(Climber().fingerprint)
    episode = await ServedEpisode.open(a_spec(), remote(parts_of(Climber())))
    (due,) = (await episode.next_move()).due
    with pytest.raises(WorkerError, match="at the client"):
        await worker.attempt(a_task(), due.context, None)


async def test_a_grant_is_kept_whatever_the_client_says_it_spent() -> None:
    parts = remote(parts_of(Climber()))
    spec = a_spec(attempts=5, turns=6, each=3)
    episode = await ServedEpisode.open(spec, parts)
    (due,) = (await episode.next_move()).due
    assert due.context.turns_limit == 3
    await episode.report(due.context.attempt_id, AttemptResult(output="x", state="1", cost=Cost(turns=50)))
    assert (await episode.next_move()).done
    (ended,) = [one async for one in parts.corpus.scan(Episode)]
    assert ended.spent == Amounts(attempts=1, turns=50)
