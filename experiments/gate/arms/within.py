"""Inside the episodes of an arm: what more attempts rescued and broke, its ceiling, and whether its choice is stable.

All of it is for reports: verdicts on attempts that were not selected go into a ledger of this run alone, and select,
steer and accept nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field

from controllers import Checker
from controllers.boundary import boundary
from controllers.history import Seen
from controllers.retry import with_retries
from controllers.selector import select
from controllers.spec import Rollout
from experiments.gate.arms.contrasts import Measured, split_of
from experiments.search.stages import Step, evaluator_of
from experiments.wiring import Wired
from judges.ledger import VerdictLedger
from judges.records import Verdict
from judges.scoring import judge_episode
from optimizers.collect.gathering import outputs_of
from optimizers.evaluator import Request
from optimizers.intervals import mean_interval
from signatures.errors import WorkerError
from signatures.records import AttemptResult, CheckerResult, Failure, Probability, Record, Task


class Within(Record):
    """One arm, attempt by attempt. An attempt is right where the judge gives it full marks."""

    arm: str
    episodes: int = Field(ge=0)
    "whose every attempt was judged"
    first_right: int = Field(ge=0)
    selected_right: int = Field(ge=0)
    rescued: int = Field(ge=0)
    "first attempt wrong, selected one right"
    broken: int = Field(ge=0)
    "first attempt right, selected one wrong"
    oracle: Probability | None
    "mean of the best attempt by the judge: a ceiling, never a control"
    oracle_lo: Probability | None = None
    oracle_hi: Probability | None = None
    "its 95 % interval over episodes; None: too few"
    retested: int = Field(ge=0)
    "episodes of two attempts or more whose attempts were all checked again"
    flipped: int = Field(ge=0)
    "of these, where the selector then picked another attempt"
    flipped_outcome: int = Field(ge=0)
    "of these, where the judge gave that one another score"

    @property
    def rescue_rate(self) -> float | None:
        """Rescued among those whose first attempt was wrong."""
        wrong = self.episodes - self.first_right
        return self.rescued / wrong if wrong else None

    @property
    def break_rate(self) -> float | None:
        """Broken among those whose first attempt was right."""
        return self.broken / self.first_right if self.first_right else None

    @property
    def flip_rate(self) -> float | None:
        """How often the selector changed its mind on a second test of the same attempts."""
        return self.flipped / self.retested if self.retested else None


class Looked(NamedTuple):
    """One episode whose attempts are judged."""

    first: float
    selected: float
    best: float
    again: float | None
    "score of what the selector picks on a second test; None: not tested again"
    moved: bool


async def look_within(
    wired: Wired, measured: Measured, tasks: Sequence[Task], ledger: VerdictLedger, *, retest: int, step: Step
) -> Within:
    """Judge every recorded attempt of an arm, and check those of its first `retest` episodes a second time.

    The first seed counts. Nothing is attempted again. Raises StoreError, Outage.
    """
    found = await look_into(wired, measured, tasks, ledger, retest=retest)
    step()
    return within_of(measured.name, tuple(found.values()))


async def look_into(
    wired: Wired, measured: Measured, tasks: Sequence[Task], ledger: VerdictLedger, *, retest: int
) -> dict[str, Looked]:
    """As `look_within`, episode by episode: by task digest, those whose every attempt was judged."""
    arm = measured.arm
    seed = measured.scores[0][0].seed
    failed = {score.task_digest for score in measured.scores[0] if score.failure is not None}
    whole = [task for task in tasks if task.digest not in failed]
    evaluator = evaluator_of(wired, split=split_of(wired, tasks), namespace="within")
    request = Request(arm.candidate, whole, seed=seed, condition=arm.name, grant=measured.grant, keep_rollouts=True)
    rollouts = [one.rollout for one in await evaluator.evaluate(request)]
    items = [(i, t, r) for i, (t, r) in enumerate(zip(whole, rollouts, strict=True)) if r is not None]

    async def look(item: tuple[int, Task, Rollout]) -> Looked | None:
        number, task, rollout = item
        return await _look(wired, task, rollout, ledger, again=number < retest)

    found = await wired.setup.executor.map(look, items)
    return {task.digest: one for (_, task, _), one in zip(items, found, strict=True) if one is not None}


def within_of(name: str, found: Sequence[Looked]) -> Within:
    """What these episodes of the arm `name` come to."""
    tested = [one for one in found if one.again is not None]
    ceiling = mean_interval({str(number): [one.best] for number, one in enumerate(found)})
    return Within(
        arm=name,
        episodes=len(found),
        first_right=sum(one.first >= 1 for one in found),
        selected_right=sum(one.selected >= 1 for one in found),
        rescued=sum(one.first < 1 <= one.selected for one in found),
        broken=sum(one.selected < 1 <= one.first for one in found),
        oracle=sum(one.best for one in found) / len(found) if found else None,
        oracle_lo=ceiling.lo,
        oracle_hi=ceiling.hi,
        retested=len(tested),
        flipped=sum(one.moved for one in tested),
        flipped_outcome=sum(one.moved and one.again != one.selected for one in tested),
    )


async def _look(wired: Wired, task: Task, rollout: Rollout, ledger: VerdictLedger, *, again: bool) -> Looked | None:
    """None where an attempt has no output or the judge could not say."""
    setup, episode = wired.setup, rollout.episode
    outputs = await outputs_of(setup.corpus, [seen.attempt for seen in rollout.history])
    scores: dict[str, float] = {}
    for seen in rollout.history:
        id = seen.attempt.id
        if id not in outputs:
            return None
        selected = episode.model_copy(update={"selected_id": id})
        verdict = await judge_episode(setup.judge, ledger, task, selected, outputs[id], retry=setup.retry)
        if not isinstance(verdict, Verdict) or verdict.score is None:
            return None
        scores[id] = verdict.score
    if episode.selected_id not in scores:
        return None
    picked = await _selected_again(wired, task, rollout, outputs) if again and len(scores) > 1 else None
    return Looked(
        first=scores[rollout.history[0].attempt.id],
        selected=scores[episode.selected_id],
        best=max(scores.values()),
        again=None if picked is None else scores[picked],
        moved=picked is not None and picked != episode.selected_id,
    )


async def _selected_again(wired: Wired, task: Task, rollout: Rollout, outputs: dict[str, str]) -> str | None:
    """What the selector picks when every checker looks a second time; None where one could not."""
    corpus, checked = wired.setup.corpus, []
    for seen in rollout.history:
        done = seen.attempt
        if done.outcome == "infra_error":
            return None
        state = None
        if done.state_digest is not None:
            state = (await corpus.blob(done.state_digest)).decode("utf-8", "surrogatepass")
        result = AttemptResult(
            output=outputs[done.id], state=state, trace=seen.trace, cost=done.cost, outcome=done.outcome
        )
        checks = await _checks(wired, task, result)
        if checks is None:
            return None
        checked.append(Seen(done.model_copy(update={"checks": checks}), seen.trace))
    picked = select(checked)
    return None if picked is None else picked.attempt.id


async def _checks(wired: Wired, task: Task, result: AttemptResult) -> tuple[CheckerResult, ...] | None:
    found = []
    for checker in wired.setup.checkers:
        where = f"checker {checker.objective}"

        async def ask(checker: Checker = checker, where: str = where) -> CheckerResult:
            with boundary(WorkerError, where):
                return await checker.check(task, result)

        answer = await with_retries(ask, where, wired.setup.retry)
        if isinstance(answer, Failure):
            return None
        found.append(answer)
    return tuple(found)
