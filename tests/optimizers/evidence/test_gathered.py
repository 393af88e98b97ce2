"""Evidence: what a proposer is handed of some tasks, from live episodes and recorded trees."""

from __future__ import annotations

import json

import pytest

from controllers.baselines import seed_candidate
from controllers.program import NAMES, lm_component, program_candidate
from controllers.scripted_engine import scripted_lm
from optimizers.evaluator import Request
from optimizers.evidence.contrast import shown_pairs, spread_of
from optimizers.evidence.episodes_told import shown_episodes
from optimizers.evidence.gathered import Evidence, evidence_of, gather
from optimizers.evidence.reflection import Reflection
from signatures.records import Candidate
from tests.worlds.lab import Lab, lamp_follower
from tests.worlds.planted import PlantedJudge


async def gathered(lab: Lab, candidate: Candidate, *, live: bool, recorded: bool, order: int = 1) -> Evidence:
    tasks = lab.benchmark.tasks("search")[:4]
    trees = await lab.replay(tasks) if recorded else None
    evaluator = lab.evaluator(replay=None if live else trees)
    scored = await evaluator.evaluate(Request(candidate, tasks, seed=2, keep_rollouts=True))
    known = {task.digest: task for task in tasks}
    return await gather(candidate, scored[::order], evaluator.setup, tasks=known, trees=trees, seed=7)


async def test_it_is_the_sequence_of_its_moves(lab: Lab) -> None:
    found = await gathered(lab, seed_candidate(), live=True, recorded=True)
    assert len(found) == len(found.moves) > 0 and list(found) == list(found.moves)
    assert found[0] is found.moves[0] and found[:2] == found.moves[:2]
    assert evidence_of(found) is found
    assert evidence_of(found.moves[:3]).moves == found.moves[:3] and not evidence_of([]).episodes


async def test_live_and_recorded_episodes_are_told_and_pairs_come_by_spread(lab: Lab) -> None:
    found = await gathered(lab, lamp_follower(), live=True, recorded=True)
    assert {one.source for one in found.episodes} == {"live", "walk"}
    assert {pair.policy for pair in found.pairs} == set(NAMES)
    spreads = [pair.spread for pair in found.pairs]
    assert spreads == sorted(spreads, reverse=True)
    tasks = list(dict.fromkeys(one.task for one in found.episodes))
    assert len(tasks) == 4 and all(len([e for e in found.episodes if e.task == task]) == 2 for task in tasks)
    assert tasks[0] == found.pairs[0].task


async def test_without_trees_the_live_episodes_are_told(lab: Lab) -> None:
    found = await gathered(lab, seed_candidate(), live=True, recorded=False)
    assert [one.source for one in found.episodes] == ["live"] * 4
    widest = found.episodes[0]
    assert spread_of(widest.attempts) == max(spread_of(one.attempts) for one in found.episodes)


async def test_under_replay_the_candidates_own_walk_is_told(lab: Lab) -> None:
    found = await gathered(lab, lamp_follower(), live=False, recorded=True)
    walks = [one.id for one in found.episodes if one.source == "walk"]
    other = await gathered(lab, seed_candidate(), live=False, recorded=True)
    assert len(walks) == 4 and set(walks) != {one.id for one in other.episodes if one.source == "walk"}
    assert [pair.id for pair in found.pairs if pair.better.source == "branch"] == [
        pair.id for pair in other.pairs if pair.better.source == "branch"
    ], "what is recorded does not depend on the candidate"


async def test_of_a_models_candidate_nothing_is_asked_to_tell_it(lab: Lab) -> None:
    lm, engine = scripted_lm(lambda prompt: "")
    candidate = Candidate(components={name: lm_component(name, lm) for name in NAMES})
    tasks = lab.benchmark.tasks("search")[:4]
    trees = await lab.replay(tasks)
    scored = await lab.evaluator(replay=trees).evaluate(Request(seed_candidate(), tasks, seed=2))
    scored = [one._replace(rollout=None) for one in scored]
    found = await gather(candidate, scored, lab.setup(), tasks={t.digest: t for t in tasks}, trees=trees, seed=7)
    assert engine.prompts == [] and not found.episodes and found.pairs and found.moves


@pytest.mark.parametrize(
    ("after", "decided"),
    [("    return\n", [("stop", "done")]), ("    x = 1 / 0\n", None)],
    ids=["takes no shot", "fails"],
)
async def test_what_a_program_does_is_told_unless_it_fails(
    lab: Lab, after: str, decided: list[tuple[str, str]] | None
) -> None:
    program = program_candidate("async def strategy(ctx):\n" + after)
    tasks = lab.benchmark.tasks("search")[:2]
    trees = await lab.replay(tasks)
    scored = await lab.evaluator(replay=trees).evaluate(Request(seed_candidate(), tasks, seed=2))
    scored = [one._replace(rollout=None) for one in scored]
    found = await gather(program, scored, lab.setup(), tasks={t.digest: t for t in tasks}, trees=trees, seed=7)
    told = [[(choice.policy, choice.action) for choice in one.choices] for one in found.episodes]
    assert told == ([] if decided is None else [decided] * 2)


async def test_it_is_the_same_in_whatever_order_the_scores_come(lab: Lab) -> None:
    one, other = [await gathered(lab, lamp_follower(), live=True, recorded=True, order=way) for way in (1, -1)]
    assert [e.id for e in one.episodes] == [e.id for e in other.episodes]
    assert [p.id for p in one.pairs] == [p.id for p in other.pairs]


async def test_only_what_concerns_a_component(lab: Lab) -> None:
    found = await gathered(lab, seed_candidate(), live=True, recorded=True)
    for name in NAMES:
        part = found.only(name)
        assert {move.policy for move in part.moves} <= {name} and {pair.policy for pair in part.pairs} <= {name}
        assert part.episodes == found.episodes
    assert found.only("program") is found


@pytest.mark.parametrize("live", [True, False], ids=["live", "replayed"])
async def test_no_verdict_is_in_it_and_none_chooses_what_is_in_it(lab: Lab, live: bool) -> None:
    """The same evidence whatever the judge says, in its words or in its numbers."""
    texts = []
    for judge in (PlantedJudge(canary="CANARY"), _Contrary()):
        lab.judge = judge
        found = await gathered(lab, lamp_follower(), live=live, recorded=True)
        moves = [json.dumps(record.shown()) for record in found.moves]
        texts.append(
            [*shown_episodes(found.episodes, most_chars=10**7), *shown_pairs(found.pairs, most_chars=10**7), *moves]
        )
        lab.close_journals()
        (lab.folder / "journal.jsonl").unlink()
    assert texts[0] == texts[1]
    assert not any("CANARY" in text for text in texts[0])


class _Contrary:
    """Scores everything the other way round."""

    revision = "contrary"
    deterministic = True

    async def judge(self, task: object, output: str) -> object:
        judgement = await PlantedJudge().judge(task, output)  # type: ignore[arg-type]
        return judgement.model_copy(update={"score": 1.0 - (judgement.score or 0.0)})


def test_records_of_a_replay_without_trees_are_plain_moves() -> None:
    rows = [Reflection(policy="stop", features={}, action="done", gain=0.0, turns=1)]
    assert evidence_of(rows).only("stop").moves == tuple(rows)
    assert evidence_of(rows).only("steer").moves == ()
