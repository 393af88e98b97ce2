"""gepa and dspy.GEPA as they come, as engines: their own acceptance, parents and minibatches, our evaluator and meter.

Both see one number per task, `correct`, and get our mined proposer, since without a model they have none. What they
evaluate on all val tasks is entered in an archive like any engine's, so that their front is looked at as well.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from optimizers.archive import Archive
from optimizers.bridge import Bridge
from optimizers.evaluator import Evaluator, Request
from optimizers.proposers import Proposer
from optimizers.records import TaskScore
from optimizers.search import Found, Listener, SearchPlan
from optimizers.vectors import entry_of
from signatures.records import Candidate, PolicyName, Task

if TYPE_CHECKING:
    import dspy
    from dspy.teleprompt.gepa.instruction_proposal import ReflectiveExample
    from gepa.core.adapter import EvaluationBatch

PLENTY = 10**9
"""Metric calls: the meter ends the search, not their own count."""
MOST_IDLE = 100
"""Iterations in a row that evaluate nothing new: then the search has ended, as for our engines."""


class Asked:
    """What either of them asks: a score per task, a better text, and whether to stop."""

    def __init__(
        self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener, bridge: Bridge
    ) -> None:
        self.plan = plan
        self.evaluator = evaluator
        self.bridge = bridge
        self.archive = Archive(evaluator.setup.objectives)
        self.tasks = {task.digest: task for task in (*plan.train, *plan.val)}
        self._proposer = proposer
        self._listener = listener
        self._val = {task.digest for task in plan.val}
        self._scores: dict[str, dict[str, TaskScore]] = {}
        self._proposals = 0
        self._spent, self._idle = 0, 0

    def __deepcopy__(self, memo: object) -> Self:
        return self  # dspy copies a program for each candidate; what it asks is one

    def scores(self, texts: Mapping[str, str], tasks: Sequence[Task]) -> list[float]:
        """`correct` per task, 0 where there is no value."""
        candidate = Candidate(components=dict(texts))
        scored = self.bridge.call(self.evaluator.evaluate(Request(candidate, tasks, seed=self.plan.seed_on("val"))))
        found = [one.score for one in scored]
        self._enter(candidate, found)
        first = self.evaluator.setup.objectives[0].name
        return [score.values[first] or 0.0 for score in found]

    def better(self, texts: Mapping[str, str], names: Sequence[str], tasks: Sequence[str]) -> dict[str, str]:
        """One new text, from the recorded moves of these tasks; for the first component that has one."""
        parent = Candidate(components=dict(texts))
        moves = [move for digest in tasks for move in self.evaluator.recorded_moves(digest)]
        for name in names:
            self._proposals += 1
            component: PolicyName = name  # type: ignore[assignment]  # gepa names components by str
            records = [move for move in moves if move.policy == name]
            ask = self.evaluator.propose(self._proposer, parent, component, records, number=self._proposals)
            proposal = self.bridge.call(ask)
            if proposal is not None and proposal.text != texts[name]:
                return {name: proposal.text}
        return {}

    def over(self, state: object = None) -> bool:
        """Asked before each iteration: whether a limit is reached, or nothing new comes any more."""
        spent = self.evaluator.meter.spent().compute
        self._idle = self._idle + 1 if spent == self._spent else 0
        self._spent = spent
        return self.evaluator.meter.over() is not None or self._idle > MOST_IDLE

    def _enter(self, candidate: Candidate, scores: Sequence[TaskScore]) -> None:
        """Into the archive, once all val tasks have a value."""
        known = self._scores.setdefault(candidate.digest, {})
        before = self._val <= known.keys()
        whole = (s for s in scores if all(s.values[o.name] is not None for o in self.evaluator.setup.objectives))
        known.update({score.task_digest: score for score in whole if score.task_digest in self._val})
        if before or not self._val <= known.keys():
            return
        rows = [known[task.digest] for task in self.plan.val]
        self.archive.add(entry_of(rows, self.evaluator.setup.objectives, generation=0))
        decision = "seed" if len(self.archive) == 1 else "accepted"
        self._listener.found(
            Found(
                name=f"c{len(self.archive)}",
                candidate=candidate,
                parents=(),
                generation=0,
                proposer=self._proposer.name,
                evidence="",
                decision=decision,  # type: ignore[arg-type]  # one of two literals
                scores=tuple(rows),
            )
        )


class StockGepa:
    """`gepa.optimize` with its defaults: minibatch of three, sum must improve, parents by its Pareto front per task."""

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Until the meter is used up."""
        import gepa

        asked = Asked(plan, evaluator, proposer, listener, Bridge())

        def optimize() -> None:
            gepa.optimize(
                seed_candidate=dict(plan.start.components),
                trainset=list(plan.train),
                valset=list(plan.val),
                adapter=GepaAdapter(asked),
                stop_callbacks=asked.over,
                logger=Silent(),
                seed=plan.seed,
            )

        await asked.bridge.run(optimize)
        return asked.archive


