"""Search the instructions and demos of a model's policies with MIPROv2, compared with the control arms on dev.

    python -m experiments.mipro_run --lm MODEL

is `search_run` with the engine `mipro_search`: the same options, the same end. MODEL is as in docs/models.md; without
one it ends with exit code 2 and one line, since rules have neither instructions nor demos.
"""

from __future__ import annotations

import sys

from experiments.cli import start
from experiments.search_run import Command, app_of, translated

app = app_of(
    Command("mipro_run", "mipro_search"), "Search a model's instructions and demos and compare with the control arms."
)


def main() -> None:
    """Console script."""
    start(app, translated(sys.argv[1:]))


if __name__ == "__main__":
    main()
