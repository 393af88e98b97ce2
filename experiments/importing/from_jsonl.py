"""Tiller's own JSON lines, the format to convert other recordings into: one episode a line (docs/importing.md).

A line is a `Recording`, or a short form of one: an episode of a single attempt may have the fields of the attempt
itself. A field that is not known is an error, so that nothing is lost by a typing mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import JsonValue, ValidationError

from experiments.importing import Given
from experiments.importing.reading import lines, value_of, why
from experiments.importing.recording import Recording, Rollout
from signatures.digest import canonical_json
from signatures.errors import UsageError

__all__ = ["JsonlSource"]

ATTEMPT: Final = (frozenset(Rollout.model_fields) | {"score"}) - {"schema_version", "parent", "round"}


class JsonlSource:
    """One episode a line, read a line at a time."""

    patterns = ("*.jsonl", "*.jsonl.gz")

    def recordings(self, file: Path, given: Given) -> Iterator[tuple[str, Recording]]:
        """One episode a line. Raises UsageError naming file, line and field."""
        refined, ungranted = 0, 0
        for number, line in lines(file):
            place = f"{file}, line {number}"
            recording = _recording(value_of(line, file, line=number), place, given)
            refined = refined or (number if any(one.parent is not None for one in recording.rollouts) else 0)
            ungranted = ungranted or (number if recording.granted.attempts is None else 0)
            if refined and ungranted:
                raise UsageError(
                    f"{file}, line {ungranted}: granted.attempts is missing; line {refined} holds a refinement, and "
                    "how many attempts an episode could have had must be known of all, or early successes are lost"
                )
            yield place, recording


def _recording(value: JsonValue, place: str, given: Given) -> Recording:
    if not isinstance(value, dict):
        raise UsageError(f"{place}: an episode is an object")
    held = dict(value)
    if "attempts" in held:
        held["rollouts"] = held.pop("attempts")
    elif "rollouts" not in held:
        held["rollouts"] = [{name: held.pop(name) for name in sorted(ATTEMPT) if name in held}]
    if isinstance(held["rollouts"], list):
        held["rollouts"] = [_scored(one) for one in held["rollouts"]]
    if given.benchmark:
        held["benchmark"] = given.benchmark
    if isinstance(worker := held.get("worker"), str):
        held["worker"] = {"name": worker}
    if given.model and isinstance(worker := held.get("worker"), dict):
        held["worker"] = {**worker, "model": given.model}
    try:
        return Recording.model_validate_json(canonical_json(held).encode("utf-8", "replace"))
    except ValidationError as error:
        what = why(error)
        raise UsageError(f"{place}: {'attempts' + what[8:] if what.startswith('rollouts') else what}") from error


def _scored(attempt: JsonValue) -> JsonValue:
    """`score`, a number, is short for `scores` with one that counts."""
    if not isinstance(attempt, dict) or "score" not in attempt:
        return attempt
    rest = {name: value for name, value in attempt.items() if name != "score"}
    return {**rest, "scores": [{"value": attempt["score"], "reason": "score"}, *_more(rest.get("scores"))]}


def _more(scores: JsonValue) -> list[JsonValue]:
    return scores if isinstance(scores, list) else []
