"""Harvested tasks: what production was asked that no split and no earlier harvest has, for the next search."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from controllers.redaction import redacted
from signatures.digest import digest_text
from signatures.errors import UsageError
from signatures.records import Record, Task

FILE: Final = "tasks.jsonl"
SPLITS: Final = ("search", "dev", "holdout")


class HarvestedTask(Record):
    """A task and where it came from."""

    task: Task
    episodes: tuple[str, ...]
    "production episodes on it"


class Sorted(NamedTuple):
    """What became of the tasks that production was asked."""

    tasks: tuple[HarvestedTask, ...]
    left_out: Mapping[str, int]
    "reason -> tasks"


def content_key(prompt: str) -> str:
    """Names a prompt by what it says: case, spacing and the form of characters do not make another one."""
    return digest_text(" ".join(unicodedata.normalize("NFKC", prompt).casefold().split()))


def sort_tasks(
    asked: Mapping[str, Sequence[str]],
    prompts: Mapping[str, Task],
    splits: Mapping[str, Sequence[Task]],
    earlier: Iterable[Task],
) -> Sorted:
    """Of the tasks `asked` (digest -> episode ids) those that are new, in that order.

    Left out and counted: no prompt was kept, or it may hold a secret, by its shape; the digest or the prompt is in a
    split, a harvest brought it before, or it says the same as one that is taken here.
    """
    taken: dict[str, str] = {}
    for name, tasks in (*splits.items(), ("an earlier harvest", tuple(earlier))):
        reason = f"in {name}" if name not in splits else f"in the {name} split"
        for task in tasks:
            taken.setdefault(task.digest, reason)
            taken.setdefault(content_key(task.prompt), reason)
    found: list[HarvestedTask] = []
    left_out = Counter[str]()
    for digest, episodes in asked.items():
        new = prompts.get(digest)
        if new is None:
            left_out["no prompt was kept"] += 1
            continue
        if redacted(new.prompt) != new.prompt:  # of other words it would be another task
            left_out["may hold a secret"] += 1
            continue
        key = content_key(new.prompt)
        known = taken.get(digest) or taken.get(key)
        if known is not None:
            left_out[known] += 1
            continue
        taken[key] = "said twice"
        found.append(HarvestedTask(task=new, episodes=tuple(episodes)))
    return Sorted(tuple(found), dict(left_out))


def read_tasks(path: Path, benchmark: str) -> tuple[Task, ...]:
    """The tasks of a harvest, each once. Raises UsageError naming the line that is none, or another benchmark's."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot read harvested tasks: {error}") from error
    found: dict[str, Task] = {}
    for number, line in enumerate(lines, 1):
        try:
            task = HarvestedTask.model_validate_json(line).task
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"{path}:{number}: is no harvested task: {where} {first['msg']}") from error
        if task.benchmark != benchmark:
            raise UsageError(f"{path}:{number}: is a task of {task.benchmark}, not of {benchmark}")
        found.setdefault(task.digest, task)
    return tuple(found.values())


def tasks_text(tasks: Sequence[HarvestedTask]) -> str:
    """The file that `read_tasks` reads: a task a line."""
    return "".join(json.dumps(task.model_dump(mode="json"), ensure_ascii=True) + "\n" for task in tasks)


def require_new(harvested: Sequence[Task], splits: Mapping[str, Sequence[Task]]) -> None:
    """Raises UsageError where a harvested task is in a split, by its digest or by what it says."""
    for name, tasks in splits.items():
        digests = {task.digest for task in tasks}
        keys = {content_key(task.prompt) for task in tasks}
        if shared := [one.digest for one in harvested if one.digest in digests or content_key(one.prompt) in keys]:
            named = ", ".join(shared[:5])
            raise UsageError(f"harvested: {len(shared)} tasks are in the {name} split already: {named}")
