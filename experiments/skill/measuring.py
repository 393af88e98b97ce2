"""One policy's questions asked in every way, and the ways scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from optimizers.skill.asking import Asker
from optimizers.skill.question import Question
from optimizers.skill.scoring import Scored, compared, scored
from optimizers.skill.splitting import Split
from optimizers.skill.ways import Ask, Calibration, Known, Reply, Way
from optimizers.skill.ways.centred import Centred
from optimizers.skill.ways.constant import Constant
from optimizers.skill.ways.fitted import Fitted
from optimizers.skill.ways.named import Named
from optimizers.skill.ways.rules import Rules
from optimizers.skill.ways.weighed import Weighed
from signatures.errors import NoSupport

WAYS: Final[tuple[Way, ...]] = (
    Constant(),
    Rules(),
    Named(demos=False),
    Named(demos=True),
    *(way(demos=demos) for demos in (False, True) for way in (Weighed, Centred, Fitted)),
)
BASELINES: Final = ("zero-shot", "always one")


class Shipped(NamedTuple):
    """The way that a candidate is made of: the best on the calibration questions, each asked of a fit without it."""

    way: str
    demos: bool
    calibration: Calibration
    held_in: float
    "that accuracy"


class Wanted(NamedTuple):
    """One thing to ask."""

    question: Question
    ask: Ask


def wanted(split: Split) -> list[Wanted]:
    """All that is asked of the model, each once, questions with equal beginnings after each other."""
    asks: dict[Ask, bool] = {}
    for way in WAYS:
        if way.ask is not None:
            asks[way.ask] = asks.get(way.ask, False) or way.fits
    order = sorted(asks, key=lambda ask: (ask.form != "weighed", ask.demos))
    return [
        Wanted(question, ask) for ask in order for question in (*(split.calibration if asks[ask] else ()), *split.test)
    ]


async def ask_all(split: Split, asker: Asker, step: Callable[[], None]) -> Mapping[tuple[str, Ask], Reply]:
    """Every answer, by question and form. Raises ProviderError, UsageError, StoreError."""
    replies: dict[tuple[str, Ask], Reply] = {}
    for question, ask in wanted(split):
        replies[question.id, ask] = await asker.reply(question, ask, split.demos)
        step()
    return replies


def score_all(split: Split, replies: Mapping[tuple[str, Ask], Reply]) -> tuple[Scored, ...]:
    """Every way, fitted on the calibration questions and counted on the test ones."""
    found: list[Scored] = []
    right: dict[str, list[bool]] = {}
    for way in WAYS:
        decide = way.fit(_known(way, split.calibration, replies))
        said = [None if way.ask is None else replies[one.id, way.ask] for one in split.test]
        chosen = [decide(one, reply) for one, reply in zip(split.test, said, strict=True)]
        right[way.id] = [one.label == action for one, action in zip(split.test, chosen, strict=True)]
        found.append(scored(way.id, split.test, chosen, said))
    return tuple(one.model_copy(update={"p_baseline": compared(right, one.way, BASELINES)}) for one in found)


def shipped(split: Split, replies: Mapping[tuple[str, Ask], Reply]) -> Shipped:
    """Which calibrated choice to take, by leave-one-out on the calibration questions; the simpler of equals."""
    found: list[Shipped] = []
    for way in WAYS:
        if not isinstance(way, Weighed | Centred | Fitted):
            continue
        known = _known(way, split.calibration, replies, every=True)
        calibration = Calibration() if isinstance(way, Weighed) else way.calibration(known)
        assert way.ask is not None
        found.append(Shipped(way.id, way.ask.demos, calibration, _left_out(way, known)))
    if not found:
        raise NoSupport("no way gives weights")
    return max(found, key=lambda one: one.held_in)


def _left_out(way: Way, known: Known) -> float:
    hits = 0
    for place, (question, reply) in enumerate(known):
        rest = [*known[:place], *known[place + 1 :]]
        hits += way.fit(rest or known)(question, reply) == question.label
    return hits / len(known) if known else 0.0


def _known(
    way: Way, questions: Sequence[Question], replies: Mapping[tuple[str, Ask], Reply], *, every: bool = False
) -> list[tuple[Question, Reply | None]]:
    if way.ask is None:
        return [(one, None) for one in questions]
    return [(one, replies[one.id, way.ask]) for one in questions] if way.fits or every else []
