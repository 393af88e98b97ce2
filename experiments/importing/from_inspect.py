"""inspect_ai logs: JSON, and the `.eval` zip, which is read one sample at a time.

Read: input, choices, messages, output, usage and how the sample ended. Scores are verdicts. Never read: `target`,
`metadata`, `store`, what the scorers' models said, and the log's results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from experiments.importing import Given
from experiments.importing.messages import ChatMessage, Said, final_text, text_of, trace_of
from experiments.importing.reading import Read, at, document, fitted, value_of
from experiments.importing.recording import Recording, Rollout, Score
from experiments.importing.zipped import member, zipped
from signatures.errors import UsageError
from signatures.records import Cost, Outcome, WorkerFingerprint

__all__ = ["InspectSource"]

ATTACHED: Final = "attachment://"
WORDS: Final[Mapping[str, float]] = {
    "C": 1.0,
    "P": 0.5,
    "I": 0.0,
    "N": 0.0,
    "yes": 1.0,
    "true": 1.0,
    "no": 0.0,
    "false": 0.0,
}
"""What inspect_ai's own `value_to_float` makes of words."""


class Dataset(Read):
    """Of the data set its name."""

    name: str | None = None


class Eval(Read):
    """Which evaluation it was."""

    task: str
    model: str
    run_id: str = ""
    eval_id: str = ""
    dataset: Dataset = Dataset()


class Step(Read):
    """A solver, by name."""

    solver: str


class Plan(Read):
    """What stood between task and model."""

    steps: tuple[Step, ...] = ()


class Header(Read):
    """A log without its samples."""

    eval: Eval
    plan: Plan = Plan()


class Usage(Read):
    """Tokens of one or several calls."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_cache_read: int | None = None

    @property
    def cost(self) -> Cost:
        """The same as a cost."""
        return Cost(
            tokens_in=self.input_tokens, tokens_out=self.output_tokens, tokens_cached=self.input_tokens_cache_read
        )


class Choice(Read):
    """One completion."""

    message: ChatMessage | None = None
    stop_reason: str = ""


class Output(Read):
    """What the model answered last."""

    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None


class Event(Read):
    """Of an event its kind, and of a model's call the tokens."""

    event: str
    type: str | None = None
    action: JsonValue = None
    output: JsonValue = None


class Scored(Read):
    """What a scorer said."""

    value: JsonValue = None
    explanation: str | None = None


class Ended(Read):
    """Why a sample ended early."""

    message: str = ""
    type: str = ""


class Sample(Read):
    """One epoch of one sample."""

    id: int | str
    epoch: int = 1
    uuid: str | None = None
    input: str | tuple[ChatMessage, ...]
    choices: tuple[str, ...] | None = None
    messages: tuple[ChatMessage, ...] = ()
    output: Output = Output()
    scores: Mapping[str, Scored] | None = None
    model_usage: Mapping[str, Usage] = {}
    total_time: float | None = None
    events: tuple[Event, ...] = ()
    attachments: Mapping[str, str] = {}
    error: Ended | None = None
    limit: Ended | None = None


class InspectSource:
    """Both forms of a log."""

    patterns = ("*.json", "*.json.gz", "*.eval")

    def recordings(self, file: Path, given: Given) -> Iterator[tuple[str, Recording]]:
        """One episode of one attempt per sample and epoch. Raises UsageError, also for a log without samples."""
        found = False
        for place, header, value in _samples(file):
            found = True
            with at(place):
                recording = _recording(header, fitted(Sample, value, place), given)
            yield place, recording
        if not found:
            raise UsageError(f"{file}: the log holds no samples")


def _samples(file: Path) -> Iterator[tuple[str, Header, JsonValue]]:
    if file.suffix == ".eval":
        yield from _of_zip(file)
        return
    log = document(file)
    header = fitted(Header, log, str(file))
    samples = log.get("samples") if isinstance(log, dict) else None
    for number, value in enumerate(samples if isinstance(samples, list) else (), 1):
        yield f"{file}, sample {number}", header, value


