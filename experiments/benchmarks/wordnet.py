"""The wordnet benchmark: find a hidden WordNet entry by what is said of its neighbours. Split by lexicographer file.

The questions are drawn from WordNet 3.0 (Princeton University) by a fixed rule, so they need no file of their own. What
was drawn from which entry never leaves this module and the judge: elsewhere a task is its digest and its prompt.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import Field

from controllers import Checker, Worker
from controllers.checkers.clean import CleanChecker
from controllers.checkers.clock import ClockChecker
from controllers.checkers.meter import MeterChecker
from controllers.checkers.wordnet import WordnetChecker
from controllers.history import Seen
from controllers.loading import load_worker
from controllers.workers.chat import ChatConfig
from controllers.workers.wordnet import WordnetWorker
from controllers.worlds import wordnet_record
from controllers.worlds.wordnet import PAGE, WordnetWorld
from controllers.worlds.wordnet_lexicon import FILES, INVERSE, Entry, Lexicon, stem, stems
from controllers.worlds.wordnet_question import Condition, holds, prompt_of
from controllers.worlds.wordnet_record import BENCHMARK, DIRECTIVES
from experiments.chat_worker import chat_worker
from experiments.config import RunConfig
from experiments.held_out import FamilySplits, require_known
from judges import Judge
from judges.wordnet import WordnetJudge
from signatures.digest import digest_of, seed_of
from signatures.errors import UsageError
from signatures.records import Directive, Objective, Probability, Split, Task

if TYPE_CHECKING:
    import dspy

__all__ = ["WordnetBenchmark"]

SYSTEM: Final = """You find entries of WordNet, a dictionary whose entries (synsets) are linked by relations. You are \
told what holds for one entry and for its neighbours, never its own words. Search for words of a gloss, open \
what you find, follow relations back to entries that could be meant, and read their glosses. Open an entry and its \
neighbours before you answer. Give the answer with the tool `answer`; then you are done."""
"""What a chat model is told."""
ATTEMPTS: Final = 3
"""Attempts of an episode that the objectives' scales are made for."""
PRICES: Final = {"search": 2.0, "open": 1.0, "hop": 1.0, "note": 0.5, "review": 0.5, "answer": 0.5}
"""The price table of *cheap*: a search over everything costs twice a look at one place."""
_SIBLING: Final = ("hypernym", "hyponym")
_NEAR: Final = (("hyponym",), ("part meronym",), ("part holonym",), ("member holonym",))
"""Paths to a neighbour that a condition may speak of, where the entry has one; otherwise it speaks of a sibling."""
_FAR: Final = ("hypernym", "hypernym")
_FEW, _MANY = 3, 600
"""A word that a question uses stands in that many entries."""
_KIN: Final = 300
"""A word with more kinds than that says too little to speak of."""
_RIVALS: Final = 8
"""Entries beside the right one that may meet all but the last condition, at most."""
_BROOD: Final = 24
"""Siblings that the entry has at most: three pages of them."""
_CROWD: Final = 60
"""Where more than that many fit the nearest conditions, the others are not tried: drawing stays fast."""
_PROBED: Final = 3


class WordnetConfig(RunConfig):
    """What a user may choose. A split is named by its lexicographer files; no file is in two."""

    folder: Path | None = Field(default=None, strict=False)
    "folder of WordNet's data files; None: where Debian's wordnet-base puts them"
    search_files: tuple[str, ...] = (
        *("noun.act", "noun.artifact", "noun.attribute", "noun.event", "noun.location", "noun.object", "noun.person"),
        *("noun.phenomenon", "noun.plant", "noun.possession", "noun.process", "noun.quantity", "noun.time"),
        *("verb.communication", "verb.motion", "verb.social"),
    )
    dev_files: tuple[str, ...] = ("noun.body", "noun.communication", "noun.group", "noun.substance", "verb.change")
    holdout_files: tuple[str, ...] = ("noun.animal", "noun.cognition", "noun.food", "noun.state", "verb.contact")
    per_file: int = Field(default=14, ge=1)
    "most tasks of one lexicographer file"
    turns: int = Field(default=12, ge=1)
    "worker turns of one attempt"
    noise: Probability = 0.15
    compliance: Probability = 0.8


class _Case(NamedTuple):
    """A task with what only the adapter and the judge may know of it."""

    task: Task
    families: tuple[str, ...]
    "the lexicographer file"
    gold: str
    rivals: frozenset[str]
    "entries that meet every condition but the one told in other words"
    conditions: tuple[Condition, ...]


def cases_of(lexicon: Lexicon, file: str, most: int) -> list[_Case]:
    """At most `most` questions about entries of a file, drawn by a rule that depends on the lexicon alone."""
    rng = random.Random(seed_of(BENCHMARK, file))
    ids = lexicon.in_file(file)
    rng.shuffle(ids)
    drawn = (_drawn(lexicon, lexicon.entry(id), rng) for id in ids)
    return list(islice((case for case in drawn if case is not None), most))


