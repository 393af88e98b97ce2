"""The loader that `mlflow models serve` finds in the model `<name>-pyfunc`: the rules of a release as a function.

Optional: it answers what a policy's probabilities are and keeps nothing, so no episode, propensity or reward of it
reaches a corpus. `experiments.serve_run` does. Nothing here imports MLflow, and nothing is unpickled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol

from pydantic import Field, Json, ValidationError

from controllers.arms import distribution
from controllers.policies import View
from controllers.release import loaded
from controllers.release_files import MANIFEST, parsed, read_files
from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import Finite, PolicyName, Record, Task

if TYPE_CHECKING:
    from controllers.release import Champion

INPUTS: Final = ("policy", "features", "legal")
"""Columns of text: the policy's name, a JSON object of numbers, a JSON list of actions."""
OUTPUTS: Final = ("probabilities", "tier", "release")
"""Columns of text: a JSON object action -> probability with the registered exploration in it, tier, release digest."""
MOST_ROWS: Final = 10_000
MOST_ACTIONS: Final = 1_000


class Question(Record):
    """One row."""

    policy: PolicyName
    features: Json[dict[str, Finite]]
    legal: Json[Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_ACTIONS)]]


class Column(Protocol):
    """What is used of a column of a table."""

    def tolist(self) -> list[object]:
        """Its values."""


class Table(Protocol):
    """What is used of a pandas DataFrame, which MLflow makes of any input."""

    @property
    def columns(self) -> Collection[str]:
        """The names of its columns."""

    def __len__(self) -> int:
        """The number of rows."""

    def __getitem__(self, name: str) -> Column:
        """One column."""


class Served:
    """The policies of one champion, asked by rows."""

    def __init__(self, champion: Champion) -> None:
        self.champion = champion

    def predict(self, model_input: Table, params: object = None) -> list[dict[str, str]]:
        """One row of `OUTPUTS` for each row of `INPUTS`. `params` is MLflow's, and nothing is made of it.

        Raises UsageError naming row and column that cannot be read.
        """
        if len(model_input) > MOST_ROWS:
            raise UsageError(f"{len(model_input)} rows; at most {MOST_ROWS:,} are answered at once")
        if missing := [name for name in INPUTS if name not in model_input.columns]:
            raise UsageError(f"column {missing[0]} is missing; there must be {', '.join(INPUTS)}")
        columns = (model_input[name].tolist() for name in INPUTS)
        questions = [_question(number, row) for number, row in enumerate(zip(*columns, strict=True), 1)]
        return [dict(zip(OUTPUTS, answer, strict=True)) for answer in self._answers(questions)]

    def _answers(self, questions: list[Question]) -> Iterator[tuple[str, str, str]]:
        release = self.champion.release
        task = Task(digest="", benchmark=release.benchmark, prompt="")
        with asyncio.Runner() as runner:
            for one in questions:
                policy = self.champion.controller.policies[one.policy]
                weights = runner.run(policy.decide(View(task, one.features, one.legal))).weights
                shares = distribution(weights, one.legal, floor=release.exploration)
                yield canonical_json(shares), policy.tier, release.digest


def require_servable(folder: Path) -> Champion:
    """The release in a folder, if each policy is a rule: a model or a program would have to see the attempts too.

    Raises UsageError, ReleaseRefused and StoreError.
    """
    files = read_files(folder)
    made_with = parsed(files[MANIFEST], f"{folder}: {MANIFEST}").get("fingerprints")
    if isinstance(made_with, dict) and made_with.get("models"):
        raise UsageError(f"{folder}: a policy asks {made_with['models']}, which a pyfunc cannot; use serve_run")
    champion = loaded(files, where=str(folder))
    if champion.controller.program is not None:
        raise UsageError(f"{folder}: a strategy program decides from the attempts, which no row holds; use serve_run")
    return champion


def _load_pyfunc(data_path: str) -> Served:
    """What MLflow calls, by this name."""
    return Served(require_servable(Path(data_path)))


def _question(number: int, row: tuple[object, ...]) -> Question:
    try:
        return Question.model_validate(dict(zip(INPUTS, row, strict=True)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"row {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
