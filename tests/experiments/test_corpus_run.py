"""The corpus command: what it prints, and one clear line for what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from controllers.corpus import SqliteCorpus
from controllers.testing import SMALL, a_decision, an_attempt, an_episode, listed
from experiments.corpus_run import app
from signatures.digest import digest_bytes
from signatures.records import Attempt, TraceEvent

TRACE = [
    TraceEvent(turn=0, kind="message", name="system", text="Begin.\nNow."),
    TraceEvent(turn=1, kind="tool", name="look", arguments='{"at":"radio"}', text="red \x1b[31m text", failed=True),
]
EVENTS = ("[" + ",".join(event.model_dump_json() for event in TRACE) + "]").encode()
TRACED = an_attempt(0).model_copy(update={"trace_digest": digest_bytes(EVENTS)})
ODD = an_attempt(1).model_copy(update={"trace_digest": digest_bytes(b"plain\ntext")})
EPISODE = an_episode("e").model_copy(update={"attempt_ids": (TRACED.id, ODD.id)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    async def fill() -> None:
        async with SqliteCorpus(tmp_path / "corpus.db") as corpus:
            await corpus.append(TRACED, ODD, a_decision(0), EPISODE, blobs=[EVENTS, b"plain\ntext"])
            await corpus.append(an_attempt(2, outcome="timeout"), an_episode("twin1"), an_episode("twin2", split="dev"))

    asyncio.run(fill())
    return tmp_path / "corpus.db"


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: object) -> str:
    """The one line on stderr of a command that ends as a mistake of the caller's."""
    ended = call(*words)
    assert (ended.exit_code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_ls_counts(path: Path) -> None:
    ended = call("ls", path)
    assert ended.exit_code == 0
    first, *rest = ended.stdout.splitlines()
    assert first.startswith(str(path))
    assert first.endswith("kB on disk")
    assert [line.split(maxsplit=1) for line in rest] == [
        ["records", "attempts 3, decisions 1, episodes 3"],
        ["outcomes", "ok 2, timeout 1"],
        ["blobs", f"2, {len(EVENTS) + 10} bytes before compression"],
        ["dev", "random@3 1"],
        ["search", "random@3 2"],
    ]


def test_the_default_corpus_is_below_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused("ls") == "error: runs/corpus.db: no such corpus"
    Path("runs").mkdir()
    path.rename("runs/corpus.db")
    assert call("ls").stdout.startswith("runs/corpus.db")
    assert json.loads(call("show", "twin1").stdout)["id"] == "twin1"
    assert call("export", "folder").stdout == "runs/corpus.db is exported to folder\n"
    assert Path("folder").is_dir()


def test_show_prints_any_record_by_the_start_of_its_id(path: Path) -> None:
    for record in (TRACED, a_decision(0), EPISODE):
        shown = json.loads(call("show", path, record.id[:10]).stdout)
        assert shown.pop("kind") == type(record).__name__
        assert shown == record.model_dump(mode="json")


def test_show_prints_a_trace_that_cannot_steer_the_terminal(path: Path) -> None:
    printed = call("show", path, TRACED.id, "--trace").stdout
    assert printed.endswith(
        f"\nattempt {TRACED.id}\n"
        "turn 0: message system\n"
        "    Begin.\n"
        "    Now.\n"
        'turn 1: tool look {"at":"radio"} failed\n'
        "    red \\x1b[31m text\n"
    )


def test_an_episode_shows_the_traces_of_its_attempts(path: Path) -> None:
    printed = call("show", path, "e", "--trace").stdout
    assert f"attempt {TRACED.id}\nturn 0: message system\n" in printed
    assert f"attempt {ODD.id}\nplain\ntext\n" in printed
    assert printed.endswith(f"attempt {an_attempt(2).id}\nhas no trace\n")


def test_an_id_wins_over_longer_ones(tmp_path: Path) -> None:
    async def fill() -> None:
        async with SqliteCorpus(tmp_path / "corpus.db") as corpus:
            await corpus.append(an_episode("a"), an_episode("ab"))

    asyncio.run(fill())
    assert json.loads(call("show", tmp_path / "corpus.db", "a").stdout)["id"] == "a"


def test_what_cannot_be_shown_is_said(path: Path) -> None:
    assert refused("show", path, "nothing") == f"error: {path}: no record has an id that starts with 'nothing'"
    assert refused("show", path, "tw") == "error: 'tw' is the start of several ids: Episode twin1, Episode twin2"
    assert ", ..." in refused("show", path, "")
    assert refused("show", path) == f"error: after the corpus {path}, name a record's id"
    assert "has no trace; its episode e has" in refused("show", path, a_decision(0).id, "--trace")


def test_export_and_import_carry_everything(path: Path, tmp_path: Path) -> None:
    assert call("export", path, tmp_path / "folder").exit_code == 0
    assert call("import", tmp_path / "folder", tmp_path / "copy.db").exit_code == 0
    assert call("import", tmp_path / "folder", tmp_path / "copy.db").exit_code == 0

    async def attempts(at: Path) -> list[Attempt]:
        async with SqliteCorpus.open_readonly(at) as corpus:
            assert await corpus.blob(digest_bytes(EVENTS)) == EVENTS
            return await listed(corpus.scan(Attempt))

    assert asyncio.run(attempts(tmp_path / "copy.db")) == asyncio.run(attempts(path))


def test_seal_says_what_it_sealed_and_what_is_there_now(path: Path) -> None:
    folder = path.with_name("corpus.db.segments")
    (line,) = call("seal", path).stdout.splitlines()
    assert line.startswith(f"{folder}: sealed attempts 3, decisions 1, episodes 3 (now 3 segments, ")
    (line,) = call("seal", path, "--verify").stdout.splitlines()
    assert line.startswith(f"{folder}: sealed attempts 0, decisions 0, episodes 0 (now 3 segments, ")
    assert line.endswith(", verified)")
    found = json.loads(call("seal", path, "--json").stdout)
    size = sum(file.stat().st_size for file in folder.glob("*.parquet"))
    assert found == {
        "folder": str(folder),
        "sealed_n": 7,
        "rows": {"attempts": 0, "decisions": 0, "episodes": 0},
        "segments": 3,
        "bytes": size,
        "verified": False,
    }


def test_a_damaged_segment_is_one_line_that_names_it(path: Path) -> None:
    call("seal", path)
    (file,) = path.with_name("corpus.db.segments").glob("attempts-*")
    file.write_bytes(file.read_bytes().replace(b"PAR1", b"PAR2"))
    ended = call("seal", path, "--verify")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.startswith(f"error: {file}: the segment cannot be read: ")
    assert ended.stderr.count("\n") == 1


def test_what_cannot_be_carried_is_said_and_leaves_nothing(path: Path, tmp_path: Path) -> None:
    assert "in the way" in refused("export", path, tmp_path)
    assert refused("export", tmp_path / "none.db", tmp_path / "folder").endswith("none.db: no such corpus")
    assert "no such folder" in refused("import", tmp_path / "none", tmp_path / "new.db")
    assert [file.name for file in tmp_path.iterdir()] == ["corpus.db"]


@pytest.mark.parametrize("words", [("ls",), ("show", "a"), ("export", "folder"), ("seal",)])
def test_an_unreadable_corpus_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "text.db").write_text("not a corpus " * 100)
    command, *rest = words
    ended = call(command, tmp_path / "text.db", *rest)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr == f"error: {tmp_path / 'text.db'}: cannot open: file is not a database\n"


