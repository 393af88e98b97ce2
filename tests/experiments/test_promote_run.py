"""`promote_run` as a command: one candidate from file to champion, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.worlds.gated import saved
from tests.worlds.lab import lamp_follower

COMMAND = (sys.executable, "-m", "experiments.promote_run")
WORLD = ("benchmark=tests.worlds.planted:PlantedBenchmark", "turns=3", "canary_states=8", "canary_tasks=1")


def ended(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((*COMMAND, *words), capture_output=True, text=True, timeout=240, check=False)


def test_a_candidate_becomes_champion_in_four_lines_and_a_loud_one(root: Path) -> None:
    lamp = saved(root / "saved", "lamp", lamp_follower())
    found = ended(lamp, "--allow-ungated", "--with-pyfunc", f"root={root}", *WORLD)
    assert found.returncode == 0, found.stderr
    assert [line.split()[0] for line in found.stdout.splitlines()] == [
        "release",
        "pyfunc:",
        "version",
        "canary",
        "champion:",
    ]
    assert found.stderr.startswith("WARNING: promoting WITHOUT A GATE")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "name one file of a saved controller"),
        (("a.json", "b.json"), "name one file"),
        (("a.json", "--close-gaps"), "--close-gaps tries again"),
        (("a.json", "exploraton=0.1"), "did you mean 'exploration'"),
        (("--close-gaps",), "nothing was promoted there"),
        (("no/such.json",), "cannot be read as a saved controller"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    found = ended(*words, f"root={tmp_path}")
    assert found.returncode == 2
    assert found.stderr.startswith("error: ") and told in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert found.stdout == ""
