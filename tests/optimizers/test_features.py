"""The episode log, against the episodes that were really played."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.corpus import MemoryCorpus
from controllers.moves import STOP, legal_topology
from controllers.spec import Rollout
from optimizers.collect.collecting import CollectPlan, collect
from optimizers.episode_log import EpisodeLog
from optimizers.features import episode_log, logged, tables_of
from optimizers.scoring import episode_values
from signatures.errors import UsageError
from signatures.records import Attempt, Objective, Task
from tests.worlds.lab import STEERS
from tests.worlds.planted import CountingWorker
from tests.worlds.played import BEHAVIOUR, BENCHMARK, OBJECTIVES, TASKS, Plan, Played, parts_of, play, played, spec_of

PLANS = (
    Plan(),
    Plan(tasks=12, floor=0.0),
    Plan(tasks=12, attempts=5, turns=15),
    Plan(tasks=12, steers=("pump",)),
    Plan(tasks=12, attempts=4, turns=10, each=None),
    Plan(tasks=12, attempts=None, turns=9, each=2),
)


def log_of(found: Played, objectives: Sequence[Objective] = OBJECTIVES) -> EpisodeLog:
    return episode_log(found.tables, found.outcomes, objectives)


def rounds_of(rollout: Rollout) -> list[int]:
    """Attempts that had been made before each round, a stop included."""
    launched = [seen.attempt.round for seen in rollout.history]
    return [sum(one < number for one in launched) for number in range(max(launched) + 1)]


@pytest.mark.parametrize("plan", PLANS)
def test_every_episode_with_its_draws_on_record_is_in_the_log(plan: Plan) -> None:
    found = played(plan)
    log, ids = logged(found.tables, found.outcomes, OBJECTIVES)
    assert (log.n, dict(log.left_out)) == (len(found.rollouts), {})
    assert ids == tuple(found.rollouts)
    assert [log.tasks[t] for t in log.task_N] == [r.episode.task_digest for r in found.rollouts.values()]
    assert log.objectives == ("correct", "fast", "cheap", "clean")


@pytest.mark.parametrize("plan", PLANS)
def test_recorded_draws_are_the_options_with_their_propensities(plan: Plan) -> None:
    found = played(plan)
    log = log_of(found)
    drawn = log.option_N_K >= 0
    assert (np.diff(drawn.astype(int), axis=1) <= 0).all()  # contiguous from 0
    assert (log.propensity_N_K[~drawn] == 1).all()
    assert (log.behaviour_L[log.option_N_K[drawn]] == log.propensity_N_K[drawn]).all()
    assert (np.diff(log.state_L) >= 0).all()
    assert np.bincount(log.state_L, log.behaviour_L) == pytest.approx(np.ones(len(log.features_S_F)))


@pytest.mark.parametrize("plan", PLANS)
def test_the_options_of_a_round_are_all_that_was_legal_then(plan: Plan) -> None:
    found = played(plan)
    log = log_of(found)
    for n, rollout in enumerate(found.rollouts.values()):
        before = rounds_of(rollout)
        drawn = log.option_N_K[n][log.option_N_K[n] >= 0]
        if len(drawn) > len(before):
            assert log.actions[log.action_L[drawn[-1]]] == ("done", None, None)
            before.append(len(rollout.history))
        assert len(drawn) == len(before)
        for k, made in enumerate(before):
            state = log.state_L[log.option_N_K[n, k]]
            options = [log.actions[a] for a in log.action_L[log.state_L == state]]
            left = log.features_S_F[state, log.features.index("attempts_left")]
            forced = np.isnan(left)
            legal = legal_topology(rollout.history[:made], 1 if forced else int(left))
            assert tuple(dict.fromkeys(o.topology for o in options if o.topology)) == legal
            assert tuple(dict.fromkeys(o.stop for o in options)) == ((None,) if made == 0 else STOP)
            steers = tuple(dict.fromkeys(o.steer for o in options if (o.topology or "").startswith("refine")))
            assert steers == (() if made == 0 else plan.steers)
            option = log.actions[log.action_L[log.option_N_K[n, k]]]
            launched = [seen.attempt for seen in rollout.history if seen.attempt.round == k]
            if option.topology is not None and option.topology.startswith("fanout"):
                assert option.topology == f"fanout_{len(launched)}"
            elif option.topology is not None:
                assert option.steer == launched[0].steer.action


OVERS = st.sampled_from(["judge", "lineage", "episode"])
SCALES = st.tuples(st.floats(-5, 30), st.floats(-5, 30)).filter(lambda ends: abs(ends[0] - ends[1]) > 1e-3)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(PLANS),
    st.dictionaries(st.sampled_from(["correct", "fast", "cheap", "clean"]), st.tuples(OVERS, SCALES), min_size=1),
)
def test_rewards_sum_to_the_values_that_a_live_evaluation_gives(
    plan: Plan, defined: dict[str, tuple[str, tuple[float, float]]]
) -> None:
    found = played(plan)
    objectives = [
        Objective.model_validate({"name": name, "unit": "u", "worst": worst, "best": best, "over": over})
        for name, (over, (worst, best)) in defined.items()
    ]
    log = log_of(found, objectives)
    for n, (id, rollout) in enumerate(found.rollouts.items()):
        assert rollout.episode.selected_id is not None
        values = episode_values(rollout.history, rollout.episode.selected_id, found.outcomes[id], objectives)
        assert log.values_N_M[n] == pytest.approx([values[name] for name in log.objectives], abs=1e-12)


def test_permuting_the_record_permutes_rows_and_changes_nothing_else() -> None:
    found = played(Plan(tasks=12, floor=0.0))
    log, ids = logged(found.tables, found.outcomes, OBJECTIVES)
    rng = np.random.default_rng(0)
    for _ in range(5):
        shuffled = found.tables._make(table.take(rng.permutation(table.num_rows)) for table in found.tables)
        again, again_ids = logged(shuffled, found.outcomes, OBJECTIVES)
        order = [ids.index(id) for id in again_ids]
        assert (again.tasks, again.features, again.actions) == (log.tasks, log.features, log.actions)
        same = log.take(order)
        for name in ("task_N", "option_N_K", "propensity_N_K", "rewards_N_K_M", "state_L", "action_L", "behaviour_L"):
            assert np.array_equal(getattr(again, name), getattr(same, name)), name
        assert np.array_equal(again.features_S_F, same.features_S_F, equal_nan=True)


async def test_what_infrastructure_ended_is_counted_and_no_zero() -> None:
    corpus = MemoryCorpus()
    lost = {TASKS[1].digest, TASKS[3].digest}

    def fails(task: Task, call: int) -> Exception | None:
        return OSError("gone") if task.digest in lost and call % 2 else None

    parts = parts_of(BEHAVIOUR, corpus, CountingWorker(BENCHMARK.worker(None, None), fails))
    found = await play(Plan(tasks=6), corpus=corpus, parts=parts)
    failed = [id for id, rollout in found.rollouts.items() if rollout.episode.failure is not None]
    assert failed
    log, ids = logged(found.tables, found.outcomes, OBJECTIVES)
    assert dict(log.left_out) == {"infrastructure": len(failed)}
    assert set(ids) == set(found.rollouts) - set(failed)


def test_what_the_judge_did_not_say_is_left_out_where_it_is_asked() -> None:
    found = played(Plan(tasks=12, floor=0.0))
    ids = list(found.rollouts)
    outcomes = {**found.outcomes, ids[0]: None}
    del outcomes[ids[1]]
    log = episode_log(found.tables, outcomes, OBJECTIVES)
    assert (log.n, dict(log.left_out)) == (len(ids) - 2, {"unjudged": 2})
    assert episode_log(found.tables, {}, OBJECTIVES[1:]).n == len(ids)


async def test_a_checker_that_did_not_say_leaves_out_what_it_is_needed_for() -> None:
    found = played(Plan(tasks=12, floor=0.0))
    silent = [r for r in found.rollouts.values() if len(r.history) > 1][:3]
    lineage_of = {}
    corpus = MemoryCorpus()
    for rollout in found.rollouts.values():
        for seen in rollout.history:
            attempt = seen.attempt
            if rollout in silent and attempt.index == 0:
                checks = tuple(
                    c if c.objective == "correct" else c.model_copy(update={"value": None}) for c in attempt.checks
                )
                attempt = attempt.model_copy(update={"checks": checks})
            await corpus.append(attempt)
        await corpus.append(rollout.episode)
    tables = (await tables_of(corpus))._replace(decisions=found.tables.decisions)
    log = episode_log(tables, found.outcomes, OBJECTIVES[:2])
    assert dict(log.left_out) == {"unmeasured": 3}
    for rollout in silent:
        by_id = {seen.attempt.id: seen.attempt for seen in rollout.history}
        one: Attempt | None = by_id[rollout.episode.selected_id or ""]
        chain = []
        while one is not None:
            chain.append(one.index)
            one = by_id.get(one.parent_id or "")
        lineage_of[rollout.episode.id] = chain
    in_lineage = sum(0 in chain for chain in lineage_of.values())
    assert (
        episode_log(tables, found.outcomes, [OBJECTIVES[0], OBJECTIVES[3]]).left_out.get("unmeasured", 0) == in_lineage
    )


async def test_a_tree_that_a_plan_grew_has_no_propensities() -> None:
    corpus = MemoryCorpus()
    found = await play(Plan(tasks=4), corpus=corpus)
    parts = parts_of(BEHAVIOUR, corpus)
    for roots, depth, seed in ((3, 1, 70), (1, 2, 71), (2, 2, 72)):
        spec = spec_of(Plan(), TASKS[0], seed, BEHAVIOUR)
        plan = CollectPlan(roots=roots, depth=depth, actions=STEERS[:2])
        await collect(spec.model_copy(update={"condition": "tree", "floor": 0.0}), parts, plan)
    log = episode_log(await tables_of(corpus), found.outcomes, OBJECTIVES)
    assert (log.n, dict(log.left_out)) == (len(found.rollouts), {"no propensities": 3})


async def test_an_episode_without_any_choice_is_an_option_of_probability_one() -> None:
    found = await play(Plan(tasks=5, repeats=2, attempts=1, turns=3))
    log = log_of(found)
    assert (log.n, log.option_N_K.shape, [tuple(o) for o in log.actions]) == (10, (10, 1), [(None, "fanout_1", None)])
    assert log.behaviour_L.tolist() == [1.0]
    assert (log.propensity_N_K == 1).all()


def test_a_draw_that_is_not_on_record_leaves_its_episode_out() -> None:
    found = played(Plan(tasks=12, floor=0.0))
    decisions = found.tables.decisions
    for row in (0, 7, decisions.num_rows - 1):
        keep = np.arange(decisions.num_rows) != row
        log = episode_log(found.tables._replace(decisions=decisions.filter(keep)), found.outcomes, OBJECTIVES)
        assert dict(log.left_out) == {"no propensities": 1}
    keep = np.arange(found.tables.attempts.num_rows) != 5
    log = episode_log(found.tables._replace(attempts=found.tables.attempts.filter(keep)), found.outcomes, OBJECTIVES)
    assert dict(log.left_out) == {"incomplete": 1}


def test_another_split_is_another_log() -> None:
    found = played()
    assert episode_log(found.tables, found.outcomes, OBJECTIVES, split="dev").n == 0


async def test_an_empty_corpus_gives_an_empty_log() -> None:
    log = episode_log(await tables_of(MemoryCorpus()), {}, OBJECTIVES)
    assert (log.n, log.values_N_M.shape, len(log.state_L), log.tasks) == (0, (0, 4), 0, ())


async def test_a_mark_cuts_what_came_later() -> None:
    corpus = MemoryCorpus()
    await play(Plan(tasks=1, repeats=1), corpus=corpus)
    mark = await corpus.high_water()
    await play(Plan(tasks=2, repeats=1), corpus=corpus)
    assert (await tables_of(corpus, until=mark)).episodes.num_rows == 1


def test_objectives_are_named_once_and_there_is_one() -> None:
    found = played()
    with pytest.raises(UsageError, match="there are none"):
        episode_log(found.tables, {}, [])
    with pytest.raises(UsageError, match="a name each"):
        episode_log(found.tables, {}, [OBJECTIVES[0], OBJECTIVES[0]])


def test_each_round_can_be_a_state_of_its_own() -> None:
    found = played(Plan(tasks=12, floor=0.0))
    merged, apart = log_of(found), episode_log(found.tables, found.outcomes, OBJECTIVES, each_round=True)
    drawn = apart.option_N_K >= 0
    assert len(apart.features_S_F) == drawn.sum() > len(merged.features_S_F)
    assert apart.state_L[apart.option_N_K[drawn]].tolist() == list(range(int(drawn.sum())))
    assert (apart.behaviour_L[apart.option_N_K[drawn]] == apart.propensity_N_K[drawn]).all()
    assert np.array_equal(apart.rewards_N_K_M, merged.rewards_N_K_M)
    states = merged.state_L[merged.option_N_K[drawn]]
    assert np.array_equal(apart.features_S_F, merged.features_S_F[states], equal_nan=True)
