"""A small certified store: strategies of the planted world, and a judge whose every verdict carries a token."""

from __future__ import annotations

from datetime import UTC, datetime

from judges import Judge
from optimizers.setup import Grant
from optimizers.store import Effect, Stored, TaskClass
from signatures.records import Candidate, Task, WorkerFingerprint
from signatures.release import Certificate
from tests.worlds.lab import GRANT, lamp_follower
from tests.worlds.planted import BENCHMARK, PlantedBenchmark, PlantedJudge

WORKER = WorkerFingerprint(name="planted", params={"noise": "0.1", "compliance": "1.0"})
TOKEN = "canary-5e1fde27"
MACHINES = ("Machine 01 does not run. Find what is broken and repair it.", "Machine 02 does not run. Repair it.")


class WithToken(PlantedBenchmark):
    """The planted world, its judge's every word marked."""

    def judge(self) -> Judge:
        """The judge of the world, with the token in each verdict."""
        return PlantedJudge(canary=TOKEN)


def asked(prompt: str, benchmark: str = BENCHMARK) -> Task:
    """A task of which only the prompt matters."""
    return Task(digest=prompt, benchmark=benchmark, prompt=prompt)


def certificate(candidate: Candidate, registration: str = "r1", benchmark: str = BENCHMARK) -> Certificate:
    """A certificate as a gate would give it."""
    return Certificate(
        gate="g",
        sentence="promote",
        candidate=candidate.digest,
        baseline="b",
        benchmark=benchmark,
        registration=registration,
        slice="1 of 1",
        seal="s",
        verdicts="v",
        ledger_rows=3,
        ledger_chain="c",
        done="d",
        report="r",
    )


def strategy(
    name: str = "lamp",
    candidate: Candidate | None = None,
    prompts: tuple[str, ...] = MACHINES,
    *,
    worker: WorkerFingerprint = WORKER,
    grant: Grant = GRANT,
    benchmark: str = BENCHMARK,
) -> Stored:
    """A strategy as `add` would keep it."""
    chosen = candidate or lamp_follower()
    return Stored(
        name=name,
        candidate=chosen,
        task_class=TaskClass(benchmark=benchmark, prompts=prompts),
        certificate=certificate(chosen, f"registered {name}", benchmark),
        worker=worker,
        attempts=grant.attempts,
        turns_per_attempt=grant.turns_per_attempt,
        steer_legal=grant.steer_legal,
        effect=Effect(objective="correct", n=180, effect=0.2, lo=0.1, hi=0.3),
        added_at=datetime(2026, 7, 30, tzinfo=UTC),
    )
