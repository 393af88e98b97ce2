"""What stands between `dspy.MIPROv2` and a search: its demos, its scores, and the model that writes instructions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import dspy
from dspy.teleprompt import MIPROv2
from dspy.utils.exceptions import AdapterParseError

from optimizers.demos import Demo

if TYPE_CHECKING:
    from dspy._vendor.lm15.types import StreamEvent
    from dspy.lm15 import Request, Response

T = TypeVar("T")

LOUD: Final = ("dspy.teleprompt.mipro_optimizer_v2", "dspy.teleprompt.utils", "dspy.predict.predict")
"""dspy's loggers that narrate a whole compilation, and that its proposer sends needless warnings to."""
NOTHING_LEFT: Final = "No valid program found"
"""What MIPROv2 raises after minibatches when every program that it tried has been evaluated in full: it has ended."""
COMPLETED: Final = "[[ ## completed ## ]]"
"""The end of an answer in dspy's chat format; alone, an answer that says nothing."""


class Ended(BaseException):
    """Leaves MIPROv2 at once. No `Exception`, because it takes every one of those for a score of 0, and goes on."""


class Exit:
    """A context of which the first error is kept and which is left by `Ended`, whatever the error was."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        """Once something failed nothing more is asked, billed or journaled."""
        if self.error is not None:
            raise Ended

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Ended):
            self.error = error
            raise Ended from error


class Pools(NamedTuple):
    """What one compilation chooses from, by predictor: instructions, the first of them the present one, and demos."""

    instructions: Mapping[int, Sequence[str]]
    demos: Mapping[int, Sequence[Sequence[Demo]]]

    def chosen(self, program: dspy.Module) -> list[tuple[int, int]]:
        """For each predictor which instruction and which demos the program has; -1 for what is not of the pools."""
        found = []
        for number, predict in enumerate(program.predictors()):
            demos = [dict(demo) for demo in predict.demos]
            sets = [[dict(demo) for demo in one] for one in self.demos.get(number, ())]
            written = list(self.instructions[number])
            said = predict.signature.instructions
            found.append((written.index(said) if said in written else -1, sets.index(demos) if demos in sets else -1))
        return found


class Settings(NamedTuple):
    """What MIPROv2 is told, in its own words."""

    candidates: int
    trials: int
    demos: int
    "per set; 0: instructions alone are searched, and demos are shown to the model that writes them"
    minibatch: int
    "0: every trial is evaluated in full"
    full_every: int
    temperature: float
    program_aware: bool
    data_aware: bool
    tips: bool
    seed: int


Scorer = Callable[[dspy.Module, Sequence[dspy.Example], Pools | None], float]
"""The worth on [0, 1] of a program on some examples; the pools are None for the program as it came."""


class Mipro(MIPROv2):
    """MIPROv2 with demos that are given and scores that are asked for; how it proposes and chooses is its own."""

    def __init__(self, settings: Settings, lm: dspy.LM, demos: Mapping[int, Sequence[Sequence[Demo]]], score: Scorer):
        super().__init__(
            metric=_unasked,
            prompt_model=lm,
            task_model=lm,
            auto=None,
            num_candidates=settings.candidates,
            max_bootstrapped_demos=settings.demos,
            max_labeled_demos=0,
            num_threads=1,
            seed=settings.seed,
            init_temperature=settings.temperature,
            track_stats=False,
        )
        self.settings = settings
        self._mined = demos
        self._score = score

    def search(self, program: dspy.Module, examples: Sequence[dspy.Example], shown: Sequence[dspy.Example]) -> None:
        """Compile `program`, scored on `examples`; the prompt model sees `shown`. Raises Ended where it was stopped."""
        told = self.settings
        with quiet(), dspy.context(adapter=Lenient()):
            self.compile(
                program,
                trainset=list(shown),
                valset=list(examples),
                num_trials=told.trials,
                minibatch=told.minibatch > 0,
                minibatch_size=min(told.minibatch, len(examples)) or 1,
                minibatch_full_eval_steps=told.full_every,
                program_aware_proposer=told.program_aware,
                data_aware_proposer=told.data_aware,
                tip_aware_proposer=told.tips,
            )

    def _bootstrap_fewshot_examples(
        self, program: dspy.Module, *args: object, **more: object
    ) -> dict[int, list[list[dspy.Example]]]:
        """The mined sets instead; all predictors have as many, as the proposing of instructions expects."""
        wanted = self.settings.candidates
        found = {}
        for number, _ in enumerate(program.predictors()):
            sets = [[dspy.Example(**demo) for demo in one] for one in self._mined.get(number, [[]])]
            found[number] = [sets[place % len(sets)] for place in range(wanted)]
        return found

    def _optimize_prompt_parameters(
        self,
        program: dspy.Module,
        instruction_candidates: dict[int, list[str]],
        demo_candidates: dict[int, list[list[dspy.Example]]] | None,
        evaluate: Callable[..., dspy.Prediction],
        *more: object,
    ) -> dspy.Module | None:
        """Its own search, on what is worth trying and with our scores: `evaluate` would take what fails for a 0."""
        written = {number: _distinct(texts) for number, texts in instruction_candidates.items()}
        shown = None if demo_candidates is None else {n: _distinct(sets) for n, sets in demo_candidates.items()}
        pools = Pools(written, {n: [[dict(d) for d in one] for one in sets] for n, sets in (shown or {}).items()})
        first = True

        def scored(
            candidate: dspy.Module, devset: Sequence[dspy.Example], callback_metadata: object = None
        ) -> dspy.Prediction:
            nonlocal first
            score = self._score(candidate, devset, None if first else pools)
            first = False
            return dspy.Prediction(score=100 * score, results=[])

        try:
            return super()._optimize_prompt_parameters(program, written, shown, scored, *more)
        except ValueError as error:
            if NOTHING_LEFT not in str(error):
                raise
            return program


@contextmanager
def quiet() -> Iterator[None]:
    """MIPROv2's narration, and what it knows it does, is left out of our log meanwhile; its other warnings are not."""
    loggers = [logging.getLogger(name) for name in LOUD]
    for logger in loggers:
        logger.addFilter(_worth_saying)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_worth_saying)


