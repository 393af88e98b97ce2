"""The end of a run: members, baselines and the picture reach the log; the text and the JSON say the same."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from controllers.baselines import seed_candidate
from controllers.program import loads
from experiments.events import ArtifactWritten, CandidateScored, CandidateUpdated, EventLog, read_events
from experiments.places import claim
from experiments.search.confirmed import Confirmed, Pair
from experiments.search.ending import Account, Outcome, Scores, cost_axis, report, tell_baseline, tell_members
from experiments.search.job import Job
from experiments.search.searching import RANDOM
from experiments.search.stages import space_from
from experiments.search.trees import Recording, record_trees
from experiments.wiring import ready, wired
from optimizers.records import TaskScore
from optimizers.replaying import Replaying
from optimizers.space import with_default
from signatures.records import Amounts, Candidate, Objective
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.small import small

OBJECTIVES = PlantedBenchmark().objectives
SEED, CHILD = seed_candidate(), with_default(seed_candidate(), "steer", "fan")


def scores(candidate: Candidate, *correct: float | None) -> Scores:
    digests = [task.digest for task in PlantedBenchmark().tasks("dev")]
    return tuple(
        TaskScore.model_validate(
            {
                "candidate": candidate.digest,
                "condition": "x",
                "task_digest": digest,
                "seed": 1,
                "split": "dev",
                "values": {objective.name: value for objective in OBJECTIVES},
                "source": "live",
                "used": Amounts(attempts=2, turns=5),
            }
        )
        for digest, value in zip(digests, correct, strict=False)
    )


def confirmed(name: str, candidate: Candidate, search: str) -> Confirmed:
    pair = Pair(n=4, offline=0.5, offline_lo=0.4, offline_hi=0.6, live=0.75, live_lo=0.3, live_hi=0.95)
    values = {objective.name: pair for objective in OBJECTIVES}
    return Confirmed(
        name=name,
        search=search,
        digest=candidate.digest,
        tasks=4,
        replayed=4,
        unsupported=0.0,
        attempts=8,
        values=values,
    )


OUTCOME = Outcome(
    arms={name: scores(SEED, 0.0, 0.0, 1.0, 0.0) for name in ("random@2", "continue@2", "placebo@2")},
    members={"g01-c0": scores(CHILD, 1.0, 1.0, 1.0, None), "g00-c0": scores(SEED, 0.0, 1.0, 0.0, 0.0)},
    rivals={RANDOM: scores(SEED, 0.0, 1.0, 0.0, 1.0)},
    controllers={"g01-c0": CHILD, "g00-c0": SEED, RANDOM: SEED},
    volumes={"gepa": [0.1, 0.2], RANDOM: [0.1, 0.1]},
    account=Account(fill=12, confirm=30, evaluations=200, recording=Recording(new=72, recalled=8)),
    confirmed=(
        confirmed("g01-c0", CHILD, "gepa"),
        confirmed("r01-c0", SEED, RANDOM),
        confirmed("r02-c0", with_default(SEED, "steer", "pump"), RANDOM),
    ),
)


@contextmanager
def job_at(root: Path, out: io.StringIO) -> Iterator[Job]:
    given = ready(small(root))
    folder = claim(given.config, given.manifest)
    console = Console(file=out, width=200, markup=False, soft_wrap=True)
    with wired(given, folder) as parts, EventLog(folder) as log:
        replay = asyncio.run(record_trees(given.config, parts, lambda: None)).replay
        space = space_from(replay, parts.splits.train, parts.actions, 2)
        yield Job(given.config, folder, parts, log, console, Replaying(replay), space)


def test_members_are_told_with_their_dev_values_and_their_controllers_load(tmp_path: Path) -> None:
    with job_at(tmp_path, io.StringIO()) as job:
        tell_members(job, OUTCOME)
    bodies = [event.body for event in read_events(job.folder / "events.jsonl")]
    updates = [body for body in bodies if isinstance(body, CandidateUpdated)]
    assert [(body.name, body.tags, body.metrics["dev/correct"]) for body in updates] == [
        ("g01-c0", {"tiller.front": "yes"}, 1.0),
        ("g00-c0", {"tiller.front": "yes"}, 0.25),
    ]
    baselines = [body for body in bodies if isinstance(body, CandidateScored)]
    assert [(body.name, body.role) for body in baselines] == [(RANDOM, "baseline")]
    texts = {path.stem: path.read_text() for path in (job.folder / "candidates").iterdir()}
    assert {name: loads(text).candidate for name, text in texts.items()} == {"g01-c0": CHILD, "g00-c0": SEED}


def test_a_baseline_has_a_number_for_each_split_it_was_measured_on(tmp_path: Path) -> None:
    with job_at(tmp_path, io.StringIO()) as job:
        tell_baseline(job, "random@2", SEED, {"search": scores(SEED, 1.0), "dev": scores(SEED, 0.0, 1.0)})
    (body,) = [event.body for event in read_events(job.folder / "events.jsonl")]
    assert isinstance(body, CandidateScored)
    assert (body.metrics["search/correct"], body.metrics["dev/correct"]) == (1.0, 0.5)
    assert body.tags == {"tiller.candidate": SEED.digest, "tiller.decision": "baseline"}
    assert body.params["steer.otherwise"] == "none"


def test_the_report_compares_what_search_chose_and_nothing_else(tmp_path: Path) -> None:
    out = io.StringIO()
    with job_at(tmp_path, out) as job:
        result = report(job, OUTCOME)
    text = out.getvalue()
    for name in ("random@2", "continue@2", "placebo@2", RANDOM, "g01-c0", "g00-c0"):
        assert f" {name} " in text
    assert [one["control"] for one in result["comparisons"]] == ["random@2", "placebo@2"]
    # Tasks 1 to 3 have both values: the gains are 1, 1 and 0; the fourth is missing on one side.
    for one in result["comparisons"]:
        assert one["difference"]["mean"] == pytest.approx(2 / 3)
        assert (one["difference"]["n"], one["difference"]["missing"]) == (3, 2)
    assert result["sentence"] in text
    assert "g01-c0, chosen on search as the best correct of the 2 on the front" in result["sentence"]
    assert [(row["name"], row["n"], row["missing"]) for row in result["rows"] if row["missing"]] == [("g01-c0", 3, 1)]
    assert json.loads(json.dumps(result)) == result


def test_both_estimates_are_shown_and_of_the_rival_the_chosen_candidate_only(tmp_path: Path) -> None:
    out = io.StringIO()
    with job_at(tmp_path, out) as job:
        result = report(job, OUTCOME)
    table = out.getvalue().split("dev split")[0]
    assert " g01-c0 " in table and " r01-c0 " in table and " r02-c0 " not in table
    assert "0.500 [0.40, 0.60]" in table and "0.750* [0.30, 0.95]" in table
    assert [one["name"] for one in result["confirmed"]] == ["g01-c0", "r01-c0", "r02-c0"]  # type: ignore[attr-defined]


def test_what_the_search_took_stands_beside_what_it_would_have_taken(tmp_path: Path) -> None:
    out = io.StringIO()
    with job_at(tmp_path, out) as job:
        result = report(job, OUTCOME)
    line = (
        "live attempts: 42 (12 for what the record lacked, 30 to confirm), where a live search would have used 200 for "
        "the same evaluations; recording the trees took 72 new attempts, 8 were there\n"
    )
    assert line in out.getvalue()
    kept = {"fill": 12, "confirm": 30, "evaluations": 200, "recording": {"new": 72, "recalled": 8}}
    assert result["attempts"] == kept


def test_a_live_run_claims_no_saving() -> None:
    account = Account(fill=200, confirm=0, evaluations=200, recording=Recording(new=72, recalled=0))
    assert account.sentence == "live attempts: 200, everything was attempted live"


def test_the_paths_are_there_and_the_picture_is_logged(tmp_path: Path) -> None:
    out = io.StringIO()
    with job_at(tmp_path, out) as job:
        tell_members(job, OUTCOME)
        paths = report(job, OUTCOME)["paths"]
    assert set(paths) == {"run", "candidates", "chosen", "figure"}
    assert all(Path(path).exists() for path in paths.values())
    assert all(f"{name}: {path}\n" in out.getvalue() for name, path in paths.items())
    artifacts = [e.body for e in read_events(job.folder / "events.jsonl") if isinstance(e.body, ArtifactWritten)]
    assert [body.path for body in artifacts] == ["front.png"]


def objective(name: str) -> Objective:
    return Objective(name=name, unit="x", worst=1.0, best=0.0, over="episode")


@pytest.mark.parametrize(
    ("names", "axis"),
    [
        (["correct", "fast", "secure", "cheap", "clean"], "cheap"),
        (["correct", "clean", "fast"], "fast"),
        (["correct", "clean"], "clean"),
        (["cheap", "fast"], "fast"),
        (["correct"], "correct"),
    ],
)
def test_the_primary_objective_is_drawn_against_a_cost(names: list[str], axis: str) -> None:
    assert cost_axis([objective(name) for name in names]) == axis
