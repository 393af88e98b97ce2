"""The command that confines: which kinds work, what they are given, and what they say they leave open."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from controllers.isolation import NOT_ISOLATED, Isolation, SandboxConfig, counted, environment, prepare, works

KINDS: tuple[Isolation, ...] = get_args(Isolation)


def plan_of(place: Path, isolation: Isolation, **settings: object) -> tuple[list[str], dict[str, object]]:
    config = SandboxConfig.model_validate(settings)
    command = prepare(place, isolation, config=config, files={"main.py": "pass"}, argv=("main.py",))
    return command, json.loads((place / "plan.json").read_text())


def test_every_kind_says_what_it_leaves_open() -> None:
    assert set(NOT_ISOLATED) == set(KINDS)
    weakest_last = [len(NOT_ISOLATED[kind]) for kind in KINDS]
    assert weakest_last == sorted(weakest_last)
    assert [kind for kind in KINDS if "the network" in NOT_ISOLATED[kind]] == ["rlimits"]


def test_a_kind_that_works_runs_a_program_and_is_probed_once() -> None:
    assert works("rlimits")
    before = works.cache_info().misses
    assert works("rlimits")
    assert works.cache_info().misses == before


@pytest.mark.parametrize("isolation", KINDS)
def test_limits_reach_the_plan(isolation: Isolation, tmp_path: Path) -> None:
    _, plan = plan_of(tmp_path, isolation, cpu_s=3, memory_bytes=1 << 27, file_bytes=5, processes=7)
    limits = plan["limits"]
    assert isinstance(limits, dict)
    assert (limits["CPU"], limits["AS"], limits["FSIZE"], limits["CORE"]) == (3, 1 << 27, 5, 0)
    assert plan["namespaces"] == (isolation == "unshare")


@pytest.mark.parametrize("isolation", KINDS)
def test_processes_are_limited_by_the_kernel_or_by_counting(isolation: Isolation, tmp_path: Path) -> None:
    _, plan = plan_of(tmp_path, isolation)
    limits = plan["limits"]
    assert isinstance(limits, dict)
    exempt = os.geteuid() == 0 and plan["uid"] is None
    assert ("NPROC" in limits and not exempt) or counted(isolation, 7) is not None


def test_bubblewrap_gets_no_network_and_root_becomes_nobody(tmp_path: Path) -> None:
    command, plan = plan_of(tmp_path, "bwrap")
    assert {"--unshare-net", "--unshare-pid", "--die-with-parent"} <= set(command)
    assert (plan["uid"] is not None) == (os.geteuid() == 0)


@pytest.mark.parametrize("isolation", KINDS)
def test_the_environment_holds_nothing_of_ours(isolation: Isolation, tmp_path: Path) -> None:
    seen = environment(tmp_path, isolation, SandboxConfig(packages=("/opt/a", "/opt/b")))
    assert seen["PYTHONPATH"] == "/opt/a:/opt/b"
    assert set(seen) - {"PYTHONPATH"} == set(environment(tmp_path, isolation, SandboxConfig()))
    assert not set(seen.values()) & {os.environ.get("HOME", "?"), os.environ.get("PATH", "?")}


def test_limits_that_make_no_sense_are_refused() -> None:
    for bad in ({"processes": 1}, {"memory_bytes": 1}, {"cpu_s": 0}, {"isolation": "chroot"}):
        with pytest.raises(ValidationError):
            SandboxConfig.model_validate(bad)
