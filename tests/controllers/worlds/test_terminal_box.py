from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.isolation import works
from controllers.worlds.terminal_box import MISSING, Box, Boxes, Entry, from_text, to_text
from signatures.errors import UsageError

needs_box = pytest.mark.skipif(not works("bwrap"), reason=MISSING)
TREE: dict[str, Entry] = {
    "bin": ("d", 0o755, ""),
    "bin/hello": ("f", 0o755, "#!/bin/bash\necho hello\n"),
    "closed": ("d", 0o311, ""),
    "closed/secret": ("f", 0o000, "s"),
    "link": ("l", 0o777, "bin/hello"),
    "run": ("d", 0o755, ""),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Box]:
    box = Box()
    yield box
    box.close()


@pytest.fixture
def box(shared: Box) -> Box:
    shared.reset(TREE)
    return shared


def below(pid: int) -> list[int]:
    """The processes below a bubblewrap process, itself left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != pid:
            try:
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid:
                found += [int(entry.name), *below(int(entry.name))]
    return found


@needs_box
class TestShell:
    def test_it_keeps_its_folder_and_variables(self, box: Box) -> None:
        assert box.run('cd bin; WORD=there; say() { echo "$1 $WORD"; }').code == 0
        ran = box.run("pwd; say hello; echo no >&2; (exit 3)")
        assert (ran.code, ran.out, ran.err, ran.ended) == (3, "/box/bin\nhello there\n", "no\n", "exit")

    def test_a_reset_forgets_all_of_it(self, box: Box) -> None:
        box.run("cd bin; WORD=there; echo x > new; echo y > /tmp/spare; chmod 777 hello; rm ../link")
        box.reset(TREE)
        assert box.run("pwd; echo [$WORD]; ls /tmp").out == "/box\n[]\n"
        assert box.snapshot() == TREE

    def test_a_snapshot_is_the_tree_after_the_last_command(self, box: Box) -> None:
        box.run(
            "echo new > bin/new; ln -sfn bin link; chmod 755 closed; rm -rf closed; mkfifo run/p; printf '\\377' > odd"
        )
        found = box.snapshot()
        assert found["bin/new"] == ("f", 0o644, "new\n") and found["link"] == ("l", 0o777, "bin")
        assert found["odd"] == ("b", 0o644, "/w==") and "closed/secret" not in found and "run/p" not in found
        box.reset(found)
        assert box.snapshot() == found

    def test_syntax_errors_and_odd_bytes_are_answers(self, box: Box) -> None:
        assert box.run("if").code == 2
        assert box.run("echo a\0b").out == "ab\n"
        assert "\\xff" in box.run("printf '\\377'").out
        assert box.run("cat").out == "", "a command has no standard input"


@needs_box
class TestConfinement:
    def test_no_network_no_host_files_nothing_to_write_but_the_box(self, box: Box) -> None:
        assert box.run("exec 5<>/dev/tcp/127.0.0.1/9").code == 1
        assert "unreachable" in box.run("exec 5<>/dev/tcp/192.0.2.1/9").err
        assert box.run("ls /").out.split() == [
            name for name in box.run("ls /").out.split() if name not in ("home", "work", "opt", "srv", "mnt")
        ]
        assert box.run(f"ls {Path(__file__).parent}").code == 2
        for place in ("/usr/x", "/etc/x", "/x", "/run/x", "/dev/shm/x"):
            assert box.run(f"echo x > {place}").code == 1, place
        assert box.run("env").out.count("PATH=") == 1 and "PYTEST" not in box.run("env").out
        assert box.run("grep CapEff /proc/self/status").out.split()[1] == "0" * 16

    def test_its_first_process_cannot_be_ended_or_read(self, box: Box) -> None:
        box.run("kill -9 1; kill -9 -1; cat /proc/1/environ")
        box.reset(TREE)
        assert box.run("echo alive").out == "alive\n"
        assert box.run("cat /proc/1/environ > /dev/null").code == 1

    def test_a_hang_is_ended_and_the_folder_stays(self, box: Box) -> None:
        ran = box.run("echo a > kept; sleep 100 & while :; do :; done", limit_s=0.3)
        assert (ran.code, ran.ended) == (124, "time")
        assert box.snapshot()["kept"] == ("f", 0o644, "a\n")
        assert box.run("jobs; ps -e -o comm= | grep -c sleep").out == "0\n"

    def test_a_flood_is_ended(self, box: Box) -> None:
        ran = box.run("yes", limit_s=20)
        assert (ran.code, ran.ended) == (137, "output") and len(ran.out) < 7000
        assert box.run("echo on").out == "on\n"

    def test_a_shell_that_ends_is_replaced(self, box: Box) -> None:
        ran = box.run("echo last; exit 7")
        assert (ran.code, ran.out, ran.ended) == (7, "last\n", "shell")
        assert box.run("kill -9 $$").ended == "shell"
        assert box.run("echo on").out == "on\n"

    def test_forks_are_counted_and_leave_nothing(self, box: Box) -> None:
        box.run(":(){ :|:& };:", limit_s=1)
        box.reset(TREE)
        assert box.run("echo on").out == "on\n"
        assert box.rest() == 0
        assert len(below(box.pid)) == 1, "the program inside alone"

    def test_memory_and_files_have_limits(self, box: Box) -> None:
        assert box.run("x=$(head -c 400000000 /dev/zero | tr '\\0' a)", limit_s=20).code != 0
        box.reset(TREE)
        ran = box.run("for n in 1 2 3 4; do head -c 100000 /dev/zero > big$n; done")
        assert ran.ended == "full" and box.snapshot() == TREE
        assert box.run("ls").out.split() == ["bin", "closed", "link", "run"]

    def test_daemons_live_from_command_to_command_and_no_longer(self, box: Box) -> None:
        box.run("setsid sleep 100 & setsid bash -c 'sleep 100 & exit' &")
        counted = "n=$(ps -e -o comm= | grep -c sleep)"
        assert box.run(f"for i in $(seq 40); do {counted}; [ $n = 2 ] && break; sleep .05; done; echo $n").out == "2\n"
        box.reset(TREE)
        assert box.run("ps -e -o comm= | grep -c sleep").out == "0\n"


@needs_box
class TestLives:
    def test_closing_ends_every_process(self) -> None:
        box = Box()
        box.reset(TREE)
        box.run("sleep 100 &")
        pids = [box.pid, *below(box.pid)]
        assert len(pids) >= 4
        box.close()
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
        with pytest.raises(RuntimeError, match="lost"):
            box.run("echo")

    def test_a_killed_owner_leaves_nothing(self) -> None:
        program = (
            "from controllers.worlds.terminal_box import Box\nimport os, signal\n"
            "box = Box(); box.reset({}); box.run('sleep 100 &')\n"
            "print(box.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        pid = int(done.stdout)
        give_up = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and time.monotonic() < give_up:
            time.sleep(0.02)
        assert not Path(f"/proc/{pid}").exists()

    def test_boxes_are_used_again_and_lost_ones_are_not(self) -> None:
        boxes = Boxes()
        first, second = boxes.borrow(), boxes.borrow()
        assert first.pid != second.pid
        boxes.give_back(first)
        assert boxes.borrow() is first
        os.kill(below(second.pid)[0], 9)
        boxes.give_back(second)
        third = boxes.borrow()
        assert third is not second
        for box in (first, third):
            boxes.give_back(box)
        boxes.close()
        assert not Path(f"/proc/{first.pid}").exists()

    def test_a_forgotten_box_is_closed(self) -> None:
        box = Box()
        pid = box.pid
        del box
        gc.collect()
        assert not Path(f"/proc/{pid}").exists()


@given(
    tree=st.dictionaries(
        st.text("ab.é", min_size=1, max_size=5).filter(lambda n: n not in (".", "..")),
        st.tuples(st.just("f"), st.integers(0, 0o7777), st.text(st.characters(exclude_categories=["Cs"]), max_size=9)),
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_snapshot_is_text_that_equal_trees_share(tree: dict[str, Entry]) -> None:
    text = to_text(tree)
    assert from_text(text) == tree
    assert to_text(dict(reversed(tree.items()))) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "score: 1.0",
        '{"score":1.0}',
        json.dumps({"a": ["f", 0o644]}),
        json.dumps({"a": ["x", 0o644, ""]}),
        json.dumps({"a": ["f", "644", ""]}),
        json.dumps({"a": ["f", True, ""]}),
        json.dumps({"a": ["f", -1, ""]}),
        json.dumps({"a": ["f", 0o644, 1]}),
        json.dumps({"a": ["f", 0o644, "\ud800"]}),
        json.dumps({"a": ["b", 0o644, "no base64!"]}),
        json.dumps({"a": ["l", 0o777, ""]}),
        json.dumps({"../a": ["f", 0o644, ""]}),
        json.dumps({"/a": ["f", 0o644, ""]}),
        json.dumps({"a/b": ["f", 0o644, ""]}),
        json.dumps({"a": ["l", 0o777, "/"], "a/b": ["f", 0o644, ""]}),
        json.dumps({"x" * 300: ["f", 0o644, ""]}),
        json.dumps({"a": ["f", 0o644, "x" * (1 << 20)]}),
    ],
)
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^the state is"):
        from_text(text)


def test_without_bubblewrap_one_line_says_what_to_do(tmp_path: Path) -> None:
    program = (
        "from controllers.worlds.terminal_box import needed\nfrom signatures.errors import UsageError\n"
        "try:\n    needed()\nexcept UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "install bubblewrap" in done.stdout and len(done.stdout.splitlines()) == 1
