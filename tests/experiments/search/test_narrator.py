"""What a search does, told: one event per candidate with its lineage and artifacts, one per generation."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from controllers.baselines import seed_candidate
from controllers.program import loads
from experiments.events import Body, CandidateScored, GenerationDone
from experiments.fields import named
from experiments.search.narrator import Narrator, candidate_event, component_params, score_metrics
from optimizers.archive import Archive
from optimizers.records import TaskScore
from optimizers.search import Found
from optimizers.space import with_default
from optimizers.vectors import entry_of
from signatures.digest import canonical_json
from signatures.records import Amounts, Candidate, Cost
from tests.worlds.lab import Lab
from tests.worlds.planted import PlantedBenchmark

OBJECTIVES = PlantedBenchmark().objectives
SEED = seed_candidate()
CHILD = with_default(SEED, "steer", "fan")


def scores(candidate: Candidate, *correct: float | None, source: str = "live") -> tuple[TaskScore, ...]:
    return tuple(
        TaskScore.model_validate(
            {
                "candidate": candidate.digest,
                "condition": "candidate",
                "task_digest": f"task-{number}",
                "seed": 1,
                "split": "search",
                "values": {objective.name: value for objective in OBJECTIVES},
                "source": source,
                "used": Amounts(attempts=2, turns=5, usd=0.0001),
            }
        )
        for number, value in enumerate(correct)
    )


def found(candidate: Candidate, name: str, decision: str, *, evidence: str = "", replayed: bool = False) -> Found:
    return Found(
        name=name,
        candidate=candidate,
        parents=() if decision == "seed" else (SEED.digest,),
        generation=int(name[1:3]),
        proposer="start" if decision == "seed" else "mined",
        evidence=evidence,
        decision=decision,  # type: ignore[arg-type]  # the three words of Found
        scores=scores(candidate, 1.0, 0.5, source="replay" if replayed else "live"),
    )


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


class Watch:
    """A narrator with what it emitted and printed."""

    def __init__(self, lab: Lab, *, children: bool = True) -> None:
        self.events: list[Body] = []
        self.out = io.StringIO()
        self.evaluator = lab.evaluator()
        console = Console(file=self.out, width=200, markup=False)
        self.narrator = Narrator(self.events.append, console, self.evaluator, title="gepa", children=children)


def test_the_seed_has_no_parent_so_no_diff(lab: Lab) -> None:
    watch = Watch(lab)
    watch.narrator.found(found(SEED, "g00-c0", "seed"))
    (event,) = watch.events
    assert isinstance(event, CandidateScored)
    assert (event.name, event.role, event.generation, event.digest) == ("g00-c0", "candidate", 0, SEED.digest)
    assert set(event.artifacts) == {"controller.json"}
    assert event.tags["tiller.decision"] == "seed"
    assert event.tags["tiller.parents"] == ""
    assert event.metrics["search/correct"] == 0.75


def test_an_accepted_candidate_comes_with_diff_evidence_and_a_controller_that_loads(lab: Lab) -> None:
    watch = Watch(lab)
    watch.narrator.found(found(SEED, "g00-c0", "seed"))
    watch.narrator.found(found(CHILD, "g01-c0", "accepted", evidence="fan helped in 9 of 10"))
    event = watch.events[1]
    assert isinstance(event, CandidateScored)
    assert event.artifacts["evidence.txt"] == "fan helped in 9 of 10\n"
    assert loads(event.artifacts["controller.json"]).candidate == CHILD
    added = [line for line in event.artifacts["diff.txt"].splitlines() if line.startswith("+ ")]
    removed = [line for line in event.artifacts["diff.txt"].splitlines() if line.startswith("- ")]
    assert "fan" in "".join(added) and "none" in "".join(removed)
    assert {name: event.tags[f"tiller.{name}"] for name in ("parents", "proposer", "front", "generation")} == {
        "parents": SEED.digest,
        "proposer": "mined",
        "front": "no",
        "generation": "1",
    }


def test_a_rejected_candidate_is_told_on_its_minibatch_and_is_not_a_finalist(lab: Lab) -> None:
    watch = Watch(lab)
    watch.narrator.found(found(SEED, "g00-c0", "seed"))
    watch.narrator.found(found(CHILD, "g01-c0", "rejected", evidence="weak"))
    event = watch.events[1]
    assert isinstance(event, CandidateScored)
    assert event.tags["tiller.decision"] == "rejected"
    assert event.metrics["batch/correct"] == 0.75
    assert not [name for name in event.metrics if name.startswith("search/")]
    assert set(watch.narrator.found_by_digest) == {SEED.digest}


def test_a_candidate_without_support_has_no_number_and_is_kept_apart(lab: Lab) -> None:
    """Some of its tasks may have a value, but those are the tasks that the record happens to hold."""
    watch = Watch(lab)
    watch.narrator.found(found(SEED, "g00-c0", "seed"))
    watch.narrator.found(found(CHILD, "g01-c0", "unsupported", evidence="who knows"))
    event = watch.events[1]
    assert isinstance(event, CandidateScored)
    assert event.tags["tiller.decision"] == "unsupported"
    assert {name.split("/")[0] for name in event.metrics} == {"spent"}
    assert set(watch.narrator.found_by_digest) == {SEED.digest}
    assert set(watch.narrator.aside_by_digest) == {CHILD.digest}


def test_a_candidate_tells_its_lineage_and_what_the_search_had_spent(lab: Lab) -> None:
    watch = Watch(lab)
    watch.narrator.found(found(SEED, "g00-c0", "seed"))
    watch.evaluator.budget.charge(Cost(tokens_in=90, tokens_out=10, usd=0.25))
    child = replace(found(CHILD, "g01-c0", "accepted"), hypothesis="Looking at the fan first helps.")
    watch.narrator.found(child)
    grandchild = with_default(CHILD, "topology", "fanout_1")
    watch.narrator.found(replace(found(grandchild, "g02-c0", "rejected"), parents=(CHILD.digest, SEED.digest)))
    first, second, third = (event for event in watch.events if isinstance(event, CandidateScored))
    assert (first.tags["tiller.lineage"], first.tags["tiller.parent_names"]) == ("g00-c0", "")
    assert "tiller.hypothesis" not in first.tags
    assert second.tags["tiller.hypothesis"] == "Looking at the fan first helps."
    assert (third.tags["tiller.lineage"], third.tags["tiller.parent_names"]) == (
        "g00-c0 > g01-c0 > g02-c0",
        "g01-c0,g00-c0",
    )
    assert {event.tags["tiller.engine"] for event in (first, second, third)} == {"gepa"}
    assert first.metrics["spent/tokens"] == 0.0
    assert (second.metrics["spent/tokens"], second.metrics["spent/usd"]) == (100.0, 0.25)
    assert "spent/wall_s" not in second.metrics


def test_a_duplicate_has_no_number_and_changes_nothing(lab: Lab) -> None:
    watch = Watch(lab)
    watch.narrator.found(found(SEED, "g00-c0", "seed"))
    watch.narrator.found(replace(found(SEED, "g01-c0", "duplicate"), scores=()))
    event = watch.events[1]
    assert isinstance(event, CandidateScored)
    assert event.tags["tiller.decision"] == "duplicate"
    assert {name.split("/")[0] for name in event.metrics} == {"spent"}
    assert watch.narrator.found_by_digest[SEED.digest].name == "g00-c0"


def test_a_program_is_shown_as_its_source(lab: Lab) -> None:
    source = (
        "async def strategy(ctx):\n    shot = await ctx.shot()\n    if not shot.passed:\n        await ctx.shot()\n"
    )
    longer = source + "    return\n"
    parent, child = (
        Candidate(components={"program": canonical_json({"tier": "rule", "source": text})}) for text in (source, longer)
    )
    event = candidate_event(found(child, "a01-c0", "accepted"), parent, OBJECTIVES)
    assert event.params == {"program.tier": "rule", "program.lines": "5"}
    assert event.artifacts["program.py"] == longer
    assert loads(event.artifacts["controller.json"]).candidate == child
    assert [line for line in event.artifacts["diff.txt"].splitlines() if line.startswith("+ ")] == ["+    return"]


async def test_with_replay_a_generation_says_what_live_evaluations_would_have_taken(lab: Lab) -> None:
    watch, archive = Watch(lab), Archive(OBJECTIVES)
    tasks = lab.benchmark.tasks("search")[:2]
    evaluator = lab.evaluator(replay=await lab.replay(tasks), journal="replay.jsonl")
    console = Console(file=watch.out, width=200, markup=False)
    narrator = Narrator(watch.events.append, console, evaluator, title="gepa")
    one = found(SEED, "g00-c0", "seed")
    archive.add(entry_of(one.scores, OBJECTIVES, generation=0))
    evaluator.tally.attempts = 31
    evaluator.budget.bill(Amounts(attempts=4))
    narrator.generation(0, archive)
    assert "31 attempts replayed or made, 4 of them live" in watch.out.getvalue()
    event = watch.events[-1]
    assert isinstance(event, GenerationDone)
    assert (event.metrics["search/evaluated_attempts"], event.metrics["search/attempts"]) == (31.0, 4.0)


def test_the_parent_of_a_diff_may_be_any_candidate_that_was_told(lab: Lab) -> None:
    watch = Watch(lab)
    watch.narrator.found(found(CHILD, "g01-c0", "accepted"))
    event = watch.events[0]
    assert isinstance(event, CandidateScored)
    assert "diff.txt" not in event.artifacts  # its parent was never told, so there is nothing to compare with


def test_a_generation_tells_front_volume_spend_and_support(lab: Lab) -> None:
    watch = Watch(lab)
    archive = Archive(OBJECTIVES)
    for one in (found(SEED, "g00-c0", "seed"), found(CHILD, "g01-c0", "accepted", replayed=True)):
        watch.narrator.found(one)
        archive.add(entry_of(one.scores, OBJECTIVES, generation=one.generation))
    watch.evaluator.budget.bill(Amounts(attempts=7))
    watch.narrator.generation(1, archive)
    event = watch.events[-1]
    assert isinstance(event, GenerationDone)
    assert event.generation == 1
    assert event.metrics == {
        "search/hypervolume": pytest.approx(0.75**4),
        "search/front_size": 2.0,
        "search/best_correct": 0.75,
        "search/attempts": 7.0,
        "search/evaluated_attempts": 0.0,
        "search/unsupported": 0.0,
    }
    assert watch.narrator.volumes == [pytest.approx(0.75**4)]
    assert watch.out.getvalue().startswith("gepa generation 1: front 2, best correct 0.750")


def test_money_and_tokens_are_told_where_somebody_measured_them(lab: Lab) -> None:
    watch = Watch(lab)
    one = found(SEED, "g00-c0", "seed")
    watch.narrator.found(one)
    archive = Archive(OBJECTIVES)
    archive.add(entry_of(one.scores, OBJECTIVES, generation=0))
    watch.evaluator.budget.charge(Cost(tokens_in=90, tokens_out=10, usd=0.25))
    watch.narrator.generation(0, archive)
    event = watch.events[-1]
    assert isinstance(event, GenerationDone)
    assert (event.metrics["search/tokens"], event.metrics["search/cost_usd"]) == (100.0, 0.25)


def test_a_search_beside_the_main_one_prints_and_emits_nothing(lab: Lab) -> None:
    watch = Watch(lab, children=False)
    one = found(SEED, "g00-c0", "seed")
    watch.narrator.found(one)
    archive = Archive(OBJECTIVES)
    archive.add(entry_of(one.scores, OBJECTIVES, generation=0))
    watch.narrator.generation(0, archive)
    assert watch.events == []
    assert "generation 0" in watch.out.getvalue()
    assert SEED.digest in watch.narrator.found_by_digest


def test_metrics_have_their_interval_beside_them_and_what_an_episode_took() -> None:
    metrics = score_metrics("dev", scores(SEED, 1.0, 0.5, None), OBJECTIVES)
    assert metrics["dev/correct"] == 0.75
    assert metrics["dev/correct_lo"] <= 0.75 <= metrics["dev/correct_hi"]
    assert (metrics["cost/attempts"], metrics["cost/turns"], metrics["cost/usd"]) == (2.0, 5.0, 0.0001)
    assert "cost/tokens" not in metrics


def test_what_was_not_measured_is_left_out() -> None:
    assert not [name for name in score_metrics("dev", scores(SEED, None), OBJECTIVES) if name.startswith("dev/")]


def test_metrics_reach_the_tracker_with_four_digits_under_their_own_names() -> None:
    metrics = score_metrics("search", scores(SEED, 1 / 3, 1 / 7), OBJECTIVES)
    kept = named(metrics)
    assert set(kept) == set(metrics)
    assert kept["search/correct"] == round((1 / 3 + 1 / 7) / 2, 4)
    assert kept["cost/usd"] == 0.0001


def test_the_params_are_short_facts_of_each_policy() -> None:
    assert component_params(CHILD) == {
        "stop.tier": "rule",
        "stop.rules": "1",
        "stop.otherwise": "continue",
        "topology.tier": "rule",
        "topology.rules": "1",
        "topology.otherwise": "refine_last",
        "steer.tier": "rule",
        "steer.rules": "0",
        "steer.otherwise": "fan",
    }


def test_a_models_component_is_shown_as_it_is() -> None:
    body = {"tier": "frontier", "model": "scripted", "instructions": "Look at the lamps.", "demos": []}
    candidate = Candidate(components={**SEED.components, "steer": json.dumps(body)})
    event = candidate_event(found(candidate, "g01-c0", "accepted"), SEED, OBJECTIVES)
    assert json.loads(event.artifacts["controller.json"])["steer"] == body
    assert event.params["steer.tier"] == "frontier"
    assert "Look at the lamps." in event.artifacts["diff.txt"]
