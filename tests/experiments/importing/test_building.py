"""From recordings to records: ids by content, and no score in anything but a verdict."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.corpus import MemoryCorpus
from experiments.importing.building import imported, task_of
from experiments.importing.recording import Drawn, Recording, Rollout, Score
from signatures.records import Amounts, Cost, TraceEvent, WorkerFingerprint

WORKER = WorkerFingerprint(name="w")
TRACE = (TraceEvent(turn=1, kind="tool", name="a"), TraceEvent(turn=1, kind="tool", name="b"))


def recording(*rollouts: Rollout, **changes: object) -> Recording:
    held = {
        "benchmark": "b",
        "key": "k",
        "prompt": "p",
        "worker": WORKER,
        "rollouts": rollouts or (Rollout(output="4"),),
    }
    return Recording.model_validate({**held, **changes})


@settings(deadline=None)
@given(st.text(max_size=5), st.text(max_size=5), st.sampled_from([None, 0.0, 1.0]), st.sampled_from([None, 0.0, 1.0]))
def test_ids_are_functions_of_content_and_not_of_scores(one: str, other: str, a: float | None, b: float | None) -> None:
    first = imported(recording(Rollout(output=one, scores=(Score(value=a),))))
    second = imported(recording(Rollout(output=other, scores=(Score(value=b, reason="x"),))))
    same = one.encode("utf-8", "replace") == other.encode("utf-8", "replace")
    assert (first.episode.id == second.episode.id) == same
    assert (first.attempts[0].id == second.attempts[0].id) == same
    assert first.task == second.task
    if same:
        assert first._replace(verdicts=()) == second._replace(verdicts=())


async def test_a_tasks_digest_names_the_blob_that_holds_it() -> None:
    built = imported(recording())
    async with MemoryCorpus() as corpus:
        await corpus.append(blobs=built.blobs)
        assert await task_of(corpus, built.episode.task_digest) == built.task
    assert built.task.prompt == "p"
    assert imported(recording(key="other")).task.digest != built.task.digest


def test_what_the_source_does_not_say_stays_empty() -> None:
    (attempt,) = imported(recording()).attempts
    assert attempt.cost == Cost()
    assert (attempt.state_digest, attempt.trace_digest, attempt.checks) == (None, None, ())
    assert imported(recording()).episode.granted == Amounts()


def test_turns_are_counted_and_costs_add_up() -> None:
    built = imported(
        recording(Rollout(trace=TRACE, cost=Cost(tokens_in=5)), Rollout(trace=TRACE, cost=Cost(tokens_out=2)))
    )
    assert [one.cost.turns for one in built.attempts] == [2, 2]
    assert built.episode.spent == Amounts(attempts=2, turns=4, tokens=7)


def test_attempts_of_two_runs_do_not_pass_for_the_same_one() -> None:
    one, other = (imported(recording(run=run)).attempts[0].repeat for run in ("first 0", "second 0"))
    assert one != other


def test_the_shape_of_a_tree_is_its_condition() -> None:
    grown = [Rollout(), Rollout(), Rollout(parent=1), Rollout(parent=2)]
    assert imported(recording(*grown)).episode.condition == "collect 2x3"
    assert imported(recording(granted=Amounts(attempts=4))).episode.condition == "collect 1x4"
    drawn = Drawn(step=0, policy="stop", action="a", legal=("a",))
    assert imported(recording(decisions=(drawn,))).episode.condition == "imported"


def test_what_infrastructure_ended_has_no_verdict_and_is_not_selected() -> None:
    ended = Rollout(outcome="infra_error", failure="gone", scores=(Score(value=0.0),))
    built = imported(recording(Rollout(output="x", scores=(Score(value=1.0),)), ended))
    assert [one.score for one in built.verdicts] == [1.0]
    assert built.episode.selected_id == built.attempts[0].id
    alone = imported(recording(ended))
    assert (alone.verdicts, alone.episode.selected_id) == ((), None)
    assert alone.episode.failure is not None


def test_further_scores_have_judges_of_their_own() -> None:
    built = imported(recording(Rollout(scores=(Score(value=1.0), Score(value=0.0, name="style")))))
    assert [one.judge for one in built.verdicts] == ["imported@1", "imported@1:style"]
    assert len({one.id for one in built.verdicts}) == 2
