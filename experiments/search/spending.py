"""What the searches of a run spent, kept in its folder: a run that is done again says what it said before."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field, TypeAdapter, ValidationError

from experiments.whole_file import read_whole, write_whole
from optimizers.meter import Spend
from signatures.errors import StoreError
from signatures.records import NonNegative, Record

SPENT: Final = "spent.json"
"""Kept in the run folder: title of a search -> what it spent until it ended."""


class Spent(Record):
    """One search that ended."""

    compute: int = Field(ge=0)
    attempts: int = Field(ge=0)
    tokens: int = Field(ge=0)
    usd: NonNegative
    wall_s: NonNegative


_FILE: Final = TypeAdapter(dict[str, Spent])


def kept_spend(folder: Path, title: str, spend: Spend) -> Spend:
    """`spend` with the wall time that the search had taken when it ended for the first time. Raises StoreError.

    Executed again from the journal a search takes longer by the time that this takes, and spends nothing else.
    """
    kept = read_spent(folder)
    if title not in kept:
        kept[title] = Spent.model_validate(spend._asdict())
        write_whole(folder / SPENT, _FILE.dump_json(kept, indent=1).decode() + "\n")
    return spend._replace(wall_s=kept[title].wall_s)


def read_spent(folder: Path) -> dict[str, Spent]:
    """What is kept, by title; empty where no search of the run has ended. Raises StoreError."""
    text = read_whole(folder / SPENT)
    try:
        return {} if text is None else _FILE.validate_json(text)
    except ValidationError as error:
        raise StoreError(f"{folder / SPENT}: cannot be read: {error}") from error


def spend_metrics(spend: Spend) -> dict[str, float]:
    """`spent/...` as a tracker takes them."""
    return {f"spent/{name}": float(value) for name, value in spend._asdict().items()}