class GepaAdapter:
    """The least that gepa asks of an adapter."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def evaluate(
        self, batch: list[Task], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[str, str]:
        """A score per task; the trace of a task is its digest, since the record is looked up by it."""
        from gepa.core.adapter import EvaluationBatch

        scores = self._asked.scores(candidate, batch)
        digests = [task.digest for task in batch]
        return EvaluationBatch(outputs=digests, scores=scores, trajectories=digests if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: EvaluationBatch[str, str], components_to_update: list[str]
    ) -> dict[str, list[dict[str, str]]]:
        """The tasks of the minibatch."""
        return {name: [{"task": digest} for digest in eval_batch.trajectories] for name in components_to_update}

    def propose_new_texts(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, str]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """Our proposer's answer, else the text that there is."""
        tasks = [row["task"] for row in reflective_dataset[components_to_update[0]]]
        found = self._asked.better(candidate, components_to_update, tasks)
        return found or {name: candidate[name] for name in components_to_update}


class StockDspyGepa:
    """`dspy.GEPA` with its defaults, on a program of three predictors whose instructions are the policies' rules."""

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Until the meter is used up."""
        import dspy

        from controllers.scripted_engine import scripted_lm

        asked = Asked(plan, evaluator, proposer, listener, Bridge())
        lm, _ = scripted_lm(lambda prompt: "[[ ## decision ## ]]\nrules\n\n[[ ## completed ## ]]")
        examples = {
            part: [dspy.Example(episode=task.digest).with_inputs("episode") for task in tasks]
            for part, tasks in (("train", plan.train), ("val", plan.val))
        }

        def propose(
            candidate: dict[str, str],
            reflective_dataset: Mapping[str, Sequence[ReflectiveExample]],
            components_to_update: list[str],
        ) -> dict[str, str]:
            tasks = [str(row["Inputs"]["episode"]) for row in reflective_dataset[components_to_update[0]]]
            found = asked.better(candidate, components_to_update, tasks)
            return found or {name: candidate[name] for name in components_to_update}

        def compile() -> None:
            quiet = io.StringIO()  # it draws a bar for each minibatch
            with contextlib.redirect_stderr(quiet), contextlib.redirect_stdout(quiet), dspy.context(lm=lm):
                dspy.GEPA(
                    metric=lambda gold, pred, trace=None, pred_name=None, pred_trace=None: pred.score,
                    max_metric_calls=PLENTY,
                    instruction_proposer=propose,
                    num_threads=1,
                    seed=plan.seed,
                    gepa_kwargs={"stop_callbacks": asked.over},
                ).compile(student_of(plan.start, asked), trainset=examples["train"], valset=examples["val"])

        await asked.bridge.run(compile)
        return asked.archive


def student_of(start: Candidate, asked: Asked) -> dspy.Module:
    """A dspy program that plays one episode under the rules that stand in its predictors' instructions."""
    import dspy

    class Student(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.asked = asked
            for name, text in start.components.items():
                setattr(self, name, dspy.Predict(dspy.Signature("episode -> decision", text)))

        def forward(self, episode: str) -> dspy.Prediction:
            texts = {name: getattr(self, name).signature.instructions for name in start.components}
            for name in start.components:
                getattr(self, name)(episode=episode)  # so that dspy.GEPA finds the predictor in the trace
            (score,) = self.asked.scores(texts, [self.asked.tasks[episode]])
            return dspy.Prediction(score=score)

    return Student()


class Silent:
    """gepa's log lines are not ours."""

    def log(self, message: str) -> None:
        """Nothing."""


STOCK: Mapping[str, Callable[[], StockGepa | StockDspyGepa]] = {
    "gepa.optimize": StockGepa,
    "dspy.GEPA": StockDspyGepa,
}
