"""What gepa calls: evaluate a candidate, build reflective records, propose a text, accept or reject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, cast

from gepa.core.adapter import EvaluationBatch

from optimizers.book import Book
from optimizers.bridge import Bridge
from optimizers.evaluator import Request, Scored
from optimizers.evidence.gathered import Evidence, gather
from optimizers.ideas import Idea, idea_of
from optimizers.proposers import Proposer
from optimizers.racing import DEFAULT, Race, paired
from optimizers.records import TaskScore
from optimizers.vectors import table
from signatures.records import Candidate, PolicyName, Task

if TYPE_CHECKING:
    from gepa.core.state import GEPAState
    from gepa.proposer.base import CandidateProposal

Batch: TypeAlias = EvaluationBatch[Scored, TaskScore]


class Example(NamedTuple):
    """gepa's data item: a task and which part of the search split it serves."""

    task: Task
    part: Literal["train", "val"]


class Kept:
    """A context that remembers the first error to leave it: gepa swallows what proposing and reflecting raise."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        """Raises the error of before: after one nothing more is asked, billed or journaled."""
        if self.error is not None:
            raise self.error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.error = self.error or error


class Adapter:
    """gepa's `GEPAAdapter` and its acceptance criterion, on the book of the search."""

    def __init__(self, book: Book, proposer: Proposer, bridge: Bridge, *, race: Race = DEFAULT) -> None:
        self.bridge = bridge
        self.book = book
        self.kept = Kept()
        self._race = race
        self._evaluator = book.evaluator
        self._proposer = proposer
        self._ideas: dict[str, Idea] = {}
        self._started = False
        self._proposals = book.plan.first_number

    def digest_of(self, texts: Mapping[str, str]) -> str:
        """The candidate digest of gepa's component texts."""
        return Candidate(components=dict(texts)).digest

    def evaluate(self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False) -> Batch:
        """Score `candidate` on `batch`. The val tasks are for what is in the book: the start, and what won its race."""
        given = Candidate(components=candidate)
        with self.kept:
            if batch[0].part == "val":
                if not self._started:  # also where an engine before this one knows the start already
                    self._started = True
                    self.bridge.call(self.book.start())
                by_task = {score.task_digest: score for score in self.book.scores_of(given.digest)}
                return self._batch([Scored(by_task[e.task.digest]) for e in batch], capture_traces)
            tasks, seed = [e.task for e in batch], self.book.plan.seed_on("train")
            request = Request(given, tasks, seed=seed, keep_rollouts=capture_traces)
            return self._batch(self.bridge.call(self._evaluator.evaluate(request)), capture_traces)

    def batch_evaluate(self, items: list[tuple[dict[str, str], list[Example]]]) -> list[Batch]:
        """Several (candidate, batch) pairs; traces for minibatches only, because traces cannot be replayed."""
        return [self.evaluate(batch, candidate, batch[0].part == "train") for candidate, batch in items]

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Batch, components_to_update: list[str]
    ) -> dict[str, list[dict[str, Evidence]]]:
        """What is known of the batch's tasks, whole episodes and recorded trees: one row per component."""
        evaluator, plan = self._evaluator, self.book.plan
        with self.kept:
            scored = list({one.score.task_digest: one for one in eval_batch.trajectories or []}.values())
            gathering = gather(
                Candidate(components=candidate),
                scored,
                evaluator.setup,
                tasks={task.digest: task for task in plan.train},
                trees=evaluator.trees,
                seed=plan.seed,
            )
            found = self.bridge.call(gathering)
            return {name: [{"record": found.only(_policy(name))}] for name in components_to_update}
        return {}

    def propose_new_texts(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Evidence]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """One edit: the proposer is asked for the components in turn until it has a new text for one of them.

        What was considered before is told as a duplicate, and the next component is asked for.
        """
        parent = Candidate(components=candidate)
        for name in components_to_update:
            component, records = _policy(name), reflective_dataset[name][0]["record"]
            with self.kept:
                self._proposals += 1
                ask = self._evaluator.propose(self._proposer, parent, component, records, number=self._proposals)
                proposal = self.bridge.call(ask)
                if proposal is None or proposal.text == candidate[name]:
                    continue
                idea = idea_of(proposal, parent, name, parents=(parent.digest,))
                if not self.bridge.call(self._duplicate(idea)):
                    self._ideas[idea.candidate.digest] = idea
                    return {name: proposal.text}
        return {}

    def should_accept(self, proposal: CandidateProposal[str], state: GEPAState[TaskScore, str]) -> bool:
        """Whether the child may be better than its parent on the minibatch, and then wins its race on the val tasks.

        One that the record does not support, and that cannot be attempted, is not kept and not called worse either.
        """
        child, parent = proposal.eval_after.outputs, proposal.eval_before.outputs
        idea = self._ideas[self.digest_of(proposal.candidate)]
        with self.kept:
            return self.bridge.call(self._decided(idea, child, parent))

    async def _decided(self, idea: Idea, child: Sequence[TaskScore], parent: Sequence[TaskScore]) -> bool:
        if any(score.set_aside for score in child) and not any(score.fault for score in child):
            await self.book.drop(idea, child, decision="unsupported")
            return False
        if not self._promising(child, parent):
            await self.book.drop(idea, child)
            return False
        return (await self.book.consider(idea, race=self._race)).decision == "accepted"

    async def _duplicate(self, idea: Idea) -> bool:
        """Whether it was considered before; then it is told."""
        known = await self.book.is_duplicate(idea.candidate)
        if known:
            await self.book.drop(idea, (), decision="duplicate")
        return known

    def _promising(self, child: Sequence[TaskScore], parent: Sequence[TaskScore]) -> bool:
        """By the race's comparison; a child that changed nothing on the minibatch has nothing to speak for it.

        Where no task has values of both there was nothing to compare, and the race on the val tasks is left to decide.
        """
        if any(score.fault for score in child):
            return False
        objectives = self._evaluator.setup.objectives
        child_N_M, parent_N_M = table(child, objectives), table(parent, objectives)
        differences_N_M = paired(child_N_M, parent_N_M)
        if not len(differences_N_M):
            return True
        return bool(differences_N_M.any()) and self._race.plausible(child_N_M, parent_N_M)

    def _batch(self, scored: Sequence[Scored], capture_traces: bool) -> Batch:
        """gepa wants a number for each item: a missing value is the mean of those there are, which moves nothing.

        Where a minibatch has none, 0 stands for all of them: our acceptance does not look at these numbers.
        """
        objectives = self._evaluator.setup.objectives
        scores = [one.score for one in scored]
        filled: list[dict[str, float]] = [{} for _ in scores]
        for name in (objective.name for objective in objectives):
            known = [value for score in scores if (value := score.values[name]) is not None]
            mean = sum(known) / len(known) if known else 0.0
            for row, score in zip(filled, scores, strict=True):
                value = score.values[name]
                row[name] = mean if value is None else value
        return EvaluationBatch(
            outputs=scores,
            scores=[row[objectives[0].name] for row in filled],
            trajectories=list(scored) if capture_traces else None,
            objective_scores=filled,
        )


def _policy(name: str) -> PolicyName:
    """gepa names components by str."""
    return cast(PolicyName, name)
