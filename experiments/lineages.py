"""A candidate's lineage as the note of its run: what it was to show, what became of it, and links to its ancestors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from controllers.redaction import redacted

BETWEEN: Final = " > "
"""Between two names of a lineage, the oldest first."""
NOTE: Final = "mlflow.note.content"
"""The tag that MLflow shows as a run's description, in markdown."""


def lineage_note(tags: Mapping[str, str], link: Callable[[str], str | None]) -> dict[str, str]:
    """The tag that describes a candidate's run; nothing where its tags tell no lineage.

    `link` gives the address of the run of that name, None where there is none.
    """
    if "tiller.lineage" not in tags:
        return {}
    *ancestors, own = tags["tiller.lineage"].split(BETWEEN)
    told = [
        ("Lineage", BETWEEN.join([*(_linked(name, link) for name in ancestors), own]) if ancestors else ""),
        ("Hypothesis", redacted(tags.get("tiller.hypothesis", ""))),
        ("Decision", f"{tags.get('tiller.decision', '')}, proposed by {tags.get('tiller.proposer', '')}"),
        ("Parents", ", ".join(_linked(name, link) for name in tags.get("tiller.parent_names", "").split(",") if name)),
    ]
    return {NOTE: "\n\n".join(f"**{name}:** {text}" for name, text in told if text)}


def _linked(name: str, link: Callable[[str], str | None]) -> str:
    address = link(name)
    return name if address is None else f"[{name}]({address})"
