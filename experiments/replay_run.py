"""What would these controllers have done? Values from a recorded corpus, with no live attempt, or a refusal.

    python -m experiments.replay_run --corpus runs/corpus-telecom.db --candidate runs/telecom-gepa-s0-1/candidates/*

prints, per controller, estimator and objective, the estimate with its 95 % interval and what it rests on: n, effective
sample size, unsupported share, mean weight; or the refusal and its reason. Trees of attempts, where there are any, are
walked exactly; episodes with recorded propensities are weighted. It exits with 4 where some controller got no estimate.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import Field, JsonValue

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig, merge
from signatures.errors import NoSupport

if TYPE_CHECKING:
    from optimizers.replay.estimates import Estimate, Refusal

app = new_app()


class ReplayConfig(RunConfig):
    """Which corpus, which controllers, and the grant that an episode would have."""

    corpus: str
    candidates: tuple[str, ...] = Field(min_length=1)
    "files as `gepa_run` writes them into a run's `candidates/`"
    benchmark: str | None = None
    "None: the one that the corpus was recorded on"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark"
    estimators: tuple[str, ...] = ()
    "ids; none named: all for which there is evidence"
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per episode"
    turns: int | None = Field(default=12, ge=1)
    "worker turns granted per attempt"


def run(config: ReplayConfig) -> list[Estimate | Refusal]:
    """One answer per controller and estimator. Raises TillerError."""
    from experiments.recorded import answers

    return asyncio.run(answers(config))


@app.command()
def replay(
    corpus: Annotated[Path, typer.Option(help="The corpus.")],
    candidate: Annotated[list[Path], typer.Option(help="A saved controller; may be given several times.")],
    more: Annotated[list[Path] | None, typer.Argument(help="More saved controllers.", metavar="[FILE]...")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with the other config values.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    estimator: Annotated[list[str] | None, typer.Option(help="Only this estimator; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Value controllers on a recorded corpus, with no live attempt."""
    with exits():
        files = [str(path) for path in (*candidate, *(more or []))]
        given = {"corpus": str(corpus), "candidates": files, "benchmark": benchmark, "estimators": estimator}
        asked = merge(ReplayConfig, config, [f"{name}={json.dumps(value)}" for name, value in given.items() if value])
        found = run(asked)
        if as_json:
            print(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
        else:
            from experiments.answers import print_answers

            print_answers(found)
        require_an_estimate(found)


def require_an_estimate(found: list[Estimate | Refusal]) -> None:
    """Raises NoSupport naming the controllers that every estimator refused."""
    from optimizers.replay.estimates import Estimate

    valued = {one.candidate for one in found if isinstance(one, Estimate)}
    refused = [name for name in dict.fromkeys(one.candidate for one in found) if name not in valued]
    if refused:
        raise NoSupport(f"the record supports no estimate of {', '.join(refused)}")


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