def _drawn(lexicon: Lexicon, entry: Entry, rng: random.Random) -> _Case | None:
    """A question about an entry; None where the draw gave none with rivals that its last condition tells apart."""
    siblings = lexicon.neighbours(entry.id, _SIBLING)
    about = _about(lexicon, entry, rng) if 1 <= len(siblings) <= _BROOD else None
    if about is None:
        return None
    path = rng.choice([path for path in _NEAR if lexicon.neighbours(entry.id, path)] or [_SIBLING])
    far = _of_gloss(lexicon, entry, _FAR, 1, rng)
    near = _of_gloss(lexicon, entry, path, 2 if path == _SIBLING else 1, rng)
    start = lexicon.entry(rng.choice(siblings)).lemmas[0][:2].lower()
    if far is None or near is None or not start.isalpha() or not start.isascii():
        return None
    crisp = [Condition("file", (entry.file,)), far, near, Condition("lemma", (start,), _SIBLING)]
    if len(entry.lemmas) > 1:
        crisp.append(Condition("names", (str(len(entry.lemmas)),)))
    met = _meeting(lexicon, near, crisp)
    rivals = met - {entry.id}
    if entry.id not in met or not 1 <= len(rivals) <= _RIVALS:
        return None
    kin = _kin(lexicon, about.words[0])
    if any(kin & stems(lexicon.entry(rival).gloss) for rival in rivals):
        return None
    conditions = (*crisp, about)
    prompt = prompt_of(conditions)
    task = Task(digest=digest_of(BENCHMARK, prompt, entry.id), benchmark=BENCHMARK, prompt=prompt)
    return _Case(task, (entry.file,), entry.id, frozenset(rivals), conditions)


def _words(lexicon: Lexicon, text: str, avoid: frozenset[str]) -> list[str]:
    """The words of a gloss that a question may use: neither rare nor common, and none of `avoid`."""
    plain = [
        word for word in dict.fromkeys(text.lower().replace("-", " ").split()) if word.isalpha() and word.isascii()
    ]
    return [
        word
        for word in plain
        if len(word) > 3 and stem(word) not in avoid and _FEW <= len(lexicon.with_stem(word)) <= _MANY
    ]


def _of_gloss(
    lexicon: Lexicon, entry: Entry, path: tuple[str, ...], count: int, rng: random.Random
) -> Condition | None:
    ids = lexicon.neighbours(entry.id, path)
    if not ids:
        return None
    words = _words(lexicon, lexicon.entry(rng.choice(ids)).gloss, stems(" ".join(entry.lemmas)))
    return Condition("gloss", tuple(rng.sample(words, count)), path) if len(words) >= count else None


def _about(lexicon: Lexicon, entry: Entry, rng: random.Random) -> Condition | None:
    """Another word for one of the gloss's: a synonym or the kind of a noun with a single sense."""
    avoid = stems(" ".join((*entry.lemmas, entry.gloss)))
    words = _words(lexicon, entry.gloss, stems(" ".join(entry.lemmas)))
    rng.shuffle(words)
    for word in words:
        senses = lexicon.of_lemma(word)
        if len(senses) != 1 or senses[0][0] != "n":
            continue
        sense = lexicon.entry(senses[0])
        above = [lexicon.entry(id) for id in sense.links.get("hypernym", ())]
        others = [lemma for one in (sense, *above) for lemma in one.lemmas]
        for other in others:
            if other.isalpha() and other.islower() and len(other) > 3 and stem(other) not in avoid:
                return Condition("about", (other,)) if len(_kin(lexicon, other)) <= _KIN else None
    return None


def _kin(lexicon: Lexicon, word: str) -> frozenset[str]:
    """The stems of a word, its synonyms and its kinds, in all its senses, one level down."""
    found = [lexicon.entry(id) for id in lexicon.of_lemma(word)]
    below = [lexicon.entry(id) for entry in found for id in entry.links.get("hyponym", ())]
    return frozenset(stem(lemma.lower()) for entry in (*found, *below) for lemma in entry.lemmas if lemma.isalpha())


def _meeting(lexicon: Lexicon, near: Condition, crisp: Sequence[Condition]) -> set[str]:
    """All entries that meet the conditions, reached back from every neighbour that `near` can mean; none of a crowd."""
    first, *others = (lexicon.with_stem(word) for word in near.words)
    here = {id for id in set(first).intersection(*others) if near.true_of(lexicon.entry(id))}
    plain = [condition for condition in crisp if not condition.path]
    for relation in reversed(near.path):
        here = {other for id in here for other in lexicon.entry(id).links.get(INVERSE[relation], ())}
    here = {id for id in here if all(condition.true_of(lexicon.entry(id)) for condition in plain)}
    if len(here) > _CROWD:
        return set()
    return {id for id in here if all(holds(condition, id, lexicon.entry) for condition in crisp)}


