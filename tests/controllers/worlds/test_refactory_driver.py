"""The driver of refactory as the stand-alone program that it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from controllers.worlds import refactory_driver

Report = list[list[object] | None]


def reports(
    place: Path, programs: list[str], calls: list[str], *, prelude: str = "", wall_s: float = 3.0
) -> list[Report]:
    job = {"programs": programs, "prelude": prelude, "calls": calls, "steps": 2000, "cpu_s": 0.3, "wall_s": wall_s}
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


def test_the_clock_and_the_report_are_out_of_a_programs_reach(tmp_path: Path) -> None:
    clockless = "import signal, time\nfor t in (0, 1, 2): signal.setitimer(t, 0)\ndef f(): time.sleep(60)"
    heir = "import os, time\nif not os.fork(): time.sleep(60)\ndef f(): return 1"
    noise = "import os\nfor n in range(3, 20):\n  try: os.write(n, b'\\xff[' * 9000 + b'\\n')\n  except OSError: pass\n"
    fair = "def f(): return 1"
    found = reports(tmp_path, [clockless, heir, noise + fair, fair], ["f()"], wall_s=1.5)
    assert found[0] == [None] and found[1] == [[True, "1"]] and found[3] == [[True, "1"]]
    assert found[2] == [None], "a report with something else in it is none"


def test_programs_do_not_touch_each_other_and_a_prelude_stands_before_each(tmp_path: Path) -> None:
    spoiler = "import json\njson.dumps = None\nimport builtins\nbuiltins.len = None\ndef f(): return base\n"
    fair = "def f(): return len([1]) + base\n"
    assert reports(tmp_path, [spoiler, fair], ["f()"], prelude="base = 4")[1] == [[True, "5"]]


def test_addresses_are_left_out(tmp_path: Path) -> None:
    [[found]] = reports(tmp_path, ["def f(): return f"], ["f()"])
    assert found == [True, "<function f>"]
