"""Runs code that a worker wrote: in a child process, with limits, a scratch folder and no network."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from controllers.isolation import NOT_ISOLATED, Isolation, SandboxConfig, counted, environment, prepare, works
from controllers.processes import Ending, ProcessLimits, run_process
from signatures.errors import UsageError
from signatures.records import Record


class SandboxResult(Record):
    """What came of one run, and how it was confined."""

    isolation: Isolation
    not_isolated: tuple[str, ...]
    exit_code: int
    "128 + n where signal n ended it"
    stdout: str
    stderr: str
    ended_by: Ending
    wall_s: float


class Sandbox:
    """Runs Python programs as `SandboxConfig` says."""

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config or SandboxConfig()

    async def run(
        self, files: Mapping[str, str], *, argv: Sequence[str] = ("main.py",), stdin: str = ""
    ) -> SandboxResult:
        """Write `files` into an empty scratch folder and run Python there with the arguments `argv`.

        The environment holds no variable of this process. Raises UsageError for a file name that leaves the folder and
        where the network cannot be cut off and `allow_network_unconfined` is not set.
        """
        isolation = await asyncio.to_thread(self.isolation)
        for name in files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise UsageError(f"sandbox: {name!r} is not a name inside the scratch folder")
        with tempfile.TemporaryDirectory(prefix="tiller-") as folder:
            place = Path(folder)
            (place / "stdin").write_text(stdin, encoding="utf-8", errors="surrogatepass")
            command = prepare(place, isolation, config=self.config, files=files, argv=argv)
            limits = ProcessLimits(
                wall_s=self.config.wall_s,
                output_bytes=self.config.output_bytes,
                processes=counted(isolation, self.config.processes),
            )
            env = environment(place, isolation, self.config)
            done = await run_process(command, limits=limits, cwd=place, env=env, stdin=place / "stdin")
        return SandboxResult(
            isolation=isolation,
            not_isolated=NOT_ISOLATED[isolation],
            exit_code=done.exit_code if done.exit_code >= 0 else 128 - done.exit_code,
            stdout=done.stdout.decode(errors="backslashreplace"),
            stderr=done.stderr.decode(errors="backslashreplace"),
            ended_by=done.ended_by,
            wall_s=done.wall_s,
        )

    def isolation(self) -> Isolation:
        """How code will be confined here. Raises UsageError where that is less than what was asked for."""
        asked = self.config.isolation
        kinds: tuple[Isolation, ...] = (asked,) if asked else ("bwrap", "unshare", "rlimits")
        found = next((kind for kind in kinds if works(kind)), None)
        if found is None:
            raise UsageError(f"sandbox: isolation {asked!r} does not work on this machine")
        if found == "rlimits" and not self.config.allow_network_unconfined:
            raise UsageError(
                "sandbox: worker-written code cannot be cut off from the network here. Install bubblewrap, allow "
                "user namespaces, or set allow_network_unconfined=True to run it all the same"
            )
        return found
