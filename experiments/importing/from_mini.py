"""mini-swe-agent trajectories, `*.traj.json`: a list of messages, or an object that holds it.

Read: the messages, how the run ended, what was submitted, and tokens and money. Any other field of `info` is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from experiments.importing import Given
from experiments.importing.messages import Call, ChatMessage, Said, final_text, trace_of
from experiments.importing.reading import Read, at, document, fitted
from experiments.importing.recording import Recording, Rollout
from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import Cost, Outcome, WorkerFingerprint

__all__ = ["MiniSource"]

COMMAND: Final = re.compile(r"```(?:mswea_bash_command|bash)\s*\n(.*?)\n```", re.DOTALL)
RETURNED: Final = re.compile(r"\s*<returncode>(-?\d+)</returncode>")
DONE: Final = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
LIMITS: Final = frozenset({"LimitsExceeded", "TimeExceeded"})


class TokenUsage(Read):
    """Tokens of a call, as LiteLLM counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Response(Read):
    """Of a response the usage."""

    usage: TokenUsage | None = None


class Extra(Read):
    """Of what a message carries beside it the response."""

    response: Response | None = None


class MiniMessage(ChatMessage):
    """A message with its response."""

    extra: Extra | None = None


class Stats(Read):
    """What the run cost."""

    instance_cost: float | None = None
    api_calls: int | None = None


class ModelConfig(Read):
    """The model's name."""

    model_name: str | None = None


class Config(Read):
    """Of the configuration the model."""

    model: ModelConfig = ModelConfig()


class Info(Read):
    """How the run ended."""

    exit_status: str | None = None
    submission: str | None = None
    model_stats: Stats = Stats()
    config: Config = Config()


class Trajectory(Read):
    """A whole run."""

    messages: tuple[MiniMessage, ...]
    info: Info = Info()
    instance_id: str = ""


class MiniSource:
    """One file is one attempt."""

    patterns = ("*.traj.json", "*.traj.json.gz")

    def recordings(self, file: Path, given: Given) -> Iterator[tuple[str, Recording]]:
        """One episode of one attempt."""
        value = document(file)
        held: JsonValue = {"messages": value} if isinstance(value, list) else value
        with at(str(file)):
            recording = _recording(fitted(Trajectory, held, str(file)), file, given)
        yield str(file), recording


def _recording(run: Trajectory, file: Path, given: Given) -> Recording:
    said = list(_with_commands([one.said() for one in run.messages]))
    prompt = next((one.text for one in said if one.role == "user"), "")
    if not prompt:
        raise UsageError(f"{file}: messages: no message of the user states the task")
    stated = next(place for place, one in enumerate(said) if one.role == "user")
    status = run.info.exit_status or ""
    outcome: Outcome = "timeout" if status in LIMITS else "ok"
    if not any(one.role == "assistant" for one in said):
        outcome = "empty"
    submitted = run.info.submission or _submitted(run.messages)
    rollout = Rollout(
        output=submitted or final_text(said),
        trace=trace_of([*said[:stated], *said[stated + 1 :]]),
        outcome=outcome,
        cost=_cost(run),
    )
    model = given.model or run.info.config.model.model_name
    return Recording(
        benchmark=given.benchmark or "mini-swe-agent",
        key=run.instance_id,
        prompt=prompt,
        worker=WorkerFingerprint(name="mini-swe-agent", model=model),
        rollouts=(rollout,),
    )


def _with_commands(messages: Sequence[Said]) -> Iterator[Said]:
    """A command in a code block is a call, and the user's message behind it its result."""
    waits = False
    for said in messages:
        if said.role == "assistant" and not said.calls and (found := COMMAND.findall(said.text)):
            arguments = canonical_json({"command": found[0].strip()})
            yield said._replace(calls=(Call("", "bash", arguments),))
            waits = True
        elif waits and said.role == "user":
            code = RETURNED.match(said.text)
            yield Said("tool", said.text, name="bash", failed=code is not None and code[1] != "0")
            waits = False
        else:
            yield said


def _submitted(messages: Sequence[MiniMessage]) -> str | None:
    """What came back from the command that ends a run."""
    if len(messages) < 2 or messages[-1].role != "user":
        return None
    last, before = messages[-1].said(), messages[-2].said()
    return last.text if DONE in before.text else None


def _cost(run: Trajectory) -> Cost:
    total = Cost()
    for message in run.messages:
        if message.extra and message.extra.response and (usage := message.extra.response.usage):
            total = total.plus(Cost(tokens_in=usage.prompt_tokens, tokens_out=usage.completion_tokens))
    return total.model_copy(update={"usd": run.info.model_stats.instance_cost})