def _worth_saying(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING and "fields not in signature" not in str(record.msg)


def _distinct(values: Sequence[T]) -> list[T]:
    """Without what is empty text and without repetitions; the first stays."""
    found: list[T] = []
    for number, value in enumerate(values):
        blank = number > 0 and isinstance(value, str) and not value.strip()
        if value not in found and not blank:
            found.append(value)
    return found


def _unasked(*args: object) -> float:
    raise Ended  # scores come from the evaluator; a metric that is asked would be a second way to have them


class Lenient(dspy.ChatAdapter):
    """The chat format, but an answer without its one field's header, or in a code fence, is taken as a whole."""

    def __init__(self) -> None:
        super().__init__(use_json_adapter_fallback=False)

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, object]:
        """As ChatAdapter's. Raises AdapterParseError where several fields were asked for."""
        try:
            return dict(super().parse(signature, completion))
        except AdapterParseError:
            (name, *others) = signature.output_fields
            if others:
                raise
            text = completion.replace(COMPLETED, "").replace(f"[[ ## {name} ## ]]", "")
            return {name: text.strip("` \n\t")}


class AskedEngine:
    """A dspy engine of which every answer comes from `ask`, a blocking call with the number of the request."""

    def __init__(self, ask: Callable[[int, Request], str]) -> None:
        self._ask = ask
        self._asked = 0

    def complete(self, request: Request) -> Response:
        """The answer as a response. What it cost was billed where it was asked for."""
        from dspy.lm15 import Message, Response, TextPart, Usage

        self._asked += 1
        text = self._ask(self._asked, request) or COMPLETED  # dspy takes an empty response for a failure
        message = Message.assistant([TextPart(text)])
        usage = Usage(input_tokens=0, output_tokens=0, total_tokens=0)
        return Response(id=None, model=request.model, message=message, finish_reason="stop", usage=usage)

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        """The whole response as events."""
        from dspy.lm15 import response_to_events

        yield from response_to_events(self.complete(request))

    def close(self) -> None:
        """Nothing to close."""
