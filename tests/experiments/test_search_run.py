"""The search command for any engine: what it takes and refuses, and that no kill changes how a search ends."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from controllers.corpus import MemoryCorpus
from experiments.search_run import Command, resolve, translated
from optimizers.journal import Journal
from optimizers.replay.tree import TreeReplay
from signatures.errors import UsageError
from tests.worlds.forked import Child, Ended, Forker
from tests.worlds.lab import Lab
from tests.worlds.searched import ENDED, JOURNAL, KILLED, TREES, search_in
from tests.worlds.small import arguments

PRELOADED = ("experiments.search.search_job", "gepa.api", "matplotlib.backends.backend_agg", "scipy.stats")


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    with Forker("experiments.search_run", PRELOADED, tmp_path_factory.mktemp("output")) as forker:
        yield forker


def one_line(ended: Ended) -> str:
    """The error of a command that was refused."""
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith("error: ")
    return ended.err


# The command.


def test_an_engine_is_searched_beside_random_search_and_everything_is_told(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--engine", "best_of_n", "--max-minutes", "5", *arguments()], tmp_path)
    assert ended.code == 0, ended.err
    first, second, *_ = ended.out.splitlines()
    assert "engine best_of_n" in first
    assert "the search ends with 4 proposals or 5 minutes, whichever is first" in second
    assert re.search(r"^best_of_n generation 0: ", ended.out, re.MULTILINE)
    for title in ("best_of_n", "random search"):
        assert re.search(rf"^spent by {title}: compute of \d+ attempts, \d+ of them live", ended.out, re.MULTILINE)
    (folder,) = (tmp_path / "runs").glob("*-best_of_n-s0-1")
    assert set(json.loads((folder / "spent.json").read_text())) == {"best_of_n", "random search"}
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = forker.run(["--resume", str(folder.relative_to(tmp_path))], tmp_path)
    assert again.code == 0, again.err
    assert [line for line in again.out.splitlines() if "done in" not in line] == [
        line for line in ended.out.splitlines() if "done in" not in line
    ]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_null_engine_has_no_rival(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--json", "--engine", "null_search", *arguments()], tmp_path)
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert {row["role"] for row in told["rows"]} == {"arm", "front"}
    assert [row["name"] for row in told["rows"] if row["role"] == "front"] == ["n00-c0"]
    assert list(told["spent"]) == ["null"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--engine", "optuna"], "unknown engine 'optuna'; known: "),
        (["--engine", "no.such:engine"], "no.such"),
        (["--engine", "mipro_search"], "name one with --lm MODEL"),
        (["--engine", "random_search", 'engine_options={"speed":9}'], "random_search has no option speed"),
        (["--max-usd", "-1"], "max_usd"),
        (["--max-minutes", "0"], "max_minutes"),
        (["--max-attempts", "3"], "max_attempts=3 is too small"),
        (["max_compute=0"], "max_compute"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(forker: Forker, tmp_path: Path, given: list[str], said: str) -> None:
    assert said in one_line(forker.run([*arguments(), *given], tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_limit_on_compute_ends_the_search_and_is_named(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--engine", "random_search", *arguments(max_compute=20, generations=50)], tmp_path)
    assert ended.code == 0, ended.err
    assert "the search ends with 20 attempts made or replayed\n" in ended.out
    (spent,) = re.findall(r"^spent by random: compute of (\d+) attempts", ended.out, re.MULTILINE)
    assert int(spent) <= 20
    assert "ended by its limit of compute" in ended.out


def test_a_projection_says_what_ends_the_search(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--dry-run", "--engine", "random_search", "--max-usd", "0.5", *arguments()], tmp_path)
    assert ended.code == 0, ended.err
    assert "the search ends with 4 proposals or 0.5 usd, whichever is first" in ended.out
    assert "in random search" not in ended.out


def test_a_command_with_an_engine_of_its_own_takes_no_other(tmp_path: Path) -> None:
    command = Command("gepa_run", "gepa_search")
    assert command.config(None, None, [], {}).engine == "gepa_search"
    assert Command("mipro_run", "mipro_search").config(None, None, [], {"engine": None}).engine == "mipro_search"
    with pytest.raises(UsageError, match="search_run --engine random_search"):
        command.config(None, None, [], {"engine": "random_search"})
    assert command.again([Path("runs/a b")]) == "python -m experiments.gepa_run --resume 'runs/a b'"
    assert command.again([]) is None


def test_flags_go_over_overrides_and_those_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("seed = 1\nval = 10\ndev = 9\n")
    config = resolve(tmp_path / "c.toml", ["val=11", "seed=2", "max_attempts=9999"], {"seed": 3, "lm": None})
    assert (config.seed, config.val, config.dev, config.lm) == (3, 11, 9, None)
    with pytest.raises(UsageError, match="unknown key"):
        resolve(None, ["vall=1"], {})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--live", "seed=3"], ["live=true", "seed=3"]),
        (["--learn-from", "all", "--json"], ["learn_from=all", "--json"]),
        (["--learn-from=all"], ["learn_from=all"]),
        (["train=4", "--learn-from", '["a.db"]'], ["train=4", 'learn_from=["a.db"]']),
        (["--learn-from"], ["--learn-from"]),
    ],
)
def test_learn_from_and_live_are_overrides_by_another_spelling(given: list[str], meant: list[str]) -> None:
    assert translated(given) == meant


# Kills. A search is executed again from its journal, whatever the engine.


class World(NamedTuple):
    """The planted world with its trees, recorded once."""

    lab: Lab
    replay: TreeReplay


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    lab = Lab(tmp_path_factory.mktemp("lab"), corpus=MemoryCorpus())
    yield World(lab, asyncio.run(lab.replay(lab.benchmark.tasks("search")[:TREES])))
    lab.close()


def executed(world: World, engine: str, path: Path) -> tuple[dict[str, Any], list[str]]:
    """One execution: what it ended with, and its journal's lines."""
    with closing(Journal(path)) as journal:
        ended = asyncio.run(search_in(world.lab, world.replay, engine, journal))
    return json.loads(json.dumps(ended)), path.read_text().splitlines()


