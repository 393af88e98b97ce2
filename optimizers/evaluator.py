"""The one choke point: everything that scores a candidate goes through here, and is billed, cached and recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import KW_ONLY, InitVar, dataclass
from functools import cached_property
from pathlib import Path

from controllers.admission import LimitReached
from controllers.budget import RESOURCES, Budget, amounts_of
from controllers.retry import Breaker, with_retries
from judges.ledger import VerdictLedger
from judges.scoring import judge_episode
from optimizers.archive import Archive
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Journal, JournalPart, Proposal, Proposed, request_key
from optimizers.live import Live, Request, Scored
from optimizers.members import Members
from optimizers.meter import Flight, Limits, Meter
from optimizers.proposers import Proposer
from optimizers.records import Tally, TaskScore
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Answer, Replaying, ruled, with_answer
from optimizers.setup import Grant, Setup
from signatures.digest import digest_of
from signatures.errors import FirewallBreach
from signatures.records import Amounts, Candidate, Cost, Episode, Failure, PolicyName, Split, Task

__all__ = ["Evaluator", "Request", "Scored", "evaluator_in"]


@dataclass(eq=False)
class Evaluator:
    """Scores candidates on one split against one budget.

    A journaled score is answered without a rollout. On the search split a task whose recorded tree holds at least
    95 % of what the candidate would do is replayed, at no attempt; the rest runs live, and where the budget cannot pay
    for that any more it is set aside without a value. `limits` are asked before each live attempt: what they do not
    admit any more is set aside as well. Infrastructure failures become scores without values, a program's own fault a
    score of zeros; a judge that fails too often in a row stops the run.
    """

    setup: Setup
    ledger: InitVar[VerdictLedger]
    journal: InitVar[JournalPart]
    _: KW_ONLY
    split: Split
    budget: Budget
    replay: InitVar[Replaying | None] = None
    limits: InitVar[Limits | None] = None

    def __post_init__(
        self, ledger: VerdictLedger, journal: JournalPart, replay: Replaying | None, limits: Limits | None
    ) -> None:
        if self.split == "holdout":
            raise FirewallBreach("the holdout is read by the gate alone")
        if replay is not None and self.split != "search":
            raise FirewallBreach("only the search split is replayed")
        self.tally = Tally()
        self.meter = Meter(limits or Limits(), self.tally, self.budget)
        self.members = Members()
        self._journal = journal
        self._replay = replay
        self._live = Live(self.setup, self.split, self._number)
        self._ledger = ledger
        self._judge_breaker = Breaker(self.setup.breaker.limit)
        self._billed: set[str] = set()
        self._billed_proposals: set[str] = set()
        self._asked: set[str] = set()
        self._proposer_breaker = Breaker(self.setup.breaker.limit)

    @cached_property
    def archive(self) -> Archive:
        """The archive of the search: one, whatever engines take turns. Raises UsageError for too many objectives."""
        return Archive(self.setup.objectives)

    async def evaluate(self, request: Request) -> list[Scored]:
        """One `Scored` per task, in order. Raises BudgetExceeded before anything that cannot be paid for starts.

        A task named twice is evaluated once. Raises Outage and StoreError, with nothing journaled.
        """
        keys = self._keys(request)
        known = {key: self._journal.score(key) for key in keys}
        todo = [(k, t) for k, t in dict(zip(keys, request.tasks, strict=True)).items() if known[k] is None]
        fresh: dict[str, Scored] = {}
        if todo:
            with self.meter.flight() as flight:
                fresh = await self._fresh(request, todo, flight)
                self._journal.write_scores({key: one.score for key, one in fresh.items()}, wall_s=self.meter.stamp())
        scored = [fresh[k] if k in fresh else Scored(_known(known[k])) for k in keys]
        self._bill(keys, scored)
        if request.keep_rollouts:
            pairs = zip(request.tasks, scored, strict=True)
            scored = [one if one.score.set_aside else await self._live.recalled(request, t, one) for t, one in pairs]
        return scored

    async def verdicts(self, task: Task, episode: Episode, outputs: Mapping[str, str]) -> dict[str, float | None]:
        """The judge's number for several attempts of one recorded episode, each as if it had been selected."""
        if self.split != "search":
            raise FirewallBreach("attempts that were not selected are judged on the search split only")
        numbers: dict[str, float | None] = {}
        for attempt_id, output in outputs.items():
            as_selected = episode.model_copy(update={"selected_id": attempt_id})
            number = await self._number(task, as_selected, output)
            numbers[attempt_id] = None if isinstance(number, Failure) else number
        return numbers

    async def _number(self, task: Task, episode: Episode, output: str) -> float | Failure | None:
        """The judge's number, None where it could not say. Raises Outage where it failed too often in a row."""
        verdict = await judge_episode(self.setup.judge, self._ledger, task, episode, output, retry=self.setup.retry)
        if isinstance(verdict, Failure):
            self._judge_breaker.failed(verdict)  # what it did not say may still be asked
            return verdict
        self._judge_breaker.succeeded()
        return verdict.score

    async def propose(
        self,
        proposer: Proposer,
        candidate: Candidate,
        component: PolicyName,
        records: Sequence[Reflection],
        *,
        number: int,
    ) -> Proposal | None:
        """The proposer's answer, by `ask`; `number` tells equal questions of one search apart."""
        key = digest_of("proposal", number, candidate.digest, component, proposer.name)
        return await self.ask(key, proposer.name, lambda: proposer.propose(candidate, component, records, seed=number))

    async def ask(
        self, key: str, name: str, ask: Callable[[], Awaitable[tuple[Proposal | None, Cost]]]
    ) -> Proposal | None:
        """A proposal, journaled under `key` before it is used and billed like an attempt.

        `name` is who is asked. Who cannot be asked proposes nothing, and where a limit is reached nobody is asked.
        Raises Outage where asking failed too often in a row.
        """
        known = self._journal.proposal(key)
        if known is None:
            if self.meter.reached() is not None:
                return None
            known = await self._proposed(name, ask)
            self._journal.write_proposal(key, known, wall_s=self.meter.stamp())
        self.meter.passed(self._journal.wall(key))
        if key not in self._billed_proposals:  # the same question twice in one run was asked and paid for once
            self._billed_proposals.add(key)
            self.budget.charge(known.cost)
        return known.proposal

    async def _proposed(self, name: str, ask: Callable[[], Awaitable[tuple[Proposal | None, Cost]]]) -> Proposed:
        answer = await with_retries(ask, f"proposer {name}", self.setup.retry)
        if isinstance(answer, Failure):
            self._proposer_breaker.failed(answer)
            return Proposed(proposal=None, failure=answer)
        self._proposer_breaker.succeeded()
        return Proposed(proposal=answer[0], cost=answer[1])

    def recorded_moves(self, task_digest: str) -> list[Reflection]:
        """The moves that the recorded tree of a task shows, if there is one."""
        return [] if self._replay is None else self._replay.moves(task_digest)

    @property
    def trees(self) -> TreeReplay | None:
        """The recorded trees, to be read as evidence."""
        return None if self._replay is None else self._replay.trees

    @property
    def replays(self) -> bool:
        """Whether recorded trees answer first, so that attempts are spent on missing support alone."""
        return self._replay is not None and self._replay.answers

    def affords(self, tasks: int) -> bool:
        """Whether a candidate on so many tasks can be paid for; with replay, what cannot be attempted is set aside."""
        return self.short(tasks) is None

    def short(self, tasks: int) -> str | None:
        """What does not pay for a candidate on so many tasks, in words; None where everything does."""
        if (reached := self.meter.reached()) is not None:
            return reached
        for name in RESOURCES:
            left = self.budget.left(name)
            if left is None or (name == "attempts" and self.replays):
                continue
            need = self.cost_of(tasks) if name == "attempts" else 0
            if left <= 0 or left < need:
                may = f", and another candidate may take {need}" if left > 0 else ""
                return f"{name}: {left:g} left of {getattr(self.budget.granted, name):g}{may}"
        return None

    def share(self) -> float:
        """The share of the most used-up limit on [0, 1], the live pool among them where everything runs live."""
        granted = None if self.replays else self.budget.granted.attempts
        live = (self.budget.spent.attempts or 0) / granted if granted else 0.0
        return min(1.0, max(live, self.meter.share()))

    def cost_of(self, tasks: int, grant: Grant | None = None) -> int:
        """The most attempts that `tasks` live episodes can take."""
        return tasks * (grant or self.setup.grant).attempts

    def _payable(self, tasks: int, grant: Grant | None = None) -> bool:
        left = self.budget.left("attempts")
        return left is None or left >= self.cost_of(tasks, grant)

    def _keys(self, request: Request) -> list[str]:
        """One key per task: what the tasks share is digested once."""
        grant = request.grant or self.setup.grant
        cut = f"{grant.attempts}x{grant.turns_per_attempt}/{','.join(grant.steer_legal)}"
        name = f"{request.condition}/{request.digest}/{cut}"
        head = request_key(name, request.seed, self.split, self.setup.revision)
        return [f"{head}/{task.digest}" for task in request.tasks]

    async def _fresh(self, request: Request, todo: Sequence[tuple[str, Task]], flight: Flight) -> dict[str, Scored]:
        """The scores that the journal does not hold: replayed where the record has them, else live, else set aside."""
        answers = await self._answers(request, todo, flight)
        fresh: dict[str, Scored] = {}
        missing: list[tuple[str, Task]] = []
        for key, task in todo:
            answer = answers.get(key)
            if answer is not None and answer.fault is not None:
                fresh[key] = Scored(with_answer(self._live.faulted(request, task, answer.fault), answer))
            elif answer is None or not answer.counts:
                missing.append((key, task))
            elif flight.takes(answer.replayed.used.attempts or 0):
                fresh[key] = self._replayed(request, task, answer)
            else:
                fresh[key] = self._aside(request, task, answer, cut=flight.refused or "")
        if self.replays and not self._payable(len(missing), request.grant):
            return fresh | {k: self._aside(request, t, answers.get(k), cut=flight.refused or "") for k, t in missing}
        held = self.budget.reserve(Amounts(attempts=self.cost_of(len(missing), request.grant)))
        try:
            live = await self._live.play(request, missing, flight if self.meter.limited else None)
        finally:
            held.refund()
        return fresh | {k: one._replace(score=with_answer(one.score, answers.get(k))) for k, one in live.items()}

    async def _answers(self, request: Request, todo: Sequence[tuple[str, Task]], flight: Flight) -> dict[str, Answer]:
        """What the record says of each task of which it holds anything, whether or not that is enough."""
        replay = self._replay
        if replay is None or not replay.answers or request.grant not in (None, self.setup.grant):
            return {}
        controller = self.setup.parts(request.candidate).controller
        if not replay.covers(controller):
            return {}

        async def one(item: tuple[str, Task]) -> Answer | None:
            return await replay.answer(controller, item[1], self._asked, seed=request.seed)

        async def priced(item: tuple[str, Task]) -> Answer | None:
            ticket = flight.ticket(live=False)
            try:
                await ticket.admit(1, Amounts())
                answer = await one(item)
                ticket.landed(Amounts() if answer is None else amounts_of(answer.cost))
                return answer
            except LimitReached:
                return None  # what is missing here is set aside, because the flight is refused
            finally:
                ticket.close()

        if ruled(controller):
            found = [await one(item) for item in todo]  # nothing there waits for anything
        elif self.meter.limited:
            found = await flight.each(priced, todo, self.setup.executor, attempts=0)
        else:
            found = await self.setup.executor.map(one, todo)
        return {key: answer for (key, _), answer in zip(todo, found, strict=True) if answer is not None}

    def _replayed(self, request: Request, task: Task, answer: Answer) -> Scored:
        values, used = answer.replayed.values, answer.replayed.used
        return Scored(with_answer(self._live.score(request, task, values, source="replay", used=used), answer))

    def _aside(self, request: Request, task: Task, answer: Answer | None, *, cut: str) -> Scored:
        return Scored(with_answer(self._live.aside(request, task, cut=cut), answer))

    def _bill(self, keys: Sequence[str], scored: Sequence[Scored]) -> None:
        """Each evaluation is billed once a run, whether it was just made or answered from the journal."""
        timed = self.meter.limits.minutes is not None
        for key, (score, _) in zip(keys, scored, strict=True):
            if key in self._billed:
                continue
            self._billed.add(key)
            self.tally.add(score)
            if score.source == "live" or score.asked or score.fault:  # a replay that asked nobody spent nothing
                self.budget.bill(score.spent)
                self.meter.priced(score.spent)
                self._asked.update(score.asked)
            if timed:
                self.meter.passed(self._journal.wall(key))
            if score.cut:
                self.meter.cut(score.cut)


@contextmanager
def evaluator_in(
    folder: Path,
    setup: Setup,
    *,
    split: Split = "search",
    budget: Amounts | None = None,
    replay: Replaying | None = None,
    limits: Limits | None = None,
) -> Iterator[Evaluator]:
    """An evaluator with a ledger and a journal of its own in `folder`, which it goes on with; closes both."""
    with VerdictLedger(folder / "verdicts.db") as ledger, closing(Journal(folder / "journal.jsonl")) as journal:
        pool = Budget(budget or Amounts())
        part = journal.part("search")
        yield Evaluator(setup, ledger, part, split=split, budget=pool, replay=replay, limits=limits)


def _known(score: TaskScore | None) -> TaskScore:
    assert score is not None
    return score
