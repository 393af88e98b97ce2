from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from controllers.local import serve
from controllers.local.server import PROGRAM
from tests.controllers.serving import small_model

SPEC: dict[str, Any] = {
    "path": "/m.gguf",
    "name": "m",
    "api_key": "k",
    "slots": 3,
    "context_tokens": 500,
    "threads": 2,
    "cache_mib": 64,
}


class Params(SimpleNamespace):
    """The shape of the library's parameters, as far as they are nested."""

    def __init__(self) -> None:
        super().__init__(model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace())


def test_the_server_is_on_this_host_alone_and_has_its_own_port_and_key() -> None:
    library: Any = SimpleNamespace(CommonParams=Params)
    params = serve.params_of(library, SPEC)
    assert (params.hostnames, params.port, params.api_keys) == (["127.0.0.1"], 0, ["k"])
    assert (params.n_parallel, params.n_ctx) == (3, 1500)
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (2, 2)
    assert params.model_alias == {"m"}


def test_the_library_has_every_parameter_that_is_set() -> None:
    library = pytest.importorskip("xllamacpp")
    params = serve.params_of(library, SPEC)
    assert (params.n_parallel, params.port, params.fit_params) == (3, 0, False)


def test_a_program_whose_parent_is_gone_ends_at_once() -> None:
    with pytest.raises(SystemExit):
        serve.die_with_parent(os.getpid())  # which is not this process's parent


def test_it_says_where_it_listens_and_stops_when_it_is_told() -> None:
    path = str(small_model())
    read_fd, write_fd = os.pipe()
    spec = {**SPEC, "path": path, "parent": os.getpid(), "report_fd": write_fd}
    with subprocess.Popen(
        [sys.executable, "-I", str(PROGRAM)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(write_fd,),
    ) as process:
        os.close(write_fd)
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(json.dumps(spec).encode())
        with os.fdopen(read_fd) as report:
            assert report.read().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(20) in (0, -signal.SIGALRM)
        finally:
            process.kill()
