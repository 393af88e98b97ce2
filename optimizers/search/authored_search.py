"""Authored search: a model, or without one a grammar, writes strategy programs from the losses of those of the front.

It starts from the built-in programs beside the plan's start. Sources: Hu, Lu & Clune 2024, "Automated Design of
Agentic Systems" (a model writes agents as programs, from an archive of earlier ones); Koza 1992 for the grammar.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from controllers.program import PROGRAM, program_candidate
from controllers.programs import builtin
from optimizers.archive import Archive
from optimizers.authors import Author, Losses
from optimizers.authors.grammar import GrammarAuthor
from optimizers.authors.shapes import consults
from optimizers.book import Book
from optimizers.evaluator import Evaluator, Request
from optimizers.evidence.contrast import shown_pairs, tree_pairs
from optimizers.evidence.reflection import Reflection, reflections
from optimizers.ideas import Idea
from optimizers.proposers import Proposer
from optimizers.racing import DEFAULT, Race
from optimizers.search import Engine, Kit, Listener, SearchPlan
from signatures.digest import digest_of, seed_of
from signatures.errors import UsageError
from signatures.records import Candidate, Record, Task

if TYPE_CHECKING:
    import dspy

    from optimizers.behaviour import Behaviour
    from optimizers.replaying import Replaying

MOST_MATES: Final = 4
"""Other programs of the front that an author may take over from."""
EMPTY: Final = 20
"""Proposals in a row that came to nothing: then there is nothing to find."""
BEYOND: Final = 0.25
"""How often the parent is any accepted program and not one of the front."""
MOST_TOLD: Final = 16_000
"""Characters of contrasting episodes that an author is shown."""


class Options(Record):
    """The engine's own settings."""

    author: Literal["lm", "grammar", "both"] | None = None
    "None: `lm` where there is a model, else `grammar`; `both`: in turn"
    builtins: bool = True
    "begin with the built-in programs"
    escalate: str | None = None
    "the steer by which `cascade` reaches its dear tier; None: it is left out"
    most_chars: int = Field(default=60_000, ge=1)
    "characters of evidence in one question to a model; a small model is given less"
    reflect_on: int = Field(default=12, ge=1)
    "train tasks whose recorded moves an author is shown, drawn anew each time"


def engine(kit: Kit) -> Engine:
    """The engine of that kit. Raises UsageError for an option that it does not have, or a model that is not there."""
    options = kit.settings(Options, "authored_search")
    return AuthoredSearch(
        authors_of(kit, options.author, options.most_chars),
        options,
        steers=kit.steer_legal,
        lm=kit.lm,
        replay=kit.replay,
        known=kit.behaviour(),
    )


def authors_of(kit: Kit, wanted: str | None, most_chars: int) -> tuple[Author, ...]:
    """The authors that take turns. Raises UsageError where a model is wanted and none was named."""
    wanted = wanted or ("grammar" if kit.lm is None else "lm")
    authors: list[Author] = []
    if wanted != "grammar":
        from optimizers.authors.lm import LMAuthor

        if kit.lm is None:
            raise UsageError(f"authored_search: author={wanted} writes with a language model; name one with --lm MODEL")
        authors.append(LMAuthor(kit.lm, kit.space, most_chars=most_chars))
    if wanted != "lm":
        authors.append(GrammarAuthor(kit.space))
    return tuple(authors)


