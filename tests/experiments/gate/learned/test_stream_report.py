"""What a stream says: a planted rise, an A/A stream, a learner that spends more, and a report that holds it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from controllers.baselines import seed_candidate
from experiments.gate.learned.stream import FINAL, FROZEN, LEARNED, NULL, Played, Stream, Streamed, ends_of
from experiments.gate.learned.stream_report import (
    Found,
    found_in,
    measured,
    points_of,
    report_of,
    sentence_of,
    slopes_of,
)
from experiments.gate.report import markdown_of
from optimizers.records import TaskScore
from signatures.errors import EvidenceError
from signatures.records import Amounts, Candidate, Failure, Task
from tests.worlds.streams import opened, small_stream

RUNS = 8
NAMES = ("correct", "fast", "cheap", "clean")
Value = Callable[[str, int, float], float | None]
"""(arm, run, luck) -> `correct`; None: infrastructure ended it."""


def score(arm: str, task: Task, value: float | None, *, turns: int) -> TaskScore:
    failure = None if value is not None else Failure(error="WorkerError", message="no machine", where="worker")
    used = Amounts() if value is None else Amounts(attempts=1, turns=turns)
    values = {name: value if name == "correct" else None if value is None else 0.5 for name in NAMES}
    return TaskScore(
        candidate="c",
        condition=arm,
        task_digest=task.digest,
        seed=0,
        split="search",
        values=values,
        source="live",
        failure=failure,
        spent=used,
        used=used,
    )


def streamed(stream: Stream, value: Value, *, turns: int = 10) -> Streamed:
    rng = np.random.default_rng(7)

    def played(run: int, arms: tuple[str, ...]) -> Played:
        candidates = dict.fromkeys(arms, seed_candidate()) | {
            arm: Candidate(components={**seed_candidate().components, "steer": arm})
            for arm in (LEARNED, FINAL)
            if arm in arms
        }
        scores = {}
        for arm in arms:
            spends = turns if arm == LEARNED else 10
            tasks = stream.slices[run - 1]
            scores[arm] = (tuple(score(arm, t, value(arm, run, rng.normal(0, 0.05)), turns=spends) for t in tasks),)
        return Played(run=run, candidates=candidates, scores=scores)

    runs = tuple(played(run, (LEARNED, FROZEN, NULL)) for run in range(1, RUNS + 1))
    return Streamed(runs, tuple(played(run, (FINAL,)) for run in range(1, ends_of(RUNS) + 1)), (), 12)


def rising(arm: str, run: int, luck: float) -> float:
    return 0.3 + luck + (0.06 * run if arm == LEARNED else 0.4 if arm == FINAL else 0.0)


def flat(arm: str, run: int, luck: float) -> float:
    return 0.5 + luck


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    with opened(small_stream(tmp_path, runs=RUNS, slice=8), tmp_path / "s") as (found, _):
        yield found


def found(stream: Stream, value: Value, *, turns: int = 10) -> tuple[Streamed, Found]:
    made = streamed(stream, value, turns=turns)
    return made, found_in(stream, made)


def test_a_planted_rise_is_a_slope_and_a_level(stream: Stream) -> None:
    _, result = found(stream, rising)
    assert result.verdict.verdict == "slope"
    assert result.learned[0].slope == pytest.approx(0.06, abs=0.01)
    level, back = result.contrasts[0], next(c for c in result.contrasts if c.treatment == FINAL)
    assert level.evidence.effect == pytest.approx(0.06 * 7.5, abs=0.03)
    assert level.evidence.n == 8 * ends_of(RUNS)
    assert back.evidence.effect == pytest.approx(0.4, abs=0.03)
    assert sentence_of(result).startswith("slope: learning shows: later runs stand higher")


def test_where_nothing_is_learned_there_is_no_slope(stream: Stream) -> None:
    _, result = found(stream, flat)
    assert result.verdict.verdict == "no slope"
    assert {one.decided.decision for one in result.contrasts if one.decided} <= {"hold", "uninformative"}


def test_a_learner_that_spends_a_fifth_more_is_confounded(stream: Stream) -> None:
    assert found(stream, rising, turns=12)[1].verdict.verdict == "confounded"


def test_a_learner_that_spends_less_is_not(stream: Stream) -> None:
    assert found(stream, rising, turns=5)[1].verdict.verdict == "slope"


def test_infrastructure_failures_are_counted_and_never_a_zero(stream: Stream) -> None:
    lost = iter([True])

    def value(arm: str, run: int, luck: float) -> float | None:
        return None if arm == FROZEN and run == 2 and next(lost, False) else rising(arm, run, luck)

    made, result = found(stream, value)
    assert result.learned[0].missing == 1
    assert result.learned[0].tasks == 8 * RUNS - 1
    assert result.learned[0].means[1] == pytest.approx(0.12, abs=0.05)
    assert measured(stream, FROZEN, made.runs).excluded.excluded == 1
    assert "infra-excluded" in markdown_of(report_of(stream, made, result))


def test_an_arm_that_loses_more_than_chance_is_refused(stream: Stream) -> None:
    with pytest.raises(EvidenceError, match="cannot be compared"):
        found(stream, lambda arm, run, luck: None if arm == NULL and run < 4 else flat(arm, run, luck))


def test_points_are_means_over_tasks_of_every_arm_and_run(stream: Stream) -> None:
    made, result = found(stream, rising)
    assert points_of(made, NAMES) == result.points
    assert len(result.points) == len(NAMES) * (3 * RUNS + ends_of(RUNS))
    one = next(p for p in result.points if (p.arm, p.objective, p.run) == (LEARNED, "correct", 5))
    assert one.mean == pytest.approx(np.mean([s.values["correct"] or 0 for s in made.runs[4].scores[LEARNED][0]]))


def test_slopes_have_a_q_over_the_objectives(stream: Stream) -> None:
    slopes = slopes_of(stream, streamed(stream, rising), LEARNED, NAMES)
    assert slopes[0].q == pytest.approx(4 * slopes[0].p)
    assert [one.p for one in slopes[1:]] == [1.0] * 3


def test_the_report_holds_slopes_spend_and_what_learning_took(stream: Stream) -> None:
    made, result = found(stream, rising)
    report = report_of(stream, made, result)
    assert [one.arm for one in report.spend] == [LEARNED, FROZEN, NULL, FINAL]
    assert report.numbers["slope/learned/correct/slope"] == result.learned[0].slope
    assert report.numbers["learning/recorded_attempts"] == 12
    assert report.data["turns"] == dict.fromkeys((LEARNED, FROZEN, NULL), [10.0] * RUNS)
    page = markdown_of(report)
    assert "## Contrasts: back-test on the first runs" in page
    assert "the final controller was learned on the very slices" in page
    assert type(report).model_validate_json(report.model_dump_json()) == report
