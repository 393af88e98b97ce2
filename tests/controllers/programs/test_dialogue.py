from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from controllers.isolation import Isolation, SandboxConfig, works
from controllers.programs.dialogue import MAX_LINE, Dialogue, Ended
from controllers.supervise import descendants

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
KINDS: tuple[Isolation, ...] = ("bwrap", "unshare", "rlimits")
STRONGEST: Isolation = next((kind for kind in KINDS if works(kind)), "rlimits")
ECHO = "import sys\nfor line in sys.stdin:\n    print(line.strip()[::-1], flush=True)\n"


def dialogue(source: str, kind: Isolation = STRONGEST) -> Dialogue:
    return Dialogue({"main.py": source}, ("-I", "-S", "main.py"), SandboxConfig(), kind)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if works(kind)])
def test_it_answers_line_by_line_and_nothing_is_left(kind: Isolation) -> None:
    before = set(descendants(os.getpid()))
    talk = dialogue(ECHO, kind)
    folder = Path(talk._folder.name)
    for word in (b"abc", b"x" * 200_000):
        assert talk.send(word, within_s=30)
        assert talk.line(within_s=30) == word[::-1]
    talk.settled()
    assert not folder.exists()
    assert "exit_code" in talk.close()
    assert talk.close() == {}
    assert before.issuperset(descendants(os.getpid()))


def test_nothing_said_is_no_line_yet() -> None:
    talk = dialogue(ECHO)
    assert talk.line(within_s=0.01) is None
    talk.close()


def test_one_that_does_not_listen_is_not_waited_for() -> None:
    talk = dialogue("import time; time.sleep(600)")
    assert not talk.send(b"x" * (1 << 20), within_s=0.2)
    talk.close()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise SystemExit(3)", "it ended"),
        ("print('a\\nb')", "more than was asked"),
        (f"import time; print('x' * {MAX_LINE + 9}, end='', flush=True); time.sleep(600)", "too much"),
    ],
)
def test_one_that_ends_or_floods_is_over(source: str, said: str) -> None:
    talk = dialogue(source)
    with pytest.raises(Ended, match=said):
        talk.line(within_s=30)
    report = talk.close()
    assert report["exit_code"] == (3 if said == "it ended" else report["exit_code"])


def test_dropped_without_being_closed_it_ends() -> None:
    before = set(descendants(os.getpid()))
    talk = dialogue(ECHO)
    talk.send(b"a", within_s=30)
    assert talk.line(within_s=30) == b"a"
    talk.settled()
    del talk
    for _ in range(500):
        if before.issuperset(descendants(os.getpid())):
            return
        time.sleep(0.02)
    raise AssertionError("it lives on")