@dataclass
class AuthoredSearch:
    """Searches strategy programs. A function of the plan's seed and the evaluator's answers."""

    authors: Sequence[Author]
    options: Options = field(default_factory=Options)
    steers: Sequence[str] = ("none",)
    "what a program may tell the worker"
    lm: dspy.LM | None = None
    "the model that a program may consult"
    replay: Replaying | None = None
    "where contrasting episodes are read"
    known: Behaviour | None = None
    race: Race = DEFAULT

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Let the built-in programs race, then the children of the front, until the book closes."""
        book = Book(plan, evaluator, listener, letter="a", known=self.known)
        await book.start()
        for name, one in self.programs.items() if self.options.builtins else ():
            if book.open and not book.seen(one):
                said = f"the built-in program `{name}` does better than the start"
                await book.consider(Idea(one, "builtin", said), race=self.race)
        turn = Turn(self, plan, evaluator, book)
        empty = 0
        while book.open and empty < EMPTY:
            written = await turn.idea()
            empty = empty + 1 if written is None else 0
            if written is not None:
                await book.consider(written, race=self.race)
        return book.close()

    @property
    def programs(self) -> Mapping[str, Candidate]:
        """The built-in programs, each with the steer that looks where nothing was looked at, where there is one."""
        word = "untried" if "untried" in self.steers else "none"
        found = {
            "refine": builtin.refine(word),
            "sample": builtin.sample(),
            "adaptive_refine": builtin.adaptive_refine(word),
            "sample_then_refine": builtin.sample_then_refine(word),
        }
        return found if self.options.escalate is None else {**found, "cascade": builtin.cascade(self.options.escalate)}

    def candidate(self, source: str) -> Candidate:
        """The candidate of a source. Raises ProgramRefused."""
        return program_candidate(source, self.lm if consults(source) else None)


class Turn:
    """Asks the authors in turn, each for a child of a program that was accepted."""

    def __init__(self, engine: AuthoredSearch, plan: SearchPlan, evaluator: Evaluator, book: Book) -> None:
        self._engine = engine
        self._plan = plan
        self._evaluator = evaluator
        self._book = book
        self._rng = random.Random(plan.seed_for("authored search"))
        self._number = plan.first_number

    async def idea(self) -> Idea | None:
        """The next author's program as an idea; None where nothing came of it. Raises Outage."""
        engine, rng = self._engine, self._rng
        self._number += 1
        programs = _programs(self._book.known)
        front = [one.candidate for one in self._book.archive.front() if one.candidate in programs]
        pool = front if front and rng.random() >= BEYOND else sorted(programs)
        digest = rng.choice(pool) if pool else None
        first = self._engine.programs["refine"].components[PROGRAM]
        parent = source_in(first) if digest is None else programs[digest]
        mates = [programs[one] for one in front if one != digest]
        losses = await self._losses(None if digest is None else self._book.known[digest])
        losses = losses._replace(mates=rng.sample(mates, min(len(mates), MOST_MATES)))
        author = engine.authors[self._number % len(engine.authors)]
        seed = seed_of("authored", self._plan.seed, self._number)
        proposal = await self._evaluator.ask(
            digest_of("authored", self._plan.seed, self._number, parent, author.name),
            author.name,
            lambda: author.write(parent, losses, seed=seed),
        )
        if proposal is None:
            return None
        return Idea(
            candidate=engine.candidate(proposal.text),
            proposer=proposal.proposer,
            hypothesis=proposal.hypothesis,
            parents=() if digest is None else (digest,),
            evidence=proposal.evidence,
        )

    async def _losses(self, parent: Candidate | None) -> Losses:
        """What is recorded of some train tasks; where that is nothing, what the parent does on a minibatch of them."""
        engine, plan = self._engine, self._plan
        tasks = self._rng.sample(list(plan.train), min(len(plan.train), engine.options.reflect_on))
        moves = [move for task in tasks for move in self._evaluator.recorded_moves(task.digest)]
        told: Sequence[str] = ()
        if engine.replay is not None and any(author.reads for author in engine.authors):
            pairs = tree_pairs(engine.replay.trees, [task.digest for task in tasks])
            told = shown_pairs(pairs, most_chars=MOST_TOLD)
        if not moves and parent is not None:
            moves = await self._played(parent, tasks[: plan.minibatch])
        return Losses(moves, told)

    async def _played(self, parent: Candidate, tasks: Sequence[Task]) -> list[Reflection]:
        setup = self._evaluator.setup
        if not self._evaluator.affords(len(tasks) + len(self._plan.val)):  # what is written has to be paid for too
            return []
        asked = Request(parent, tasks, seed=self._plan.seed_on("train"), keep_rollouts=True)
        rollouts = [one.rollout for one in await self._evaluator.evaluate(asked) if one.rollout is not None]
        return [
            move
            for rollout in rollouts
            for move in reflections(rollout.history, setup.observer, setup.grant, with_text=True)
        ]


def _programs(known: Mapping[str, Candidate]) -> dict[str, str]:
    """Candidate digest -> source, of those that are programs."""
    return {digest: source_in(one.components[PROGRAM]) for digest, one in known.items() if PROGRAM in one.components}


def source_in(component: str) -> str:
    """The source in a program's component."""
    return str(json.loads(component)["source"])
