"""The config of `serve_run`: which release, for whom, and how much may be asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, JsonValue

from experiments.config import RunConfig
from signatures.release import Name


class LimitsConfig(RunConfig):
    """What one client, or all together, may ask at most. Lengths of single fields stand in `bodies.py`."""

    body_bytes: int = Field(default=8 * 2**20, ge=1024)
    "of a request; a longer one is refused before it is read whole"
    body_s: float = Field(default=30.0, gt=0)
    "seconds that a request may take to arrive"
    open_episodes: int = Field(default=10_000, ge=1)
    "not ended, and begun within abandoned_s"
    abandoned_s: float = Field(default=7 * 86_400.0, gt=0)
    "seconds after which an episode that nobody ends is no longer counted; it can still be gone on with"
    in_memory: int = Field(default=2_000, ge=1)
    "episodes at hand; the others are read from the corpus when they are asked for"
    requests_per_connection: int = Field(default=10_000, ge=1)
    "then the connection is closed"
    connections: int = Field(default=1_000, ge=1)
    "at once, and requests under way"


class ServeConfig(RunConfig):
    """What decides, what it is asked about, and where it listens."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    name: Name | None = None
    "of the registered model; None: the benchmark's id"
    alias: Name = "champion"
    "of the registered model; where it moves, episodes that begin later follow it"
    release: str | None = None
    "folder of a release, instead of the registry"
    checks: Literal["server", "reported"] = "server"
    "who checks an attempt: the benchmark's checkers here, or the client, which then reports each objective"
    lm: str | None = None
    "Model string (docs/models.md) of the policies that ask one; several are separated by commas"
    api_base: str | None = None
    "where the models are served, if not at their provider"
    host: str = "127.0.0.1"
    port: int = Field(default=8400, ge=0, le=65535)
    "0: any that is free"
    token_file: str | None = None
    "file with the bearer token; None: TILLER_TOKEN, or on this machine alone one made at the start"
    every_s: float = Field(default=5.0, gt=0)
    "seconds between two looks at the alias"
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
    limits: LimitsConfig = LimitsConfig()