class WordnetBenchmark:
    """Retrieval turned round: from what is said of an entry's neighbours to the entry, over several hops.

    Raises UsageError where WordNet is not installed, and for splits that name unknown files or one file twice.
    """

    id = BENCHMARK
    directives: tuple[Directive, ...] = DIRECTIVES
    reference = "none published: questions drawn from WordNet 3.0 (Miller, CACM 38(11), 1995); simulated random@4 .38"

    def __init__(self, config: WordnetConfig | None = None) -> None:
        self.config = config = config or WordnetConfig()
        self._files = _checked(config)
        self._splits = FamilySplits(BENCHMARK, lambda: self._cases, dev=config.dev_files, holdout=config.holdout_files)
        self.world = WordnetWorld(config.folder)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """`correct` is the judge's; the others are sums, scaled so that three full attempts are not the worst."""
        calls = float(ATTEMPTS * self.config.turns)
        return (
            Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
            Objective(name="fast", unit="turns", worst=calls * 4 / 3, best=0.0, over="episode"),
            Objective(name="cheap", unit="points", worst=calls * 2, best=0.0, over="episode"),
            Objective(name="clean", unit="calls", worst=calls / 6, best=0.0, over="episode"),
        )

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The tasks of a split, by digest: a prefix is a random sample. Raises UsageError for `production`."""
        return self._splits.tasks(split)

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> the lexicographer file of the hidden entry. For reports only."""
        return self._splits.families(split)

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        """The searcher, `chat` (the model `lm` on the same tools), or the worker of that name. Raises UsageError."""
        config = self.config
        if name == "chat":
            return chat_worker(lm, ChatConfig(system=SYSTEM, turns_limit=config.turns), self.world)
        if name not in (None, BENCHMARK):
            return load_worker(name)
        return WordnetWorker(self.world, noise=config.noise, compliance=config.compliance, turns=config.turns)

    def checkers(self) -> tuple[Checker, ...]:
        """One per objective; those of conduct read turns and calls."""
        meter = MeterChecker("points", prices=PRICES, other_price=1.0)
        return (WordnetChecker(self.world), ClockChecker("turns"), meter, CleanChecker())

    def judge(self) -> Judge:
        """The hidden entries."""
        gold = {case.task.digest: case.gold for case in self._cases}
        rivals = {case.task.digest: case.rivals for case in self._cases}
        return WordnetJudge(gold, rivals, release=self.world.lexicon.release)

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """What the tool record shows, under `wordnet.`; see `controllers/worlds/wordnet_record.py`."""
        return wordnet_record.features(history, self._question(history))

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """For each action that points somewhere: whether the lineage has not looked there yet."""
        return wordnet_record.untried(history, self._question(history))

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that realises an action after these attempts. Raises UsageError for an unknown action."""
        return wordnet_record.directive_text(action, history, self._question(history))

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """For three tasks each of search and dev: the entry, opened and shown to fit, passes.

        A rival that fits as well but for the last condition fails, and so do another entry and no output.
        """
        found: list[tuple[str, Task, str, bool]] = []
        for case in (*self._splits.cases("search")[:_PROBED], *self._splits.cases("dev")[:_PROBED]):
            above = self.world.lexicon.neighbours(case.gold, ("hypernym",))[0]
            found.append(("the entry", case.task, self._answered(case, case.gold), True))
            found.append(("a rival", case.task, self._answered(case, min(case.rivals)), False))
            found.append(("its hypernym", case.task, self._answered(case, above), False))
            found.append(("no output", case.task, "", False))
        return found

    def _answered(self, case: _Case, id: str) -> str:
        """The state after everything that the conditions speak of was looked at around `id`, which was answered."""
        session, lexicon = self.world.session(case.task.digest, None), self.world.lexicon
        session.call("open", {"synset": id})
        for condition in case.conditions:
            for depth, relation in enumerate(condition.path):
                for one in [id, *lexicon.neighbours(id, condition.path[:depth])] if depth else [id]:
                    for page in range(1, 2 + len(lexicon.entry(one).links.get(relation, ())) // PAGE):
                        session.call("hop", {"synset": one, "relation": relation, "page": page})
        session.call("answer", {"synset": id})
        return session.snapshot()

    def _question(self, history: Sequence[Seen]) -> str:
        """The prompt that the attempts were made on; empty before there is one, and for a task of another's."""
        return self._prompts.get(history[-1].attempt.task_digest, "") if history else ""

    @cached_property
    def _prompts(self) -> Mapping[str, str]:
        return {case.task.digest: case.task.prompt for case in self._cases}

    @cached_property
    def _cases(self) -> tuple[_Case, ...]:
        lexicon, most = self.world.lexicon, self.config.per_file
        return tuple(case for file in self._files for case in cases_of(lexicon, file, most))


def _checked(config: WordnetConfig) -> tuple[str, ...]:
    """The files of all splits."""
    named = (*config.search_files, *config.dev_files, *config.holdout_files)
    require_known(BENCHMARK, "lexicographer file", named, FILES)
    both = sorted({file for file in named if named.count(file) > 1})
    if both:
        raise UsageError(f"splits overlap: {', '.join(both)} is named more than once")
    return named
