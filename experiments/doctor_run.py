"""Say whether this machine can run Tiller: Python, packages, extras, run root, disk.

    python -m experiments.doctor_run --root runs

prints one line per check (`ok`, `absent` for an optional part, `FAILED`) and exits 2 if one failed.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import typer
from pydantic import Field

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig
from experiments.preflight import name_clashes, package_folders, strangers
from signatures.errors import UsageError

OLDEST_PYTHON: Final = (3, 11)
Status = Literal["ok", "absent", "FAILED"]


class DoctorConfig(RunConfig):
    """What is looked at."""

    root: Path = Path("runs")
    "where runs are to be written"
    min_free_gib: float = Field(default=1.0, ge=0)
    "free space below which the disk check fails, in GiB"


class Check(NamedTuple):
    """One thing that was looked at; `absent` is an optional part that is not there."""

    name: str
    status: Status
    detail: str


def run(config: DoctorConfig) -> tuple[Check, ...]:
    """Look at everything, whatever fails; nothing is left behind."""
    return (
        _python(sys.version_info[:2]),
        _names(),
        _telecom(),
        _bubblewrap(),
        _chromium(),
        _run_root(config.root),
        _disk(config.root, config.min_free_gib),
    )


def _python(version: tuple[int, ...]) -> Check:
    text = ".".join(map(str, version))
    return Check("python", "ok" if version >= OLDEST_PYTHON else "FAILED", f"{text} (3.11 or newer)")


def _names() -> Check:
    folders = package_folders()
    problems = (*name_clashes(packages_distributions()), *strangers(folders))
    home = folders["experiments"]
    return Check("packages", "FAILED" if problems else "ok", "; ".join(problems) or f"five, all ours: {home}")


def _telecom() -> Check:
    if importlib.util.find_spec("tau2") is None:
        return Check("telecom", "absent", "the telecom benchmark: uv sync, or pip install -e '.[telecom]'")
    return Check("telecom", "ok", "tau2 is installed")


def _bubblewrap() -> Check:
    """Not only whether it is installed: many containers do not let it make a namespace."""
    program = shutil.which("bwrap")
    if program is None:
        return Check("bubblewrap", "absent", "worker-written code gets resource limits only")
    try:
        tried = subprocess.run(
            [program, "--ro-bind", "/", "/", "--unshare-all", "true"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("bubblewrap", "absent", f"installed, does not run: {error}")
    if tried.returncode != 0:
        return Check("bubblewrap", "absent", f"installed, does not work here: {tried.stderr.strip()}")
    return Check("bubblewrap", "ok", program)


def _chromium() -> Check:
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        return Check("chromium", "absent", "only a test of the dashboard needs it")
    return Check("chromium", "ok", program)


def _run_root(root: Path) -> Check:
    folder = _existing(root)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("run root", "FAILED", f"{root}: cannot write below {folder}: {error.strerror}")
    return Check("run root", "ok", str(root) if folder == root else f"{root} can be made below {folder}")


def _disk(root: Path, min_free_gib: float) -> Check:
    free = shutil.disk_usage(_existing(root)).free / 2**30
    return Check("disk", "ok" if free >= min_free_gib else "FAILED", f"{free:.1f} GiB free ({min_free_gib:g} wanted)")


def _existing(path: Path) -> Path:
    """`path`, or the nearest thing above it that exists."""
    return next(p for p in (path, *path.absolute().parents) if p.exists())


def _show(checks: tuple[Check, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("check", "status", "detail")
    for check in checks:
        style = {"ok": "green", "absent": "yellow", "FAILED": "bold red"}[check.status]
        table.add_row(check.name, f"[{style}]{check.status}[/]", check.detail.replace("[", r"\["))
    Console().print(table)


app = new_app(help="Say whether this machine can run Tiller.")


@app.command()
def doctor(
    root: Annotated[Path, typer.Option(help="Where runs are to be written.")] = Path("runs"),
    min_free_gib: Annotated[float, typer.Option(help="Free disk space wanted, in GiB.")] = 1.0,
) -> None:
    """Check Python, packages, extras, run root and disk; exit 2 if a check failed."""
    with exits():
        checks = run(DoctorConfig(root=root, min_free_gib=min_free_gib))
        _show(checks)
        failed = [check.name for check in checks if check.status == "FAILED"]
        if failed:
            raise UsageError(f"failed: {', '.join(failed)}")


def main() -> None:
    """The console script."""
    start(app)


if __name__ == "__main__":
    main()
