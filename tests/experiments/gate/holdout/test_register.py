"""Registering a gate: what is written down, on which slice, and what is refused before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments.gate.holdout.config import HoldoutConfig
from experiments.gate.holdout.register import (
    Gate,
    contents_by_split,
    ledger_path,
    plan_lines,
    register_gate,
    require_never_read,
    survey_of,
)
from optimizers.gate.holdout import HoldoutLedger
from optimizers.gate.registration import read
from signatures.errors import HoldoutSpent, UsageError
from signatures.records import Split, Task
from tests.worlds.gated import HERE, SLICES, RenamedBenchmark, gate_config, saved
from tests.worlds.lab import lamp_follower, steered
from tests.worlds.planted import PlantedBenchmark

AT = datetime(2026, 1, 5, tzinfo=UTC)
Make = Callable[..., HoldoutConfig]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A gate of the lamp follower, or of another controller, below one root."""

    def config(*, steer: str | None = None, **changed: object) -> HoldoutConfig:
        candidate = lamp_follower() if steer is None else steered(steer)
        path = saved(tmp_path / "saved", "lamp" if steer is None else steer, candidate)
        return gate_config(tmp_path / "runs", path, **changed)  # type: ignore[arg-type]

    return config


def open_it(gate: Gate, root: Path) -> None:
    """Spend the gate's slice."""
    registered = gate.registration
    with HoldoutLedger(ledger_path(root, gate.survey.benchmark)) as ledger:
        ledger.open_read(gate.slice, candidate=registered.candidate, registration=registered.digest, at=AT).close()


def test_the_file_says_all_that_could_be_chosen_later(make: Make, tmp_path: Path) -> None:
    path, gate = register_gate(make(min_effect=0.1, repeats=2, margins={"fast": 0.2}, family=("a - b",), searched=0.5))
    found = read(path)
    assert found == gate.registration
    assert (found.primary, found.alpha, found.min_effect) == ("correct", 0.025, 0.1)
    assert found.margins == {"correct": 0.05, "fast": 0.2, "cheap": 0.05, "clean": 0.05}
    assert found.family == ("lamp - continue@3", "a - b")
    assert (found.candidate, found.granted.turns) == (lamp_follower().digest, 9)
    assert len(found.seeds) == 2 and found.seal == gate.slice.seal
    assert found.manifest == gate.manifest.digest
    assert found.conditions["config.searched"] == "0.5"
    assert '"noise":"0.1"' in found.conditions["worker"]
    assert path.parent.parent == tmp_path / "runs"
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "baseline.json",
        "candidate.json",
        "gate.toml",
        "manifest.json",
        "registration.json",
    ]


def test_registering_again_is_a_no_op(make: Make) -> None:
    path, gate = register_gate(make())
    again, other = register_gate(make(concurrency=2))
    assert (again, other.registration) == (path, gate.registration)
    with HoldoutLedger(ledger_path(path.parent.parent, gate.survey.benchmark)) as ledger:
        assert len(ledger.entries()) == 1


def test_slices_are_disjoint_and_the_first_unread_one_is_taken(make: Make, tmp_path: Path) -> None:
    seen: set[str] = set()
    for number, steer in enumerate(("fan", "pump"), 1):
        _, gate = register_gate(make(steer=steer))
        assert gate.slice.name == f"planted holdout {number} of {SLICES}"
        assert seen.isdisjoint(gate.slice.tasks) and len(gate.tasks) == 36
        seen |= set(gate.slice.tasks)
        open_it(gate, tmp_path / "runs")


def test_a_controller_that_was_read_is_not_tried_on_another_slice(make: Make, tmp_path: Path) -> None:
    _, gate = register_gate(make())
    open_it(gate, tmp_path / "runs")
    with pytest.raises(HoldoutSpent, match="lamp was read on slice planted holdout 1 of 5"):
        register_gate(make(seed=1))
    with HoldoutLedger(ledger_path(tmp_path / "runs", gate.survey.benchmark)) as ledger:
        require_never_read(ledger, gate.survey, but=gate.slice)
        with pytest.raises(HoldoutSpent):
            require_never_read(ledger, gate.survey, but=gate.survey.slices[1])


@pytest.mark.parametrize("benchmark", [f"{HERE}:RenamedBenchmark", "tests.worlds.planted:PlantedBenchmark"])
def test_a_spent_holdout_is_refused_under_any_id(make: Make, tmp_path: Path, benchmark: str) -> None:
    _, gate = register_gate(make(slices=1))
    open_it(gate, tmp_path / "runs")
    with pytest.raises(HoldoutSpent, match="no slice of planted's holdout is left"):
        register_gate(make(steer="fan", slices=3, benchmark=benchmark))


def test_renamed_tasks_have_other_digests_and_the_same_content() -> None:
    (_, here), (_, there) = contents_by_split(PlantedBenchmark()), contents_by_split(RenamedBenchmark())
    assert set(here["holdout"]).isdisjoint(there["holdout"])
    assert sorted(here["holdout"].values()) == sorted(there["holdout"].values())


class Mute(PlantedBenchmark):
    """Every prompt is the same."""

    def tasks(self, split: Split) -> tuple[Task, ...]:
        return tuple(task.model_copy(update={"prompt": "Repair it."}) for task in super().tasks(split))


def test_tasks_that_share_a_prompt_are_known_by_their_digests() -> None:
    known_by, contents = contents_by_split(Mute())
    assert known_by == "digest"
    assert all(id == content for split in contents.values() for id, content in split.items())


def test_a_leak_between_splits_is_refused_with_the_ids(make: Make) -> None:
    with pytest.raises(UsageError, match=r"search and holdout overlap in 2 tasks: again \w+ \(as "):
        survey_of(make(benchmark=f"{HERE}:LeakingBenchmark"))


@pytest.mark.parametrize("changed", [{"primary": "beauty"}, {"margins": {"beauty": 0.1}}])
def test_an_unknown_objective_is_refused(make: Make, changed: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="no objective 'beauty'"):
        survey_of(make(**changed))


def test_a_config_that_is_refused_leaves_nothing(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        register_gate(make(baseline="nobody@3"))
    assert not (tmp_path / "runs").exists()


def test_the_plan_is_told_before_anything_is_run(make: Make) -> None:
    path, gate = register_gate(make(repeats=2, min_effect=0.1))
    said = list(plan_lines(path, gate))
    assert said[0] == "lamp - continue@3 on planted holdout 1 of 5: 36 tasks, repeats 2"
    assert "smallest effect of interest 0.1" in said[1]
    assert "at most 432 attempts in 144 episodes" in said[3]
    assert said[-1].endswith(f"gate_run run {path}")


def test_one_program_against_itself_is_said_at_once(make: Make) -> None:
    path, gate = register_gate(make().model_copy(update={"candidate": "continue@3"}))
    assert any("can only be hold" in line for line in plan_lines(path, gate))
