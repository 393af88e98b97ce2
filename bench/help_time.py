"""Time of `--help` for each command, beside an empty program and the bare libraries, in one run.

    python bench/help_time.py [ROUNDS]

Every round starts each program once, in turn, so that a busy moment of the machine hits all of them. Bytecode is
compiled once beforehand into a folder of its own, as it is after any first use. Prints a table and a JSON line.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def programs() -> dict[str, list[str]]:
    """Name -> what follows `python`."""
    commands = sorted(file.stem for file in (ROOT / "experiments").glob("*_run.py"))
    return {
        "pass": ["-c", "pass"],
        "typer, rich, pydantic": ["-c", "import typer, rich, pydantic"],
        **{name: ["-m", f"experiments.{name}", "--help"] for name in commands},
    }


def started(arguments: list[str], environment: dict[str, str]) -> float:
    """Seconds from start to end of one `python ARGUMENTS`. Raises CalledProcessError when it fails."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True, timeout=60
    )
    return time.perf_counter() - begin


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    seconds: dict[str, list[float]] = {name: [] for name in programs()}
    with tempfile.TemporaryDirectory() as cache:
        environment = {**kept, "PYTHONPYCACHEPREFIX": cache}
        for arguments in programs().values():
            started(arguments, environment)
        for _ in range(rounds):
            for name, arguments in programs().items():
                seconds[name].append(started(arguments, environment))
    rows = {
        name: {"median_s": round(statistics.median(taken), 3), "max_s": round(max(taken), 3)}
        for name, taken in seconds.items()
    }
    print(f"{'program':<24}{'median s':>10}{'max s':>10}   ({rounds} rounds)")
    for name, row in rows.items():
        print(f"{name:<24}{row['median_s']:>10.3f}{row['max_s']:>10.3f}")
    print(json.dumps({"bench": "help_time", "rounds": rounds, "python": sys.version.split()[0], "programs": rows}))


if __name__ == "__main__":
    main()
