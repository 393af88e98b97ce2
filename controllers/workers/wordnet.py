"""The wordnet searcher: a scripted, stochastic, seeded worker that sees the question, the steer and tool results.

It searches with the words of a condition, follows a hit back to the entries that it could be a neighbour of, opens the
most promising and lists what is around it until it takes the conditions for met, then answers. It is hasty: at the rate
`noise` it takes a condition for met that it has not seen met, searches with words of two conditions at once, or follows
a hit that does not fit; and it seldom looks up the word of the last condition. It obeys a steer with probability
`compliance`, by the words it finds in the text. Between attempts it remembers what the tool `review` shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from controllers.simulating import Begun, Call, Calls, Manner, Steps
from controllers.worlds import World
from controllers.worlds.wordnet_lexicon import INVERSE, stems
from controllers.worlds.wordnet_question import Condition, conditions_of, holds
from controllers.worlds.wordnet_reader import Reader, ids_in
from signatures.records import AttemptContext, AttemptResult, Task, WorkerFingerprint

__all__ = ["WordnetWorker"]

CARE: Final = 0.35
"""How often an attempt looks up the word of the last condition before it answers, unless it is told to."""
WITHIN: Final = 0.6
"""How often it searches within the file that is asked for; neighbours further off can be of another."""
PAGES: Final = 3
"""Pages of a list that it reads before it tires."""
PROMISING: Final = 3
"""Conditions, the file among them, that an entry must seem to meet to be looked into."""
_AVOID: Final = re.compile(r"\b(do not|don't|avoid|skip|no need)\b", re.IGNORECASE)
_WISHES: Final[Mapping[str, re.Pattern[str]]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "siblings": r"sibling",
        "meaning": r"last condition|look up|other words|meaning",
        "verify": r"verify|check|condition by condition",
        "restart": r"start again|restart|begin again|another condition",
        "untried": r"condition",
        "reword": r"search",
        "broaden": r"hypernym|climb|broader|more general",
        "narrow": r"hyponym|go down|narrower|more specific",
    }.items()
}
"""What a steer can ask for, by its words; the first that is found counts."""


class _Searcher:
    """One attempt's worth of work, as a generator of calls, with what it has read so far."""

    def __init__(self, prompt: str, begun: Begun) -> None:
        self._conditions = conditions_of(prompt)
        self._crisp = [condition for condition in self._conditions if condition.crisp]
        self._file = next((condition for condition in self._crisp if condition.kind == "file"), None)
        self._rng, self._slips = begun.rng, begun.slips
        self._reader = Reader()
        self._known = self._reader.known
        self._tally: dict[str, int] = {}
        "conditions taken for met, since the last result"
        self._slipped: dict[tuple[str, Condition], bool] = {}
        self._opened: set[str] = set()
        self._out: set[str] = set()
        self._barred: set[str] = set()
        self._followed: set[str] = set()
        self._searched: set[Condition] = set()
        self._kin: frozenset[str] | None = None

    def job(self, steer: str, *, carried: bool) -> Steps[None]:
        """Review what is carried, do what the steer says, then go on until an answer seems right."""
        if carried:
            yield from self._ask("review")
        yield from self._obey(steer)
        careful = self._rng.random() < CARE
        while True:
            fits = [id for id in self._candidates() if self._met(id) == len(self._crisp)]
            closed = [id for id in fits if id not in self._opened]
            if closed:
                yield from self._open(self._rng.choice(closed))
            elif fits and careful and self._kin is None:
                yield from self._meaning()
            elif fits and (self._kin is None or any(map(self._speaks, fits))):
                return
            else:
                yield from self._look()

    def answer(self) -> Call | None:
        """The best entry read so far: most conditions met, then what the last one speaks of; None: nothing was read."""
        known = [id for id in self._known if id not in self._barred]
        found = list(filter(self._likely, known)) or known
        if not found:
            return None
        best = max((self._met(id), self._speaks(id)) for id in found)
        return Call(
            "answer", {"synset": self._rng.choice([i for i in found if (self._met(i), self._speaks(i)) == best])}
        )

    def _candidates(self) -> list[str]:
        return [id for id in self._known if id not in self._out and self._likely(id)]

    def _met(self, id: str) -> int:
        """How many conditions it takes for met. A slip, made once for each, takes for met what was not seen."""
        if id not in self._tally:
            held = (
                holds(condition, id, self._known.get) or self._misjudged(id, condition) for condition in self._crisp
            )
            self._tally[id] = sum(held)
        return self._tally[id]

    def _misjudged(self, id: str, condition: Condition) -> bool:
        if id not in self._opened or not condition.path:
            return False
        if (id, condition) not in self._slipped:
            self._slipped[id, condition] = self._slips()
        return self._slipped[id, condition]

    def _speaks(self, id: str) -> bool:
        return self._kin is not None and bool(self._kin & stems(self._known[id].gloss))

    def _look(self) -> Steps[None]:
        """One more thing: around the most promising entry, back from a hit, or a new search."""
        found = [id for id in self._candidates() if self._met(id) >= PROMISING]
        if found and not self._slips():
            best = max(map(self._met, found))
            yield from self._around(self._rng.choice([id for id in found if self._met(id) == best]))
            return
        hits = [(self._likely(id), id, condition) for condition in self._searched for id in self._hits(condition)]
        if hits:
            likely = [hit for hit in sorted(hits) if hit[0]] if not self._slips() else []
            _, id, condition = self._rng.choice(likely or sorted(hits))
            yield from self._follow(id, condition)
        else:
            yield from self._search()

    def _hits(self, condition: Condition) -> list[str]:
        return [
            id
            for id, entry in self._known.items()
            if id not in self._followed and condition.path and condition.true_of(entry)
        ]

    def _likely(self, id: str) -> bool:
        """Whether an entry is of the file that is asked for, as most neighbours are."""
        return self._file is None or self._file.true_of(self._known[id])

    def _around(self, id: str) -> Steps[None]:
        """List what an unmet condition speaks of around an entry; drop the entry where all was listed in vain."""
        if id not in self._opened:
            yield from self._open(id)
            return
        for condition in self._crisp:
            if condition.path and not holds(condition, id, self._known.get):
                here = [id]
                for relation in condition.path:
                    for one in here:
                        if not self._tired(one, relation):
                            yield from self._list(one, relation)
                            return
                    here = [other for one in here for other in self._reader.linked(one, relation)]
        self._out.add(id)

    def _follow(self, hit: str, condition: Condition) -> Steps[None]:
        """From a neighbour back to the entries that have it."""
        self._followed.add(hit)
        here = [hit]
        for relation in reversed(condition.path):
            for one in here[:2]:
                while not self._tired(one, INVERSE[relation]):
                    yield from self._list(one, INVERSE[relation])
            here = [other for one in here[:2] for other in self._reader.linked(one, INVERSE[relation])]

    def _search(self, wanted: Sequence[Condition] = ()) -> Steps[None]:
        """Search with a condition's words, at best one that was not searched; then with words of two conditions."""
        all_ = [condition for condition in self._crisp if condition.terms]
        fresh = [condition for condition in wanted or all_ if condition not in self._searched]
        if not all_:
            yield from self._ask("search", words="entity")
            return
        condition = self._rng.choice(fresh or all_)
        words = list(condition.terms)
        if not fresh or self._slips():
            words = [self._rng.choice(words), self._rng.choice([word for other in all_ for word in other.terms])]
        before = set(self._known)
        within = {"file": self._file.words[0]} if self._file and self._rng.random() < WITHIN else {}
        yield from self._ask("search", words=" ".join(dict.fromkeys(words)), **within)
        self._searched.add(condition)
        unfit = sorted(id for id in set(self._known) - before if not condition.true_of(self._known[id]))
        if unfit and self._slips():
            yield from self._follow(self._rng.choice(unfit), condition)

    def _meaning(self) -> Steps[None]:
        """Look up the word of the last condition: it, its synonyms and the kinds listed of it."""
        about = next((condition.words[0] for condition in self._conditions if not condition.crisp), "")
        found: list[str] = []
        if about:
            ids = yield from self._ask("search", words=about)
            found = [id for id in ids if about in (lemma.lower() for lemma in self._known[id].lemmas)][:2]
            for id in found:
                yield from self._list(id, "hyponym")
        self._kin = self._reader.kin(about, found)

    def _open(self, id: str) -> Steps[None]:
        self._opened.add(id)
        yield from self._ask("open", synset=id)

    def _tired(self, id: str, relation: str) -> bool:
        page = self._reader.next_page(id, relation)
        return page is None or page > PAGES

    def _list(self, id: str, relation: str) -> Steps[None]:
        page = self._reader.next_page(id, relation) or 1
        call = Call("hop", {"synset": id, "relation": relation, **({"page": page} if page > 1 else {})})
        text = yield call
        self._learn("hop", text)
        self._reader.turned(id, relation, page, text)

    def _ask(self, tool: str, **arguments: str) -> Steps[list[str]]:
        """Make a call and learn from it: the ids of the entries that it shows."""
        text = yield Call(tool, arguments)
        return self._learn(tool, text)

    def _learn(self, tool: str, text: str) -> list[str]:
        self._tally.clear()
        return self._reader.learn(tool, text)

    def _obey(self, steer: str) -> Steps[None]:
        """Do the first thing that the steer asks for, around the entry it names, the last answer or the best one."""
        kept = " ".join(part for part in re.split(r"(?<=[.;!?\n])", steer) if not _AVOID.search(part))
        wish = next((name for name, pattern in _WISHES.items() if pattern.search(kept)), None)
        named = [id for id in ids_in(kept) if id in self._known]
        call = self.answer()
        anchor = named[0] if named else self._reader.answer or (str(call.arguments["synset"]) if call else None)
        if wish == "meaning":
            yield from self._meaning()
        elif wish in ("untried", "reword"):
            numbers = [int(number) for number in re.findall(r"\d+", kept)] if wish == "untried" else []
            wanted = [condition for n, condition in enumerate(self._conditions, 1) if n in numbers]
            if wanted and not any(condition.crisp for condition in wanted):
                yield from self._meaning()
            else:
                yield from self._search([condition for condition in wanted if condition.terms and condition.crisp])
        elif wish == "restart" and anchor:
            self._barred.add(anchor)
            self._out.add(anchor)
            yield from self._search()
        elif wish and anchor:
            yield from self._near(wish, anchor)

    def _near(self, wish: str, anchor: str) -> Steps[None]:
        if wish == "verify":
            while anchor not in self._out and self._met(anchor) < len(self._crisp):
                yield from self._around(anchor)
        elif wish == "narrow":
            yield from self._list(anchor, "hyponym")
        else:
            yield from self._list(anchor, "hypernym")
            for above in self._reader.linked(anchor, "hypernym")[:2]:
                if wish == "broaden":
                    yield from self._list(above, "hypernym")
                while wish == "siblings" and not self._tired(above, "hyponym"):
                    yield from self._list(above, "hyponym")


class WordnetWorker:
    """Searchers in a wordnet world; one is made for each attempt. A *simulated worker*.

    Deterministic by task, start state, seed and steer text. Raises UsageError for rates outside [0, 1].
    """

    def __init__(self, world: World, *, noise: float = 0.15, compliance: float = 0.8, turns: int = 12) -> None:
        self._world, self._manner = world, Manner("wordnet", noise, compliance, turns)

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The name and the three parameters."""
        return self._manner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One searcher's try. The output is the state it leaves."""
        begun = self._manner.begin(task, context, start)
        calls = Calls(self._world.session(task.digest, start))
        searcher = _Searcher(task.prompt, begun)
        calls.follow(searcher.job(begun.heard, carried=start is not None), begun.limit - 1)
        answer = searcher.answer()
        if answer is not None and begun.limit > 0:
            calls.make(answer)
        return calls.result()