def _of_zip(file: Path) -> Iterator[tuple[str, Header, JsonValue]]:
    with zipped(file) as opened:
        names = opened.namelist()
        heads = [name for name in ("header.json", "_journal/start.json") if name in names]
        if not heads:
            raise UsageError(f"{file}: has no header.json, so it is no inspect_ai log")
        header = fitted(Header, value_of(member(opened, heads[0]), f"{file}, {heads[0]}"), f"{file}, {heads[0]}")
        for name in sorted(name for name in names if name.startswith("samples/") and name.endswith(".json")):
            yield f"{file}, {name}", header, value_of(member(opened, name), f"{file}, {name}")


def _recording(header: Header, sample: Sample, given: Given) -> Recording:
    held = header.eval
    said = [_attached(one.said(), sample.attachments) for one in sample.messages]
    prompt = _prompt(sample)
    answer = next((one.message for one in sample.output.choices if one.message), None)
    failure = f"{sample.error.type} {sample.error.message}".strip() if sample.error else None
    rollout = Rollout(
        output=_resolved(text_of(answer.content), sample.attachments) if answer else final_text(said),
        trace=trace_of(said, prompt=prompt),
        outcome=_outcome(sample, said),
        failure=failure,
        cost=_cost(held.model, sample),
        scores=_scores(sample, given),
    )
    solvers = ", ".join(step.solver for step in header.plan.steps)
    return Recording(
        benchmark=given.benchmark or f"inspect-{held.task.rpartition('/')[2]}",
        key=f"{held.dataset.name or ''}/{sample.id}",
        prompt=prompt,
        run=f"{held.eval_id or held.run_id} {sample.epoch} {sample.uuid or ''}".strip(),
        worker=WorkerFingerprint(
            name="inspect_ai", model=given.model or held.model, params={"solvers": solvers} if solvers else {}
        ),
        rollouts=(rollout,),
    )


def _prompt(sample: Sample) -> str:
    if isinstance(sample.input, str):
        text = sample.input
    else:
        text = "\n\n".join(said for one in sample.input if (said := one.said().text))
    text = _resolved(text, sample.attachments)
    letters = (f"{chr(65 + place)}) {choice}" for place, choice in enumerate(sample.choices or ()))
    return "\n".join((text, *letters))


def _attached(said: Said, attachments: Mapping[str, str]) -> Said:
    calls = tuple(call._replace(arguments=_resolved(call.arguments, attachments)) for call in said.calls)
    return said._replace(text=_resolved(said.text, attachments), calls=calls)


def _resolved(text: str, attachments: Mapping[str, str]) -> str:
    """A text that the log keeps elsewhere."""
    return attachments.get(text.removeprefix(ATTACHED), text) if text.startswith(ATTACHED) else text


def _outcome(sample: Sample, said: list[Said]) -> Outcome:
    if sample.error:
        return "infra_error"
    if sample.limit:
        return "timeout"
    if any(choice.stop_reason == "content_filter" for choice in sample.output.choices):
        return "refusal"
    return "ok" if sample.output.choices or any(one.role in ("assistant", "tool") for one in said) else "empty"


def _cost(model: str, sample: Sample) -> Cost:
    """The worker's own calls: those before the scorers', whose models are billed to the same names."""
    total, seen = Cost(), False
    for event in sample.events:
        if event.type in ("scorer", "scorers") and (event.event == "span_begin" or event.action == "begin"):
            break
        usage = Output.model_validate(event.output or {}).usage if event.event == "model" else None
        if usage:
            total, seen = total.plus(usage.cost), True
    if not seen and model in sample.model_usage:
        total = sample.model_usage[model].cost
    return total.model_copy(update={"wall_s": sample.total_time})


def _scores(sample: Sample, given: Given) -> tuple[Score, ...]:
    """The score that counts first, without a name."""
    scores = sample.scores or {}
    if given.score is not None and given.score not in scores and scores:
        raise UsageError(f"sample {sample.id} has no score {given.score!r}; it has {', '.join(scores)}")
    counts = given.score or next(iter(scores), "")
    return tuple(
        Score(value=_number(one.value), reason=f"{name}: {one.explanation or ''}", name="" if name == counts else name)
        for name, one in scores.items()
    )


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str):
        if value in WORDS or value.lower() in WORDS:
            return WORDS.get(value, WORDS.get(value.lower()))
        try:
            return float(value)
        except ValueError:
            return None
    return None