def without_wall(lines: list[str]) -> list[Any]:
    """Entries without measured times."""
    return [json.loads(re.sub(r'"wall_s":[0-9.e-]+', '"wall_s":0', line)) for line in lines]


DEAR = ("authored_search", "gepa_search", "optuna_search", "portfolio")
"""Engines of which every cut takes seconds; the kill tests hold them to the same."""


@pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.slow) if name in DEAR else name for name in KILLED]
)
def test_a_journal_that_ends_at_any_line_ends_in_the_same_archive(world: World, engine: str, tmp_path: Path) -> None:
    ended, lines = executed(world, engine, tmp_path / "whole.jsonl")
    assert len(lines) > 3
    for cut in range(len(lines)):
        part = tmp_path / f"{cut}.jsonl"
        torn = lines[cut][: len(lines[cut]) // 2]  # a kill in the middle of a write
        part.write_text("".join(f"{line}\n" for line in lines[:cut]) + torn)
        again, written = executed(world, engine, part)
        assert again == ended
        assert without_wall(written) == without_wall(lines)


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    preloaded = ("gepa.api", "optuna", "scipy.special", "optimizers.search.gepa_search")
    with Forker("tests.worlds.searched", preloaded, tmp_path_factory.mktemp("killed")) as forker:
        yield forker


def whole(killer: Forker, engine: str, folder: Path) -> dict[str, Any]:
    """How a search of that engine ends where nothing happens to it."""
    folder.mkdir()
    ended = killer.run([engine, str(folder)], folder)
    assert ended.code == 0, ended.err
    found: dict[str, Any] = json.loads((folder / ENDED).read_text())
    return found


def entries(folder: Path) -> int:
    """Whole lines of the journal."""
    path = folder / JOURNAL
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("engine", KILLED)
def test_killed_before_and_after_every_commit_a_search_ends_in_the_same_archive(
    killer: Forker, engine: str, tmp_path: Path
) -> None:
    ended = whole(killer, engine, tmp_path / "whole")
    folder = tmp_path / "killed"
    folder.mkdir()
    kills = 0
    while True:
        before = entries(folder)
        when = ("before", "after")[kills % 2]
        last = killer.run([engine, str(folder), "1", when], folder)
        if last.code != -signal.SIGKILL:
            break
        kills += 1
        assert entries(folder) == before + (when == "after")
    assert last.code == 0, last.err
    assert json.loads((folder / ENDED).read_text()) == ended
    assert entries(folder) == entries(tmp_path / "whole")
    assert kills >= 2 * entries(folder) > 6


def killed_later(child: Child, wait_s: float) -> Ended:
    """Kill it after a while, unless it has ended by then."""
    time.sleep(wait_s)
    child.kill(signal.SIGKILL)
    return child.wait()


@pytest.mark.slow
@pytest.mark.parametrize("engine", KILLED)
def test_killed_at_random_a_search_ends_in_the_same_archive(killer: Forker, engine: str, tmp_path: Path) -> None:
    began = time.monotonic()
    ended = whole(killer, engine, tmp_path / "whole")
    longest_s, rng = time.monotonic() - began, random.Random(engine)
    kills, run = 0, 0
    while kills < 10:
        folder = tmp_path / str(run)
        folder.mkdir()
        run += 1
        for _ in range(4):
            child = killer.start([engine, str(folder)], folder)
            if killed_later(child, rng.uniform(0, longest_s)).code == 0:
                break
            kills += 1
        else:
            last = killer.run([engine, str(folder)], folder)
            assert last.code == 0, last.err
        assert json.loads((folder / ENDED).read_text()) == ended
