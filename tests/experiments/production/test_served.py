"""What production is said to have done: counted from records, with what replay can and cannot use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.baselines import seed_candidate
from controllers.corpus import SqliteCorpus
from controllers.production import PRODUCTION
from controllers.release import Champion, FolderSource, load_champion
from experiments.production.served import UNEXPLORED, is_fallback, reward_of, sentence_of, served_of
from signatures.records import Attempt, Decision, Episode
from tests.worlds.planted import CountingWorker, PlantedBenchmark
from tests.worlds.shipped import serve, ship

WORLD = PlantedBenchmark()
TASKS = WORLD.tasks("search")[:6]


@pytest.fixture
async def corpus(tmp_path: Path) -> AsyncIterator[SqliteCorpus]:
    with closing(SqliteCorpus(tmp_path / "corpus.db")) as corpus:
        yield corpus


def champion(folder: Path, exploration: float = 0.05) -> Champion:
    ship(folder, exploration=exploration)
    return load_champion(FolderSource(folder))


async def test_nothing_was_served_yet(corpus: SqliteCorpus, tmp_path: Path) -> None:
    found = await served_of(corpus, WORLD, champion(tmp_path / "release").release)
    assert (found.episodes, found.usable, found.success) == (0, 0, {})
    assert found.sentence == "no episode was played in production yet"


async def test_what_was_served_is_counted_and_its_reward_is_the_checkers(corpus: SqliteCorpus, tmp_path: Path) -> None:
    served = champion(tmp_path / "release")
    episodes = await serve(corpus, served, TASKS, each=2)
    found = await served_of(corpus, WORLD, served.release)
    attempts = [a async for a in corpus.scan(Attempt)]
    decisions = [d async for d in corpus.scan(Decision)]
    assert (found.episodes, found.attempts, found.decisions) == (12, len(attempts), len(decisions))
    assert found.by_tier == {"rule": len(decisions)}
    assert (found.failed, found.fallbacks) == (0, 0)
    by_id = {one.id: one for one in attempts}
    correct = [by_id[one.selected_id or ""].check("correct") for one in episodes]
    assert found.success["correct"].mean == pytest.approx(sum(c.value or 0 for c in correct if c) / 12)
    turns = {one.id: sum(a.cost.turns or 0 for a in attempts if a.episode_id == one.id) for one in episodes}
    assert found.success["fast"].mean == pytest.approx(sum(1 - n / 12 for n in turns.values()) / 12)
    assert {level.n for level in found.success.values()} == {12}


async def test_with_exploration_replay_can_use_every_episode(corpus: SqliteCorpus, tmp_path: Path) -> None:
    served = champion(tmp_path / "release")
    await serve(corpus, served, TASKS)
    found = await served_of(corpus, WORLD, served.release)
    assert (found.usable, found.left_out) == (6, {})
    assert found.sentence == "exploration is 0.05: replay can use 6 of the 6 episodes for other candidates"


async def test_without_exploration_replay_can_use_none_for_other_candidates(
    corpus: SqliteCorpus, tmp_path: Path
) -> None:
    served = champion(tmp_path / "release", exploration=0.0)
    await serve(corpus, served, TASKS)
    found = await served_of(corpus, WORLD, served.release)
    assert (found.usable, found.left_out) == (0, {UNEXPLORED: 6})
    assert found.sentence == "exploration is 0: replay can use none of the 6 episodes for other candidates"


async def test_episodes_count_as_they_were_drawn_whatever_the_rate_is_now(corpus: SqliteCorpus, tmp_path: Path) -> None:
    await serve(corpus, champion(tmp_path / "explored"), TASKS[:4])
    fixed = champion(tmp_path / "fixed", exploration=0.0)
    await serve(corpus, fixed, TASKS[4:])
    found = await served_of(corpus, WORLD, fixed.release)
    assert (found.usable, found.left_out) == (4, {UNEXPLORED: 2})
    assert found.sentence == (
        f"exploration is 0 now: replay can use 4 of the 6 episodes for other candidates (left out: 2 {UNEXPLORED})"
    )


async def test_infrastructure_is_counted_and_never_scored(corpus: SqliteCorpus, tmp_path: Path) -> None:
    served = champion(tmp_path / "release")
    failing = {task.digest for task in TASKS[:2]}
    worker = CountingWorker(
        WORLD.worker(None, None), fails=lambda task, call: ValueError("broken") if task.digest in failing else None
    )
    await serve(corpus, served, TASKS, worker=worker)
    found = await served_of(corpus, WORLD, served.release)
    assert (found.episodes, found.failed, found.usable) == (6, 2, 4)
    assert found.left_out == {"infrastructure": 2}
    assert {level.n for level in found.success.values()} == {4}


async def test_other_candidates_and_other_splits_are_not_counted(corpus: SqliteCorpus, tmp_path: Path) -> None:
    served = champion(tmp_path / "release")
    ship(tmp_path / "other", seed_candidate())
    other = load_champion(FolderSource(tmp_path / "other"))
    await serve(corpus, served, TASKS[:3])
    await serve(corpus, other, TASKS)
    (one, *_) = [e async for e in corpus.scan(Episode, {"candidate": served.release.candidate})]
    await corpus.append(one.model_copy(update={"id": "searched", "split": "search"}))
    assert (await served_of(corpus, WORLD, served.release)).episodes == 3
    assert (await served_of(corpus, WORLD, other.release)).episodes == 6


async def test_a_decision_of_the_rule_tier_where_the_release_has_a_model_is_a_fallback(
    corpus: SqliteCorpus, tmp_path: Path
) -> None:
    rule = ship(tmp_path / "rule")
    served = champion(tmp_path / "release")
    model = rule.model_copy(update={"fallback": {"steer": served.controller.policies["steer"].text}})
    another = rule.model_copy(update={"fallback": {"steer": "{}"}})
    await serve(corpus, served, TASKS)
    for decision in [d async for d in corpus.scan(Decision)]:
        assert not is_fallback(decision, rule)
        assert is_fallback(decision, model) == (decision.policy == "steer")
        assert not is_fallback(decision, another)  # a program is of the rule tier itself, and no fallback
        assert not is_fallback(decision.model_copy(update={"tier": "frontier"}), model)


async def test_an_episode_that_attempted_nothing_earned_nothing(corpus: SqliteCorpus, tmp_path: Path) -> None:
    served = champion(tmp_path / "release")
    (episode,) = await serve(corpus, served, TASKS[:1])
    idle = episode.model_copy(update={"attempt_ids": (), "selected_id": None})
    assert set(reward_of(idle, (), WORLD.objectives).values()) == {0.0}
    assert episode.split == PRODUCTION


@given(
    exploration=st.floats(0.01, 0.5), usable=st.integers(0, 9), left_out=st.dictionaries(st.text(), st.integers(1, 9))
)
def test_the_sentence_names_every_number(exploration: float, usable: int, left_out: dict[str, int]) -> None:
    episodes = usable + sum(left_out.values())
    sentence = sentence_of(exploration, episodes, usable, left_out)
    if episodes:
        assert f"can use {usable} of the {episodes} episodes for other candidates" in sentence
        assert all(f"{count} {reason}" in sentence for reason, count in left_out.items())
