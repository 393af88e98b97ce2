"""MIPROv2 as an engine: instructions and demos of the policies that ask a model, chosen together by Optuna's TPE.

dspy's own search proposes and chooses. Demos are mined from decisions after which the checkers improved, in place of
its bootstrapping; scores come from the evaluator, in place of its metric; what its prompt model says is journaled, so
that a search is resumed by running it again. Source: Opsahl-Ong et al. 2024, "Optimizing Instructions and
Demonstrations for Multi-Stage Language Model Programs".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Final

from pydantic import Field

from controllers.lm import billed
from controllers.policies.lm import LMPolicy
from controllers.program import controller_of
from controllers.scripted_engine import prompt_text
from optimizers.archive import Archive
from optimizers.book import Book
from optimizers.bridge import Bridge
from optimizers.demos import DemoPlan, Told, demo_sets
from optimizers.evaluator import Evaluator, Request
from optimizers.evidence.reflection import reflections
from optimizers.ideas import Idea
from optimizers.journal import Proposal
from optimizers.proposers import Proposer
from optimizers.racing import DEFAULT
from optimizers.records import TaskScore
from optimizers.search import Engine, Kit, Listener, SearchPlan
from signatures.digest import digest_of, seed_of
from signatures.errors import UsageError
from signatures.records import Candidate, Cost, PolicyName, Record

if TYPE_CHECKING:
    import dspy
    from dspy.lm15 import Request as Question

    from optimizers.mipro_adapter import Pools, Settings

STALE: Final = 3
"""Rounds in a row that met nothing new: then there is nothing to find."""
SHOWN_DEMOS: Final = 3
"""Demos of a set that the prompt model reads where instructions alone are searched."""
MOST_PLAYED: Final = 24
"""Train tasks that the start is played on to mine demos, where nothing is recorded of any."""


class Options(Record):
    """The engine's own settings; what is not said here is MIPROv2's default."""

    candidates: int = Field(default=4, ge=2)
    "instructions, and demo sets, per policy and round: first the present instruction, and the empty set"
    demos: int = Field(default=3, ge=0)
    "demos of a set; 0: instructions alone are searched"
    trials: int = Field(default=0, ge=0)
    "per round; 0: what MIPROv2 recommends, max(2 v log2 n, 3 n / 2) with n candidates for each of v choices"
    minibatch: int = Field(default=0, ge=0)
    "val tasks of a trial, the best by their mean evaluated in full later; 0: each trial races on all of them"
    full_every: int = Field(default=5, ge=1)
    "trials between two evaluations in full, with minibatches"
    temperature: float = Field(default=1.0, ge=0)
    "of the model that writes instructions"
    program_aware: bool = False
    "show it the source of the controller, described by itself first: two more calls for each instruction"
    data_aware: bool = True
    "show it a summary of the train tasks, written by itself"
    tips: bool = True
    "give it one of MIPROv2's tips, drawn by the seed"


def engine(kit: Kit) -> Engine:
    """The engine of that kit. Raises UsageError without a model, and for options that it does not have."""
    options = kit.settings(Options, "mipro_search")
    if kit.lm is None:
        raise UsageError("mipro_search writes instructions with a language model: name one with --lm")
    return MiproSearch(kit.lm, kit.steer_legal, options)


class MiproSearch:
    """Compiles again and again, from the best candidate so far, until the plan or a limit ends it."""

    def __init__(self, lm: dspy.LM, steer_legal: Sequence[str], options: Options | None = None) -> None:
        self.lm = lm
        "writes the instructions; the policies' own model is the setup's"
        self.steer_legal = tuple(steer_legal)
        self.options = options or Options()

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Run MIPROv2 in a thread. Raises UsageError where no policy of the start asks a model."""
        if not asking(plan.start, evaluator):
            raise UsageError("mipro_search rewrites policies that ask a model, and the start has none: --lm names one")
        book = Book(plan, evaluator, listener, letter="m")
        await book.start()
        rounds = Rounds(self, book, await mined_from(plan, evaluator, book), Bridge())
        await rounds.bridge.run(rounds.run)
        if rounds.exit.error is not None:
            raise rounds.exit.error
        await rounds.drop()
        return book.close()


def asking(candidate: Candidate, evaluator: Evaluator) -> list[PolicyName]:
    """The policies of a candidate that ask a model, in the order of their predictors."""
    if "program" in candidate.components:
        return []
    policies = controller_of(candidate, evaluator.setup.lm).policies
    return [name for name, policy in policies.items() if isinstance(policy, LMPolicy)]


