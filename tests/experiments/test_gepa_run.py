"""The main job as a command: what it prints and leaves, what it refuses, and that no kill changes how it ends."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import JsonValue

from controllers.program import loads
from experiments.config import merge
from experiments.search_config import SearchConfig
from judges.manifest import Manifest
from tests.worlds.forked import ROOT, Child, Ended, Forker
from tests.worlds.model import served
from tests.worlds.small import NAME, arguments
from tests.worlds.troubled import FAILS, SLEEP_S

PRELOADED = (
    "experiments.search.search_job",
    "gepa.api",
    "litellm.litellm_core_utils.litellm_logging",
    "litellm.llms.openai.openai",
    "litellm.main",
    "matplotlib.backends.backend_agg",
    "scipy.stats",
    "tests.worlds.troubled",
)
TROUBLED = "tests.worlds.troubled:TroubledWorker"
RUN = Path("runs") / NAME
NO_KEY: Mapping[str, str | None] = {"OPENAI_API_KEY": None}


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    with Forker("experiments.gepa_run", PRELOADED, tmp_path_factory.mktemp("output")) as forker:
        yield forker


class Finished(NamedTuple):
    """A finished run and the folder it was started from."""

    ended: Ended
    cwd: Path

    @property
    def rows(self) -> Any:
        """The table of a run with `--json`."""
        return json.loads(self.ended.out)["rows"]


@pytest.fixture(scope="module")
def told(forker: Forker, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run that prints its story, from a temporary folder."""
    cwd = tmp_path_factory.mktemp("told")
    return Finished(forker.run(arguments(), cwd), cwd)


