"""Search a controller with GEPA, compare it with the control arms on the dev split, and log it to MLflow.

    python -m experiments.gepa_run

is `search_run` with the engine `gepa_search`: it needs no key and no server. It records attempts of the benchmark's
worker, searches rule controllers on that record with hardly a live attempt, attempts what it found live, and ends with
a table of every control arm and every non-dominated controller, one sentence on what beat what, one on the live
attempts it took and saved, and the paths of the run folder and the dashboard. `--lm MODEL` lets a language model decide
and reflect instead; `--live` attempts every evaluation of the search live; `--learn-from all` shows the proposer the
moves of every corpus below the run root as well, other benchmarks' and production's.
"""

from __future__ import annotations

import sys

from experiments.cli import start
from experiments.search_run import Command, app_of, translated

app = app_of(Command("gepa_run", "gepa_search"), "Search a controller with GEPA and compare it with the control arms.")


def main() -> None:
    """Console script."""
    start(app, translated(sys.argv[1:]))


if __name__ == "__main__":
    main()
