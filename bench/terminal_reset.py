"""How long a box of the terminal benchmark takes to be made ready, against starting bubblewrap and bash anew.

    python bench/terminal_reset.py [100]

Prints a table, and last one JSON line. Times are milliseconds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from controllers.worlds.terminal import SCENARIOS, health_in
from controllers.worlds.terminal_box import Box, Tree
from controllers.worlds.terminal_faults import sound

FRESH = ("bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--ro-bind", "/usr", "/usr")
LINKS = ("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64")
PLACES = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/box", "--chdir", "/box")


def times(what: Callable[[], object], count: int) -> list[float]:
    """How long each of `count` calls took, in milliseconds."""
    found = []
    for _ in range(count):
        started = time.perf_counter()
        what()
        found.append(1000 * (time.perf_counter() - started))
    return found


def anew(tree: Tree) -> None:
    """A new bubblewrap and bash that writes the tree and says something."""
    folders = " ".join(path for path, (kind, *_) in tree.items() if kind == "d")
    files = "\n".join(f"printf %s '{path}' > '{path}'" for path, (kind, *_) in tree.items() if kind == "f")
    script = f"mkdir -p {folders}\n{files}\necho"
    subprocess.run([*FRESH, *LINKS, *PLACES, "bash", "-c", script], check=True, capture_output=True)


def new_box(tree: Tree) -> None:
    """A box of ours, started and ended for one session."""
    box = Box()
    box.reset(tree)
    box.run("echo")
    box.close()


def main() -> None:
    """Time each way."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    tree = sound(SCENARIOS["web"])
    box = Box()

    def again() -> None:
        box.reset(tree)
        box.run("echo")

    def busy() -> None:
        box.run("for n in 1 2 3 4 5 6 7 8; do sleep 100 & done; echo x > a; chmod 000 bin")
        box.reset(tree)

    again()
    rows = {
        "reset": times(lambda: box.reset(tree), count),
        "reset and a command": times(again, count),
        "eight sleepers, then reset": times(busy, count),
        "a new box and a command": times(lambda: new_box(tree), max(1, count // 5)),
        "new bubblewrap and bash": times(lambda: anew(tree), max(1, count // 2)),
        "health script": times(lambda: health_in(box), max(1, count // 5)),
    }
    box.close()
    found = {}
    print(f"{'':28}{'n':>5}{'median':>9}{'p90':>9}")
    for name, taken in rows.items():
        middle, high = statistics.median(taken), sorted(taken)[int(0.9 * (len(taken) - 1))]
        found[name] = {"n": len(taken), "median_ms": round(middle, 2), "p90_ms": round(high, 2)}
        print(f"{name:28}{len(taken):5}{middle:9.2f}{high:9.2f}")
    print(json.dumps({"bench": "terminal_reset", "rows": found}))


if __name__ == "__main__":
    main()
