"""The one choke point: everything that scores a candidate goes through here, and is billed, cached and recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from controllers.budget import Budget
from controllers.loop import run_episode
from controllers.progress import ended_by_infrastructure
from controllers.retry import Breaker, with_retries
from controllers.spec import EpisodeSpec, Rollout, episode_id
from judges.ledger import VerdictLedger
from judges.records import Verdict
from judges.scoring import judge_episode
from optimizers.journal import JournalPart, Proposal, Proposed, score_key
from optimizers.proposers import Proposer
from optimizers.records import TaskScore
from optimizers.reflection import Reflection
from optimizers.replay.tree import TreeReplay
from optimizers.scoring import episode_values
from optimizers.setup import Grant, Setup
from signatures.digest import digest_of
from signatures.errors import FirewallBreach, StoreError
from signatures.records import Amounts, Candidate, Cost, Episode, Failure, PolicyName, Split, Task

MOST_REPEATS: Final = 1_000
"""Times that one episode may have been run again; beyond it the recorded score is of something else."""


@dataclass(frozen=True)
class Request:
    """One candidate on some tasks. Parents and children of a search are asked with the same seed."""

    candidate: Candidate
    tasks: Sequence[Task]
    seed: int
    condition: str = "candidate"
    grant: Grant | None = None
    "another cut of the budget, for long@1"
    keep_rollouts: bool = False
    "live episodes with their traces, for reflection"


class Scored(NamedTuple):
    """A score, and the rollout where it was asked for."""

    score: TaskScore
    rollout: Rollout | None = None


class Evaluator:
    """Scores candidates on one split against one budget.

    A journaled score is answered without a rollout; on the search split a candidate that the corpus supports
    wholly on a task is replayed; the rest runs live. Infrastructure failures become scores without values; a judge
    that fails too often in a row stops the run. Only rules are replayed: a model would be asked at every branch.
    """

    def __init__(
        self,
        setup: Setup,
        ledger: VerdictLedger,
        journal: JournalPart,
        *,
        split: Split,
        budget: Budget,
        replay: TreeReplay | None = None,
    ) -> None:
        if split == "holdout":
            raise FirewallBreach("the holdout is read by the gate alone")
        if replay is not None and split != "search":
            raise FirewallBreach("only the search split is replayed")
        self.setup = setup
        self.split: Split = split
        self.budget = budget
        self._ledger = ledger
        self._journal = journal
        self._replay = replay
        self._billed: set[str] = set()
        self._judge_breaker = Breaker(setup.breaker.limit)
        self._proposer_breaker = Breaker(setup.breaker.limit)

    async def evaluate(self, request: Request) -> list[Scored]:
        """One `Scored` per task, in order. Raises BudgetExceeded before anything that cannot be paid for starts.

        A task named twice is evaluated once. Raises Outage and StoreError, with nothing journaled.
        """
        keys = [self._key(request, task) for task in request.tasks]
        known = {key: self._journal.score(key) for key in keys}
        todo = [(k, t) for k, t in dict(zip(keys, request.tasks, strict=True)).items() if known[k] is None]
        replayed = {} if request.keep_rollouts else await self._replayed(request, todo)
        fresh = {key: one for key, one in replayed.items() if one.score.unsupported == 0}
        live = await self._live(request, [(key, task) for key, task in todo if key not in fresh])
        for key, one in live.items():
            lost = replayed[key].score.unsupported if key in replayed else 0.0
            fresh[key] = one._replace(score=one.score.model_copy(update={"unsupported": lost}))
        self._journal.write_scores({key: one.score for key, one in fresh.items()})
        scored = [fresh[k] if k in fresh else Scored(_known(known[k])) for k in keys]
        self._bill(keys, scored)
        if request.keep_rollouts:
            scored = [
                await self._with_rollout(request, task, one) for task, one in zip(request.tasks, scored, strict=True)
            ]
        return scored

    async def verdicts(self, task: Task, episode: Episode, outputs: Mapping[str, str]) -> dict[str, float | None]:
        """The judge's number for several attempts of one recorded episode, each as if it had been selected."""
        if self.split != "search":
            raise FirewallBreach("attempts that were not selected are judged on the search split only")
        numbers: dict[str, float | None] = {}
        for attempt_id, output in outputs.items():
            as_selected = episode.model_copy(update={"selected_id": attempt_id})
            verdict = await self._verdict(task, as_selected, output)
            numbers[attempt_id] = verdict.score if isinstance(verdict, Verdict) else None
        return numbers

    async def propose(
        self,
        proposer: Proposer,
        candidate: Candidate,
        component: PolicyName,
        records: Sequence[Reflection],
        *,
        number: int,
    ) -> Proposal | None:
        """The proposer's answer, journaled before it is used and billed like an attempt.

        A proposer that cannot be asked proposes nothing. Raises Outage where that happens too often in a row.
        """
        key = digest_of("proposal", number, candidate.digest, component, proposer.name)
        known = self._journal.proposal(key)
        if known is None:
            known = await self._proposed(proposer, lambda: proposer.propose(candidate, component, records, seed=number))
            self._journal.write_proposal(key, known)
        self.budget.charge(known.cost)
        return known.proposal

    async def _proposed(
        self, proposer: Proposer, ask: Callable[[], Awaitable[tuple[Proposal | None, Cost]]]
    ) -> Proposed:
        answer = await with_retries(ask, f"proposer {proposer.name}", self.setup.retry)
        if isinstance(answer, Failure):
            self._proposer_breaker.failed(answer)
            return Proposed(proposal=None, failure=answer)
        self._proposer_breaker.succeeded()
        return Proposed(proposal=answer[0], cost=answer[1])

    def recorded_moves(self, task_digest: str) -> list[Reflection]:
        """The moves that the recorded tree of a task shows, if there is one."""
        return [] if self._replay is None else self._replay.moves(task_digest)

    def cost_of(self, tasks: int, grant: Grant | None = None) -> int:
        """The most attempts that `tasks` live episodes can take."""
        return tasks * (grant or self.setup.grant).attempts

    def _key(self, request: Request, task: Task) -> str:
        grant = request.grant or self.setup.grant
        cut = f"{grant.attempts}x{grant.turns_per_attempt}/{','.join(grant.steer_legal)}"
        name = f"{request.condition}/{request.candidate.digest}/{cut}"
        return score_key(name, task.digest, request.seed, self.split, self.setup.revision)

    async def _replayed(self, request: Request, todo: Sequence[tuple[str, Task]]) -> dict[str, Scored]:
        """What the corpus says of each task it holds, with the unsupported share that decides if that may count."""
        found: dict[str, Scored] = {}
        if self._replay is None or request.grant not in (None, self.setup.grant):
            return found
        controller = self.setup.parts(request.candidate).controller
        if any(policy.tier != "rule" for policy in controller.policies.values()):
            return found
        for key, task in todo:
            value = await self._replay.value(controller, task)
            if value is not None:
                score = self._score(request, task, value.values, source="replay", used=value.used)
                lost = 0.0 if value.supported else min(1.0, value.unsupported)
                found[key] = Scored(score.model_copy(update={"unsupported": lost}))
        return found

    async def _live(self, request: Request, todo: Sequence[tuple[str, Task]]) -> dict[str, Scored]:
        if not todo:
            return {}
        held = self.budget.reserve(Amounts(attempts=self.cost_of(len(todo), request.grant)))
        parts = self.setup.parts(request.candidate)

        async def one(item: tuple[str, Task]) -> Scored:
            spec = self._spec(request, item[1])
            while await ended_by_infrastructure(spec, parts):  # what ended so and was not scored may run again
                spec = spec.model_copy(update={"repeat": spec.repeat + 1})
            return await self._judged(request, item[1], await run_episode(spec, parts))

        try:
            scored = await self.setup.executor.map(one, todo)
        finally:
            held.refund()
        return {key: result for (key, _), result in zip(todo, scored, strict=True)}

    async def _judged(self, request: Request, task: Task, rollout: Rollout) -> Scored:
        episode = rollout.episode
        if rollout.output is None or episode.selected_id is None:
            values = dict.fromkeys((o.name for o in self.setup.objectives), None)
            score = self._score(request, task, values, source="live", used=episode.spent)
            return Scored(score.model_copy(update={"failure": episode.failure, "episode_id": episode.id}), rollout)
        verdict = await self._verdict(task, episode, rollout.output)
        number = verdict.score if isinstance(verdict, Verdict) else None
        values = episode_values(rollout.history, episode.selected_id, number, self.setup.objectives)
        score = self._score(request, task, values, source="live", used=episode.spent)
        failure = verdict if isinstance(verdict, Failure) else None
        return Scored(score.model_copy(update={"failure": failure, "episode_id": episode.id}), rollout)

    async def _verdict(self, task: Task, episode: Episode, output: str) -> Verdict | Failure:
        """Raises Outage where the judge failed too often in a row: what it did not say may still be asked."""
        verdict = await judge_episode(self.setup.judge, self._ledger, task, episode, output, retry=self.setup.retry)
        if isinstance(verdict, Failure):
            self._judge_breaker.failed(verdict)
        else:
            self._judge_breaker.succeeded()
        return verdict

    def _score(
        self, request: Request, task: Task, values: Mapping[str, float | None], *, source: str, used: Amounts
    ) -> TaskScore:
        return TaskScore.model_validate(
            {
                "candidate": request.candidate.digest,
                "condition": request.condition,
                "task_digest": task.digest,
                "seed": request.seed,
                "split": self.split,
                "values": dict(values),
                "source": source,
                "spent": used if source == "live" else Amounts(),
                "used": used,
            }
        )

    def _bill(self, keys: Sequence[str], scored: Sequence[Scored]) -> None:
        """Each evaluation is billed once a run, whether it was just made or answered from the journal."""
        for key, one in zip(keys, scored, strict=True):
            if key not in self._billed:
                self._billed.add(key)
                self.budget.bill(one.score.spent)

    async def _with_rollout(self, request: Request, task: Task, one: Scored) -> Scored:
        """A journaled score's rollout comes back out of the corpus: its attempts are recalled, not run again."""
        if one.rollout is not None:
            return one
        parts, spec = self.setup.parts(request.candidate), self._spec(request, task)
        for repeat in range(MOST_REPEATS):
            spec = spec.model_copy(update={"repeat": repeat})
            if one.score.episode_id in (None, episode_id(spec, parts)):
                return Scored(one.score, await run_episode(spec, parts))
        raise StoreError(f"episode {one.score.episode_id} was played by another worker or controller than this one")

    def _spec(self, request: Request, task: Task) -> EpisodeSpec:
        return self.setup.spec(
            task,
            request.candidate,
            condition=request.condition,
            split=self.split,
            seed=request.seed,
            grant=request.grant,
        )


def _known(score: TaskScore | None) -> TaskScore:
    assert score is not None
    return score
