"""The driver of refactory as the stand-alone program that it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from controllers.worlds import refactory_driver

Report = list[list[object] | None]


def reports(
    place: Path, programs: list[str], calls: list[str], *, prelude: str = "", steps: int = 2000
) -> list[Report]:
    job = {"programs": programs, "prelude": prelude, "calls": calls, "steps": steps, "cpu_s": 0.3, "wall_s": 3.0}
    (place / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-S", "-E", str(Path(refactory_driver.__file__).resolve())]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_values_and_errors_are_told_call_by_call(tmp_path: Path) -> None:
    program = "def f(x):\n    print('noise')\n    return 6 // x\n"
    [found] = reports(tmp_path, [program], ["f(2)", "f(0)", "g(1)"])
    assert found == [
        [True, "3"],
        [False, "ZeroDivisionError: integer division or modulo by zero"],
        [False, "NameError: name 'g' is not defined"],
    ]


def test_a_program_that_cannot_be_loaded_fails_every_call(tmp_path: Path) -> None:
    found = reports(tmp_path, ["def f(:", "raise SystemExit(3)", "def f(): return 1"], ["f()", "f()"])
    assert [program[0][0] for program in found if program[0]] == [False, False, True]
    assert str((found[0][0] or [])[1]).startswith("SyntaxError") and found[1] == [[False, "SystemExit: 3"]] * 2


def test_what_does_not_end_is_stopped_after_its_lines_and_then_no_more_is_called(tmp_path: Path) -> None:
    program = "def f(n):\n    while n:\n        pass\n    return n\n"
    [found] = reports(tmp_path, [program], ["f(0)", "f(1)", "f(0)", "f(1)", "f(0)"])
    ended = [False, "TooManyLines: it did not end"]
    assert found == [[True, "0"], ended, [True, "0"], ended, None]


def test_what_swallows_the_stop_is_ended_by_processor_time_alone(tmp_path: Path) -> None:
    stubborn = "def f():\n  while 1:\n    try:\n      while 1:\n        pass\n    except:\n      pass\n"
    found = reports(tmp_path, [stubborn, "def f(): return 2"], ["f()", "f()"])
    assert found == [[None, None], [[True, "2"], [True, "2"]]]


def test_what_executes_no_lines_is_ended_by_processor_time_and_what_sleeps_by_the_clock(tmp_path: Path) -> None:
    huge, asleep = "def f(): return len(str(9 ** 9 ** 9))", "import time\ndef f(): time.sleep(60)"
    assert reports(tmp_path, [huge, asleep], ["f()"]) == [[None], [None]]


def test_programs_do_not_touch_each_other_and_a_prelude_stands_before_each(tmp_path: Path) -> None:
    spoiler = "import json\njson.dumps = None\nimport builtins\nbuiltins.len = None\ndef f(): return base\n"
    fair = "def f(): return len([1]) + base\n"
    assert reports(tmp_path, [spoiler, fair], ["f()"], prelude="base = 4")[1] == [[True, "5"]]


def test_addresses_are_left_out(tmp_path: Path) -> None:
    [[found]] = reports(tmp_path, ["def f(): return f"], ["f()"])
    assert found == [True, "<function f>"]
