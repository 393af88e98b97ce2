"""A program of its own: serves one GGUF file on 127.0.0.1 until it is told to stop or its parent is gone.

`controllers.local.server` starts it as `python -I serve.py` and writes one JSON object to its standard input. It binds
to a port that is free and says which, as one line on the pipe `report_fd`, when the model is loaded.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import Any

PR_SET_PDEATHSIG = 1
TICK_S = 1.0
LAST_S = 1
"""Between the end of serving and the end of the process."""


def main() -> None:
    """Serve until SIGTERM, or until the process that started this one has ended."""
    spec = json.loads(sys.stdin.buffer.read())
    die_with_parent(spec["parent"])
    library = importlib.import_module("xllamacpp")  # it has no types to check
    try:
        server = library.Server(params_of(library, spec))
    except RuntimeError as error:
        raise SystemExit(str(error)) from error  # one line: the library has said why in those before it
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    os.write(spec["report_fd"], f"{server.listening_address}\n".encode())
    os.close(spec["report_fd"])
    while not stop.wait(TICK_S) and os.getppid() == spec["parent"]:
        pass
    signal.alarm(LAST_S)  # the kernel ends this process then, whatever the library waits for
    del server  # waits for the requests in flight, and now and then for nothing at all


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends. Only Linux can; the loop of `main` asks.

    Raises SystemExit where the parent is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)


def params_of(library: ModuleType, spec: Mapping[str, Any]) -> object:
    """`CommonParams` for a spec: what to serve, to how many at once, and with how many threads."""
    params = library.CommonParams()
    params.model.path = spec["path"]
    params.model_alias = {spec["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # the kernel's choice, bound by the server itself
    params.api_keys = [spec["api_key"]]
    params.n_parallel = spec["slots"]
    params.n_ctx = spec["slots"] * spec["context_tokens"]
    params.cpuparams.n_threads = spec["threads"]
    params.cpuparams_batch.n_threads = spec["threads"]
    params.cont_batching = True
    params.cache_prompt = True
    params.cache_ram_mib = spec["cache_mib"]
    params.fit_params = False  # else the size of the context depends on what else runs
    params.offline = True
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1  # errors alone: a parent shows the last of them
    return params


if __name__ == "__main__":
    main()