async def mined_from(plan: SearchPlan, evaluator: Evaluator, book: Book) -> list[Told]:
    """The moves that demos are mined from: recorded ones of the train tasks, else those of the start played on some."""
    told = [Told(task, move) for task in plan.train for move in evaluator.recorded_moves(task.digest)]
    if told:
        return told
    tasks, setup = plan.train[:MOST_PLAYED], evaluator.setup
    if not book.open_for(len(tasks)):  # a candidate that is shown the demos has to be paid for too
        return []
    request = Request(plan.start, tasks, seed=plan.seed_on("train"), keep_rollouts=True)
    for task, one in zip(tasks, await evaluator.evaluate(request), strict=True):
        if one.rollout is not None:
            moves = reflections(one.rollout.history, setup.observer, setup.grant, with_text=True)
            told += [Told(task, move) for move in moves]
    return told


def worth(scores: Sequence[TaskScore], base: Mapping[str, TaskScore], objective: str) -> float | None:
    """One objective of a candidate, comparable whichever tasks it was measured on; `base` is the start's, by task.

    The start's mean over its tasks, plus the mean difference to the start over the candidate's (a control variate:
    tasks differ more than candidates do). A value that is missing or set aside, on either side, leaves its task out:
    it is no zero. None where no task is left.
    """
    old = {digest: value for digest, score in base.items() if (value := score.values[objective]) is not None}
    new = {score.task_digest: value for score in scores if (value := score.values[objective]) is not None}
    gains = [new[digest] - old[digest] for digest in new.keys() & old.keys()]
    return math.fsum(old.values()) / len(old) + math.fsum(gains) / len(gains) if gains else None


