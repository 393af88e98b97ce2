"""Harvest production: what went wrong in its episodes, and which new tasks they bring for the next search.

    python -m experiments.harvest_run benchmark=telecom

reads the production episodes that no earlier harvest has read, and writes `findings.json`, `tasks.jsonl` and
`report.md` to `<root>/<benchmark>-harvest-<n>`. It ends with one line a finding, the gravest first, and the command
that searches again with what was harvested. A damaged episode is listed and stops nothing.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.harvest.config import HarvestConfig

if TYPE_CHECKING:
    from experiments.harvest.harvesting import Harvested

app = new_app()


def resolve(config: Path | None, overrides: list[str], benchmark: str | None) -> HarvestConfig:
    """The config of file, overrides and flags, in that order. Raises UsageError in one line."""
    given = [] if benchmark is None else [f"benchmark={json.dumps(benchmark)}"]
    return merge(HarvestConfig, config, [*overrides, *given])


def run(config: HarvestConfig) -> Harvested:
    """Harvest what is new. Raises TillerError."""
    from experiments.harvest.harvesting import harvest

    return asyncio.run(harvest(config))


def told(config: HarvestConfig, done: Harvested) -> list[str]:
    """The lines that the command prints."""
    from experiments.harvest.report import said
    from experiments.harvest.tasks import FILE

    found = done.harvest
    lines = [said(found)]
    lines += [f"{one.severity:6}  {one.id}  {one.episodes:5}  {one.said}" for one in found.findings]
    lines += [f"tasks left out: {count} {reason}" for reason, count in sorted(found.left_out.items())]
    lines += [f"not analysed: episode {one.episode[:12]}: {one.error}" for one in found.failures]
    if done.folder is None:
        return [*lines, "nothing new: no folder was made"]
    lines.append(f"harvest: {done.folder}")
    if found.tasks:
        words = ["python", "-m", "experiments.gepa_run", "--learn-from", "all", f"benchmark={config.benchmark}"]
        words.append(f"harvested={done.folder / FILE}")
        lines.append(f"search with it: {shlex.join(words)}")
    return lines


@app.command()
def harvest(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as benchmark=telecom evidence=20.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the harvest as JSON.")] = False,
) -> None:
    """Turn production's new episodes into findings and new search tasks."""
    with exits():
        chosen = resolve(config, overrides or [], benchmark)
        done = run(chosen)
        if as_json:
            folder = None if done.folder is None else str(done.folder)
            print(json.dumps({"folder": folder, **done.harvest.model_dump(mode="json")}, indent=1))
        else:
            for line in told(chosen, done):
                print(line)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
