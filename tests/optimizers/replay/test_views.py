"""What a policy saw comes back from the corpus, round by round."""

from __future__ import annotations

import pytest

from controllers.corpus import MemoryCorpus
from optimizers.features import logged
from optimizers.replay.views import views_of
from signatures.errors import StoreError, UsageError
from tests.worlds.played import OBJECTIVES, TASKS, Plan, played

PLAN = Plan(tasks=4, repeats=2, floor=0.0)


async def test_every_state_shows_the_attempts_and_traces_made_before_it() -> None:
    found = played(PLAN)
    made = logged(found.tables, found.outcomes, OBJECTIVES, each_round=True)
    views = await views_of(found.corpus, made, TASKS)
    for n, rollout in enumerate(found.rollouts.values()):
        for k, option in enumerate(made.log.option_N_K[n]):
            if option >= 0:
                view = views(int(made.log.state_L[option]))
                assert view.history == tuple(seen for seen in rollout.history if seen.attempt.round < k)
                assert view.task.digest == rollout.episode.task_digest


async def test_a_log_in_which_rounds_share_states_is_refused() -> None:
    found = played(PLAN)
    with pytest.raises(UsageError, match="each_round"):
        await views_of(found.corpus, logged(found.tables, found.outcomes, OBJECTIVES), TASKS)


async def test_a_task_or_a_record_that_is_missing_is_named() -> None:
    found = played(PLAN)
    made = logged(found.tables, found.outcomes, OBJECTIVES, each_round=True)
    with pytest.raises(UsageError, match="1 tasks that are not given"):
        await views_of(found.corpus, made, TASKS[1:])
    with pytest.raises(StoreError, match="no episode"):
        await views_of(MemoryCorpus(), made, TASKS)
    without = MemoryCorpus()
    await without.append(*(rollout.episode for rollout in found.rollouts.values()))
    with pytest.raises(StoreError, match="lacks attempt"):
        await views_of(without, made, TASKS)
