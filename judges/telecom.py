"""The telecom judge: tau2's own environment assertions, run on the state the selected attempt left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from controllers.worlds.telecom import StateCall, TelecomWorld
from judges.records import Judgement
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Task


class Assertion(NamedTuple):
    """One assertion of a task: the function of the simulators and the answer it must give."""

    call: StateCall
    expected: bool


class TelecomJudge:
    """All assertions of the task hold: 1, else 0. An output that is no state of the world scores 0."""

    def __init__(self, world: TelecomWorld, assertions: Mapping[str, Sequence[Assertion]]) -> None:
        self._world = world
        self._assertions = dict(assertions)
        self._revision = f"telecom assertions of {world.release}, {digest_of(self._assertions)}"

    @property
    def revision(self) -> str:
        """The release of tau2 and the digest of all assertions."""
        return self._revision

    @property
    def deterministic(self) -> bool:
        """Yes: the simulators draw nothing."""
        return True

    async def judge(self, task: Task, output: str) -> Judgement:
        """Run the task's assertions on the state `output`; no score for a task it does not know."""
        assertions = self._assertions.get(task.digest)
        if assertions is None:
            return Judgement(score=None, reason="no assertions are known for this task")
        try:
            env = self._world.restore(output)
        except UsageError as error:
            return Judgement(score=0.0, reason=str(error))
        parts: dict[str, bool] = {}
        for call, expected in assertions:
            kit = env.user_tools if call.env_type == "user" else env.tools
            held = getattr(kit, call.func_name)(**call.arguments) == expected
            parts[call.func_name] = parts.get(call.func_name, True) and held
        failed = [name for name, held in parts.items() if not held]
        return Judgement(score=float(not failed), reason=", ".join(failed), parts=parts)
