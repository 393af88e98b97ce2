"""tau-bench result files, and those of tau2: `{"tasks": [...], "simulations": [...]}`.

Read: the conversation, the trial and the domain's policy. `reward` is the verdict. Never read: `info.task` and tau2's
`tasks` (instruction of the simulated user, gold actions, expected outputs), the rest of `reward_info`, and what the
simulated user did on a device of its own, which the agent does not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from experiments.importing import Given
from experiments.importing.messages import ChatMessage, Said, final_text, trace_of
from experiments.importing.reading import Read, at, begins_with, document, elements, fitted
from experiments.importing.recording import Recording, Rollout, Score
from signatures.records import Cost, Outcome, WorkerFingerprint

__all__ = ["TauSource"]

INFRASTRUCTURE: Final = frozenset({"user_error", "infrastructure_error"})
"""Ends of a tau2 simulation that the agent did not bring about."""


class TauInfo(Read):
    """Of `info` only whether the run failed."""

    error: str | None = None


class TauResult(Read):
    """One trial of tau-bench."""

    task_id: int | str
    reward: float
    trial: int = 0
    traj: tuple[ChatMessage, ...]
    info: TauInfo = TauInfo()


class Tau2Reward(Read):
    """Of `reward_info` the reward alone."""

    reward: float


class Tau2Messages(Read):
    """Several results in one message."""

    tool_messages: tuple[ChatMessage, ...] | None = None


class Tau2Simulation(Read):
    """One trial of tau2."""

    id: str = ""
    task_id: int | str
    trial: int | None = None
    termination_reason: str = ""
    agent_cost: float | None = None
    duration: float | None = None
    reward_info: Tau2Reward | None = None
    messages: tuple[ChatMessage | Tau2Messages, ...]


class Tau2Agent(Read):
    """Who was the worker."""

    implementation: str = "agent"
    llm: str | None = None


class Tau2Environment(Read):
    """The domain and the policy that the agent was given."""

    domain_name: str
    policy: str = ""


class Tau2Info(Read):
    """What all simulations of a file share."""

    agent_info: Tau2Agent = Tau2Agent()
    environment_info: Tau2Environment


class Tau2Results(Read):
    """A file of tau2."""

    info: Tau2Info
    simulations: tuple[Tau2Simulation, ...]


class TauSource:
    """Both kinds of file. A tau-bench file is read one trial at a time, one of tau2 whole."""

    patterns = ("*.json", "*.json.gz")

    def recordings(self, file: Path, given: Given) -> Iterator[tuple[str, Recording]]:
        """One episode of one attempt per trial; the source says nothing of tokens."""
        if begins_with(file) != "[":
            yield from _tau2(file, given)
            return
        for number, (line, value) in enumerate(elements(file), 1):
            place = f"{file}, line {line}, result {number}"
            with at(place):
                recording = _recording(fitted(TauResult, value, place), given)
            yield place, recording


def _recording(result: TauResult, given: Given) -> Recording:
    said = [_failing(one.said()) for one in result.traj]
    prompt = said[0].text if said and said[0].role == "system" else ""
    failure = result.info.error
    return Recording(
        benchmark=given.benchmark or "tau-bench",
        key=str(result.task_id),
        prompt=prompt,
        run=str(result.trial),
        worker=WorkerFingerprint(name="tau-bench", model=given.model),
        rollouts=(
            Rollout(
                output=final_text(said),
                trace=trace_of(said, prompt=prompt),
                outcome=_outcome(said, failure, ""),
                failure=failure,
                scores=(Score(value=result.reward, reason="reward"),),
            ),
        ),
    )


def _tau2(file: Path, given: Given) -> Iterator[tuple[str, Recording]]:
    results = fitted(Tau2Results, document(file), str(file))
    for number, simulation in enumerate(results.simulations, 1):
        place = f"{file}, simulation {number}"
        with at(place):
            recording = _simulated(results.info, simulation, given)
        yield place, recording


def _simulated(info: Tau2Info, one: Tau2Simulation, given: Given) -> Recording:
    said = list(_said(one))
    prompt = info.environment_info.policy
    failure = one.termination_reason if one.termination_reason in INFRASTRUCTURE else None
    reward = one.reward_info.reward if one.reward_info else None
    rollout = Rollout(
        output=final_text(said),
        trace=trace_of(said, prompt=prompt),
        outcome=_outcome(said, failure, one.termination_reason),
        failure=failure,
        cost=Cost(usd=one.agent_cost, wall_s=one.duration),
        scores=(Score(value=reward, reason="reward"),),
    )
    return Recording(
        benchmark=given.benchmark or f"tau2-{info.environment_info.domain_name}",
        key=str(one.task_id),
        prompt=prompt,
        run=f"{one.trial} {one.id}",
        worker=WorkerFingerprint(name=info.agent_info.implementation, model=given.model or info.agent_info.llm),
        rollouts=(rollout,),
    )


def _failing(said: Said) -> Said:
    """tau-bench marks a failed call by how its result begins."""
    return said._replace(failed=True) if said.role == "tool" and said.text.startswith("Error:") else said


def _said(simulation: Tau2Simulation) -> Iterator[Said]:
    """What the agent saw: calls of the user and their results are left out."""
    for message in simulation.messages:
        parts = (message,) if isinstance(message, ChatMessage) else message.tool_messages or ()
        for part in parts:
            said = part.said()
            if part.requestor == "user":
                continue
            if said.role == "user":
                said = said._replace(calls=())
            if said.role != "user" or said.text:
                yield said


def _outcome(said: list[Said], failure: str | None, ended: str) -> Outcome:
    if failure is not None:
        return "infra_error"
    if ended == "max_steps":
        return "timeout"
    return "ok" if any(one.role == "assistant" for one in said) else "empty"