TRIALS = [{"task_id": task, "trial": n, "reward": float(n < task), "traj": []} for task in range(3) for n in range(2)]


def test_recordings_are_imported_and_counted(tmp_path: Path) -> None:
    (tmp_path / "tau.json").write_text(
        json.dumps([{**one, "traj": [{"role": "system", "content": "p"}]} for one in TRIALS])
    )
    ended = call("import", "--from", "tau", tmp_path / "tau.json", "--corpus", tmp_path / "tau.db", "--model", "m")
    assert ended.exit_code == 0, ended.stderr
    first, second = ended.stdout.splitlines()
    assert first.endswith("tau.db: 6 attempts of 3 tasks (6 new), 6 verdicts")
    assert second.startswith("not in the source, and left empty: propensities (6 of 6 episodes), ")
    printed = call("passk", tmp_path / "tau.db").stdout.splitlines()
    assert printed[0].startswith("tau-bench, tau-bench m, scored by imported@1: 3 tasks, 6 fresh attempts scored")
    assert [line.split()[:2] for line in printed[2:4]] == [["1", "0.500"], ["2", "0.333"]]
    assert printed[-1].startswith("cannot be said: ")
    (table,) = json.loads(call("passk", tmp_path / "tau.db", "--json").stdout)
    assert [row["random_k"] for row in table["rows"]] == pytest.approx([1 / 2, 2 / 3])
    too_far = call("passk", tmp_path / "tau.db", "--k", "3")
    assert (too_far.exit_code, too_far.stdout) == (4, "")
    assert "no task has 3 scored fresh attempts" in too_far.stderr


def test_a_malformed_recording_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "tau.json").write_text('[\n{"task_id": 1}\n]')
    said = refused("import", "--from", "tau", tmp_path / "tau.json", tmp_path / "tau.db")
    assert said.startswith(f"error: {tmp_path / 'tau.json'}, line 2, result 1: reward: Field required")
    assert [file.name for file in tmp_path.iterdir()] == ["tau.json"]


def test_how_import_is_asked_wrongly(tmp_path: Path) -> None:
    assert "did you mean 'tau'" in refused("import", "--from", "taau", tmp_path, tmp_path / "a.db")
    assert "two corpora are named" in refused("import", tmp_path, tmp_path / "a.db", "--corpus", tmp_path / "b.db")
    assert "--from" in refused("import", tmp_path, tmp_path / "a.db", "--model", "m")
    assert "unknown split 'x'" in refused("passk", tmp_path / "a.db", "--split", "x")


def test_a_corpus_is_packed_and_unpacked(path: Path, tmp_path: Path) -> None:
    async def complete() -> None:
        async with SqliteCorpus(path) as corpus:
            await corpus.append(blobs=[SMALL])

    asyncio.run(complete())
    ended = call("pack", path, tmp_path / "a.zst", "--licence", "MIT, (c) Me", "--model-file", "m.gguf")
    assert ended.exit_code == 0, ended.stderr
    assert ": attempt 2, blob 3, episode 3; " in ended.stdout
    ended = call("unpack", tmp_path / "a.zst", tmp_path / "copy.db")
    assert ended.stdout == f"{tmp_path / 'a.zst'} is in {tmp_path / 'copy.db'}; licence: MIT, (c) Me; model m.gguf\n"
    assert json.loads(call("show", tmp_path / "copy.db", "e").stdout)["id"] == "e"
    assert "in the way" in refused("pack", path, tmp_path / "a.zst", "--licence", "MIT")
