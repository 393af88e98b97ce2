"""The program inside a box, as far as it can be tried outside of one; `test_terminal_box.py` tries it whole."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from controllers.worlds import terminal_inside
from controllers.worlds.terminal_inside import FLOOD_BYTES, KEPT_BYTES, Capture, over, resident


def test_a_capture_keeps_the_beginning_and_counts_the_rest() -> None:
    capture = Capture()
    for _ in range(3):
        capture.add(b"x" * (KEPT_BYTES - 10))
    text = capture.text()
    assert text.startswith("x" * KEPT_BYTES + "\n[") and str(2 * KEPT_BYTES - 30) in text
    small = Capture()
    small.add("é\xff".encode() + b"\xff")
    assert small.text() == "éÿ\\xff"


def test_limits_are_named() -> None:
    small, flood = Capture(), Capture()
    flood.total = FLOOD_BYTES + 1
    now = time.monotonic()
    assert over(1.0, now - 2, small, small) == "time"
    assert over(5.0, now, small, flood) == over(5.0, now, flood, small) == "output"


def test_memory_in_use_is_read_from_the_process_list() -> None:
    assert resident() > 0


def test_it_needs_the_standard_library_and_its_two_neighbours_alone() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import controllers.worlds.terminal_inside\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('controllers', 'pydantic'))))"
    )
    root = str(Path(terminal_inside.__file__).parents[2])
    text = Path(terminal_inside.__file__).read_text(encoding="utf-8")
    assert "pydantic" not in text and "signatures" not in text
    # -S: no installed package can be found; the packages' own __init__ are not in a box, so they are left out here
    stub = (
        "import types; [sys.modules.setdefault(n, types.ModuleType(n)) for n in ('controllers', 'controllers.worlds')]"
    )
    paths = (
        "sys.modules['controllers'].__path__ = [sys.argv[1] + '/controllers']; "
        "sys.modules['controllers.worlds'].__path__ = [sys.argv[1] + '/controllers/worlds']"
    )
    whole = f"import sys; {stub}; {paths}\n{program}"
    command = [sys.executable, "-I", "-S", "-c", whole, root]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [
        "controllers",
        "controllers.confine",
        "controllers.worlds",
        "controllers.worlds.terminal_inside",
        "controllers.worlds.terminal_tree",
    ]
