"""Serve the champion: an agent harness asks what to do next, and reports what came of it.

    TILLER_TOKEN=... python -m experiments.serve_run --benchmark telecom

prints

    serving telecom, release 3f0c..., at http://127.0.0.1:8400

and answers HTTP there (`POST /episodes`, `/episodes/{id}/decide`, `/episodes/{id}/attempts`, `GET /healthz`,
`/metrics`, `/openapi.json`) and MCP at `/mcp`, until Ctrl-C or SIGTERM. `--mcp stdio` serves MCP on standard input and
output instead. Episodes survive a restart, whatever ended the server; episodes that begin after the alias moved follow
it, those that began before keep their release.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.serve.config import ServeConfig

app = new_app()


def run(config: ServeConfig, *, stdio: bool = False) -> None:
    """Serve until ended. Raises TillerError."""
    from experiments.serve.listening import listen, listen_stdio

    serve = listen_stdio if stdio else listen
    asyncio.run(serve(config, _to_stderr if stdio else _to_stdout))


def _to_stdout(line: str) -> None:
    print(line, flush=True)


def _to_stderr(line: str) -> None:
    """Where standard output is the wire."""
    print(line, file=sys.stderr, flush=True)


@app.command()
def serve(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config values: KEY=JSON.", metavar="[KEY=JSON]...")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    release: Annotated[
        Path | None, typer.Option(help="Folder of a release, instead of the registry's champion.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the bearer token.")] = None,
    mcp: Annotated[
        str, typer.Option(help="http: at /mcp beside the rest; stdio: MCP alone, on stdin and stdout.")
    ] = "http",
) -> None:
    """Serve the champion over HTTP and MCP."""
    with exits():
        if mcp not in ("http", "stdio"):
            raise typer.BadParameter("http or stdio", param_hint="--mcp")
        given = {"benchmark": benchmark, "release": release, "token_file": token_file}
        said = [f"{name}={json.dumps(str(value))}" for name, value in given.items() if value is not None]
        run(merge(ServeConfig, config, [*said, *(overrides or [])]), stdio=mcp == "stdio")


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