class Rounds:
    """One search, seen from MIPROv2's thread."""

    def __init__(self, engine: MiproSearch, book: Book, told: Sequence[Told], bridge: Bridge) -> None:
        from optimizers.mipro_adapter import Exit

        self.bridge = bridge
        self.exit = Exit()
        self._engine = engine
        self._book = book
        self._plan, self._evaluator = book.plan, book.evaluator
        self._told = told
        self._base = {score.task_digest: score for score in book.scores_of(self._plan.start.digest)}
        self._numbers: dict[str, float] = {}
        self._waiting: dict[str, tuple[Idea, tuple[TaskScore, ...]]] = {}
        self._student = self._plan.start
        self._number = 0

    def run(self) -> None:
        """Compile until the book closes, or nothing new comes any more."""
        from optimizers.mipro_adapter import Ended

        try:
            stale = 0
            for self._number in count():
                known = len(self._numbers)
                self._compile()
                stale = 0 if len(self._numbers) > known else stale + 1
                if stale == STALE:
                    return
        except Ended:  # the book has closed, or `exit` says why
            return

    async def drop(self) -> None:
        """Tell of what was seen on minibatches alone."""
        for idea, scores in self._waiting.values():
            await self._book.drop(idea, scores)
        self._waiting.clear()

    def _compile(self) -> None:
        import dspy

        from optimizers.mipro_adapter import Mipro

        self._student = self._best()
        student = controller_of(self._student, self._evaluator.setup.lm)
        names = asking(self._student, self._evaluator)
        told = self._engine.options
        plan = DemoPlan(told.candidates, told.demos or SHOWN_DEMOS, self._engine.steer_legal, self._seed())
        demos = {number: demo_sets(self._told, name, plan) for number, name in enumerate(names)}
        val = [dspy.Example(task=t.prompt, digest=t.digest).with_inputs("task") for t in self._plan.val]
        train = [dspy.Example(task=t.prompt).with_inputs("task") for t in self._plan.train]
        Mipro(self._settings(len(names)), self._prompt_model(), demos, self._score).search(student, val, train)

    def _score(self, program: dspy.Module, examples: Sequence[dspy.Example], pools: Pools | None) -> float:
        """What MIPROv2 is told of a program. Raises Ended where nothing more may be evaluated."""
        from optimizers.mipro_adapter import Ended

        with self.exit:
            candidate = program.candidate
            if pools is None or candidate.components == self._student.components:
                return self._numbers.setdefault(self._student.digest, self._worth(self._scores_of_student()))
            whole = len(examples) == len(self._plan.val)
            if whole and candidate.digest in self._numbers and candidate.digest not in self._waiting:
                return self._numbers[candidate.digest]  # TPE comes back to what it likes
            if not self._book.open:
                raise Ended
            idea = self._idea(candidate, pools, program)
            if not whole:
                return self._on_minibatch(idea, [example.digest for example in examples])
            self._waiting.pop(candidate.digest, None)
            race = None if self._engine.options.minibatch else DEFAULT
            found = self.bridge.call(self._book.consider(idea, race=race))
            self._numbers[candidate.digest] = number = self._worth(found.scores)
            return number
        raise AssertionError("unreachable: the context lets no error pass")

    def _scores_of_student(self) -> Sequence[TaskScore]:
        return self._book.scores_of(self._student.digest)

    def _on_minibatch(self, idea: Idea, digests: Sequence[str]) -> float:
        by_digest = {task.digest: task for task in self._plan.val}
        tasks = [by_digest[digest] for digest in digests]
        request = Request(idea.candidate, tasks, seed=self._plan.seed_on("val"))
        scores = tuple(one.score for one in self.bridge.call(self._evaluator.evaluate(request)))
        if not self._book.seen(idea.candidate):
            self._waiting[idea.candidate.digest] = (idea, scores)
        self._numbers.setdefault(idea.candidate.digest, self._worth(scores))
        return self._worth(scores)

    def _worth(self, scores: Sequence[TaskScore]) -> float:
        """What MIPROv2 is told; the mean of what it was told before where nothing is comparable: it moves nothing."""
        found = worth(scores, self._base, self._evaluator.setup.objectives[0].name)
        if found is not None:
            return found
        told = list(self._numbers.values())
        return sum(told) / len(told) if told else 0.5

    def _best(self) -> Candidate:
        """The candidate of the archive with policies that ask which is best on the primary objective."""
        known = self._book.known
        for entry in sorted(self._book.archive.front(), key=lambda entry: -entry.vector[0]):
            candidate = known.get(entry.candidate)
            if candidate is not None and asking(candidate, self._evaluator):
                return candidate
        return self._plan.start

    def _idea(self, candidate: Candidate, pools: Pools, program: dspy.Module) -> Idea:
        names = asking(candidate, self._evaluator)
        said, shown = [], []
        for number, (name, (instruction, demos)) in enumerate(zip(names, pools.chosen(program), strict=True)):
            if candidate.components[name] == self._student.components[name]:
                continue
            said.append(f"{name} with instruction {instruction}" + (f" and demo set {demos}" if pools.demos else ""))
            actions = [str(demo["action"]) for demo in pools.demos[number][demos]] if pools.demos else []
            shown += [f"{name} is shown {', '.join(actions)}, for which checkers spoke"] if actions else []
        change = "; ".join(said) or "nothing changed"
        return Idea(
            candidate=candidate,
            proposer=str(self._engine.lm.model),
            hypothesis=f"the model decides better: {change} (of round {self._number})",
            parents=(self._student.digest,),
            evidence="; ".join(shown),
        )

    def _prompt_model(self) -> dspy.LM:
        """The engine's model as MIPROv2 is given it: every answer comes out of the search's journal."""
        import dspy

        from optimizers.mipro_adapter import AskedEngine

        said: Mapping[str, object] = self._engine.lm.kwargs
        kept = {name: said[name] for name in ("temperature", "max_tokens", "top_p") if said.get(name) is not None}
        engine = AskedEngine(self._answer)
        return dspy.LM(self._engine.lm.model, engine=engine, cache=False, num_retries=0, **kept)

    def _answer(self, number: int, question: Question) -> str:
        """The answer to the round's question `number`; empty where the model could not be asked."""
        from optimizers.mipro_adapter import Ended

        async def asked() -> tuple[Proposal | None, Cost]:
            response, cost = await billed(self._engine.lm, lambda own: own.acall(question))
            told = Proposal(text=response.text or "", evidence="", proposer=self._engine.lm.model)
            return told.encodable(), cost

        with self.exit:
            if not self._book.open:
                raise Ended
            key = digest_of("mipro_search", self._seed(), number, prompt_text(question))
            told = self.bridge.call(self._evaluator.ask(key, f"MIPROv2 {self._engine.lm.model}", asked))
            return "" if told is None else told.text
        raise AssertionError("unreachable: the context lets no error pass")

    def _settings(self, policies: int) -> Settings:
        from optimizers.mipro_adapter import Settings

        options = self._engine.options
        choices = policies * (2 if options.demos else 1)
        advised = max(2 * choices * math.log2(options.candidates), 1.5 * options.candidates)
        return Settings(
            candidates=options.candidates,
            trials=options.trials or int(advised),
            demos=options.demos,
            minibatch=options.minibatch,
            full_every=options.full_every,
            temperature=options.temperature,
            program_aware=options.program_aware,
            data_aware=options.data_aware,
            tips=options.tips,
            seed=self._seed() % 2**32,
        )

    def _seed(self) -> int:
        return seed_of("mipro_search", self._plan.seed, self._plan.label, self._number)
