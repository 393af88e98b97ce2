"""How fast a local model reads and writes here, alone and with four requests at once.

    python bench/local_lm.py local:/path/model.gguf [--tokens 64]

Reading: new prompts of some 500 tokens, answered by one token. Writing: a short prompt and `--tokens` tokens of answer.
Prints a table with the load of the machine before, and last one JSON line. Rates: tokens per second of all requests.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.cli import exits, new_app

if TYPE_CHECKING:
    import dspy

app = new_app()
HELD = 'root ::= [a-z ]* "~"'
"""A grammar that lets no answer end early."""


async def rate(lm: dspy.LM, prompts: list[str], side: str) -> float:
    """Tokens per second read (`in`) or written (`out`) over these prompts, asked at once."""
    from controllers.lm import billed

    def ask(prompt: str) -> object:
        return billed(lm, lambda own: own.acall(prompt))

    started = time.perf_counter()
    costs = [cost for _, cost in await asyncio.gather(*(ask(prompt) for prompt in prompts))]
    wall_s = time.perf_counter() - started
    total = sum((cost.tokens_in if side == "in" else cost.tokens_out) or 0 for cost in costs)
    return total / wall_s


async def measure(model: str, tokens: int) -> dict[str, dict[str, float]]:
    """Rates by number of requests at once."""
    from controllers.lm import billed, constrained, make_lm

    lm = make_lm(model, {"temperature": 0.8, "seed": 1})
    await billed(lm.copy(max_tokens=1), lambda own: own.acall("Hi"))  # loads the model
    found = {}
    for at_once in (1, 4):
        long = [f"Note {at_once}.{n}. " + "The tide comes in and the boats go out. " * 50 for n in range(at_once)]
        short = [f"Tell story {n}." for n in range(at_once)]
        found[str(at_once)] = {
            "read_per_s": round(await rate(lm.copy(max_tokens=1), long, "in"), 1),
            "written_per_s": round(await rate(constrained(lm.copy(max_tokens=tokens), HELD), short, "out"), 1),
        }
    return found


@app.command()
def main(
    model: Annotated[str, typer.Argument(help="local:PATH of a GGUF file.")],
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of each answer.")] = 64,
) -> None:
    """Measure and print."""
    with exits():
        load = os.getloadavg()[0]
        found = asyncio.run(measure(model, tokens))
        table = Table("at once", "read, tokens/s", "written, tokens/s", title=f"{model} (load before: {load:.1f})")
        for at_once, row in found.items():
            table.add_row(at_once, str(row["read_per_s"]), str(row["written_per_s"]))
        Console().print(table)
        print(json.dumps({"model": model, "load": load, "cores": os.cpu_count(), "at_once": found}))


if __name__ == "__main__":
    app()
