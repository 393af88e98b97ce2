"""What is checked before a run starts: that the five packages are ours, all of them, and only ours.

The package index holds other projects called `judges` or `controllers`. Installing one after Tiller
overwrites files of ours without a word, so two distributions that claim one name stop a run before it spends.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

from signatures.errors import UsageError

PACKAGES: Final = ("signatures", "controllers", "judges", "optimizers", "experiments")
DISTRIBUTION: Final = "tiller"


def preflight() -> None:
    """Refuse to start where a name is claimed twice or a package is not ours. Raises UsageError."""
    problems = (*name_clashes(packages_distributions()), *strangers(package_folders()))
    if problems:
        raise UsageError("; ".join(problems))


def name_clashes(claims: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """One sentence for each package of ours that an installed distribution other than ours claims too.

    `claims`: top-level name -> distributions, as `importlib.metadata.packages_distributions()` gives them.
    """
    found = []
    for package in PACKAGES:
        others = sorted({name for name in claims.get(package, ()) if name.lower() != DISTRIBUTION})
        if others:
            found.append(
                f"package '{package}' is also claimed by the installed distribution {' and '.join(others)}: "
                f"pip uninstall {' '.join(others)}, then install {DISTRIBUTION} again"
            )
    return tuple(found)


def strangers(folders: Mapping[str, Path | None]) -> tuple[str, ...]:
    """One sentence for each package that is missing, or that does not lie beside the others.

    `folders`: package -> the folder it would be imported from, None where it cannot be found.
    """
    home = folders["experiments"]
    return tuple(
        f"package '{package}' comes from {folder or 'nowhere'}, not from beside {home}: "
        "leave the folder that shadows it, or use the installed command"
        for package, folder in folders.items()
        if folder is None or home is None or folder.parent != home.parent
    )


def package_folders() -> dict[str, Path | None]:
    """Where each of our packages would be imported from; nothing is imported."""
    folders: dict[str, Path | None] = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        folders[package] = Path(spec.origin).parent if spec is not None and spec.origin else None
    return folders