@pytest.fixture(scope="module")
def whole(forker: Forker, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """An uninterrupted run with `--json`."""
    cwd = tmp_path_factory.mktemp("whole")
    return Finished(forker.run(["--json", *arguments(worker=TROUBLED)], cwd), cwd)


def bodies(cwd: Path) -> list[Any]:
    """The events of the run, without number, time and what was timed."""
    found = [json.loads(line)["body"] for line in (cwd / RUN / "events.jsonl").read_text().splitlines()]
    for body in found:
        body.get("metrics", {}).pop("spent/wall_s", None)
    return found


def stored(cwd: Path) -> dict[str, list[str]]:
    """The ids of all records in the corpus."""
    with closing(sqlite3.connect(cwd / "runs" / "corpus-planted.db")) as db:
        return {
            table: sorted(id for (id,) in db.execute(f"SELECT id FROM {table}"))
            for table in ("attempts", "decisions", "episodes")
        }


def billed(cwd: Path) -> dict[str, Any]:
    """What the journal says that each evaluation spent, wall time aside."""
    found: dict[str, Any] = {}
    for line in (cwd / RUN / "journal.jsonl").read_text().splitlines():
        for key, score in json.loads(line).get("scores", []):
            assert key not in found
            found[key] = (score["values"], {k: v for k, v in score["spent"].items() if k != "wall_s"})
    return found


def controllers(cwd: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (cwd / RUN / "candidates").iterdir()}


def one_line(ended: Ended) -> str:
    """The error of a command that was refused."""
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    return ended.err


# What it prints and leaves.


def test_the_first_lines_say_what_decides_how_to_use_a_model_and_what_it_costs(told: Finished) -> None:
    assert told.ended.code == 0, told.ended.err
    first, second, *_ = told.ended.out.splitlines()
    assert "rule policies and the mined proposer" in first
    assert "--lm MODEL" in first
    assert re.match(r"at most \d+ attempts: \d+ recorded .*control arms.*search.*random search.*on dev", second)


def test_the_table_has_every_arm_and_member_with_n_and_intervals(told: Finished) -> None:
    table = told.ended.out.split("dev split: mean")[1]
    members = [path.removesuffix(".json") for path in controllers(told.cwd)]
    assert members
    for name in ("random@2", "continue@2", "placebo@2", "refine@2/rule", "long@1", "random search", *members):
        line = next(line for line in table.splitlines() if line.startswith(f"│ {name} "))
        assert re.findall(r"│\s+6 │", line)
        assert len(re.findall(r"\d\.\d{3} \[\d\.\d\d, \d\.\d\d\]", line)) == 4


def test_one_sentence_says_what_beat_the_controls_on_dev(told: Finished) -> None:
    (line,) = [line for line in told.ended.out.splitlines() if line.startswith("On dev (6 tasks), ")]
    for control in ("random@2", "placebo@2"):
        assert re.search(rf"(beat|did not beat|was worse than) {control} \([+-]\d\.\d{{3}} \[.*\], n=6\)", line)


def test_the_paths_it_ends_with_are_there(told: Finished) -> None:
    paths = dict(re.findall(r"^(run|candidates|figure): (.+)$", told.ended.out, re.MULTILINE))
    assert set(paths) == {"run", "candidates", "figure"}
    assert all((told.cwd / path).exists() for path in paths.values())
    assert (told.cwd / paths["figure"]).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert "python -m experiments.dashboard_run --root runs" in told.ended.out


def test_the_run_folder_holds_config_manifest_and_controllers_that_load(told: Finished) -> None:
    folder = told.cwd / RUN
    assert {path.name for path in folder.iterdir()} == {
        "candidates",
        "config.toml",
        "events.jsonl",
        "findings.json",
        "front.png",
        "gepa",
        "journal.jsonl",
        "manifest.json",
        "spent.json",
        "trees.json",
    }
    assert merge(SearchConfig, folder / "config.toml").benchmark == "tests.worlds.planted:PlantedBenchmark"
    Manifest.model_validate_json((folder / "manifest.json").read_text())
    for text in controllers(told.cwd).values():
        assert set(loads(text).policies) == {"stop", "topology", "steer"}


def test_piped_output_is_plain(told: Finished) -> None:
    assert "\x1b" not in told.ended.out + told.ended.err
    assert "\r" not in told.ended.out
    assert told.ended.err == ""


def test_with_json_stdout_is_the_table_and_nothing_else(told: Finished, whole: Finished) -> None:
    assert whole.ended.code == 0, whole.ended.err
    result = json.loads(whole.ended.out)
    asked = {"rows", "comparisons", "sentence", "paths", "families", "confirmed", "attempts"}
    assert set(result) == asked | {"engine", "findings", "spent"}
    assert result["sentence"] in whole.ended.err
    assert result["sentence"] in told.ended.out  # the same search, told
    assert "record 6 trees: done" in whole.ended.err


@pytest.mark.parametrize("options", [[], ["--json"], ["--lm", "openai/gpt-4o"]])
def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(
    forker: Forker, tmp_path: Path, options: list[str]
) -> None:
    ended = forker.run(["--dry-run", *options, *arguments()], tmp_path, {"OPENAI_API_KEY": "x"})
    assert ended.code == 0, ended.err
    assert list(tmp_path.iterdir()) == []
    if "--json" in options:
        assert json.loads(ended.out)["total"] == 484
    else:
        assert ended.out.startswith(f"at most {504 if options else 484} attempts")  # a model has an arm of its own
        assert ("decisions by openai/gpt-4o" in ended.out) == bool(options)


# Again.


def test_a_run_repeated_from_its_dumped_config_gives_the_same_table(
    forker: Forker, whole: Finished, tmp_path: Path
) -> None:
    again = forker.run(["--json", "--config", str(whole.cwd / RUN / "config.toml")], tmp_path)
    assert Finished(again, tmp_path).rows == whole.rows
    assert stored(tmp_path) == stored(whole.cwd)
    assert controllers(tmp_path) == controllers(whole.cwd)


def test_a_finished_run_resumed_prints_the_same_and_writes_nothing_new(forker: Forker, told: Finished) -> None:
    before = {path: path.read_bytes() for path in (told.cwd / "runs").rglob("*") if path.is_file()}
    again = forker.run(["--resume", str(RUN)], told.cwd)
    assert again.code == 0

    def untimed(text: str) -> str:
        return re.sub(r"done in \d+ s", "done", text)

    assert untimed(again.out) == untimed(told.ended.out)
    after = {path: path.read_bytes() for path in (told.cwd / "runs").rglob("*") if path.is_file()}
    assert after == before


# What it refuses: one line, exit code 2, nothing left behind.

REFUSED: list[tuple[list[str], str]] = [
    (["--benchmark", "telecon"], "did you mean 'telecom'"),
    (["--benchmark", "no.such:Thing"], "cannot import"),
    (["--worker", "scriptet"], "did you mean 'scripted'"),
    (["--worker", "nobodys.module:Worker"], "cannot import"),
    (["--wroker", "scripted"], "No such option: --wroker"),
    (["--seed", "many"], "'--seed'"),
    (["options.nosie=0.1"], "nosie"),
    (["--benchmark", "telecom", 'options={"dev_layers":["vpn"],"holdout_layers":["vpn"]}'], "splits overlap: vpn"),
    (["corpus=garbage.db"], "garbage.db: cannot open: file is not a database"),
    (["corpus=folder"], "this corpus cannot be used: folder"),
    (["root=garbage.db/runs"], "garbage.db/runs"),
    (["--config", "typo.toml"], "did you mean 'generations'"),
    (["--config", "broken.toml"], "broken.toml:3: not TOML"),
    (["--config", "nowhere.toml"], "cannot read this config"),
    (["max_attempts=23"], "max_attempts=23 is too small"),
    (["--lm", "openai/gpt-4o"], "needs OPENAI_API_KEY"),
    (["--lm", "gpt-5o"], "no such provider"),
    (["--worker", "chat", "worker_lm=nobody/gpt"], "no such provider"),
    (["attempts=9"], "attempts: Input should be less than or equal to 8"),
    (["val=500", "max_attempts=5000"], "504 tasks asked, the split has"),
    (["dev=5000"], "dev: 5000 tasks asked, the split has"),
    (["minibatch=5"], "minibatch=5 is more than train=4"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=[" ".join(given) for given, _ in REFUSED])
def test_bad_input_is_one_line_and_leaves_nothing(forker: Forker, tmp_path: Path, given: list[str], said: str) -> None:
    (tmp_path / "garbage.db").write_text("not a database, " * 100)
    (tmp_path / "folder").mkdir()
    (tmp_path / "typo.toml").write_text("generatoins = 3\n")
    (tmp_path / "broken.toml").write_text("seed = 1\nval = [\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ended = forker.run([*arguments(), *given], tmp_path, NO_KEY)
    assert said in one_line(ended)
    assert ended.code == 2
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"garbage.db", "folder", "typo.toml", "broken.toml"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--resume", "nowhere"], "is no run folder"),
        (["--resume", "."], "is no run folder"),
        (["--resume", str(RUN), "--seed", "3"], "takes no other config"),
        (["--resume", str(RUN), "val=8"], "takes no other config"),
        (["--resume", str(RUN), "--config", "x.toml"], "takes no other config"),
    ],
)
def test_what_cannot_be_resumed_is_left_alone(forker: Forker, told: Finished, given: list[str], said: str) -> None:
    before = {path: path.read_bytes() for path in told.cwd.rglob("*") if path.is_file()}
    ended = forker.run(given, told.cwd)
    assert said in one_line(ended)
    assert ended.code == 2
    assert {path: path.read_bytes() for path in told.cwd.rglob("*") if path.is_file()} == before


def test_help_imports_nothing_heavy() -> None:
    heavy = ("dspy", "mlflow", "litellm", "numpy", "pandas", "openai", "datasets", "scipy", "gepa", "matplotlib")
    code = (
        "import sys\nfrom experiments.gepa_run import app\n"
        "app(['--help'], standalone_mode=False)\n"
        f"assert not [name for name in {heavy} if name in sys.modules]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for option in ("--config", "--seed", "--resume", "--benchmark", "--worker", "--lm", "--json", "--dry-run"):
        assert option in done.stdout


# What happens to it.


def made(cwd: Path) -> int:
    """How many attempts are in the corpus now."""
    file = cwd / "runs" / "corpus-planted.db"
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM attempts").fetchone()[0])
    except sqlite3.OperationalError:  # its tables are being made
        return 0


def more_than(cwd: Path, before: int) -> bool:
    return made(cwd) > before


def running(child: Child) -> bool:
    return Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def until(child: Child, happened: Callable[[], bool]) -> bool:
    """Wait until something happened; False where the run ended first."""
    while running(child):
        if happened():
            return True
        time.sleep(0.005)
    return False


def killed_until_it_ends(
    forker: Forker, cwd: Path, kills: int, *, longest_s: float, rng: random.Random
) -> tuple[Ended, int]:
    """Kill a run `kills` times, each some time after a new attempt, resume it each time, then let it end."""
    command = ["--json", *arguments(worker=TROUBLED)]
    killed = 0
    while True:
        given = ["--json", "--resume", str(RUN)] if (cwd / RUN).exists() else command
        last = killed == kills
        child = forker.start(given, cwd, {SLEEP_S: "0" if last else "0.1"})
        if not last:
            before, patience_s = made(cwd), rng.uniform(0, longest_s)
            if until(child, partial(more_than, cwd, before)):
                time.sleep(patience_s)
            child.kill(signal.SIGKILL)
        ended = child.wait()
        if ended.code != -signal.SIGKILL:
            return ended, killed
        killed += 1


def assert_ends_as_if_never_killed(ended: Ended, cwd: Path, whole: Finished) -> None:
    assert ended.code == 0, ended.err
    assert Finished(ended, cwd).rows == whole.rows
    assert json.loads(ended.out)["sentence"] == json.loads(whole.ended.out)["sentence"]
    assert controllers(cwd) == controllers(whole.cwd)
    assert billed(cwd) == billed(whole.cwd)
    assert stored(cwd) == stored(whole.cwd)
    assert len(set(stored(cwd)["attempts"])) == len(stored(cwd)["attempts"])
    assert bodies(cwd) == bodies(whole.cwd)


def killed_and_compared(forker: Forker, whole: Finished, folder: Path, kills: int, *, longest_s: float) -> None:
    """Runs, one after the other, that are killed `kills` times between them; each ends as if it never was."""
    rng, killed = random.Random(kills), 0
    while killed < kills:
        cwd = folder / str(killed)
        cwd.mkdir()
        ended, more = killed_until_it_ends(forker, cwd, kills - killed, longest_s=longest_s, rng=rng)
        assert_ends_as_if_never_killed(ended, cwd, whole)
        assert more > 0
        killed += more


def test_a_run_killed_again_and_again_ends_as_if_never_killed(forker: Forker, whole: Finished, tmp_path: Path) -> None:
    killed_and_compared(forker, whole, tmp_path, 8, longest_s=0.2)


@pytest.mark.slow
def test_fifty_kills(forker: Forker, whole: Finished, tmp_path: Path) -> None:
    killed_and_compared(forker, whole, tmp_path, 50, longest_s=1.0)


def test_ctrl_c_ends_with_130_and_the_command_that_goes_on(forker: Forker, whole: Finished, tmp_path: Path) -> None:
    child = forker.start(arguments(worker=TROUBLED), tmp_path, {SLEEP_S: "0.05"})
    journal = tmp_path / RUN / "journal.jsonl"
    assert until(child, lambda: journal.exists() and journal.stat().st_size > 4_000)
    child.kill(signal.SIGINT)
    ended = child.wait()
    assert ended.code == 130
    assert ended.err == f"interrupted; resume with: python -m experiments.gepa_run --resume {RUN}\n"
    assert bodies(tmp_path)[-1]["status"] == "KILLED"
    again = forker.run(["--json", *ended.err.split("gepa_run ")[1].split()], tmp_path)
    assert Finished(again, tmp_path).rows == whole.rows
    assert bodies(tmp_path)[-1]["status"] == "FINISHED"


def test_a_worker_that_always_fails_stops_the_run_before_it_spends(
    forker: Forker, whole: Finished, tmp_path: Path
) -> None:
    fails = tmp_path / "fails"
    fails.touch()
    ended = forker.run(["--json", *arguments(worker=TROUBLED)], tmp_path, {FAILS: str(fails)})
    assert ended.code == 3
    last = ended.err.splitlines()[-1]
    assert last.startswith("error: 10 infrastructure failures in a row; the last: worker planted: ConnectionError")
    assert ended.err.count("error:") == 1
    with closing(sqlite3.connect(tmp_path / "runs" / "corpus-planted.db")) as db:
        ((spent,),) = db.execute("SELECT count(*) FROM attempts WHERE outcome != 'infra_error'").fetchall()
    assert spent < 0.05 * 484
    fails.unlink()
    again = forker.run(["--json", "--resume", str(RUN)], tmp_path)
    assert again.code == 0, again.err
    # What failed is run again under another repeat, so the table may differ in its numbers and in nothing else.
    assert [(row["n"], row["missing"]) for row in Finished(again, tmp_path).rows][:6] == [(6, 0)] * 6
    assert max(json.loads((tmp_path / RUN / "trees.json").read_text())["repeats"].values()) == 1


def test_two_runs_at_once_on_one_corpus_give_what_each_gives_alone(
    forker: Forker, whole: Finished, tmp_path: Path
) -> None:
    both = [forker.start(["--json", *arguments(worker=TROUBLED)], tmp_path) for _ in range(2)]
    first, second = (Finished(child.wait(), tmp_path) for child in both)
    assert first.ended.code == second.ended.code == 0, first.ended.err + second.ended.err
    assert first.rows == second.rows == whole.rows
    assert stored(tmp_path) == stored(whole.cwd)
    assert json.loads(first.ended.out)["paths"]["run"] != json.loads(second.ended.out)["paths"]["run"]


@pytest.mark.slow
def test_three_seeds_at_once_on_one_corpus(forker: Forker, tmp_path: Path) -> None:
    given = [["--json", *arguments(worker=TROUBLED, seed=seed)] for seed in range(3)]
    children = [forker.start(one, tmp_path) for one in given]
    together = [Finished(child.wait(), tmp_path).rows for child in children]
    for seed, one in enumerate(given):
        (tmp_path / str(seed)).mkdir()
        assert Finished(forker.run(one, tmp_path / str(seed)), tmp_path).rows == together[seed]


def test_a_run_that_is_under_way_is_not_resumed_beside_itself(forker: Forker, tmp_path: Path) -> None:
    child = forker.start(arguments(worker=TROUBLED), tmp_path, {SLEEP_S: "0.1"})
    events = tmp_path / RUN / "events.jsonl"
    assert until(child, lambda: events.exists() and events.stat().st_size > 0)
    ended = forker.run(["--resume", str(RUN)], tmp_path)
    assert ended.code == 2
    assert "another process is writing this run" in ended.err
    child.kill(signal.SIGKILL)
    child.wait()


# With a model, over HTTP.

FEW: dict[str, JsonValue] = {"val": 3, "dev": 3, "generations": 1}


def with_model(forker: Forker, url: str, cwd: Path, **changed: JsonValue) -> Ended:
    model = ["--lm", "openai/scripted", f"api_base={url}"]
    return forker.run(["--json", *model, *arguments(**changed)], cwd, {"OPENAI_API_KEY": "x"})


def test_a_served_model_that_stumbles_still_brings_the_run_to_its_end(forker: Forker, tmp_path: Path) -> None:
    seen: set[str] = set()

    def trouble(number: int, prompt: str) -> str:
        if "[[ ## proposal ## ]]" in prompt and "proposal" not in seen:
            seen.add("proposal")
            return "429"
        return {6: "500", 12: "torn"}.get(number, "ok")

    with served(trouble) as server:
        ended = with_model(forker, server.url, tmp_path, **FEW)
    assert ended.code == 0, ended.err
    assert seen == {"proposal"}
    assert ended.err.startswith(
        "tests.worlds.planted:PlantedBenchmark, worker planted, seed 0: policies and reflection"
    )
    rows = json.loads(ended.out)["rows"]
    assert [row["missing"] for row in rows] == [0] * len(rows)
    told = sum(row["tokens"] or 0 for row in rows)
    assert 0 < told <= server.tokens


def test_a_served_model_that_is_down_ends_the_run_without_a_storm(forker: Forker, tmp_path: Path) -> None:
    with served(lambda number, prompt: "500") as server:
        ended = with_model(forker, server.url, tmp_path, val=10, max_attempts=99)
    assert ended.code == 3
    assert ended.err.count("error:") == 1
    assert "LMServerError" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert "10 infrastructure failures in a row" in ended.err
    assert max(server.requests.values()) <= 3
    assert len(server.prompts) <= 3 * 10


# As its users start it.


def test_from_the_shell_it_runs_the_telecom_benchmark(tmp_path: Path) -> None:
    pytest.importorskip("tau2")
    given = arguments(benchmark="telecom", turns=6, roots=1, recorded_val=0, dev=12, generations=1)
    done = subprocess.run(
        [sys.executable, "-m", "experiments.gepa_run", *given],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("telecom, worker telecom, seed 0: rule policies")
    for name in ("random@2", "continue@2", "placebo@2", "refine@2/", "long@1", "wifi_calling", "vpn"):
        assert name in done.stdout
    assert (tmp_path / "runs" / "telecom-gepa-s0-1" / "front.png").exists()


def test_learn_from_without_a_value_is_refused_in_one_line(forker: Forker, tmp_path: Path) -> None:
    assert "--learn-from" in one_line(forker.run(["--learn-from"], tmp_path))


def test_a_corpus_to_learn_from_that_is_not_there_is_named_and_nothing_is_written(
    forker: Forker, tmp_path: Path
) -> None:
    ended = forker.run(["--learn-from", "nowhere.db", *arguments()], tmp_path)
    assert ended.code == 2
    assert "nowhere.db: no such corpus" in one_line(ended)
    assert not (tmp_path / "runs").exists()
