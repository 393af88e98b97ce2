"""The first event of a run: its config, and everything that says what exactly was searched."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from experiments.events import SEARCH_TAG, SearchStarted
from experiments.search.learned import Learned
from experiments.search_config import SearchConfig
from experiments.wiring import Wired

HOME: Final = Path(__file__).parents[2]
"""The folder that the packages lie in."""


def started_event(config: SearchConfig, folder: Path, parts: Wired, learned: Learned | None = None) -> SearchStarted:
    """Config as params; data digests, manifest, splits, versions, commit and what was learned from as tags."""
    flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in config.told().items()}
    manifest = parts.manifest
    tags = {
        SEARCH_TAG: config.engine_name,
        "tiller.manifest": manifest.digest,
        "tiller.judge": manifest.judge,
        "tiller.worker": parts.setup.worker.fingerprint.model_dump_json(),
        "tiller.proposer": "mined" if config.lm is None else config.lm,
        "tiller.commit": commit(),
        **{f"tiller.split.{name}": digest for name, digest in manifest.splits.items()},
        **{
            f"tiller.version.{name}": found
            for name in ("tiller", "dspy", "gepa", "optuna", "mlflow")
            if (found := _version(name))
        },
        **({} if learned is None else learned.tags),
    }
    return SearchStarted(
        run_id=folder.name,
        benchmark=parts.benchmark.id,
        engine=config.engine_name,
        seed=config.seed,
        config=flat,
        tags=tags,
        objectives=tuple(objective.name for objective in parts.benchmark.objectives),
    )


def commit(home: Path = HOME) -> str:
    """The commit of the checkout at `home`, with `+` where files differ from it; empty where there is no checkout.

    An installed Tiller may lie below another project's checkout, whose commit says nothing about it.
    """

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=home, capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    top = git("rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != home.resolve():
        return ""
    head = git("rev-parse", "HEAD")
    return f"{head}+" if head and git("status", "--porcelain", "--untracked-files=no") else head


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
