"""The one choke point: everything that scores a candidate goes through here, and is billed, cached and recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from controllers.budget import RESOURCES, Budget
from controllers.loop import run_episode
from controllers.progress import ended_by_infrastructure
from controllers.retry import Breaker, with_retries
from controllers.spec import EpisodeSpec, Rollout, episode_id
from judges.ledger import VerdictLedger
from judges.records import Verdict
from judges.scoring import judge_episode
from optimizers.journal import JournalPart, Proposal, Proposed, score_key
from optimizers.proposers import Proposer
from optimizers.records import Tally, TaskScore
from optimizers.reflection import Reflection
from optimizers.replaying import Answer, Replaying, with_answer
from optimizers.scoring import episode_values, unselected_values
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
    "live episodes come with their traces, for reflection"


class Scored(NamedTuple):
    """A score, and the rollout where it was asked for."""

    score: TaskScore
    rollout: Rollout | None = None


class Evaluator:
    """Scores candidates on one split against one budget.

    A journaled score is answered without a rollout. On the search split a task whose recorded tree holds at least
    95 % of what the candidate would do is replayed, at no attempt; the rest runs live, and where the budget cannot pay
    for that any more it is set aside without a value. Infrastructure failures become scores without values; a judge
    that fails too often in a row stops the run.
    """

    def __init__(
        self,
        setup: Setup,
        ledger: VerdictLedger,
        journal: JournalPart,
        *,
        split: Split,
        budget: Budget,
        replay: Replaying | None = None,
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
        self.tally = Tally()
        self._billed: set[str] = set()
        self._asked: set[str] = set()
        self._judge_breaker = Breaker(setup.breaker.limit)
        self._proposer_breaker = Breaker(setup.breaker.limit)

    async def evaluate(self, request: Request) -> list[Scored]:
        """One `Scored` per task, in order. Raises BudgetExceeded before anything that cannot be paid for starts.

        A task named twice is evaluated once. Raises Outage and StoreError, with nothing journaled.
        """
        keys = [self._key(request, task) for task in request.tasks]
        known = {key: self._journal.score(key) for key in keys}
        todo = [(k, t) for k, t in dict(zip(keys, request.tasks, strict=True)).items() if known[k] is None]
        answers = await self._answers(request, todo)
        fresh = {k: self._replayed(request, t, answers[k]) for k, t in todo if k in answers and answers[k].counts}
        missing = [(key, task) for key, task in todo if key not in fresh]
        if self.replays and not self._payable(len(missing), request.grant):
            fresh |= {key: self._aside(request, task, answers.get(key)) for key, task in missing}
        else:
            live = await self._live(request, missing)
            fresh |= {key: one._replace(score=with_answer(one.score, answers.get(key))) for key, one in live.items()}
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

    @property
    def replays(self) -> bool:
        """Whether recorded trees answer first, so that attempts are spent on missing support alone."""
        return self._replay is not None and self._replay.answers

    def affords(self, tasks: int) -> bool:
        """Whether a candidate on so many tasks can be paid for; with replay, what cannot be attempted is set aside."""
        limited = [name for name in RESOURCES if name != "attempts" or not self.replays]
        left = [amount for name in limited if (amount := self.budget.left(name)) is not None]
        return all(amount > 0 for amount in left) and (self.replays or self._payable(tasks))

    def _payable(self, tasks: int, grant: Grant | None = None) -> bool:
        left = self.budget.left("attempts")
        return left is None or left >= self.cost_of(tasks, grant)

    def cost_of(self, tasks: int, grant: Grant | None = None) -> int:
        """The most attempts that `tasks` live episodes can take."""
        return tasks * (grant or self.setup.grant).attempts

    def _key(self, request: Request, task: Task) -> str:
        grant = request.grant or self.setup.grant
        cut = f"{grant.attempts}x{grant.turns_per_attempt}/{','.join(grant.steer_legal)}"
        name = f"{request.condition}/{request.candidate.digest}/{cut}"
        return score_key(name, task.digest, request.seed, self.split, self.setup.revision)

    async def _answers(self, request: Request, todo: Sequence[tuple[str, Task]]) -> dict[str, Answer]:
        """What the record says of each task of which it holds anything, whether or not that is enough."""
        replay = self._replay
        if replay is None or not replay.answers or request.grant not in (None, self.setup.grant):
            return {}
        controller = self.setup.parts(request.candidate).controller
        if not replay.covers(controller):
            return {}

        async def one(item: tuple[str, Task]) -> Answer | None:
            return await replay.answer(controller, item[1], self._asked, seed=request.seed)

        found = await self.setup.executor.map(one, todo)
        return {key: answer for (key, _), answer in zip(todo, found, strict=True) if answer is not None}

    def _replayed(self, request: Request, task: Task, answer: Answer) -> Scored:
        score = self._score(request, task, answer.replayed.values, source="replay", used=answer.replayed.used)
        return Scored(with_answer(score, answer))

    def _aside(self, request: Request, task: Task, answer: Answer | None) -> Scored:
        nothing = dict.fromkeys((o.name for o in self.setup.objectives), None)
        score = self._score(request, task, nothing, source="replay", used=Amounts())
        return Scored(with_answer(score.model_copy(update={"set_aside": True, "unsupported": 1.0}), answer))

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
            values = unselected_values(rollout.history, episode.failure, self.setup.objectives)
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
                self.tally.add(one.score)
                self._asked.update(one.score.asked)

    async def _with_rollout(self, request: Request, task: Task, one: Scored) -> Scored:
        """A journaled score's rollout comes back out of the corpus: its attempts are recalled, not run again.

        A replayed score has none.
        """
        if one.rollout is not None or one.score.source == "replay":
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
